//! JSON as patch files, reports and records have it.
//!
//! Writing is canonical: equal values give equal bytes on every platform, which is
//! what signatures rely on. Reading is strict: [`Object`] takes objects only, and no
//! key twice; [`present`] takes no `null` for what may be absent.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, PrettyFormatter};

/// In one line: no blank, no newline.
pub fn to_json(value: &impl Serialize) -> String {
    written(value, CompactFormatter)
}

/// For people: one entry a line, two blanks a level, a newline at the end.
pub fn to_json_pretty(value: &impl Serialize) -> String {
    let mut text = written(value, PrettyFormatter::new());
    text.push('\n');
    text
}

fn written(value: &impl Serialize, layout: impl Formatter) -> String {
    let mut out = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut out, Canonical(layout));
    // Nothing fails: memory takes all bytes, and all keys of objects are text.
    let done = value.serialize(&mut writer);
    debug_assert!(done.is_ok(), "{done:?}");
    String::from_utf8_lossy(&out).into_owned()
}

/// The one text of each value: floats as `Display` has them (the shortest text that
/// reads back the same, never an exponent); control characters by number unless they
/// are line ends or tabs.
struct Canonical<F>(F);

macro_rules! as_laid_out {
    ($($name:ident ( $($argument:ident: $type:ty),* );)*) => { $(
        fn $name<W: io::Write + ?Sized>(&mut self, out: &mut W $(, $argument: $type)*) -> io::Result<()> {
            self.0.$name(out $(, $argument)*)
        }
    )* };
}

impl<F: Formatter> Formatter for Canonical<F> {
    as_laid_out! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        end_object_key();
        begin_object_value();
        end_object_value();
    }

    fn write_f64<W: io::Write + ?Sized>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        write!(out, "{value}")
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c: char| c.is_control()) {
            let (before, from) = rest.split_at(at);
            out.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            if let Some(c) = characters.next() {
                write!(out, "\\u{:04x}", u32::from(c))?;
            }
            rest = characters.as_str();
        }
        out.write_all(rest.as_bytes())
    }

    fn write_char_escape<W: io::Write + ?Sized>(
        &mut self,
        out: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Backspace => out.write_all(b"\\u0008"),
            CharEscape::FormFeed => out.write_all(b"\\u000c"),
            other => self.0.write_char_escape(out, other),
        }
    }
}

/// For `serialize_with`: a time in seconds.
pub fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// For `serialize_with`: a time in seconds, or null.
pub fn optional_seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

/// A time that is read as, and written in, seconds.
#[derive(Clone, Copy)]
pub(crate) struct Seconds(pub(crate) Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        seconds(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let time = Duration::try_from_secs_f64(seconds);
        time.map(Self)
            .map_err(|_| D::Error::custom("number of seconds expected"))
    }
}

/// For `deserialize_with`: what may be absent, but is not `null` when it is there.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// For `deserialize_with`: text that stands for a value.
pub(crate) fn parsed<'de, D: Deserializer<'de>, T>(deserializer: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// [`parsed`], of what may be absent.
pub(crate) fn parsed_if_present<'de, D: Deserializer<'de>, T>(
    deserializer: D,
) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: fmt::Display>,
{
    parsed(deserializer).map(Some)
}

/// Read from an object; a list of the fields' values is none.
#[derive(serde::Serialize)]
#[serde(transparent)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// The entries of an object, no key twice.
pub(crate) fn entries<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    mut map: A,
) -> Result<BTreeMap<String, T>, A::Error> {
    let mut entries = BTreeMap::new();
    while let Some((name, value)) = map.next_entry::<String, T>()? {
        if let Some(_before) = entries.insert(name.clone(), value) {
            return Err(A::Error::custom(format!("the entry '{name}' occurs twice")));
        }
    }
    Ok(entries)
}

/// For `deserialize_with`: an object of names and values.
pub(crate) fn unique<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    struct Names<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
        type Value = BTreeMap<String, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            entries(map)
        }
    }
    deserializer.deserialize_map(Names(PhantomData))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn one_text_for_each_value() {
        let value = json!({
            "flag": true,
            "part": 0.125,
            "big": 1e300,
            "round": 10.0,
            "text": "\"\\\n\r\t\u{8}\u{c}\u{1}\u{7f}\u{85} é 🌙",
            "list": [1, [], {}],
        });
        let text = to_json(&value);
        assert!(
            text.contains(r#""text":"\"\\\n\r\t\u0008\u000c\u0001\u007f\u0085 é 🌙""#),
            "{text}"
        );
        assert!(
            text.contains(r#""round":10"#) && text.contains(r#""part":0.125"#),
            "{text}"
        );
        assert!(
            text.contains(r#""list":[1,[],{}]"#) && !text.contains("e300"),
            "{text}"
        );
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(to_json(&read), text);
        let pretty = to_json_pretty(&value);
        let list = "\n  \"list\": [\n    1,\n    [],\n    {}\n  ],\n";
        assert!(pretty.contains(list) && pretty.ends_with("}\n"), "{pretty}");
    }

    #[test]
    fn what_is_read_is_read_strictly() {
        #[derive(serde::Deserialize, Debug)]
        #[serde(deny_unknown_fields)]
        struct Example {
            #[serde(default, deserialize_with = "present")]
            name: Option<String>,
            #[serde(default, deserialize_with = "unique")]
            map: BTreeMap<String, u8>,
        }
        let read = |text: &str| serde_json::from_str::<Object<Example>>(text).map(|o| o.0);
        let good = read(r#"{"name":"a","map":{"b":1}}"#).expect("as it should be");
        assert_eq!((good.name.as_deref(), good.map["b"]), (Some("a"), 1));
        assert!(read("{}").is_ok());
        for bad in [
            "[]",
            r#"["a",{}]"#,
            r#"{"name":null}"#,
            r#"{"name":"a","name":"a"}"#,
            r#"{"nam":"a"}"#,
            r#"{"map":{"a":1,"a":1}}"#,
            r#"{"map":[]}"#,
            "{} {}",
            "",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
