//! First words of the command line.

pub(crate) const VERBS: &[&str] = &[
    "run", "repl", "check", "list", "plan", "patch", "audit", "release", "help",
];

/// Options that the reference does not have and that stand alone.
const OPTIONS: &[&str] = &["--help", "--version", "-V"];

/// Whether the first argument makes the call one of ours.
pub(crate) fn is_verb(first: &str) -> bool {
    VERBS.contains(&first) || OPTIONS.contains(&first)
}

/// The verb that was meant by a word with a slip of the hand in it.
pub(crate) fn meant(word: &str) -> Option<&'static str> {
    VERBS.iter().copied().find(|verb| is_slip(word, verb))
}

/// Whether one letter is missing, too many, another one, or two have changed places.
fn is_slip(word: &str, verb: &str) -> bool {
    let (a, b) = (word.as_bytes(), verb.as_bytes());
    let front = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[front..], &b[front..]);
    let back = a.iter().rev().zip(b.iter().rev());
    let back = back.take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[..a.len() - back], &b[..b.len() - back]);
    match (a, b) {
        ([], [_]) | ([_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}
