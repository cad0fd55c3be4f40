//! Makes a failing case smaller while it still fails.

use super::case::Case;
use super::module::Item;

/// Smaller cases, the smallest first.
fn candidates(case: &Case) -> Vec<Case> {
    let mut found = Vec::new();
    let mut add = |change: &dyn Fn(&mut Case)| {
        let mut other = case.clone();
        change(&mut other);
        if other != *case {
            found.push(other);
        }
    };
    if case.versions.len() > 2 {
        add(&|c| {
            c.versions.pop();
            c.calls.pop();
        });
        add(&|c| {
            c.versions.remove(0);
            c.calls.remove(0);
        });
        add(&|c| {
            c.versions.remove(1);
            c.calls.remove(1);
        });
    }
    let mut ids: Vec<u8> = case
        .versions
        .iter()
        .flat_map(|m| m.items.iter().map(|i| i.id))
        .collect();
    ids.sort_unstable();
    ids.dedup();
    for id in &ids {
        add(&|c| {
            c.versions
                .iter_mut()
                .for_each(|m| m.items.retain(|i| i.id != *id))
        });
    }
    for (at, calls) in case.calls.iter().enumerate() {
        for i in 0..calls.len() {
            add(&|c| {
                c.calls[at].remove(i);
            });
        }
    }
    for at in 1..case.versions.len() {
        for id in &ids {
            // As it was before.
            let was = case.versions[at - 1].items.iter().find(|i| i.id == *id);
            add(&|c| {
                for item in &mut c.versions[at].items {
                    if let (true, Some(was)) = (item.id == *id, was) {
                        *item = was.clone();
                    }
                }
            });
        }
        add(&|c| {
            let order: Vec<u8> = c.versions[at - 1].items.iter().map(|i| i.id).collect();
            let place = |item: &Item| order.iter().position(|id| *id == item.id).unwrap_or(99);
            c.versions[at].items.sort_by_key(place);
        });
    }
    type Change = fn(&mut Item);
    let simpler: [Change; 6] = [
        |i| i.shape = 0,
        |i| i.style = 0,
        |i| i.place = 0,
        |i| i.uses = [0; 3],
        |i| i.uses[1..].fill(0),
        |i| i.style %= 8,
    ];
    for id in &ids {
        for change in simpler {
            add(&|c| {
                let all = c.versions.iter_mut().flat_map(|m| &mut m.items);
                all.filter(|i| i.id == *id).for_each(change);
            });
        }
        for bit in 0..16 {
            add(&|c| {
                let all = c.versions.iter_mut().flat_map(|m| &mut m.items);
                all.filter(|i| i.id == *id)
                    .for_each(|i| i.shape &= !(1 << bit));
            });
        }
    }
    add(&|c| c.versions.iter_mut().for_each(|m| m.form = 0));
    add(&|c| c.remove = false);
    found
}

/// The smallest case found that fails, and how.
pub(super) fn shrunk(
    mut case: Case,
    mut why: String,
    fails: &dyn Fn(&Case) -> Option<String>,
) -> (Case, String) {
    let kind = |why: &str| {
        why.lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(20)
            .collect::<String>()
    };
    let wanted = kind(&why);
    let mut budget = 3000;
    loop {
        let smaller = candidates(&case).into_iter().find_map(|other| {
            budget -= 1;
            if budget < 0 {
                return None;
            }
            let why = fails(&other)?;
            (kind(&why) == wanted).then_some((other, why))
        });
        match smaller {
            Some((other, other_why)) => (case, why) = (other, other_why),
            None => return (case, why),
        }
    }
}
