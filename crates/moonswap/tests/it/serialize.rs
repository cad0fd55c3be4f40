//! Values to and from other formats.
#![cfg(feature = "serde")]

use std::collections::BTreeMap;

use moonswap::prelude::*;
use moonswap::serde::{DeserializeOptions, SerializeOptions};
use moonswap::{Result, Value};

type Tree = BTreeMap<String, Vec<Option<i64>>>;

#[test]
fn there_and_back() -> Result<()> {
    let lua = Lua::new();
    let tree: Tree = BTreeMap::from([
        ("a".into(), vec![Some(1), None, Some(3)]),
        ("b".into(), vec![]),
    ]);
    let value = lua.to_value(&tree)?;
    lua.globals().set("v", &value)?;
    assert_eq!(lua.load("#v.a * 10 + #v.b").eval::<i64>()?, 30);
    assert_eq!(lua.from_value::<Tree>(value)?, tree);
    Ok(())
}

#[test]
fn odd_values_are_errors_or_left_out() -> Result<()> {
    let lua = Lua::new();
    let value: Value = lua.load("{ 1, print, 3 }").eval()?;
    let error = lua
        .from_value::<Vec<i64>>(value.clone())
        .expect_err("a function");
    assert!(matches!(error, Error::DeserializeError(_)), "{error:?}");
    let lenient = DeserializeOptions::new().deny_unsupported_types(false);
    assert_eq!(lua.from_value_with::<Vec<i64>>(value, lenient)?, [1, 3]);
    let circle: Value = lua.load("local t = {} t.t = t return t").eval()?;
    type Any = BTreeMap<String, BTreeMap<String, i64>>;
    let error = lua.from_value::<Any>(circle).expect_err("a circle");
    assert!(error.to_string().contains("recursive table"), "{error}");
    // However deep, it is an error and no overflow of the stack.
    let deep: Value = lua
        .load("local t = {} for i = 1, 1e5 do t = { t } end return t")
        .eval()?;
    #[derive(Debug)]
    struct Deep;
    impl<'de> ::serde::Deserialize<'de> for Deep {
        fn deserialize<D: ::serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
            Vec::<Deep>::deserialize(d).map(|_| Deep)
        }
    }
    let error = lua.from_value::<Deep>(deep).expect_err("too deep");
    assert!(error.to_string().contains("recursion limit"), "{error}");
    Ok(())
}

#[test]
fn options_of_writing() -> Result<()> {
    let lua = Lua::new();
    let plain = SerializeOptions::new()
        .set_array_metatable(false)
        .serialize_none_to_null(false);
    let value = lua.to_value_with(&vec![Some(1), None, Some(3)], plain)?;
    let table = value.as_table().expect("a table");
    assert!(!table.has_metatable());
    assert!(lua.to_value(&None::<i64>)?.is_null());
    assert!(lua.to_value_with(&None::<i64>, plain)?.is_nil());
    Ok(())
}
