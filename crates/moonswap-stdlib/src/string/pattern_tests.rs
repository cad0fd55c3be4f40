//! Tests of the pattern engine; the expectations are the reference's.

use super::*;

/// Start (counted from 1), end and captures of the first match, or the error.
fn find(subject: &str, pattern: &str) -> String {
    let (anchor, pattern) = match pattern.strip_prefix('^') {
        Some(rest) => (true, rest),
        None => (false, pattern),
    };
    let mut state = State::new();
    let mut matcher = Matcher::new(subject.as_bytes(), pattern.as_bytes(), &(), &mut state);
    let found = if anchor {
        matcher.match_at(0).map(|end| end.map(|end| (0, end)))
    } else {
        matcher.search(0)
    };
    let (start, end) = match found {
        Ok(Some(found)) => found,
        Ok(None) => return "nil".to_owned(),
        Err(error) => return error.to_string(),
    };
    let mut text = format!("{} {}", start + 1, end);
    for index in 0..state.capture_count() {
        text += " ";
        text += &match state.capture(index, start, end) {
            Ok(Capture::Bytes(start, end)) => subject[start..end].to_owned(),
            Ok(Capture::Position(at)) => (at + 1).to_string(),
            Err(error) => error.to_string(),
        };
    }
    text
}

#[test]
fn matches() {
    for (subject, pattern, found) in [
        ("", "", "1 0"),
        ("alo", "", "1 0"),
        ("a\0a\0ab", "%z*", "1 0"),
        ("alo", "l+", "2 2"),
        ("aaab", "a*", "1 3"),
        ("aaa", "^.*$", "1 3"),
        ("aaab", ".*b", "1 4"),
        ("aaa", ".*a", "1 3"),
        ("aaa", "b*", "1 0"),
        ("aaab", ".-b", "1 4"),
        ("aaab", "a-$", "5 4"),
        ("aaab", "^.-$", "1 4"),
        ("ito e assim", "%bst", "nil"),
        ("alo xyzK", "(%w+)K", "5 8 xyz"),
        ("254 K", "(%d*)K", "5 5 "),
        ("abc\u{e9}", "[%a]+", "1 3"),
        ("\u{ff}", "%w", "nil"),
        ("x]y", "[]]", "2 2"),
        ("x^y", "[x^]+", "1 2"),
        ("0123-", "[^%d]", "5 5"),
        ("a-z", "[a-]+", "1 2"),
        ("a-z", "[%a-z]+", "1 3"),
        ("isto e assim", "%bst", "2 3"),
        ("(a(b)c)d", "%b()", "1 7"),
        ("xx", "%bxx", "1 2"),
        ("THE (quick) fox", "%f[%a]%a+%f[%A]", "1 3"),
        ("THE (quick) fox", "%((%a+)%)", "5 11 quick"),
        ("hello world", "(()l+())", "3 4 ll 3 5"),
        ("abab", "^(ab)%1$", "1 4 ab"),
        ("\"q'x\"", "(['\"])(.-)%1", "1 5 \" q'x"),
        ("  x ", "^%s*(.-)%s*$", "1 4 x"),
        ("key = val", "^(%w+)%s*=%s*(%w+)$", "1 9 key val"),
        ("ab", "a?b?c?$", "1 2"),
        ("a$a", "$a", "2 3"),
        ("a.b", "a%.b", "1 3"),
        ("aXb", "%u", "2 2"),
        ("abc", "()", "1 0 1"),
    ] {
        assert_eq!(find(subject, pattern), found, "{subject:?} {pattern:?}");
    }
}

#[test]
fn errors() {
    for (pattern, message) in [
        ("%", "malformed pattern (ends with '%')"),
        ("[a", "malformed pattern (missing ']')"),
        ("[]", "malformed pattern (missing ']')"),
        ("[^]", "malformed pattern (missing ']')"),
        ("[a%]", "malformed pattern (missing ']')"),
        ("[a%", "malformed pattern (missing ']')"),
        ("%b", "malformed pattern (missing arguments to '%b')"),
        ("%ba", "malformed pattern (missing arguments to '%b')"),
        ("%f", "missing '[' after '%f' in pattern"),
        ("(a", "1 1 unfinished capture"),
        ("a)", "invalid pattern capture"),
        ("%1", "invalid capture index %1"),
        ("%0", "invalid capture index %0"),
        ("(%1)", "invalid capture index %1"),
        ("()%2", "invalid capture index %2"),
    ] {
        assert_eq!(find("a", pattern), message, "{pattern:?}");
    }
    assert_eq!(find("a", &"()".repeat(33)), "too many captures");
    assert_eq!(
        find(&"a".repeat(300), &"a?".repeat(300)),
        "pattern too complex"
    );
    assert_eq!(
        find(&"x".repeat(400), &("(.-)".repeat(3) + &".?".repeat(250))),
        "pattern too complex"
    );
    let long = "a".repeat(300_000);
    assert_eq!(find(&long, ".-b"), "nil");
    assert_eq!(find(&long, &(".".repeat(1000) + ".*$")), "1 300000");
}

#[test]
fn meter_stops() {
    struct Stop;
    impl Meter for Stop {
        fn charge(&self, _steps: usize) -> bool {
            false
        }
    }
    let subject = [b'a'; 200];
    let mut state = State::new();
    let mut matcher = Matcher::new(&subject, b".-.-.-.-.-.-.-.-b", &Stop, &mut state);
    assert_eq!(matcher.search(0), Err(PatternError::OutOfSteps));
}

#[test]
fn random_patterns_do_not_panic() {
    let letters = b"ab%()[]^$*+-?.bf1dw";
    let mut seed = 88172645463325252u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for _ in 0..200_000 {
        let pattern: Vec<u8> = (0..next() % 12)
            .map(|_| letters[next() % letters.len()])
            .collect();
        let subject: Vec<u8> = (0..next() % 12).map(|_| letters[next() % 6]).collect();
        let mut state = State::new();
        let mut matcher = Matcher::new(&subject, &pattern, &(), &mut state);
        if let Ok(Some((start, end))) = matcher.search(0) {
            assert!(start <= end && end <= subject.len());
            for index in 0..state.value_count() {
                if let Ok(Capture::Bytes(from, to)) = state.capture(index, start, end) {
                    assert!(from <= to && to <= subject.len());
                }
            }
        }
    }
}

#[test]
fn literals() {
    assert!(is_literal(b"abc") && !is_literal(b"a.c"));
    assert_eq!(find_literal(b"hello", b"l", 0), Some(2));
    assert_eq!(find_literal(b"hello", b"lo", 0), Some(3));
    assert_eq!(find_literal(b"hello", b"lo", 4), None);
    assert_eq!(find_literal(b"hello", b"", 5), Some(5));
    assert_eq!(find_literal(b"hello", b"", 6), None);
    assert_eq!(find_literal(&[b'x'; 100], b"xy", 0), None);
}
