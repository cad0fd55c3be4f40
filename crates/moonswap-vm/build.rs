//! Picks the dispatch backend: tail-threaded handlers where the optimiser turns
//! sibling calls into jumps, else one match loop.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(moonswap_tail)");
    println!("cargo::rerun-if-env-changed=MOONSWAP_DISPATCH");
    println!("cargo::rerun-if-changed=build.rs");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let level = env::var("OPT_LEVEL").unwrap_or_default();
    let optimised = matches!(level.as_str(), "2" | "3" | "s");
    let supported = matches!(arch.as_str(), "x86_64" | "aarch64");
    let wanted = env::var("MOONSWAP_DISPATCH").map_or(true, |v| v != "match");
    // An interpreter of Rust makes no jumps of sibling calls, whatever the level.
    let interpreted = env::var_os("CARGO_CFG_MIRI").is_some();
    if optimised && supported && wanted && !interpreted {
        println!("cargo::rustc-cfg=moonswap_tail");
    }
}
