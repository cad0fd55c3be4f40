//! Programs that must not compile, and what the compiler says of them.
//!
//! The expected texts are those of the toolchain that CI uses. `TRYBUILD=overwrite` writes
//! them anew: read the difference.

#[test]
fn programs_that_must_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile/threads.rs");
    cases.compile_fail("tests/compile/lifetimes.rs");
    cases.compile_fail("tests/compile/scopes.rs");
    if cfg!(feature = "async") {
        cases.compile_fail("tests/compile/futures.rs");
    }
    if cfg!(feature = "macros") {
        cases.compile_fail("tests/compile/macros.rs");
    }
}
