//! Random modules and random edits of them.

use moonswap_fuzz::data::{Data, row};

use super::module::{Item, KINDS, Kind, Module};

/// Decisions of one case.
pub(super) fn bytes(seed: u64, number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut part = 0;
    while bytes.len() < 1500 {
        bytes.extend(row(seed.wrapping_add(part << 32), number));
        part += 1;
    }
    bytes
}

/// Constants and functions are what most modules consist of.
fn kind(data: &mut Data<'_>) -> Kind {
    match data.below(24) {
        at @ 0..=11 => KINDS[at],
        12..=14 => Kind::Constant,
        15..=18 => Kind::Function,
        19 => Kind::Field,
        20 => Kind::Table,
        21 => Kind::Value,
        22 => Kind::State,
        _ => Kind::Class,
    }
}

fn item(data: &mut Data<'_>, id: u8, above: &[Item]) -> Item {
    let mut kind = kind(data);
    if kind == Kind::Leave && data.below(3) > 0 {
        kind = Kind::Function;
    }
    let mut used = || match above.len() {
        0 => 0,
        n => above[data.below(n)].id,
    };
    let uses = [used(), used(), used()];
    Item {
        id,
        kind,
        place: data.byte(),
        style: data.byte(),
        k: data.byte(),
        shape: data.word() as u16,
        uses,
    }
}

/// A module of three to ten items.
pub(super) fn module(data: &mut Data<'_>) -> Module {
    let form = data.byte();
    let mut items = Vec::new();
    for id in 1..=3 + data.below(8) as u8 {
        let new = item(data, id, &items);
        items.push(new);
    }
    Module { items, form }
}

/// A copy with some changes.
pub(super) fn edited(module: &Module, data: &mut Data<'_>) -> Module {
    let mut items = module.items.clone();
    let mut next = items.iter().map(|item| item.id).max().unwrap_or(0) + 1;
    for _ in 0..1 + data.below(4) {
        let n = items.len();
        let at = data.below(n + 1);
        let what = data.below(23);
        if at == n || what < 4 {
            let new = item(data, next, &items[..at]);
            items.insert(at, new);
            next += 1;
            continue;
        }
        let (above, rest) = items.split_at_mut(at);
        let chosen = &mut rest[0];
        match what {
            4..=9 => chosen.k = chosen.k.wrapping_add(1 + data.byte() % 3),
            10..=12 => chosen.shape ^= 1 << data.below(16),
            13 | 14 => chosen.style = data.byte(),
            15 if !above.is_empty() => {
                chosen.uses[data.below(3)] = above[data.below(above.len())].id;
            }
            16 => chosen.place = data.byte(),
            17 => drop(items.remove(at)),
            18 => {
                let moved = items.remove(at);
                items.insert(data.below(n), moved);
            }
            _ => {
                // A function changes, and something new uses it.
                chosen.k = chosen.k.wrapping_add(1);
                let used = chosen.id;
                let mut new = item(data, next, &items[..=at]);
                new.uses[0] = used;
                match data.below(4) {
                    0 => {}
                    1 => (new.kind, new.place) = (Kind::Class, 0),
                    _ => (new.kind, new.place, new.style) = (Kind::Value, 0, new.style & 0xF8),
                }
                let to = at + 1 + data.below(items.len() - at);
                items.insert(to, new);
                next += 1;
            }
        }
    }
    Module {
        items,
        form: module.form,
    }
}
