//! Part of the verifier: places in the code that jumps go to, and what is known there.

use super::flow::State;
use super::info::Info;
use crate::instruction::Instruction;

/// Where jumps go.
#[derive(Clone, Copy)]
pub(super) struct Place<const W: usize> {
    /// What is known there, if control arrives at all.
    pub(super) state: State<W>,
    is_reached: bool,
    /// Whether that changed since the code there was run.
    pub(super) is_dirty: bool,
    /// The first instruction that jumps there, and the last one.
    pub(super) first: u32,
    pub(super) last: u32,
}

impl<const W: usize> Place<W> {
    pub(super) fn new(first: u32, last: u32) -> Self {
        Self {
            state: State::default(),
            is_reached: false,
            is_dirty: false,
            first,
            last,
        }
    }

    /// Control arrives with this; whether that is news.
    #[inline]
    pub(super) fn arrive(&mut self, state: &State<W>) -> bool {
        if !self.is_reached {
            self.is_reached = true;
            self.state = state.without_list();
            return true;
        }
        let joined = self.state.joined(*state);
        let is_news = joined != self.state;
        self.state = joined;
        is_news
    }
}

/// How many jumps there are, and how many of them go back.
pub(super) fn count_jumps(code: &[Instruction]) -> (usize, usize) {
    let counts = code.iter().map(|&i| Info::jumps_of(i));
    // There are fewer than 2³¹ instructions.
    let counts = counts.fold(0, u64::wrapping_add);
    (counts as u32 as usize, (counts >> 32) as usize)
}

/// Makes the places that jumps back go to: the walk comes to these before the jumps.
pub(super) fn find_back<const W: usize>(
    code: &[Instruction],
    place_at: &mut [u32],
    places: &mut Vec<Place<W>>,
) {
    let jumps = code
        .iter()
        .enumerate()
        .filter(|(_, i)| Info::of(**i).is_back);
    for (pc, &i) in jumps {
        let target = Info::of(i).target(pc, i).unwrap_or(-1);
        let number = usize::try_from(target).ok().filter(|&target| target <= pc);
        let Some(number) = number.and_then(|target| place_at.get_mut(target)) else {
            // A fault, which the walk finds.
            continue;
        };
        let known = (*number as usize).checked_sub(1);
        match known.and_then(|known| places.get_mut(known)) {
            Some(place) => place.last = pc as u32,
            None => {
                places.push(Place::new(u32::MAX, pc as u32));
                *number = places.len() as u32;
            }
        }
    }
}
