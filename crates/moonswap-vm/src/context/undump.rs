//! Loading binary chunks function by function, as they are read.

use moonswap_bytecode::dump::{self, Kept, Take, UndumpError};
use moonswap_bytecode::{Literal, LiteralStep, Watch};

use super::Context;
use crate::limits;
use crate::loader::{Loading, MOST_KEPT};
use crate::object::{Instance, Keep};

impl Context<'_> {
    /// Loads the literals of a binary chunk as they are read; answers the instance and
    /// how many variables the main chunk captures.
    pub(super) fn undump_and_load(
        &self,
        source: &[u8],
        keep: Keep,
    ) -> Result<(*mut Instance, usize), UndumpError> {
        let is_over = || limits::has_to_stop(&self.vm());
        let mut taker = Taker {
            cx: self,
            expected: match self.vm().heap.is_limited() {
                true => 0,
                false => source.len().min(MOST_EXPECTED),
            },
            keep,
            loading: None,
            depth: 0,
            most: 0,
            loaded: None,
        };
        let room = self.vm().heap.room();
        let watch = Watch::new(&is_over);
        let mut kept = self.kept_lists();
        let read = dump::undump_with(&mut kept, source, Some(&watch), room, &mut taker);
        let mut vm = self.vm();
        if !vm.heap.is_limited() && source.len() <= MOST_KEPT {
            vm.loads.kept = Some(kept);
        }
        if vm.heap.is_limited() {
            vm.heap.note_freed(taker.most);
        }
        if let Some(loading) = taker.loading {
            loading.abandon(&mut vm);
        }
        read.and_then(|()| taker.loaded.ok_or(UndumpError::Corrupted))
    }

    /// What was kept of the last binary chunk, if anything.
    fn kept_lists(&self) -> Box<Kept> {
        let mut vm = self.vm();
        let kept = vm.loads.kept.take();
        if vm.heap.is_limited() {
            // They are on no account.
            vm.loads.records = None;
            return Box::default();
        }
        kept.unwrap_or_default()
    }
}

/// What is given may be longer than the chunk in it.
const MOST_EXPECTED: usize = 64 << 10;

/// Loads the functions of a binary chunk.
struct Taker<'a, 'c> {
    cx: &'a Context<'c>,
    /// Bytes of the chunk for which there is room in lists from the beginning.
    expected: usize,
    keep: Keep,
    loading: Option<Loading>,
    /// Functions that began and did not end.
    depth: usize,
    /// The most that the reader held.
    most: usize,
    /// The instance, and how many variables the outermost function captures.
    loaded: Option<(*mut Instance, usize)>,
}

impl Take for Taker<'_, '_> {
    fn begins_outermost(&mut self, chunk: &str, _: &[LiteralStep<'_>]) -> Result<(), UndumpError> {
        let mut vm = self.cx.vm();
        let mut loading = Loading::begin_binary(&mut vm, chunk, self.keep, self.expected);
        loading.begins(&mut vm);
        self.loading = Some(loading);
        self.depth = 1;
        Ok(())
    }

    fn begins(&mut self, _: &LiteralStep<'_>) -> Result<(), UndumpError> {
        if let Some(loading) = &mut self.loading {
            loading.begins(&mut self.cx.vm());
        }
        self.depth += 1;
        Ok(())
    }

    fn ends(&mut self, literal: &Literal<'_>, held: usize) -> Result<usize, UndumpError> {
        let mut vm = self.cx.vm();
        self.most = self.most.max(held);
        self.depth -= 1;
        let loading = self.loading.as_mut().ok_or(UndumpError::Corrupted)?;
        let is_limited = vm.heap.is_limited();
        if is_limited {
            let also = held + loading.held_bytes(&vm);
            let bytes = loading.bytes(literal).saturating_add(also);
            let permitted = vm.heap.permit(bytes);
            permitted.map_err(|_| UndumpError::Memory)?;
        }
        if self.depth > 0 {
            loading.ends(&mut vm, literal);
            return Ok(match is_limited {
                true => vm.heap.room().saturating_sub(loading.held_bytes(&vm)),
                false => usize::MAX,
            });
        }
        let loading = self.loading.take();
        let instance = loading.map(|loading| loading.finish_literal(&mut vm, literal));
        self.loaded = instance.map(|instance| (instance, literal.upvalues.len()));
        Ok(usize::MAX)
    }
}
