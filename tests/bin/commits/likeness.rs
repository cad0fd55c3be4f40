//! How alike the bodies of two functions are: to find pairs that may not belong
//! together.

use std::collections::HashMap;
use std::sync::Arc;

use moonswap_bytecode::Prototype;

fn bag(prototype: &Prototype) -> HashMap<String, u32> {
    let mut bag = HashMap::new();
    let mut todo = vec![prototype];
    while let Some(prototype) = todo.pop() {
        let mut before = "";
        for instruction in &prototype.code {
            let name = instruction.opcode().map_or("?", |op| op.name());
            *bag.entry(format!("{before} {name}")).or_default() += 1;
            before = name;
        }
        for constant in &prototype.constants {
            *bag.entry(format!("{constant:?}")).or_default() += 2;
        }
        todo.extend(prototype.children.iter().map(Arc::as_ref));
    }
    bag
}

/// From 0 (nothing in common) to 1: twice what both have, of what they have together.
pub(crate) fn likeness(old: &Prototype, new: &Prototype) -> f64 {
    let (old, new) = (bag(old), bag(new));
    let count = |bag: &HashMap<String, u32>| bag.values().sum::<u32>();
    let both: u32 = old
        .iter()
        .map(|(word, n)| *n.min(new.get(word).unwrap_or(&0)))
        .sum();
    match count(&old) + count(&new) {
        0 => 1.0,
        all => f64::from(2 * both) / f64::from(all),
    }
}
