//! Has the linker put together what runs in usual scripts (`layout.ld`): Linux maps 16
//! pages around each one that is touched, and scattered functions make most of the program
//! resident.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=layout.ld");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    let is = |name: &str, wanted: &str| env::var(name).is_ok_and(|value| value == wanted);
    let is_known = is("TARGET", "x86_64-unknown-linux-gnu") && is("PROFILE", "release");
    // Other linkers may not know such scripts: where one is chosen, there is no layout.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let is_chosen = env::var_os("RUSTC_LINKER").is_some()
        || ["link", "fuse-ld"].iter().any(|part| flags.contains(part));
    if is_known && !is_chosen {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        let script = Path::new(&folder).join("layout.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
    }
}
