//! JSON as a value: what patch files, reports and plans are written in and read
//! from.
//!
//! Reading is strict: one document, no duplicate keys, bounded depth. Writing is
//! canonical: equal values give equal bytes on every platform, which is what
//! signatures rely on. Objects keep their order.

use std::fmt::{self, Write as _};

/// How deep arrays and objects may nest in what is read.
const DEPTH: usize = 32;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number written without fraction and exponent that fits.
    Integer(i64),
    /// Another number; finite.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Entries in their order, no key twice.
    Object(Vec<(String, Json)>),
}

/// Why a text is no JSON document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// What is wrong.
    pub what: &'static str,
    /// Where, in bytes from 0.
    pub at: usize,
}

impl Json {
    /// Reads a document. Errors: what is not JSON, keys that occur twice,
    /// nesting of more than 32 levels, numbers that no finite float can hold.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.blank();
        if reader.at < text.len() {
            return Err(reader.error("text after the end of the document"));
        }
        Ok(value)
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A count or number; beyond what JSON readers keep exact it is cut.
    pub fn number(number: impl TryInto<i64>) -> Self {
        Self::Integer(number.try_into().unwrap_or(i64::MAX))
    }

    /// A number, or null.
    pub fn optional_number(number: Option<impl TryInto<i64>>) -> Self {
        number.map_or(Self::Null, Self::number)
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Array(
            texts
                .into_iter()
                .map(|text| Self::text(text.as_ref()))
                .collect(),
        )
    }

    /// An object with these entries.
    pub fn object<K: Into<String>>(entries: impl IntoIterator<Item = (K, Json)>) -> Self {
        Self::Object(entries.into_iter().map(|(k, v)| (k.into(), v)).collect())
    }

    /// The entry of an object.
    pub fn get(&self, key: &str) -> Option<&Json> {
        match self {
            Self::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list.
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(list) => Some(list),
            _ => None,
        }
    }

    /// A number as a float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A number without fraction that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// For people: one entry a line, two blanks a level, a newline at the end.
    pub fn pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out.push('\n');
        out
    }

    fn write(&self, out: &mut String, level: Option<usize>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(b) => _ = write!(out, "{b}"),
            Self::Integer(i) => _ = write!(out, "{i}"),
            // Display of floats is the shortest text that reads back the same.
            Self::Float(f) if f.is_finite() => _ = write!(out, "{f}"),
            Self::Float(_) => out.push_str("null"),
            Self::String(text) => write_string(out, text),
            Self::Array(list) => {
                write_all(out, level, ('[', ']'), list, |out, value, level| {
                    value.write(out, level);
                });
            }
            Self::Object(entries) => {
                write_all(
                    out,
                    level,
                    ('{', '}'),
                    entries,
                    |out, (key, value), level| {
                        write_string(out, key);
                        out.push_str(if level.is_some() { ": " } else { ":" });
                        value.write(out, level);
                    },
                );
            }
        }
    }
}

/// Compact: no blank, no newline.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        self.write(&mut out, None);
        f.write_str(&out)
    }
}

fn write_all<T>(
    out: &mut String,
    level: Option<usize>,
    (open, close): (char, char),
    elements: &[T],
    write: impl Fn(&mut String, &T, Option<usize>),
) {
    let inside = level.map(|level| level + 1);
    out.push(open);
    for (i, element) in elements.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        new_line(out, inside);
        write(out, element, inside);
    }
    if !elements.is_empty() {
        new_line(out, level);
    }
    out.push(close);
}

fn new_line(out: &mut String, level: Option<usize>) {
    if let Some(level) = level {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", level));
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.error("no JSON value"))
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > DEPTH {
            return Err(self.error("nested too deeply"));
        }
        self.blank();
        match self.peek() {
            Some(b'"') => self.string().map(Json::String),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            _ => self.word("null", Json::Null),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut list = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Json::Array(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Json::Array(list));
            }
            if !self.take(b',') {
                return Err(self.error("',' or ']' expected"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, JsonError> {
        self.at += 1;
        let mut entries: Vec<(String, Json)> = Vec::new();
        let mut keys = std::collections::HashSet::new();
        self.blank();
        if self.take(b'}') {
            return Ok(Json::Object(entries));
        }
        loop {
            self.blank();
            let at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("a key in quotes expected"));
            }
            let key = self.string()?;
            if !keys.insert(key.clone()) {
                self.at = at;
                return Err(self.error("a key occurs twice"));
            }
            self.blank();
            if !self.take(b':') {
                return Err(self.error("':' expected"));
            }
            entries.push((key, self.value(depth + 1)?));
            self.blank();
            if self.take(b'}') {
                return Ok(Json::Object(entries));
            }
            if !self.take(b',') {
                return Err(self.error("',' or '}' expected"));
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        self.take(b'-');
        let zero = self.peek() == Some(b'0');
        let n = self.digits();
        if n == 0 || (zero && n > 1) {
            return Err(self.error("malformed number"));
        }
        let mut integer = true;
        if self.take(b'.') {
            integer = false;
            if self.digits() == 0 {
                return Err(self.error("malformed number"));
            }
        }
        if self.take(b'e') || self.take(b'E') {
            integer = false;
            let _sign = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.error("malformed number"));
            }
        }
        let text = &self.text[start..self.at];
        if integer && let Ok(number) = text.parse() {
            return Ok(Json::Integer(number));
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Json::Float(number)),
            _ => Err(self.error("number out of range")),
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek(), None | Some(b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            out.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                Some(_) => return Err(self.error("control character in a string")),
                None => return Err(self.error("unfinished string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        let Some(byte) = self.peek() else {
            return Err(self.error("unfinished string"));
        };
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                let code = match first {
                    0xd800..=0xdbff if self.take(b'\\') && self.take(b'u') => {
                        let second = self.hex4()?;
                        match second {
                            0xdc00..=0xdfff => {
                                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                            }
                            _ => return Err(self.error("half a surrogate pair")),
                        }
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair"))?
            }
            _ => return Err(self.error("unknown escape")),
        })
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let mut code = 0;
        for &digit in digits.ok_or_else(|| self.error("unfinished escape"))? {
            let digit = char::from(digit)
                .to_digit(16)
                .ok_or_else(|| self.error("four hexadecimal digits expected"))?;
            code = code << 4 | digit;
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let value = Json::object([
            ("null", Json::Null),
            ("flag", Json::Bool(true)),
            ("whole", Json::Integer(i64::MIN)),
            ("part", Json::Float(0.125)),
            ("big", Json::Float(1e300)),
            ("text", Json::text("\"\\\n\r\t\u{1}\u{7f}\u{85} é 🌙")),
            (
                "list",
                Json::Array(vec![Json::Integer(1), Json::Array(vec![])]),
            ),
            ("object", Json::object([("", Json::Object(vec![]))])),
        ]);
        assert_eq!(Json::parse(&value.to_string()), Ok(value.clone()));
        let pretty = value.pretty();
        assert_eq!(Json::parse(&pretty), Ok(value));
        assert!(
            pretty.contains("\n  \"list\": [\n    1,\n    []\n  ],\n"),
            "{pretty}"
        );
    }

    #[test]
    fn reads_what_others_write() {
        let text = r#" {"a":[1,-0.5e1,true,null],"\u0062":"\ud83c\udf19\/"} "#;
        let value = Json::parse(text).expect("valid");
        assert_eq!(
            value.get("a").and_then(Json::as_array).map(<[_]>::len),
            Some(4)
        );
        assert_eq!(value.get("b").and_then(Json::as_str), Some("🌙/"));
        assert_eq!(
            value.get("a").and_then(|a| a.as_array()?[1].as_f64()),
            Some(-5.0)
        );
    }

    #[test]
    fn refuses_what_is_no_json() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "01",
            "1.",
            "1e",
            "-",
            "+1",
            "nul",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\u12\"",
            "\"a",
            "\"\n\"",
            "1 2",
            "{a:1}",
            "1e999",
            "[1 2]",
            "\"\\u+123\"",
            "\"\\u12é\"",
            &deep,
        ] {
            assert!(Json::parse(text).is_err(), "{:.20}", text);
        }
    }
}
