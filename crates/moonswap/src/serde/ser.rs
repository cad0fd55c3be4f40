//! `Serializer`: Rust values as Lua values.

use ::serde::{Serialize, ser};

use super::{LuaSerdeExt as _, RECURSION_LIMIT};
use crate::{Error, IntoLua, Lua, Result, Table, Value};

/// How Rust values become Lua values.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How deep values may be nested.
    pub recursion_limit: usize,
    /// Whether lists get [`array_metatable`](super::LuaSerdeExt::array_metatable).
    pub set_array_metatable: bool,
    /// Whether `None` becomes `null`, else `nil`.
    pub serialize_none_to_null: bool,
    /// Whether `()` becomes `null`, else `nil`.
    pub serialize_unit_to_null: bool,
    /// Whether the numbers of serde_json's feature `arbitrary_precision` become numbers.
    pub detect_serde_json_arbitrary_precision: bool,
}

super::options! {
    recursion_limit: usize;
    set_array_metatable: bool;
    serialize_none_to_null: bool;
    serialize_unit_to_null: bool;
    detect_serde_json_arbitrary_precision: bool;
}

impl Options {
    /// The usual ones.
    pub const fn new() -> Self {
        Self {
            recursion_limit: RECURSION_LIMIT,
            set_array_metatable: true,
            serialize_none_to_null: true,
            serialize_unit_to_null: true,
            detect_serde_json_arbitrary_precision: false,
        }
    }
}

/// Makes Lua values of what serde tells it.
#[derive(Clone, Copy, Debug)]
pub struct Serializer<'a> {
    lua: &'a Lua,
    options: Options,
    depth: usize,
}

impl<'a> Serializer<'a> {
    /// With the usual options.
    pub fn new(lua: &'a Lua) -> Self {
        Self::new_with_options(lua, Options::new())
    }

    /// With options.
    pub fn new_with_options(lua: &'a Lua, options: Options) -> Self {
        Self {
            lua,
            options,
            depth: 0,
        }
    }

    /// For what is inside.
    fn inside(self) -> Result<Self> {
        if self.depth >= self.options.recursion_limit {
            return Err(Error::SerializeError("recursion limit exceeded".into()));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }

    fn list(self, variant: Option<&'static str>) -> Result<List<'a>> {
        let table = self.lua.create_table()?;
        if self.options.set_array_metatable {
            table.set_metatable(Some(self.lua.array_metatable()))?;
        }
        Ok(List {
            inside: self.inside()?,
            table,
            variant,
        })
    }

    fn map(self, variant: Option<&'static str>) -> Result<Map<'a>> {
        Ok(Map {
            inside: self.inside()?,
            table: self.lua.create_table()?,
            key: None,
            variant,
            number: None,
        })
    }

    fn absent(self, is_null: bool) -> Result<Value> {
        Ok(if is_null { Value::NULL } else { Value::Nil })
    }
}

/// The table of a variant of an enum.
fn of_variant(lua: &Lua, variant: Option<&'static str>, value: Value) -> Result<Value> {
    match variant {
        None => Ok(value),
        Some(variant) => lua.create_table_from([(variant, value)]).map(Value::Table),
    }
}

macro_rules! plain {
    ($($method:ident $type:ty;)*) => { $(
        fn $method(self, value: $type) -> Result<Value> {
            value.into_lua(self.lua)
        }
    )* };
}

impl<'a> ser::Serializer for Serializer<'a> {
    type Ok = Value;
    type Error = Error;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = Map<'a>;
    type SerializeStructVariant = Map<'a>;

    plain! {
        serialize_bool bool; serialize_i8 i8; serialize_i16 i16; serialize_i32 i32;
        serialize_i64 i64; serialize_i128 i128; serialize_u8 u8; serialize_u16 u16;
        serialize_u32 u32; serialize_u64 u64; serialize_u128 u128; serialize_f32 f32;
        serialize_f64 f64; serialize_char char; serialize_str &str;
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Value> {
        self.lua.create_string(bytes).map(Value::String)
    }

    fn serialize_none(self) -> Result<Value> {
        self.absent(self.options.serialize_none_to_null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Value> {
        value.serialize(self.inside()?)
    }

    fn serialize_unit(self) -> Result<Value> {
        self.absent(self.options.serialize_unit_to_null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Value> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, name: &'static str) -> Result<Value> {
        name.into_lua(self.lua)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<Value> {
        value.serialize(self.inside()?)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        value: &T,
    ) -> Result<Value> {
        of_variant(self.lua, Some(name), value.serialize(self.inside()?)?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>> {
        self.list(None)
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'a>> {
        self.list(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'a>> {
        self.list(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<List<'a>> {
        self.list(Some(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Map<'a>> {
        self.map(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Map<'a>> {
        let mut map = self.map(None)?;
        if self.options.detect_serde_json_arbitrary_precision && name == NUMBER {
            map.number = Some(Value::Nil);
        }
        Ok(map)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        name: &'static str,
        _: usize,
    ) -> Result<Map<'a>> {
        self.map(Some(name))
    }
}

/// What serde_json calls a number of its feature `arbitrary_precision`.
const NUMBER: &str = "$serde_json::private::Number";

/// A list that is being made.
#[derive(Debug)]
pub struct List<'a> {
    inside: Serializer<'a>,
    table: Table,
    variant: Option<&'static str>,
}

impl List<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.table.raw_push(value.serialize(self.inside)?)
    }

    fn finish(self) -> Result<Value> {
        of_variant(self.inside.lua, self.variant, Value::Table(self.table))
    }
}

macro_rules! lists {
    ($($trait:ident $method:ident;)*) => { $(
        impl ser::$trait for List<'_> {
            type Ok = Value;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
                self.add(value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        }
    )* };
}
lists! {
    SerializeSeq serialize_element;
    SerializeTuple serialize_element;
    SerializeTupleStruct serialize_field;
    SerializeTupleVariant serialize_field;
}

/// A map that is being made.
#[derive(Debug)]
pub struct Map<'a> {
    inside: Serializer<'a>,
    table: Table,
    key: Option<Value>,
    variant: Option<&'static str>,
    /// The number that it is, if it is one in disguise.
    number: Option<Value>,
}

impl Map<'_> {
    fn add<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<()> {
        let value = value.serialize(self.inside)?;
        if let (Some(number), Value::String(text)) = (&mut self.number, &value) {
            let text = text.to_str()?;
            *number = match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(i), _) => Value::Integer(i),
                (Err(_), Ok(n)) => Value::Number(n),
                _ => value.clone(),
            };
            return Ok(());
        }
        self.table.raw_set(key, value)
    }

    fn finish(self) -> Result<Value> {
        match self.number {
            Some(number) => Ok(number),
            None => of_variant(self.inside.lua, self.variant, Value::Table(self.table)),
        }
    }
}

impl ser::SerializeMap for Map<'_> {
    type Ok = Value;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.key = Some(key.serialize(self.inside)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let value = value.serialize(self.inside)?;
        let key = self.key.take();
        let key = key.ok_or_else(|| Error::SerializeError("value without a key".into()))?;
        self.table.raw_set(key, value)
    }

    fn end(self) -> Result<Value> {
        self.finish()
    }
}

macro_rules! structs {
    ($($trait:ident)*) => { $(
        impl ser::$trait for Map<'_> {
            type Ok = Value;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<()> {
                self.add(key, value)
            }

            fn end(self) -> Result<Value> {
                self.finish()
            }
        }
    )* };
}
structs! { SerializeStruct SerializeStructVariant }
