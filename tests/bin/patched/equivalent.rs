//! Equivalent code: the same text with a statement without effect before the
//! first one of each function and of the main chunk, on the line that is there.
//!
//! Not a parser: it knows strings, comments and `function (…)`, which is enough
//! to find where bodies begin. Text that is no Lua gives text that is no Lua.

/// What may stand before the first statement of a body: nothing, or code without
/// effect.
const FILLERS: [&[u8]; 3] = [b"", b"do local _ end ", b"do local _ = 0 end "];

/// One text in the shapes it is patched to, one after the other. In each step all
/// functions with a name change and one of those without: two that stand in the
/// same role and have both changed are refused as ambiguous.
pub(crate) struct Shapes {
    source: Vec<u8>,
    named: usize,
    /// For each function without a name, in the order of the text.
    nameless: Vec<usize>,
    /// The next of them to change.
    next: usize,
}

impl Shapes {
    pub(crate) fn new(source: Vec<u8>) -> Shapes {
        let mut n = 0;
        fill(&source, |is_named| {
            n += usize::from(!is_named);
            b""
        });
        Shapes {
            source,
            named: 0,
            nameless: vec![0; n],
            next: 0,
        }
    }

    /// The next shape; [`Shapes::keep`] makes it the present one.
    pub(crate) fn next(&self) -> Vec<u8> {
        let mut i = 0;
        fill(&self.source, |is_named| {
            let n = if is_named {
                1 + self.named
            } else {
                i += 1;
                self.nameless[i - 1] + usize::from(i - 1 == self.next)
            };
            FILLERS[n % FILLERS.len()]
        })
    }

    /// The patch was applied.
    pub(crate) fn keep(&mut self) {
        self.named += 1;
        if let Some(n) = self.nameless.get_mut(self.next) {
            *n += 1;
        }
        self.skip();
    }

    /// It was not: another function is tried next.
    pub(crate) fn skip(&mut self) {
        self.next = (self.next + 1) % self.nameless.len().max(1);
    }
}

/// `source` with something at the beginning of every body; `filler` is told
/// whether the function has a name (the main chunk has).
fn fill(source: &[u8], mut filler: impl FnMut(bool) -> &'static [u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len() * 2);
    let mut at = 0;
    if source.first() == Some(&b'#') {
        let line = source.iter().position(|&b| b == b'\n');
        at = line.unwrap_or(source.len());
    }
    let start = skip_blank(source, at);
    out.extend_from_slice(&source[..start]);
    out.extend_from_slice(filler(true));
    at = start;
    while at < source.len() {
        let start = at;
        let end = token(source, start);
        out.extend_from_slice(&source[start..end]);
        at = end;
        if &source[start..end] == b"function" {
            let find = |from: usize, wanted: u8| {
                let found = source[from..].iter().position(|&b| b == wanted);
                found.map(|n| from + n)
            };
            let open = find(end, b'(');
            let close = open.and_then(|open| Some((open, find(open, b')')?)));
            if let Some((open, close)) = close {
                let body = skip_blank(source, close + 1);
                out.extend_from_slice(&source[end..body]);
                out.extend_from_slice(filler(open != skip_blank(source, end)));
                at = body;
            }
        }
    }
    out
}

/// The first byte that belongs neither to white space nor to a comment.
fn skip_blank(source: &[u8], mut at: usize) -> usize {
    while let Some(b) = source.get(at) {
        if b.is_ascii_whitespace() || *b == 0x0B {
            at += 1;
        } else if source[at..].starts_with(b"--") {
            at = token(source, at);
        } else {
            break;
        }
    }
    at
}

/// The end of the token, comment or single byte at `at`.
fn token(source: &[u8], at: usize) -> usize {
    let rest = &source[at..];
    let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    match rest[0] {
        b'-' if rest.starts_with(b"--") => long_bracket(source, at + 2).unwrap_or_else(|| {
            let line = rest.iter().position(|&b| b == b'\n');
            line.map_or(source.len(), |n| at + n)
        }),
        b'[' => long_bracket(source, at).unwrap_or(at + 1),
        quote @ (b'"' | b'\'') => {
            let mut end = at + 1;
            while end < source.len() && source[end] != quote {
                end += if source[end] == b'\\' { 2 } else { 1 };
            }
            (end + 1).min(source.len())
        }
        ref b if word(b) => at + rest.iter().position(|b| !word(b)).unwrap_or(rest.len()),
        _ => at + 1,
    }
}

/// The end of the long string or comment whose bracket is at `at`.
fn long_bracket(source: &[u8], at: usize) -> Option<usize> {
    let rest = source.get(at..)?.strip_prefix(b"[")?;
    let level = rest.iter().take_while(|&&b| b == b'=').count();
    let inside = rest[level..].strip_prefix(b"[")?;
    let close = [b"]".as_slice(), &b"=".repeat(level), b"]"].concat();
    let end = inside.windows(close.len()).position(|w| w == close);
    Some(end.map_or(source.len(), |end| at + 2 + level + end + close.len()))
}
