//! The memory of hosts: what they allocate from outside is collected without
//! their doing anything, and the memory limit holds for every entry point.

use moonswap::{ErrorKind, Function, Lua, Result, Table, Value};

const MIB: usize = 1 << 20;

/// Runs `act` again and again; what the VM has from the system must not grow
/// once it is warm.
fn stays_bounded(name: &str, turns: usize, mut act: impl FnMut(&Lua, usize) -> Result<()>) {
    let lua = Lua::new();
    let mut peak = 0;
    for i in 0..turns {
        act(&lua, i).unwrap_or_else(|error| panic!("{name}: {error}"));
        if i % 256 == 0 {
            peak = peak.max(lua.machine().system_memory());
        }
    }
    assert!(peak < 4 * MIB, "{name}: {} KiB", peak >> 10);
}

#[test]
fn hosts_that_only_call_are_collected() {
    let turns = 60_000;
    stays_bounded("Lua function", turns, {
        let mut f: Option<Function> = None;
        move |lua, i| {
            let f = f.get_or_insert(lua.load("return function(i) return i end").eval()?);
            f.call::<usize>(i).map(drop)
        }
    });
    stays_bounded("function that allocates", turns, {
        let mut f: Option<Function> = None;
        move |lua, i| {
            let f = f.get_or_insert(
                lua.load("return function(i) return {i, 'x' .. i} end")
                    .eval()?,
            );
            f.call::<Table>(i).map(drop)
        }
    });
    stays_bounded("library function", turns, {
        let mut f: Option<Function> = None;
        move |lua, i| {
            let f = f.get_or_insert(lua.load("return string.rep").eval()?);
            f.call::<String>(("long enough", 20 + i % 7)).map(drop)
        }
    });
    stays_bounded("Rust function", turns, {
        let mut f: Option<Function> = None;
        move |lua, i| {
            let make = |lua: &Lua, i: usize| lua.create_string(format!("a string number {i}"));
            let f = f.get_or_insert(lua.create_function(make)?);
            f.call::<Value>(i).map(drop)
        }
    });
}

#[test]
fn what_hosts_create_is_collected() {
    let turns = 60_000;
    stays_bounded("tables", turns, |lua, _| lua.create_table().map(drop));
    stays_bounded("short strings", turns, |lua, i| {
        lua.create_string(format!("number {i}")).map(drop)
    });
    stays_bounded("long strings", 2_000, |lua, i| {
        lua.create_string(format!("{i:60000}")).map(drop)
    });
    stays_bounded("functions", turns, |lua, i| {
        let held = [i; 16];
        lua.create_function(move |_, n: usize| Ok(held[n % 16]))
            .map(drop)
    });
    stays_bounded("coroutines", turns, |lua, _| {
        let print: Function = lua.globals().get("print")?;
        lua.create_thread(print).map(drop)
    });
    stays_bounded("fields", turns, |lua, i| {
        lua.globals().set("field", format!("value number {i}"))
    });
    stays_bounded("fields of small tables", turns, |lua, i| {
        let table = lua.create_table()?;
        for k in 0..4 {
            table.set(format!("key {k} {i}"), k)?;
        }
        Ok(())
    });
    stays_bounded("conversions", turns / 10, |lua, i| {
        let list: Vec<String> = (0..10).map(|k| format!("item {k} {i}")).collect();
        lua.create_sequence_from(list).map(drop)
    });
    stays_bounded("texts", turns / 10, |lua, i| {
        lua.to_display(&Value::Number(i as f64 + 0.5)).map(drop)
    });
    stays_bounded("evaluations", 3_000, |lua, i| {
        let sum: usize = lua.load("1 + 1").eval()?;
        assert_eq!(sum, 2, "{i}");
        Ok(())
    });
    stays_bounded("errors", turns / 10, |lua, i| {
        let raise: Function = lua.globals().get("error")?;
        let error = raise.call::<()>(format!("error number {i}")).unwrap_err();
        assert!(error.to_string().contains("error number"));
        Ok(())
    });
}

#[test]
fn rust_functions_that_create_are_collected() {
    // One call from Lua, which goes on for long.
    let lua = Lua::new();
    let make = lua
        .create_function(|lua, n: usize| {
            let mut peak = 0;
            for i in 0..n {
                let table = lua.create_table()?;
                table.set("text", format!("text number {i}"))?;
                if i % 256 == 0 {
                    peak = peak.max(lua.used_memory());
                }
            }
            Ok(peak)
        })
        .unwrap();
    let peak: usize = make.call(50_000).unwrap();
    assert!(peak < 3 * MIB, "{peak}");
}

#[test]
fn natives_that_call_natives_are_collected() {
    let lua = Lua::new();
    let peak: usize = lua
        .load(
            "local peak = 0
             local function note() peak = math.max(peak, collectgarbage 'count') return '' end
             local text = ('0123456789'):rep(20000)
             text:gsub('%d%d%d%d%d', string.upper)
             note()
             local i = 0
             local t = setmetatable({}, { __index = function(_, k) return k .. 'x' end })
             text:gsub('.', t)
             note()
             local numbers = {}
             for i = 1, 20000 do numbers[i] = i * 7919 % 20011 end
             table.sort(numbers, function(a, b) return a .. '' < b .. '' end)
             note()
             return peak // 1",
        )
        .eval()
        .unwrap();
    assert!(peak < 4096, "{peak} KiB");
}

#[test]
fn finalizers_of_what_hosts_drop_are_called() {
    let lua = Lua::new();
    lua.load("waiting, most = 0, 0").exec().unwrap();
    let make: Function = lua
        .load(
            "local class = { __gc = function() waiting = waiting - 1 end }
             return function()
               waiting = waiting + 1
               most = math.max(most, waiting)
               return setmetatable({}, class)
             end",
        )
        .eval()
        .unwrap();
    for _ in 0..60_000 {
        make.call::<Table>(()).unwrap();
    }
    let most: usize = lua.globals().get("most").unwrap();
    assert!(most < 20_000, "{most}");
}

/// Under a limit every entry point answers with an error of memory, and the account
/// stays near the limit.
fn fails_at_limit(name: &str, mut act: impl FnMut(&Lua, usize) -> Result<()>) {
    let lua = Lua::new();
    let limit = 2 * MIB;
    lua.set_memory_limit(limit).expect("limited");
    let mut error = None;
    for i in 0..2_000_000 {
        if let Err(found) = act(&lua, i) {
            error = Some(found);
            break;
        }
        let has = lua.machine().system_memory();
        assert!(has <= limit + limit / 20 + MIB, "{name}: {has}");
    }
    let error = error.unwrap_or_else(|| panic!("{name}: no error"));
    assert!(
        matches!(error.kind(), ErrorKind::Memory),
        "{name}: {error:?}"
    );
    // What was kept is let go of: the VM is as good as new.
    drop(act);
    lua.globals().set("kept", Value::Nil).unwrap();
    lua.gc_collect().unwrap();
    let n: i64 = lua
        .load("local t = {} for i = 1, 1000 do t[i] = {} end return #t")
        .eval()
        .unwrap();
    assert_eq!(n, 1000, "{name}");
}

#[test]
fn the_limit_holds_for_hosts() {
    fails_at_limit("tables", {
        let mut kept = Vec::new();
        move |lua, _| lua.create_table().map(|table| kept.push(table))
    });
    fails_at_limit("strings", {
        let mut kept = Vec::new();
        move |lua, i| lua.create_string(format!("{i:60}")).map(|s| kept.push(s))
    });
    fails_at_limit("large strings", {
        let mut kept = Vec::new();
        move |lua, i| {
            lua.create_string(format!("{i:60000}"))
                .map(|s| kept.push(s))
        }
    });
    fails_at_limit("one huge string", |lua, _| {
        lua.create_string(vec![b'x'; 3 * MIB]).map(drop)
    });
    fails_at_limit("functions", {
        let mut kept = Vec::new();
        move |lua, i| {
            let held = [i; 8];
            let function = lua.create_function(move |_, n: usize| Ok(held[n % 8]))?;
            kept.push(function);
            Ok(())
        }
    });
    fails_at_limit("coroutines", {
        let mut kept = Vec::new();
        move |lua, _| {
            let print: Function = lua.globals().get("print")?;
            lua.create_thread(print).map(|thread| kept.push(thread))
        }
    });
    fails_at_limit("set", |lua, i| {
        let kept = match lua.globals().get::<Option<Table>>("kept")? {
            Some(table) => table,
            None => {
                let table = lua.create_table()?;
                lua.globals().set("kept", &table)?;
                table
            }
        };
        kept.set(i + 1, format!("value number {i}"))
    });
    fails_at_limit("set of a huge value", |lua, _| {
        lua.globals().set("kept", "x".repeat(3 * MIB))
    });
    fails_at_limit("sequence", |lua, _| {
        lua.create_sequence_from(0..1_000_000).map(drop)
    });
    fails_at_limit("call", {
        let mut kept = Vec::new();
        move |lua, i| {
            let rep: Function = lua.load("return string.rep").eval()?;
            let text: moonswap::LuaString = rep.call((format!("text {i}"), 1000))?;
            kept.push(text);
            Ok(())
        }
    });
    fails_at_limit("argument", |lua, _| {
        let print: Function = lua.globals().get("type")?;
        print.call::<String>("x".repeat(3 * MIB)).map(drop)
    });
    fails_at_limit("result", |lua, _| {
        let make = lua.create_function(|_, ()| Ok("x".repeat(3 * MIB)))?;
        make.call::<Value>(()).map(drop)
    });
    fails_at_limit("load", |lua, _| {
        let text = format!("return {{ {} }}", "1,".repeat(200_000));
        lua.load(text).into_function().map(drop)
    });
}

#[test]
fn a_text_past_the_limit_is_seen_by_nobody() -> Result<()> {
    let lua = Lua::new();
    lua.load("calls = 0 function f(s) calls = calls + 1 return s end t = {}")
        .exec()?;
    let (f, t): (moonswap::Function, moonswap::Table) =
        (lua.globals().get("f")?, lua.globals().get("t")?);
    lua.set_memory_limit(lua.used_memory() + (2 << 20))?;
    let large = "x".repeat(8 << 20);
    assert!(t.set("k", large.as_str()).is_err());
    assert!(t.raw_set("k", large.as_str()).is_err());
    assert!(f.call::<()>((1, large.as_str())).is_err());
    let made = lua.create_function(move |_, ()| Ok(large.clone()))?;
    assert!(made.call::<String>(()).is_err());
    lua.set_memory_limit(0)?;
    assert!(t.get::<moonswap::Value>("k")?.is_nil());
    assert_eq!(lua.globals().get::<i64>("calls")?, 0);
    Ok(())
}
