//! `Deserializer`: Lua values as Rust values.

use ::serde::de::{self, IntoDeserializer, Visitor};
use ::serde::forward_to_deserialize_any;

use super::RECURSION_LIMIT;
use super::ser::Serializer;
use super::shape::{Inside, Path, Shape, list, map, shape};
use crate::{Error, Result, Table, Value};

/// How Lua values become Rust values.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How deep tables may be nested.
    pub recursion_limit: usize,
    /// Whether functions, coroutines and the like are errors, else they are left out.
    pub deny_unsupported_types: bool,
    /// Whether a table in itself is an error, else it is left out.
    pub deny_recursive_tables: bool,
    /// Whether the entries of maps come in the order of their keys.
    pub sort_keys: bool,
    /// Whether an empty table is a list.
    pub encode_empty_tables_as_array: bool,
    /// Whether a table that is list and map is a map with all entries, and a list with
    /// holes a list.
    pub detect_mixed_tables: bool,
}

super::options! {
    recursion_limit: usize;
    deny_unsupported_types: bool;
    deny_recursive_tables: bool;
    sort_keys: bool;
    encode_empty_tables_as_array: bool;
    detect_mixed_tables: bool;
}

impl Options {
    /// The usual ones.
    pub const fn new() -> Self {
        Self {
            recursion_limit: RECURSION_LIMIT,
            deny_unsupported_types: true,
            deny_recursive_tables: true,
            sort_keys: false,
            encode_empty_tables_as_array: false,
            detect_mixed_tables: false,
        }
    }
}

/// Tells serde of a Lua value.
pub struct Deserializer {
    value: Value,
    options: Options,
    path: Path,
}

impl std::fmt::Debug for Deserializer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Deserializer").field(&self.value).finish()
    }
}

fn error(text: &str) -> Error {
    Error::DeserializeError(text.to_owned())
}

impl Deserializer {
    /// With the usual options.
    pub fn new(value: Value) -> Self {
        Self::new_with_options(value, Options::new())
    }

    /// With options.
    pub fn new_with_options(value: Value, options: Options) -> Self {
        Self {
            value,
            options,
            path: Path::default(),
        }
    }

    /// For a value that is inside.
    fn part(value: Value, options: Options, inside: &Inside) -> Self {
        Self {
            value,
            options,
            path: inside.path.clone(),
        }
    }

    fn enter(&self, table: &Table) -> Result<Inside> {
        self.path.enter(Some(table), &self.options).map_err(error)
    }

    /// The data of a userdata as a value that has no userdata.
    fn plain(self) -> Result<Self> {
        let Value::UserData(data) = &self.value else {
            return Ok(self);
        };
        let Some(written) = data.serializable() else {
            return Ok(self);
        };
        let lua = data.0.lua()?;
        let value = erased_serde::serialize(&*written, Serializer::new(&lua));
        let value = value.map_err(|error| match error {
            Error::SerializeError(text) => Error::DeserializeError(text),
            other => other,
        })?;
        Ok(Self { value, ..self })
    }

    fn visit_list<'de, V: Visitor<'de>>(
        &self,
        table: &Table,
        items: Vec<Value>,
        visitor: V,
    ) -> Result<V::Value> {
        let inside = self.enter(table)?;
        let options = self.options;
        let items = items
            .into_iter()
            .filter(|item| !inside.path.skips(item, &options))
            .collect::<Vec<_>>();
        let mut access = List {
            items: items.into_iter(),
            options,
            inside,
        };
        let value = visitor.visit_seq(&mut access)?;
        match access.items.len() {
            0 => Ok(value),
            n => Err(Error::DeserializeError(format!(
                "{n} more values in the list than wanted"
            ))),
        }
    }

    fn visit_pairs<'de, V: Visitor<'de>>(
        &self,
        table: &Table,
        pairs: Vec<(Value, Value)>,
        visitor: V,
    ) -> Result<V::Value> {
        let inside = self.enter(table)?;
        let options = self.options;
        let pairs = pairs
            .into_iter()
            .filter(|(key, value)| !inside.path.skips_entry(key, value, &options))
            .collect::<Vec<_>>();
        visitor.visit_map(Map {
            pairs: pairs.into_iter(),
            value: None,
            options,
            inside,
        })
    }
}

impl<'de> de::Deserializer<'de> for Deserializer {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let this = self.plain()?;
        match &this.value {
            Value::Nil => visitor.visit_unit(),
            value if value.is_null() => visitor.visit_unit(),
            Value::Boolean(b) => visitor.visit_bool(*b),
            Value::Integer(i) => visitor.visit_i64(*i),
            Value::Number(n) => visitor.visit_f64(*n),
            Value::String(text) => {
                let bytes = text.as_bytes();
                match std::str::from_utf8(&bytes) {
                    Ok(text) => visitor.visit_str(text),
                    Err(_) => visitor.visit_bytes(&bytes),
                }
            }
            // Whether it is too deep is found out first.
            Value::Table(table) => match shape(table, &this.options)? {
                Shape::List(items) => this.visit_list(table, items, visitor),
                Shape::Map(pairs) => this.visit_pairs(table, pairs, visitor),
            },
            _ if !this.options.deny_unsupported_types => visitor.visit_unit(),
            other => Err(Error::DeserializeError(format!(
                "unsupported value type `{}`",
                other.type_name()
            ))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match &self.value {
            Value::Nil => visitor.visit_none(),
            value if value.is_null() => visitor.visit_none(),
            value if self.path.skips(value, &self.options) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let this = self.plain()?;
        let (variant, value, inside) = match &this.value {
            Value::String(name) => ((*name.to_str()?).to_owned(), None, None),
            Value::Table(table) => {
                let inside = this.enter(table)?;
                let mut pairs = table.pairs::<String, Value>();
                match (pairs.next(), pairs.next()) {
                    (Some(pair), None) => {
                        let (variant, value) = pair.map_err(|e| error(&e.to_string()))?;
                        (variant, Some(value), Some(inside))
                    }
                    _ => return Err(error("expected a table with one entry, a variant")),
                }
            }
            other => {
                return Err(Error::DeserializeError(format!(
                    "expected a string or a table for an enum, got {}",
                    other.type_name()
                )));
            }
        };
        let value = value.zip(inside);
        visitor.visit_enum(Variant {
            variant,
            value: value.map(|(value, inside)| (Self::part(value, this.options, &inside), inside)),
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let this = self.plain()?;
        match &this.value {
            Value::Table(table) => this.visit_list(table, list(table)?, visitor),
            _ => this.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let this = self.plain()?;
        match &this.value {
            Value::Table(table) => this.visit_pairs(table, map(table, &this.options)?, visitor),
            _ => this.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes
        byte_buf unit unit_struct identifier ignored_any
    }
}

struct List {
    items: std::vec::IntoIter<Value>,
    options: Options,
    inside: Inside,
}

impl<'de> de::SeqAccess<'de> for List {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>> {
        let part = |value| Deserializer::part(value, self.options, &self.inside);
        self.items
            .next()
            .map(|value| seed.deserialize(part(value)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Map {
    pairs: std::vec::IntoIter<(Value, Value)>,
    value: Option<Value>,
    options: Options,
    inside: Inside,
}

impl<'de> de::MapAccess<'de> for Map {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some((key, value)) = self.pairs.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(Deserializer::part(key, self.options, &self.inside))
            .map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let value = self.value.take();
        let value = value.ok_or_else(|| error("value without a key"))?;
        seed.deserialize(Deserializer::part(value, self.options, &self.inside))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.pairs.len())
    }
}

/// A variant of an enum, with what it has.
struct Variant {
    variant: String,
    value: Option<(Deserializer, Inside)>,
}

impl<'de> de::EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = Content;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content)> {
        let name: de::value::StringDeserializer<Error> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.value)))
    }
}

struct Content(Option<(Deserializer, Inside)>);

impl<'de> de::VariantAccess<'de> for Content {
    type Error = Error;

    fn unit_variant(self) -> Result<()> {
        match self.0 {
            None => Ok(()),
            Some(_) => Err(error("a variant without a value was expected")),
        }
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        match self.0 {
            Some((value, _inside)) => seed.deserialize(value),
            None => Err(error("a variant with a value was expected")),
        }
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        match self.0 {
            Some((value, _inside)) => de::Deserializer::deserialize_seq(value, visitor),
            None => Err(error("a variant with values was expected")),
        }
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            Some((value, _inside)) => de::Deserializer::deserialize_map(value, visitor),
            None => Err(error("a variant with fields was expected")),
        }
    }
}
