//! What becomes of a test that needs something that is not installed.

/// The variable by which a skip becomes a failure: `MOONSWAP_REQUIRE=all`.
pub const REQUIRE: &str = "MOONSWAP_REQUIRE";

/// Reports that `what` is not there, and how to get it. The caller then leaves
/// out what needs it.
///
/// # Panics
///
/// If `MOONSWAP_REQUIRE` is `all`, as it is in CI: there a skip is a failure.
pub fn skip(what: &str, remedy: &str) {
    let line = line(what, remedy);
    assert!(!is_required(), "{line} ({REQUIRE}=all)");
    println!("skipped: {line}");
}

pub(crate) fn line(what: &str, remedy: &str) -> String {
    format!("{what} is not installed; {remedy}")
}

pub(crate) fn is_required() -> bool {
    std::env::var_os(REQUIRE).is_some_and(|value| value == "all")
}
