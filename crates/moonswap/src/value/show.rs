//! `{:?}` and `{:#?}` of values.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use crate::{AnyUserData, Table, Value};

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return pretty(self, f, true, 0, &mut HashSet::new());
        }
        match self {
            Self::Nil | Self::Other(_) => f.write_str("Nil"),
            Self::Boolean(b) => write!(f, "Boolean({b})"),
            Self::LightUserData(light) => light.fmt(f),
            Self::Integer(i) => write!(f, "Integer({i})"),
            Self::Number(n) => write!(f, "Number({n:?})"),
            Self::String(s) => write!(f, "String({s:?})"),
            Self::Table(table) => table.fmt(f),
            Self::Function(function) => function.fmt(f),
            Self::Thread(thread) => thread.fmt(f),
            Self::UserData(data) => data.fmt(f),
            Self::Error(error) => write!(f, "Error({error:?})"),
        }
    }
}

impl fmt::Debug for Table {
    /// `{:#?}` shows what is in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return contents(self, f, 0, &mut HashSet::new());
        }
        write!(f, "Table({:?})", self.0)
    }
}

impl fmt::Debug for AnyUserData {
    /// `{:#?}` asks its metamethods for a text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return match self.debug_text() {
                Some(text) => f.write_str(&text),
                None => {
                    let name = self.type_name().map(|name| name.to_string_lossy());
                    let name = name.unwrap_or_else(|_| "userdata".to_owned());
                    write!(f, "{name}: {:?}", self.to_pointer())
                }
            };
        }
        write!(f, "AnyUserData({:?})", self.0)
    }
}

type Seen = HashSet<usize>;

fn pretty(
    value: &Value,
    f: &mut fmt::Formatter<'_>,
    inside: bool,
    indent: usize,
    seen: &mut Seen,
) -> fmt::Result {
    match value {
        Value::String(text) => write!(f, "{text:?}"),
        Value::Table(table) if inside && !seen.contains(&(table.to_pointer() as usize)) => {
            contents(table, f, indent, seen)
        }
        Value::Table(table) => write!(f, "table: {:?}", table.to_pointer()),
        Value::Function(function) => write!(f, "function: {:?}", function.to_pointer()),
        Value::Thread(thread) => write!(f, "thread: {:?}", thread.to_pointer()),
        Value::UserData(data) => write!(f, "{data:#?}"),
        Value::Error(error) => write!(f, "{error:?}"),
        plain => match plain.to_string() {
            Ok(text) => f.write_str(&text),
            Err(_) => f.write_str(plain.type_name()),
        },
    }
}

/// Whether a key may stand without brackets.
fn is_name(key: &[u8]) -> bool {
    let is_letter = |b: &u8| b.is_ascii_alphabetic() || *b == b'_';
    !key.is_empty()
        && key.first().is_some_and(is_letter)
        && key.iter().all(|b| is_letter(b) || b.is_ascii_digit())
}

fn contents(
    table: &Table,
    f: &mut fmt::Formatter<'_>,
    indent: usize,
    seen: &mut Seen,
) -> fmt::Result {
    seen.insert(table.to_pointer() as usize);
    let mut pairs: Vec<(Value, Value)> = table.pairs().flatten().collect();
    pairs.sort_by(|(a, _), (b, _)| order(a, b));
    if pairs.is_empty() {
        return f.write_str("{}");
    }
    let is_list = (1..)
        .zip(&pairs)
        .all(|(at, (key, _))| key.as_integer() == Some(at));
    f.write_str("{\n")?;
    for (key, value) in pairs {
        write!(f, "{:1$}", "", indent + 2)?;
        match &key {
            _ if is_list => {}
            Value::String(name) if is_name(&name.as_bytes()) => write!(f, "{name} = ")?,
            key => {
                f.write_str("[")?;
                pretty(key, f, false, indent + 2, seen)?;
                f.write_str("] = ")?;
            }
        }
        pretty(&value, f, true, indent + 2, seen)?;
        f.write_str(",\n")?;
    }
    write!(f, "{:1$}}}", "", indent)
}

/// Keys in a lasting order: by kind, then by value.
pub(crate) fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |value: &Value| match value {
        Value::Nil | Value::Other(_) => 0,
        Value::Boolean(_) => 1,
        Value::LightUserData(_) => 2,
        Value::Integer(_) | Value::Number(_) => 3,
        Value::String(_) => 4,
        Value::Table(_) => 5,
        Value::Function(_) => 6,
        Value::Thread(_) => 7,
        Value::UserData(_) => 8,
        Value::Error(_) => 9,
    };
    let float = |value: &Value| match value {
        Value::Integer(i) => *i as f64,
        Value::Number(n) => *n,
        _ => 0.0,
    };
    match (a, b) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        // Integers of the same float have their own order, before that float.
        _ if rank(a) == 3 && rank(b) == 3 => {
            let integer = |value: &Value| match value {
                Value::Integer(i) => *i,
                _ => 0,
            };
            let is_float = |value: &Value| matches!(value, Value::Number(_));
            float(a)
                .total_cmp(&float(b))
                .then(is_float(a).cmp(&is_float(b)))
                .then_with(|| integer(a).cmp(&integer(b)))
        }
        _ => rank(a)
            .cmp(&rank(b))
            .then_with(|| (a.to_pointer() as usize).cmp(&(b.to_pointer() as usize))),
    }
}

#[cfg(test)]
mod tests {
    use super::order;
    use crate::Value;

    /// Sorting panics where an order is none.
    #[test]
    fn numbers_have_a_total_order() {
        let big = 1 << 53;
        let integers = [
            i64::MIN,
            -1,
            0,
            1,
            big - 1,
            big,
            big + 1,
            i64::MAX - 1,
            i64::MAX,
        ];
        let floats = [
            f64::NAN,
            -f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            0.0,
            1.0,
            9007199254740992.0,
            9223372036854775807.0,
            -9223372036854775808.0,
        ];
        let all: Vec<Value> = integers
            .into_iter()
            .map(Value::Integer)
            .chain(floats.into_iter().map(Value::Number))
            .collect();
        for a in &all {
            for b in &all {
                assert_eq!(order(a, b), order(b, a).reverse(), "{a:?} {b:?}");
                for c in &all {
                    if order(a, b).is_le() && order(b, c).is_le() {
                        assert!(order(a, c).is_le(), "{a:?} {b:?} {c:?}");
                    }
                }
            }
        }
    }
}
