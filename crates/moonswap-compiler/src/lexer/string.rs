//! The inside of strings: escape sequences, and long brackets (§3.1).
//!
//! Functions here read the text from a position and report how far they came;
//! they make no token and know no line table, only how many lines they crossed.

/// A string that was read to its end.
pub(super) struct Scanned {
    /// Bytes read after the opening delimiter, closing one included.
    pub(super) length: usize,
    /// Where the last line that was begun starts, if there is a newline inside.
    pub(super) line_start: Option<usize>,
    /// Number of newlines inside.
    pub(super) n_lines: u32,
}

/// Why a quoted string has no end or no value.
pub(super) struct BadString {
    /// The reference's message.
    pub(super) message: &'static str,
    /// The text ended inside the string; `near` is `<eof>` then.
    pub(super) at_eof: bool,
    /// Lines crossed before the error.
    pub(super) n_lines: u32,
    /// Bytes read after the opening quote up to the error.
    pub(super) length: usize,
    /// The bytes of the faulty escape sequence, for `near`; they follow the
    /// value read so far.
    pub(super) shown: std::ops::Range<usize>,
}

/// Length of the newline at the start of `text`: `\r\n` and `\n\r` are one.
fn newline_length(text: &[u8]) -> usize {
    match text {
        [b'\r', b'\n', ..] | [b'\n', b'\r', ..] => 2,
        _ => 1,
    }
}

/// Reads a long string or comment of `level` equals signs after its opening
/// bracket. The value, with every newline as `\n`, goes to `value` unless that
/// is `None` (comments). `Err` has the number of lines if the text ends first.
pub(super) fn long_bracket(
    text: &[u8],
    level: usize,
    mut value: Option<&mut Vec<u8>>,
) -> Result<Scanned, u32> {
    let mut at = 0;
    let mut n_lines = 0;
    let mut line_start = None;
    if matches!(text.first(), Some(b'\r' | b'\n')) {
        at = newline_length(text);
        n_lines = 1;
        line_start = Some(at);
    }
    loop {
        let Some(found) = memchr::memchr3(b']', b'\n', b'\r', &text[at..]) else {
            return Err(n_lines);
        };
        if let Some(value) = value.as_deref_mut() {
            value.extend_from_slice(&text[at..at + found]);
        }
        at += found;
        if text[at] == b']' {
            let rest = &text[at + 1..];
            let n_equals = rest.iter().take(level).take_while(|&&b| b == b'=').count();
            if n_equals == level && rest.get(level) == Some(&b']') {
                return Ok(Scanned {
                    length: at + level + 2,
                    line_start,
                    n_lines,
                });
            }
            // What follows may itself begin the closing bracket: `]=]==]`.
            if let Some(value) = value.as_deref_mut() {
                value.push(b']');
            }
            at += 1;
        } else {
            at += newline_length(&text[at..]);
            n_lines += 1;
            line_start = Some(at);
            if let Some(value) = value.as_deref_mut() {
                value.push(b'\n');
            }
        }
    }
}

/// Reads a quoted string after its opening `quote`; its value goes to `value`.
pub(super) fn quoted(text: &[u8], quote: u8, value: &mut Vec<u8>) -> Result<Scanned, BadString> {
    let mut reader = Quoted {
        text,
        at: 0,
        value,
        n_lines: 0,
        line_start: None,
    };
    loop {
        let rest = &reader.text[reader.at..];
        // A newline ends a string too early; it is looked for only in front of
        // the next quote or backslash, because four needles have no fast search.
        let found = memchr::memchr2(quote, b'\\', rest).unwrap_or(rest.len());
        if let Some(newline) = memchr::memchr2(b'\n', b'\r', &rest[..found]) {
            reader.value.extend_from_slice(&rest[..newline]);
            reader.at += newline;
            return Err(reader.fail("unfinished string", reader.at..reader.at));
        }
        reader.value.extend_from_slice(&rest[..found]);
        reader.at += found;
        match reader.peek() {
            None => return Err(reader.unfinished()),
            Some(b'\\') => reader.escape()?,
            Some(_) => {
                return Ok(Scanned {
                    length: reader.at + 1,
                    line_start: reader.line_start,
                    n_lines: reader.n_lines,
                });
            }
        }
    }
}

struct Quoted<'a> {
    text: &'a [u8],
    at: usize,
    value: &'a mut Vec<u8>,
    n_lines: u32,
    line_start: Option<usize>,
}

impl Quoted<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn fail(&self, message: &'static str, shown: std::ops::Range<usize>) -> BadString {
        BadString {
            message,
            at_eof: false,
            n_lines: self.n_lines,
            length: self.at,
            shown,
        }
    }

    fn unfinished(&self) -> BadString {
        let here = self.at..self.at;
        BadString {
            at_eof: true,
            ..self.fail("unfinished string", here)
        }
    }

    /// Refuses the escape sequence that began at `start`; the message shows it
    /// with the byte at which it went wrong, if there is one.
    fn refuse(&mut self, message: &'static str, start: usize) -> BadString {
        let end = (self.at + 1).min(self.text.len());
        self.at = end;
        self.fail(message, start..end)
    }

    fn newline(&mut self) {
        self.at += newline_length(&self.text[self.at..]);
        self.n_lines += 1;
        self.line_start = Some(self.at);
    }

    /// Reads one escape sequence; `at` is at its backslash.
    fn escape(&mut self) -> Result<(), BadString> {
        let start = self.at;
        self.at += 1;
        let Some(byte) = self.peek() else {
            return Err(self.unfinished());
        };
        let plain = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' | b'"' | b'\'' => byte,
            b'\n' | b'\r' => {
                self.newline();
                self.value.push(b'\n');
                return Ok(());
            }
            b'x' => return self.hex_escape(start),
            b'u' => return self.utf8_escape(start),
            b'z' => {
                self.at += 1;
                self.skip_space();
                return Ok(());
            }
            b'0'..=b'9' => return self.decimal_escape(start),
            _ => return Err(self.refuse("invalid escape sequence", start)),
        };
        self.value.push(plain);
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' | b'\r' => self.newline(),
                b' ' | b'\t' | 11 | 12 => self.at += 1,
                _ => break,
            }
        }
    }

    /// A hexadecimal digit at `at`, which is then behind it.
    fn hex_digit(&mut self, start: usize) -> Result<u32, BadString> {
        match self.peek().and_then(|b| char::from(b).to_digit(16)) {
            Some(digit) => {
                self.at += 1;
                Ok(digit)
            }
            None => Err(self.refuse("hexadecimal digit expected", start)),
        }
    }

    /// `\xhh`
    fn hex_escape(&mut self, start: usize) -> Result<(), BadString> {
        self.at += 1;
        let high = self.hex_digit(start)?;
        let low = self.hex_digit(start)?;
        self.value.push((high << 4 | low) as u8);
        Ok(())
    }

    /// `\d`, `\dd`, `\ddd`
    fn decimal_escape(&mut self, start: usize) -> Result<(), BadString> {
        let mut code = 0;
        for _ in 0..3 {
            match self.peek() {
                Some(digit @ b'0'..=b'9') => code = code * 10 + u32::from(digit - b'0'),
                _ => break,
            }
            self.at += 1;
        }
        match u8::try_from(code) {
            Ok(byte) => {
                self.value.push(byte);
                Ok(())
            }
            Err(_) => Err(self.refuse("decimal escape too large", start)),
        }
    }

    /// `\u{hhh}`
    fn utf8_escape(&mut self, start: usize) -> Result<(), BadString> {
        self.at += 1;
        if self.peek() != Some(b'{') {
            return Err(self.refuse("missing '{'", start));
        }
        self.at += 1;
        let mut code = self.hex_digit(start)?;
        while let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) {
            if code > 0x7FFF_FFFF >> 4 {
                return Err(self.refuse("UTF-8 value too large", start));
            }
            code = code << 4 | digit;
            self.at += 1;
        }
        if self.peek() != Some(b'}') {
            return Err(self.refuse("missing '}'", start));
        }
        self.at += 1;
        push_utf8(code, self.value);
        Ok(())
    }
}

/// Appends the UTF-8 form of a code point below 2^31, in the original scheme
/// of up to six bytes, surrogates included.
fn push_utf8(code: u32, out: &mut Vec<u8>) {
    if code < 0x80 {
        out.push(code as u8);
        return;
    }
    // n continuation bytes carry 6n bits, the first byte 6 - n more.
    let n_continuation = (1..5).find(|n| code < 1 << (5 * n + 6)).unwrap_or(5);
    let lead = !(0x7F_u8 >> n_continuation);
    out.push(lead | (code >> (6 * n_continuation)) as u8);
    for n in (0..n_continuation).rev() {
        out.push(0x80 | (code >> (6 * n) & 0x3F) as u8);
    }
}
