//! Equivalent code: the same text with a statement without effect before the
//! first one of each function and of the main chunk, on the line that is there.
//!
//! Not a parser: it knows strings, comments and `function (…)`, which is enough
//! to find where bodies begin. Text that is no Lua gives text that is no Lua.

use std::collections::BTreeMap;

/// What may stand before the first statement of a body: nothing, or code without
/// effect. What is not nothing is equally long, so that nothing else moves.
const FILLERS: [&[u8]; 3] = [b"", b"do local _ = 0 end ", b"do local _ = 1 end "];

/// How often each function is to change before the program runs at full speed.
const ENOUGH: usize = 2;

/// A function of the text.
struct Function {
    line: usize,
    /// What stands before a function without a name; empty for one with a name.
    place: Vec<u8>,
    /// How often it has changed, and how often it was to.
    changed: usize,
    tried: usize,
}

/// One text in the shapes it is patched to, one after the other. Of functions
/// without a name two that stand in the same role and have both changed are
/// refused as ambiguous, so in each step all with a name change and one at each
/// kind of place; if that goes wrong, at fewer. Or all change at first and then one
/// in each step, whatever it is: then little memory is taken.
pub(crate) struct Shapes {
    source: Vec<u8>,
    /// The text of the last patch that was applied.
    present: Vec<u8>,
    /// In the order of the text.
    functions: Vec<Function>,
    is_single: bool,
    /// At how many places.
    width: usize,
}

impl Shapes {
    pub(crate) fn new(source: Vec<u8>, is_single: bool) -> Shapes {
        let mut functions = Vec::new();
        let (mut line, mut seen) = (1, 0);
        fill(&source, |is_named, at| {
            line += source[seen..at].iter().filter(|&&b| b == b'\n').count();
            seen = at;
            let mut place = if is_named {
                vec![]
            } else {
                before(&source[..at])
            };
            place.retain(|b| !b.is_ascii_whitespace());
            functions.push(Function {
                line,
                place,
                changed: 0,
                tried: 0,
            });
            b""
        });
        Shapes {
            present: source.clone(),
            source,
            functions,
            is_single,
            width: 1,
        }
    }

    /// How many functions the text has, the main chunk among them.
    pub(crate) fn n_functions(&self) -> usize {
        self.functions.len()
    }

    /// Each function has changed a few times, or it alone was to and was refused.
    pub(crate) fn is_done(&self) -> bool {
        let mut all = self.functions.iter();
        all.all(|f| f.changed.max(f.tried) >= ENOUGH)
    }

    /// Lines of functions that have not changed yet.
    pub(crate) fn missing(&self) -> Vec<usize> {
        let unchanged = self.functions.iter().filter(|f| f.changed == 0);
        unchanged.map(|f| f.line).collect()
    }

    /// How often each of the others has changed at least.
    pub(crate) fn least(&self) -> usize {
        let changed = self.functions.iter().map(|f| f.changed);
        changed.filter(|&n| n > 0).min().unwrap_or(0)
    }

    /// How many functions the next step changes at least.
    pub(crate) fn n_changing(&self) -> usize {
        self.changes()
            .into_iter()
            .filter(|&changes| changes)
            .count()
    }

    /// Whose turn it is in the next step, besides those with names.
    fn in_turn(&self) -> Vec<usize> {
        let mut turns: BTreeMap<&[u8], usize> = BTreeMap::new();
        for (i, function) in self.functions.iter().enumerate() {
            if self.is_single || !function.place.is_empty() {
                let place = if self.is_single {
                    b""
                } else {
                    &function.place[..]
                };
                let turn = turns.entry(place).or_insert(i);
                if function.tried < self.functions[*turn].tried {
                    *turn = i;
                }
            }
        }
        let mut turns: Vec<usize> = turns.into_values().collect();
        turns.sort_by_key(|&i| (self.functions[i].tried, i));
        turns.truncate(self.width);
        turns
    }

    /// Whether each changes in the next step.
    fn changes(&self) -> Vec<bool> {
        let is_always = |f: &Function| !self.is_single && f.place.is_empty();
        let mut changes: Vec<bool> = self.functions.iter().map(is_always).collect();
        for i in self.in_turn() {
            changes[i] = true;
        }
        changes
    }

    /// The next shape; [`Shapes::keep`] makes it the present one.
    pub(crate) fn next(&self) -> Vec<u8> {
        let changes = self.changes();
        let mut i = 0;
        fill(&self.source, |_, _| {
            let n = self.functions[i].changed + usize::from(changes[i]);
            i += 1;
            if self.is_single {
                FILLERS[1 + n % 2]
            } else {
                FILLERS[n % FILLERS.len()]
            }
        })
    }

    /// What runs, if it is still the instance that was patched last.
    pub(crate) fn present(&self) -> &[u8] {
        &self.present
    }

    /// The patch to `text` was applied.
    pub(crate) fn keep(&mut self, text: Vec<u8>) {
        self.present = text;
        let changes = self.changes();
        for (function, changes) in std::iter::zip(&mut self.functions, changes) {
            function.changed += usize::from(changes);
            function.tried += usize::from(changes);
        }
        if !self.is_single {
            self.width = (2 * self.width).min(self.functions.len());
        }
    }

    /// It was not.
    pub(crate) fn skip(&mut self) {
        if self.width > 1 {
            self.width /= 2;
        } else if let [i] = self.in_turn()[..] {
            self.functions[i].tried += 1;
        }
    }
}

/// What a piece of text ends in: a word and what follows it.
fn before(text: &[u8]) -> Vec<u8> {
    let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
    let end = text.iter().rposition(is_word).map_or(0, |at| at + 1);
    let start = text[..end].iter().rposition(|b| !is_word(b));
    text[start.map_or(0, |at| at + 1)..].to_vec()
}

/// `source` with something at the beginning of every body; `filler` is told
/// whether the function has a name (the main chunk has), and where it begins.
fn fill(source: &[u8], mut filler: impl FnMut(bool, usize) -> &'static [u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len() * 2);
    let start = skip_blank(source, 0);
    out.extend_from_slice(&source[..start]);
    out.extend_from_slice(filler(true, 0));
    let mut at = start;
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
                out.extend_from_slice(filler(open != skip_blank(source, end), start));
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
