//! Entry points of handles: `Lua`, `Table`, `Function`, `Thread`, `Value`, `Chunk`, strings.

use moonswap::{LuaString, MultiValue, Result, Table, Thread, Value, Variadic};

use super::{EntryPoint, LARGE, said};

pub(crate) const ENTRY_POINTS: &[EntryPoint] = &[
    ("Lua::load", |lua, _| {
        let text = format!("return {{ {} }}", "{1},".repeat(3000));
        lua.load(text).eval::<Table>()?.len().and_then(said)
    }),
    ("Lua::globals", |lua, _| said(lua.globals().raw_len())),
    ("Lua::create_table", |lua, _| {
        let all = (0..3000)
            .map(|_| lua.create_table())
            .collect::<Result<Vec<_>>>()?;
        said(all.len())
    }),
    ("Lua::create_table_from", |lua, _| {
        lua.create_table_from((0..5000).map(|i| (format!("key {i}"), i)))?
            .get::<i64>("key 77")
            .and_then(said)
    }),
    ("Lua::create_sequence_from", |lua, _| {
        lua.create_sequence_from((0..5000).map(|i| format!("item {i}")))?
            .len()
            .and_then(said)
    }),
    ("Lua::create_string", |lua, _| {
        said(lua.create_string("z".repeat(LARGE))?.len())
    }),
    ("Lua::create_function", |lua, _| {
        let held = [7u8; 4000];
        let made = (0..100)
            .map(|_| lua.create_function(move |_, i: usize| Ok(held[i])))
            .collect::<Result<Vec<_>>>()?;
        made[0].call::<u8>(5).and_then(said)
    }),
    ("Lua::create_function_mut", |lua, _| {
        let mut n = 0;
        let function = lua.create_function_mut(move |_, ()| {
            n += 1;
            Ok("q".repeat(LARGE + n))
        })?;
        said(function.call::<LuaString>(())?.len() > LARGE)
    }),
    ("Lua::create_thread", |lua, w| {
        let made = (0..300)
            .map(|_| lua.create_thread(w.echo.clone()))
            .collect::<Result<Vec<_>>>()?;
        said(made.len())
    }),
    ("Lua::gc_collect", |lua, _| lua.gc_collect().and_then(said)),
    ("Lua::to_display", |lua, w| {
        said(lua.to_display(&Value::String(w.large.clone()))?.len())
    }),
    ("Table::get", |_, w| {
        said(w.table.get::<LuaString>("k".repeat(LARGE))?.len())
    }),
    ("Table::set", |_, w| {
        for i in 0..3000 {
            w.filled.set(format!("key {i}"), i)?;
        }
        for i in 0..3000 {
            w.filled.set(format!("key {i}"), Value::Nil)?;
        }
        said(())
    }),
    ("Table::raw_get", |_, w| {
        w.list.raw_get::<String>(70).and_then(said)
    }),
    ("Table::raw_set", |_, w| {
        w.filled.raw_set("large", "l".repeat(LARGE))?;
        w.filled.raw_set("large", Value::Nil).and_then(said)
    }),
    ("Table::contains_key", |_, w| {
        w.table.contains_key("c".repeat(LARGE)).and_then(said)
    }),
    ("Table::push", |lua, _| {
        let list = lua.create_table()?;
        for i in 0..5000 {
            list.push(i)?;
        }
        list.len().and_then(said)
    }),
    ("Table::len", |_, w| w.list.len().and_then(said)),
    ("Table::set_metatable", |lua, w| {
        let table = lua.create_table()?;
        table.set_metatable(Some(w.filled.clone()))?;
        said(table.metatable().is_some())
    }),
    ("Table::pairs", |_, w| {
        let all = w.list.pairs::<i64, String>().collect::<Result<Vec<_>>>()?;
        said(all.len())
    }),
    ("Table::sequence_values", |_, w| {
        let all = w
            .list
            .sequence_values::<LuaString>()
            .collect::<Result<Vec<_>>>()?;
        said(all.len())
    }),
    ("Table::call_function", |lua, w| {
        let table = lua.create_table()?;
        table.set("grow", &w.grow)?;
        table.call_function::<usize>("grow", 3000).and_then(said)
    }),
    ("Table::call_method", |lua, w| {
        let table = lua.create_table()?;
        table.set("echo", &w.echo)?;
        let (_, text): (Table, LuaString) = table.call_method("echo", "m".repeat(LARGE))?;
        said(text.len())
    }),
    ("Function::call", |_, w| {
        w.grow.call::<usize>(5000).and_then(said)
    }),
    ("Function::bind", |_, w| {
        said(w.echo.bind("b".repeat(LARGE))?.call::<LuaString>(())?.len())
    }),
    ("Function::info", |_, w| said(w.echo.info().what)),
    ("Function::call_multi", |_, w| {
        let values: MultiValue = (0..20_000).map(Value::Integer).collect();
        said(w.echo.call_multi(values)?.len())
    }),
    ("Thread::resume", |lua, w| {
        let thread: Thread = lua.create_thread(w.grow.clone())?;
        thread.resume::<usize>(3000).and_then(said)
    }),
    ("Value::raw_equal", |lua, w| {
        let other = Value::String(lua.create_string("y".repeat(LARGE))?);
        other
            .raw_equal(&Value::String(w.large.clone()), lua)
            .and_then(said)
    }),
    ("Chunk::set_environment", |lua, w| {
        lua.load("return one")
            .set_environment(w.filled.clone())
            .eval::<i64>()
            .and_then(said)
    }),
    ("Chunk::into_function", |lua, _| {
        let text = format!("local x = [[{}]]", "c".repeat(LARGE));
        said(lua.load(text).into_function()?.info().what)
    }),
    ("Chunk::exec", |lua, _| {
        lua.load("local t = {} for i = 1, 5000 do t[i] = {} end")
            .exec()
            .and_then(said)
    }),
    ("Chunk::eval", |lua, _| {
        said(lua.load("('e'):rep(400000)").eval::<LuaString>()?.len())
    }),
    ("Chunk::call", |lua, _| {
        let all: Variadic<Value> = lua.load("return ...").call(Variadic(vec![1; 20_000]))?;
        said(all.len())
    }),
];
