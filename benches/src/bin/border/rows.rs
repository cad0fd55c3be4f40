// The rows, written once for both libraries: `api` is the one that is timed. Each
// prepares a VM and gives back a closure that does so many turns.

pub(super) type Turns = Box<dyn FnMut(u32)>;
pub(super) type Row = (&'static str, fn() -> Result<Turns>);

struct Point {
    x: i64,
}

impl UserData for Point {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("x", |_, this| Ok(this.x));
        fields.add_field_method_set("x", |_, this, x: i64| {
            this.x = x;
            Ok(())
        });
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |_, this, ()| Ok(this.x));
        methods.add_method_mut("add", |_, this, n: i64| {
            this.x += n;
            Ok(this.x)
        });
    }
}

/// Times calls of a Lua function.
fn calls<A, R>(text: &str, arguments: impl Fn(&Lua) -> Result<A> + 'static) -> Result<Turns>
where
    A: IntoLuaMulti + Clone + 'static,
    R: FromLuaMulti + 'static,
{
    let lua = Lua::new();
    let function: Function = lua.load(text).eval()?;
    let arguments = arguments(&lua)?;
    Ok(Box::new(move |n| {
        let _ = &lua;
        for _ in 0..n {
            std::hint::black_box(function.call::<R>(arguments.clone()).unwrap());
        }
    }))
}

/// Times Lua code that uses the global `f`: `text` gets the number of turns.
fn inside(text: &str, set_up: impl Fn(&Lua) -> Result<()>) -> Result<Turns> {
    let lua = Lua::new();
    set_up(&lua)?;
    let body = format!("local n = ... local f, t, s, u = f, t, s, u for i = 1, n do {text} end");
    let function = lua.load(body).into_function()?;
    Ok(Box::new(move |n| {
        let _ = &lua;
        function.call::<()>(n).unwrap();
    }))
}

/// Times what Rust does with a table.
fn table<R>(make: &str, turn: impl Fn(&Lua, &Table) -> Result<R> + 'static) -> Result<Turns> {
    let lua = Lua::new();
    let table: Table = lua.load(make).eval()?;
    Ok(Box::new(move |n| {
        for _ in 0..n {
            std::hint::black_box(turn(&lua, &table).unwrap());
        }
    }))
}

fn plain<R>(turn: impl Fn(&Lua) -> Result<R> + 'static) -> Result<Turns> {
    table("return {}", move |lua, _| turn(lua))
}

const HUNDRED: &str = "local t = {} for i = 1, 100 do t[i] = i end return t";

pub(super) const ROWS: &[Row] = &[
    ("call: nothing", || calls::<_, ()>("function() end", |_| Ok(()))),
    ("call: integer to integer", || calls::<_, i64>("function(n) return n end", |_| Ok(7_i64))),
    ("call: three numbers", || {
        calls::<_, f64>("function(a, b, c) return a + b * c end", |_| Ok((1.5, 2.5, 3_i64)))
    }),
    ("call: text in", || calls::<_, usize>("function(s) return #s end", |_| Ok("some text to pass"))),
    ("call: text out", || calls::<_, std::string::String>("function() return 'some text' end", |_| Ok(()))),
    ("call: table in", || calls::<_, i64>("function(t) return t.x end", |lua| {
        let table = lua.create_table()?;
        table.set("x", 1)?;
        Ok(table)
    })),
    ("call: table out", || calls::<_, Table>("local t = {} return function() return t end", |_| Ok(()))),
    ("call: eight results", || {
        calls::<_, Variadic<i64>>("function() return 1, 2, 3, 4, 5, 6, 7, 8 end", |_| Ok(()))
    }),
    ("call: an error", || {
        let lua = Lua::new();
        let function: Function = lua.load("function() error('no') end").eval()?;
        Ok(Box::new(move |n| {
            let _ = &lua;
            for _ in 0..n {
                assert!(function.call::<()>(()).is_err());
            }
        }))
    }),
    ("native: nothing", || inside("f()", |lua| {
        lua.globals().set("f", lua.create_function(|_, ()| Ok(()))?)
    })),
    ("native: integer to integer", || inside("f(i)", |lua| {
        lua.globals().set("f", lua.create_function(|_, n: i64| Ok(n + 1))?)
    })),
    ("native: two floats", || inside("f(1.5, i)", |lua| {
        lua.globals().set("f", lua.create_function(|_, (a, b): (f64, f64)| Ok(a * b))?)
    })),
    ("native: text in", || inside("f('some text to pass')", |lua| {
        lua.globals().set("f", lua.create_function(|_, s: std::string::String| Ok(s.len()))?)
    })),
    ("native: text out", || inside("f()", |lua| {
        lua.globals().set("f", lua.create_function(|_, ()| Ok("some text"))?)
    })),
    ("native: table in", || inside("f(t)", |lua| {
        lua.globals().set("t", lua.create_table()?)?;
        lua.globals().set("f", lua.create_function(|_, t: Table| t.raw_get::<Value>(1))?)
    })),
    ("native: variadic", || inside("f(1, 2, 3, 4)", |lua| {
        lua.globals().set("f", lua.create_function(|_, all: Variadic<i64>| Ok(all.len()))?)
    })),
    ("native: optional", || inside("f(i)", |lua| {
        lua.globals().set("f", lua.create_function(|_, (a, b): (i64, Option<i64>)| Ok(a + b.unwrap_or(1)))?)
    })),
    ("native: an error", || inside("pcall(f)", |lua| {
        lua.globals().set("f", lua.create_function(|_, ()| -> Result<()> { Err(api::Error::runtime("no")) })?)
    })),
    ("native: calls back", || inside("f(s)", |lua| {
        lua.load("function s(n) return n end").exec()?;
        lua.globals().set("f", lua.create_function(|_, g: Function| g.call::<i64>(1))?)
    })),
    ("method", || inside("u:get()", |lua| lua.globals().set("u", Point { x: 1 }))),
    ("method that changes", || inside("u:add(1)", |lua| lua.globals().set("u", Point { x: 1 }))),
    ("field of a host object", || inside("local _ = u.x", |lua| lua.globals().set("u", Point { x: 1 }))),
    ("field set", || inside("u.x = i", |lua| lua.globals().set("u", Point { x: 1 }))),
    ("host object made", || plain(|lua| lua.create_userdata(Point { x: 1 }))),
    ("host object borrowed", || {
        let lua = Lua::new();
        let object = lua.create_userdata(Point { x: 1 })?;
        Ok(Box::new(move |n| {
            let _ = &lua;
            for _ in 0..n {
                std::hint::black_box(object.borrow::<Point>().unwrap().x);
            }
        }))
    }),
    ("get by text", || table("return { x = 1 }", |_, t| t.get::<i64>("x"))),
    ("get by integer", || table("return { 1, 2, 3 }", |_, t| t.get::<i64>(2))),
    ("get text", || table("return { x = 'some text' }", |_, t| t.get::<std::string::String>("x"))),
    ("get table", || table("return { x = {} }", |_, t| t.get::<Table>("x"))),
    ("raw_get", || table("return { x = 1 }", |_, t| t.raw_get::<i64>("x"))),
    ("set by text", || table("return { x = 1 }", |_, t| t.set("x", 2))),
    ("set by integer", || table("return { 1, 2, 3 }", |_, t| t.set(2, 5))),
    ("set text", || table("return {}", |_, t| t.set("x", "some text"))),
    ("raw_set", || table("return { x = 1 }", |_, t| t.raw_set("x", 2))),
    ("raw_len", || table("return { 1, 2, 3 }", |_, t| Ok(t.raw_len()))),
    ("contains_key", || table("return { x = 1 }", |_, t| t.contains_key("x"))),
    ("globals: get", || plain(|lua| lua.globals().get::<Value>("print"))),
    ("pairs of 100", || table(HUNDRED, |_, t| {
        let mut sum = 0;
        for pair in t.pairs::<i64, i64>() {
            sum += pair?.1;
        }
        Ok(sum)
    })),
    ("sequence of 100", || table(HUNDRED, |_, t| {
        let mut sum = 0;
        for value in t.sequence_values::<i64>() {
            sum += value?;
        }
        Ok(sum)
    })),
    ("Vec of 100 from Lua", || table(HUNDRED, |lua, t| Vec::<i64>::from_lua(Value::Table(t.clone()), lua))),
    ("Vec of 100 to Lua", || plain(|lua| (0..100_i64).collect::<Vec<_>>().into_lua(lua))),
    ("create_table", || plain(Lua::create_table)),
    ("create_string, 16 bytes", || plain(|lua| lua.create_string("0123456789abcdef"))),
    ("create_string, 1 KiB", || {
        let text = "x".repeat(1024);
        plain(move |lua| lua.create_string(&text))
    }),
    ("create_function", || plain(|lua| lua.create_function(|_, n: i64| Ok(n)))),
    ("resume and yield", || {
        let lua = Lua::new();
        let thread: Thread = lua
            .load("return coroutine.create(function() while true do coroutine.yield(1) end end)")
            .eval()?;
        Ok(Box::new(move |n| {
            let _ = &lua;
            for _ in 0..n {
                std::hint::black_box(thread.resume::<i64>(()).unwrap());
            }
        }))
    }),
    ("create_thread", || {
        let lua = Lua::new();
        let function: Function = lua.load("function() end").eval()?;
        Ok(Box::new(move |n| {
            for _ in 0..n {
                std::hint::black_box(lua.create_thread(function.clone()).unwrap());
            }
        }))
    }),
    ("load and eval", || plain(|lua| lua.load("return 1 + 1").eval::<i64>())),
    ("registry value", || plain(|lua| {
        let key = lua.create_registry_value(1_i64)?;
        let value: i64 = lua.registry_value(&key)?;
        lua.remove_registry_value(key)?;
        Ok(value)
    })),
    ("clone of a handle", || table("return {}", |_, t| Ok(t.clone()))),
];
