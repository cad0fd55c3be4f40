//! Keys made to collide do not make tables slow.

use crate::support::{root, run_moonswap};

#[test]
fn crafted_keys_cost_what_ordinary_ones_cost() {
    // Its times are of the processor, the best of several.
    let outcome = run_moonswap(&root().join("lua-tests/limits"), &["flooding.lua"], b"");
    println!("{}", outcome.out());
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    let sets = outcome.out().lines().count();
    assert!(sets >= 20, "{sets} sets");
}
