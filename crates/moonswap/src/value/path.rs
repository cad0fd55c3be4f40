//! Paths through tables and userdata, as text: `a.b[1]["c d"]?.e`.

use crate::{Error, ObjectLike, Result, Value};

/// What is left of a path.
struct Path<'p> {
    whole: &'p str,
    rest: &'p str,
}

impl Path<'_> {
    fn wrong(&self, what: &str) -> Error {
        let at = self.whole.len() - self.rest.len() + 1;
        Error::runtime(format_args!("{what} in path at position {at}"))
    }

    /// Takes `token` away, if it is next.
    fn takes(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A name up to what cannot be in one.
    fn name(&mut self) -> Result<String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(['.', '[', ']', '?', '"', '\'']);
        let (name, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let name = name.trim_end();
        if name.is_empty() {
            return Err(self.wrong("empty key"));
        }
        self.rest = rest;
        Ok(name.to_owned())
    }

    /// What is between brackets: an integer or a string.
    fn bracketed(&mut self) -> Result<Key> {
        self.rest = self.rest.trim_start();
        let key = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => Key::Text(self.quoted(quote)?),
            Some('0'..='9' | '-') => {
                let end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '-');
                let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                let index = digits.parse();
                let index = index.map_err(|_| self.wrong("invalid integer"))?;
                self.rest = rest;
                Key::Index(index)
            }
            Some(_) => return Err(self.wrong("unexpected character")),
            None => return Err(Error::runtime("unexpected end of path")),
        };
        match self.takes("]") {
            true => Ok(key),
            false if self.rest.is_empty() => Err(Error::runtime("unexpected end of path")),
            false => Err(self.wrong("expected ']'")),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.extend(chars.next().map(|(_, c)| c)),
                c if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                c => text.push(c),
            }
        }
        Err(Error::runtime("unexpected end of path"))
    }

    /// The next key; `None` at the end.
    fn next(&mut self, is_first: bool) -> Result<Option<Key>> {
        if self.takes(".") {
            return self.name().map(Key::Text).map(Some);
        }
        if self.takes("[") {
            return self.bracketed().map(Some);
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        match is_first {
            true => self.name().map(Key::Text).map(Some),
            false => Err(self.wrong("unexpected character")),
        }
    }
}

enum Key {
    Text(String),
    Index(i64),
}

/// The value that `path` leads to from `value`.
pub(super) fn follow(mut value: Value, path: &str) -> Result<Value> {
    let mut path = Path {
        whole: path,
        rest: path,
    };
    let mut is_first = true;
    while let Some(key) = path.next(is_first)? {
        is_first = false;
        value = step(&value, &key)?;
        // A question mark: what is not there has nothing in it.
        if path.takes("?") && value.is_nil() {
            while path.next(false)?.is_some() {
                path.takes("?");
            }
            break;
        }
    }
    Ok(value)
}

fn step(value: &Value, key: &Key) -> Result<Value> {
    match (value, key) {
        (Value::Table(table), Key::Text(key)) => table.get(key.as_str()),
        (Value::Table(table), Key::Index(key)) => table.get(*key),
        (Value::UserData(data), Key::Text(key)) => data.get(key.as_str()),
        (Value::UserData(data), Key::Index(key)) => data.get(*key),
        (other, Key::Text(key)) => Err(no_index(other, &format!("'{key}'"))),
        (other, Key::Index(key)) => Err(no_index(other, &key.to_string())),
    }
}

fn no_index(value: &Value, key: &str) -> Error {
    Error::runtime(format_args!(
        "attempt to index a {} value with key {key}",
        value.type_name()
    ))
}
