//! Profiles: everything that a program can reach from its globals stands in a
//! checked-in list, and no known way out leads anywhere.
//!
//! `UPDATE=1 cargo test -p moonswap --test profiles` writes the lists: read the
//! difference.

use std::path::Path;
use std::time::{Duration, Instant};

use moonswap::{Error, ErrorKind, Function, Lua, LuaOptions, Profile, Result, StdLib, Table};

/// Walks from the globals and the metatables of all types: fields, metatables,
/// captured variables and user values, of Lua's values and of natives.
const WALK: &str = r#"
local debug, globals, running = ...
local seen, found, todo = {}, {}, {}
local function text(key)
  if type(key) == "string" then return key end
  return "[" .. (type(key) == "number" and tostring(key) or type(key)) .. "]"
end
local function visit(path, value)
  local kind = type(value)
  if kind ~= "table" and kind ~= "function" and kind ~= "userdata" and kind ~= "thread" then
    found[#found + 1] = path .. " " .. kind
  elseif seen[value] then
    return
  else
    seen[value] = true
    found[#found + 1] = path .. " " .. kind
    todo[#todo + 1] = { path, value, kind }
  end
end
seen[debug] = true
for name, value in next, debug do seen[value] = true end
visit("_G", globals)
for _, example in ipairs { "", 0, true, visit, running } do
  if debug.getmetatable(example) then
    visit("metatable of " .. type(example), debug.getmetatable(example))
  end
end
if debug.getmetatable(nil) then visit("metatable of nil", debug.getmetatable(nil)) end
local at = 1
while todo[at] do
  local path, value, kind = table.unpack(todo[at])
  at = at + 1
  if kind == "table" then
    local keys = {}
    for key in next, value do keys[#keys + 1] = key end
    table.sort(keys, function(a, b) return text(a) < text(b) end)
    for _, key in ipairs(keys) do
      if type(key) ~= "string" and type(key) ~= "number" then visit(path .. ".key", key) end
      visit(path .. "." .. text(key), rawget(value, key))
    end
  elseif kind == "function" then
    local n = 1
    while true do
      local name, captured = debug.getupvalue(value, n)
      if not name then break end
      visit(path .. ".upvalue " .. n, captured)
      n = n + 1
    end
  elseif kind == "userdata" then
    for n = 1, 8 do
      local held, has = debug.getuservalue(value, n)
      if not has then break end
      visit(path .. ".user value " .. n, held)
    end
  end
  if kind == "table" or kind == "userdata" then
    local metatable = debug.getmetatable(value)
    if metatable then visit(path .. ".metatable", metatable) end
  end
end
table.sort(found)
return table.concat(found, "\n") .. "\n"
"#;

fn make(profile: Profile, compat: bool) -> Lua {
    let builder = Lua::builder().compat(compat).profile(profile);
    let builder = builder.memory_limit(64 << 20).fuel(10_000_000);
    builder.build().expect("it has all limits")
}

/// What can be reached in a VM: the walker sees it with the `debug` library, which is
/// taken away again before it starts.
fn reachable(lua: &Lua) -> Result<String> {
    let globals = lua.globals();
    let had: Option<Table> = globals.raw_get("debug")?;
    if had.is_none() {
        lua.load_std_libs(StdLib::DEBUG)?;
    }
    let debug: Table = globals.raw_get("debug")?;
    if had.is_none() {
        globals.raw_remove("debug")?;
        lua.unload_module("debug")?;
    }
    // A copy: a library of the program's own is part of what is walked.
    let copy = lua.create_table()?;
    for name in ["getmetatable", "getupvalue", "getuservalue"] {
        let function: Function = debug.get(name)?;
        copy.set(
            name,
            lua.create_function(move |_, arguments: moonswap::MultiValue| {
                function.call::<moonswap::MultiValue>(arguments)
            })?,
        )?;
    }
    let walk = lua
        .load(WALK)
        .set_name("=walk")
        .transient()
        .into_function()?;
    walk.call((copy, globals, lua.current_thread()))
}

#[test]
fn what_a_program_reaches_is_on_the_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/profiles");
    for (name, profile, compat) in [
        ("game", Profile::Game, false),
        ("untrusted", Profile::Untrusted, false),
        ("untrusted-compat", Profile::Untrusted, true),
        ("pure", Profile::Pure, false),
    ] {
        let found = reachable(&make(profile, compat)).expect("the walk has room");
        let file = folder.join(format!("{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &found).expect("the list can be written");
        }
        let listed = std::fs::read_to_string(&file).expect("the list is checked in");
        let new: Vec<_> = found
            .lines()
            .filter(|line| !listed.lines().any(|l| l == *line))
            .collect();
        let gone: Vec<_> = listed
            .lines()
            .filter(|line| !found.lines().any(|l| l == *line))
            .collect();
        assert!(
            new.is_empty() && gone.is_empty(),
            "{name}: new {new:?}, gone {gone:?}"
        );
    }
}

/// A walk that sees nothing would agree with every list.
#[test]
fn the_walk_finds_what_is_hidden() -> Result<()> {
    let lua = make(Profile::Untrusted, false);
    let before = reachable(&lua)?;
    lua.load(
        "local deep = setmetatable({}, { __index = function() return hidden end })
         local captured = { inner = coroutine.create(function() end) }
         function keeps() return captured end
         far = { [deep] = true }",
    )
    .exec()?;
    let found = reachable(&lua)?;
    for line in [
        "_G.far.key.metatable.__index function",
        "_G.keeps.upvalue 1.inner thread",
    ] {
        assert!(!before.contains(line) && found.contains(line), "{found}");
    }
    Ok(())
}

/// Ways out that other implementations had: each has to answer nil, false or fail.
const ATTEMPTS: &[&str] = &[
    "return load('\\27Lua')",
    "return load('\\27Lua', 'x', 'b')",
    "return load('\\27Lua', 'x', 'bt')",
    "local n = 0 return load(function() n = n + 1 return n == 1 and '\\27Lua' or nil end, 'x', 'b')",
    "local n = 0 return load(function() n = n + 1 return ({ '\\27', 'Lua' })[n] end)",
    "return string.dump",
    "return string.dump(function() end)",
    "return getmetatable('')",
    "getmetatable('').__index = { rep = 7 }",
    "return setmetatable('', {})",
    "return require 'io'",
    "return package",
    "return _G.package",
    "return debug",
    "return io or dofile or loadfile",
    "return os.execute or os.exit or os.getenv or os.remove or os.rename or os.tmpname",
    "return collectgarbage",
    "return load('return io or require or debug')()",
    "return coroutine.wrap(function() return io or debug end)()",
    "return select(2, pcall(error)) and 1 or nil",
];

#[test]
fn no_known_way_leads_out() -> Result<()> {
    for profile in [Profile::Untrusted, Profile::Pure] {
        for attempt in ATTEMPTS {
            let lua = make(profile, false);
            // `os` is an index of nil in Pure: an error, which is fine.
            let outcome = lua
                .load(*attempt)
                .set_name("=attempt")
                .eval::<moonswap::Value>();
            let is_held = match &outcome {
                Ok(value) => value.is_nil() || value.as_boolean() == Some(false),
                Err(_) => true,
            };
            assert!(is_held, "{profile:?}: {attempt}: {outcome:?}");
            assert_eq!(
                lua.load("('x'):rep(2)").eval::<String>()?,
                "xx",
                "{attempt}"
            );
        }
    }
    Ok(())
}

/// Text of others that the host loads is not taken for a binary chunk either.
#[test]
fn the_host_loads_no_binary_chunk() -> Result<()> {
    let code = Lua::new().load("return 7").into_function()?.dump(true);
    for profile in [Profile::Game, Profile::Untrusted, Profile::Pure] {
        let lua = make(profile, false);
        let error = lua.load(&code[..]).exec().unwrap_err();
        assert!(matches!(error, Error::SyntaxError { .. }), "{error:?}");
        assert!(error.to_string().contains("source text only"), "{error}");
    }
    assert_eq!(
        make(Profile::Full, false).load(&code[..]).call::<i64>(())?,
        7
    );
    Ok(())
}

#[test]
fn limits_are_asked_for() {
    let soon = Instant::now() + Duration::from_secs(600);
    for profile in [Profile::Untrusted, Profile::Pure] {
        let builder = || Lua::builder().profile(profile);
        for (made, missing) in [
            (builder(), &["memory limit", "limit of time"][..]),
            (builder().memory_limit(1 << 24), &["limit of time"]),
            (builder().fuel(10), &["memory limit"]),
            (builder().deadline(soon), &["memory limit"]),
            (builder().fuel(10).deadline(soon), &["memory limit"]),
        ] {
            let text = made.build().unwrap_err().to_string();
            for word in ["memory limit", "limit of time"] {
                assert_eq!(text.contains(word), missing.contains(&word), "{text}");
            }
        }
        assert!(builder().memory_limit(1 << 24).fuel(10).build().is_ok());
        assert!(
            builder()
                .memory_limit(1 << 24)
                .deadline(soon)
                .build()
                .is_ok()
        );
        let error = builder().memory_limit(10).fuel(10).build().unwrap_err();
        assert!(error.to_string().contains("libraries take"), "{error}");
    }
    for profile in [Profile::Full, Profile::Game] {
        assert!(Lua::builder().profile(profile).build().is_ok());
    }
}

/// Limits given at construction hold, and can be renewed for each run.
#[test]
fn limits_hold_from_the_start() -> Result<()> {
    let lua = Lua::builder()
        .profile(Profile::Untrusted)
        .memory_limit(2 << 20)
        .fuel(1000)
        .build()?;
    let error = lua.load("while true do end").exec().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OutOfFuel), "{error}");
    lua.set_fuel(Some(1_000_000));
    let error = lua
        .load("local t = {} for i = 1, 1e6 do t[i] = { i } end")
        .exec()
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Memory), "{error}");
    lua.set_fuel(Some(1000));
    assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    Ok(())
}

/// `Full` is what `Lua::new` makes.
#[test]
fn full_is_everything() -> Result<()> {
    let names = |lua: &Lua| -> Result<Vec<String>> {
        let mut names: Vec<String> = Vec::new();
        for pair in lua.globals().pairs::<String, moonswap::Value>() {
            names.push(pair?.0);
        }
        names.sort();
        Ok(names)
    };
    let full = Lua::builder().profile(Profile::Full).build()?;
    assert_eq!(names(&full)?, names(&Lua::new())?);
    assert_eq!(
        names(&full)?,
        names(&Lua::new_with(StdLib::ALL, LuaOptions::new())?)?
    );
    assert!(
        full.load("return require 'moonswap'")
            .eval::<Table>()
            .is_ok()
    );
    Ok(())
}
