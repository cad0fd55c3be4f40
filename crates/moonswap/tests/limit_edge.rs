//! Every public method of the handles where there is next to no memory left: it
//! does what it does elsewhere, or fails with an error of memory, and what the VM
//! has stays within 5 % and a MiB of the limit.

use std::collections::HashSet;

use moonswap::{
    Error, ErrorKind, Function, Lua, LuaString, MultiValue, Patch, Policy, Result, Table, Thread,
    Value, Variadic,
};

const LIMIT: usize = 4 << 20;
const LARGE: usize = 400_000;

/// What the doors work on, made while there is room.
struct World {
    table: Table,
    list: Table,
    filled: Table,
    grow: Function,
    echo: Function,
    large: LuaString,
    patch: Patch,
}

const MODULE: &str = "local M = {} function M.f(a) return a + 1 end return M";

fn world(lua: &Lua) -> Result<World> {
    let module: Table = lua.load(MODULE).set_name("@edge.lua").eval()?;
    lua.globals().set("module", module)?;
    Ok(World {
        table: lua.load("return setmetatable({}, { __index = function(_, k) return k .. ('x'):rep(1000) end })").eval()?,
        list: lua.load("local t = {} for i = 1, 5000 do t[i] = 'item ' .. i end return t").eval()?,
        filled: lua.load("return { one = 1, two = { 2 }, text = 'text' }").eval()?,
        grow: lua.load("return function(n) local t = {} for i = 1, n do t[i] = { i } end return #t end").eval()?,
        echo: lua.load("return function(...) return ... end").eval()?,
        large: lua.create_string("y".repeat(LARGE))?,
        patch: Patch::compile("@edge.lua", MODULE.replace("+ 1", "+ 2").as_bytes()).expect("it is Lua"),
    })
}

/// A door: its name, and what it does, with an answer that is the same every time.
type Door = (&'static str, fn(&Lua, &World) -> Result<String>);

fn said(value: impl std::fmt::Debug) -> Result<String> {
    let mut text = format!("{value:?}");
    text.truncate(200);
    Ok(text)
}

const DOORS: &[Door] = &[
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
    ("Hot::plan", |lua, w| said(lua.hot().plan(&w.patch).is_ok())),
    ("Hot::apply", |lua, w| {
        lua.hot().apply(&w.patch)?;
        lua.hot().rollback_last()?;
        said(())
    }),
    ("Hot::apply_with", |lua, w| {
        lua.hot().apply_with(&w.patch, &Policy::default())?;
        lua.hot().rollback_last()?;
        said(())
    }),
    ("Hot::apply_source", |lua, _| {
        lua.hot()
            .apply_source("@edge.lua", MODULE.replace("+ 1", "+ 3"))?;
        lua.hot().rollback_last()?;
        said(())
    }),
];

/// Public methods that ask the VM for no memory of program-chosen size, or only read.
const OTHERS: &[&str] = &[
    "Lua::new Lua::builder Lua::is_same Lua::used_memory Lua::hot Lua::interrupter Lua::poll Lua::flush",
    "Lua::set_memory_limit Lua::set_deadline Lua::set_fuel Lua::fuel Lua::close Lua::set_warnings",
    "Lua::machine Lua::set_app_data Lua::app_data Lua::remove_app_data",
    "Table::raw_len Table::is_empty Table::metatable Function::address Thread::status",
    "Value::type_name Value::is_nil Value::as_text Value::as_table Value::as_function",
    "Chunk::set_name Chunk::transient",
];

/// Fills the VM up to its limit but for about `leave` bytes; the handle keeps it.
fn fill(lua: &Lua, leave: usize) -> Vec<LuaString> {
    let mut kept = Vec::new();
    while let Ok(text) = lua.create_string(format!("{:3000}", kept.len())) {
        kept.push(text);
    }
    kept.truncate(kept.len() - leave / 3000);
    kept
}

fn is_memory(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Memory) || error.to_string().contains("not enough memory")
}

#[test]
fn every_door_holds_at_the_edge_of_the_limit() {
    let mut failed = 0;
    let mut wrong = Vec::new();
    for (name, door) in DOORS {
        for leave in [0, 20_000, 300_000, 1_000_000] {
            let lua = Lua::new();
            let world = world(&lua).expect("there is room");
            let usual = door(&lua, &world).unwrap_or_else(|error| panic!("{name}: {error}"));
            lua.gc_collect().expect("no finalizers");
            lua.set_memory_limit(Some(LIMIT));
            let kept = fill(&lua, leave);
            match door(&lua, &world) {
                Ok(found) if found == usual => {}
                Ok(found) => wrong.push(format!("{name}, {leave} left: {found} for {usual}")),
                Err(error) if is_memory(&error) => failed += 1,
                Err(error) => wrong.push(format!("{name}, {leave} left: {error:?}")),
            }
            let has = lua.machine().system_memory();
            if has > LIMIT + LIMIT / 20 + (1 << 20) {
                wrong.push(format!("{name}, {leave} left: has {has} bytes"));
            }
            // As good as new.
            drop(kept);
            lua.gc_collect().expect("no finalizers");
            match door(&lua, &world) {
                Ok(found) if found == usual => {}
                after => wrong.push(format!("{name}, afterwards: {after:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(failed > DOORS.len(), "{failed} of {}", 4 * DOORS.len());
}

/// A method that is added gets a door, or a reason not to have one.
#[test]
fn every_public_method_is_listed() {
    let listed: HashSet<&str> = DOORS
        .iter()
        .map(|(name, _)| *name)
        .chain(OTHERS.iter().flat_map(|line| line.split_whitespace()))
        .collect();
    let mut missing = Vec::new();
    for (file, types) in [
        ("lua", &["Lua"][..]),
        ("table", &["Table"]),
        ("function", &["Function"]),
        ("value", &["Thread", "Value"]),
        ("chunk", &["Chunk"]),
    ] {
        let path = format!("{}/src/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("readable");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("    pub fn ") {
                let method: String = rest
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                if !types
                    .iter()
                    .any(|of| listed.contains(&*format!("{of}::{method}")))
                {
                    missing.push(format!("{file}: {method}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
