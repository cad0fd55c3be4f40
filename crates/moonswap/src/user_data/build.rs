//! Metatables of userdata types.

use moonswap_vm::{Context, NativeKind, Outcome, View};

use crate::user_data::meta::MetaMethod;
use crate::user_data::object::HostObject;
use crate::user_data::registry::{Maker, Method, Methods, UserDataRegistry, of_self};
use crate::value::callback::{push_callback, run_suspended, take_values};
use crate::value::convert::short_name;
use crate::value::handle::Handle;
use crate::value::raise::raise;
use crate::{Error, Function, Lua, Result, Table, Value};

/// How a method becomes a function.
pub(crate) type Make<'m, T> = &'m dyn Fn(&Lua, Method<T>, &str) -> Result<Function>;

/// Fills the metatable of a type. Fields may be objects of the type itself.
pub(crate) fn fill<T>(
    lua: &Lua,
    metatable: &Table,
    registry: UserDataRegistry<T>,
    make: Make<'_, T>,
) -> Result<()> {
    for (name, method) in registry.meta_methods {
        MetaMethod::check(&name)?;
        metatable.raw_set(name.as_str(), make(lua, method, &name)?)?;
    }
    for (name, maker) in registry.meta_fields {
        MetaMethod::check(&name)?;
        metatable.raw_set(name.as_str(), meta_field(lua, &name, maker)?)?;
    }
    if !metatable.contains_key("__name")? {
        metatable.raw_set("__name", short_name::<T>())?;
    }
    metatable.raw_set("__metatable", false)?;
    let methods = functions(lua, registry.methods, make)?;
    for (name, maker) in registry.fields {
        methods.raw_set(name, maker(lua)?)?;
    }
    let getters = functions(lua, registry.getters, make)?;
    let setters = functions(lua, registry.setters, make)?;
    let own = metatable.raw_get::<Value>("__index")?;
    if getters.is_empty() && own.is_nil() {
        if !methods.is_empty() {
            metatable.raw_set("__index", methods)?;
        }
    } else if !getters.is_empty() || !methods.is_empty() {
        let index = native(lua, index, &[&getters, &methods], &own)?;
        metatable.raw_set("__index", index)?;
    }
    if !setters.is_empty() {
        let own = metatable.raw_get::<Value>("__newindex")?;
        let new_index = native(lua, new_index, &[&setters], &own)?;
        metatable.raw_set("__newindex", new_index)?;
    }
    Ok(())
}

/// The value of a field of the metatable, which has to make sense to Lua.
fn meta_field(lua: &Lua, name: &str, maker: Maker) -> Result<Value> {
    let value = maker(lua)?;
    match value {
        Value::Table(_) | Value::Function(_) | Value::Nil => Ok(value),
        other if matches!(name, "__index" | "__newindex") => Err(Error::MetaMethodTypeError {
            method: name.to_owned(),
            type_name: other.type_name(),
            message: Some("expected table or function".into()),
        }),
        other => Ok(other),
    }
}

fn functions<T>(lua: &Lua, methods: Methods<T>, make: Make<'_, T>) -> Result<Table> {
    let table = lua.create_table_with_capacity(0, methods.len())?;
    for (name, method) in methods {
        table.raw_set(name.as_str(), make(lua, method, &name)?)?;
    }
    Ok(table)
}

/// A native with tables and what the type itself has for such cases.
fn native(
    lua: &Lua,
    function: fn(&mut Context<'_>) -> Outcome<usize>,
    tables: &[&Table],
    own: &Value,
) -> Result<Function> {
    lua.attempt(|cx| {
        for table in tables {
            table.0.push(lua, cx)?;
        }
        own.push(lua, cx)?;
        cx.push_native_with("?", NativeKind::Plain, function, tables.len() + 1);
        Ok(Function(Handle::pop(lua, cx)))
    })
}

/// Entry `key` of the table that upvalue `i` is.
fn entry<'c>(cx: &'c Context<'_>, i: usize, key: View<'_>) -> View<'c> {
    match cx.upvalue(i) {
        View::Table(table) => table.get(key),
        _ => View::Nil,
    }
}

/// `object[key]`: getters, methods and fields, then the type's own `__index`.
fn index(cx: &mut Context<'_>) -> Outcome<usize> {
    let getter = entry(cx, 0, cx.at(1));
    if !getter.is_nil() {
        cx.push(getter);
        cx.push_at(0);
        return cx.tail_call(1, false);
    }
    let method = entry(cx, 1, cx.at(1));
    if !method.is_nil() {
        return cx.ret(method);
    }
    match cx.upvalue(2) {
        View::Nil => cx.ret(View::Nil),
        View::Function(function) => {
            cx.push(function.into());
            cx.push_at(0);
            cx.push_at(1);
            cx.tail_call(2, false)
        }
        other => {
            let table = cx.height();
            cx.push(other);
            cx.index(table, 1)?;
            Ok(1)
        }
    }
}

/// `object[key] = value`: setters, then the type's own `__newindex`.
fn new_index(cx: &mut Context<'_>) -> Outcome<usize> {
    let setter = entry(cx, 0, cx.at(1));
    if !setter.is_nil() {
        cx.push(setter);
        cx.push_at(0);
        cx.push_at(2);
        return cx.tail_call(2, false);
    }
    match cx.upvalue(1) {
        View::Nil => {
            let name = match cx.at(1) {
                View::String(name) => String::from_utf8_lossy(name.as_bytes()).into_owned(),
                other => other.type_name().to_owned(),
            };
            Err(cx.error(format!("attempt to set an unknown field '{name}'")))
        }
        View::Function(function) => {
            cx.push(function.into());
            for i in 0..3 {
                cx.push_at(i);
            }
            cx.tail_call(3, false)
        }
        other => {
            let table = cx.height();
            cx.push(other);
            cx.push_at(1);
            cx.push_at(2);
            cx.set_index(table)?;
            Ok(0)
        }
    }
}

/// A method of a type that has an id: its object is what it is called on.
pub(crate) fn method<T: 'static>(lua: &Lua, method: Method<T>, name: &str) -> Result<Function> {
    match method {
        Method::Plain(function) => lua.create_native(function),
        #[cfg(feature = "async")]
        Method::Async(function) => crate::asynchronous::function(lua, function),
        Method::Ref(method) => on_object::<T>(lua, name, move |lua, object, arguments| {
            object.with(|this: &T| method(lua, this, arguments))
        }),
        Method::Mut(method) => on_object::<T>(lua, name, move |lua, object, arguments| {
            object.with_mut(|this: &mut T| method(lua, this, arguments))
        }),
    }
}

/// A function that gets the object of its first argument and the other arguments.
/// `call` answers an error of its own if the object cannot be had.
fn on_object<T: 'static>(
    lua: &Lua,
    name: &str,
    call: impl Fn(&Lua, HostObject, crate::MultiValue) -> Result<Result<crate::MultiValue>> + 'static,
) -> Result<Function> {
    let name = name.to_owned();
    lua.attempt(|cx| {
        cx.push_boxed(
            "?",
            Box::new(move |cx| {
                let Some(lua) = Lua::of(cx) else {
                    return Err(cx.error_plain("the VM is being closed"));
                };
                let object = match HostObject::this::<T>(cx, 0) {
                    Ok(object) => object,
                    Err(error) => {
                        let full = crate::user_data::full_name::<T>(&name);
                        return Err(raise(cx, error.self_argument(&full)));
                    }
                };
                let arguments = take_values(&lua, cx, 1);
                run_suspended(cx, &lua, || {
                    of_self::<_, T>(call(&lua, object, arguments), &name)?
                })
            }),
        );
        Ok(Function(Handle::pop(lua, cx)))
    })
}

/// The metatable of userdata whose data is gone.
pub(crate) fn destroyed(lua: &Lua) -> Result<Table> {
    const EVENTS: [&str; 26] = [
        "__add",
        "__sub",
        "__mul",
        "__div",
        "__mod",
        "__pow",
        "__unm",
        "__idiv",
        "__band",
        "__bor",
        "__bxor",
        "__bnot",
        "__shl",
        "__shr",
        "__concat",
        "__len",
        "__lt",
        "__le",
        "__index",
        "__newindex",
        "__call",
        "__tostring",
        "__todebugstring",
        "__pairs",
        "__close",
        "__eq",
    ];
    let metatable = lua.create_table()?;
    let fails = lua.attempt(|cx| {
        push_callback(cx, Box::new(|_, _| Err(Error::UserDataDestructed)));
        Ok(Function(Handle::pop(lua, cx)))
    })?;
    for event in EVENTS {
        metatable.raw_set(event, &fails)?;
    }
    metatable.raw_set("__metatable", false)?;
    Ok(metatable)
}
