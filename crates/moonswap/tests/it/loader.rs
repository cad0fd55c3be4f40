//! Loaders: `require`, patches and the module `moonswap` find texts through the same
//! trait, and no name leads out of a loader.

use std::io;
use std::path::{Path, PathBuf};

use moonswap::loader::{Directory, Embedded, Loader, Memory};
use moonswap::{Error, Lua, PatchInput, Profile, Result};

static EMBEDDED: Embedded = moonswap::embed!("../scripts", ["greet.lua", "shop/init.lua"]);

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// The two modules of `tests/scripts`, in memory.
fn memory() -> Memory {
    let texts = Memory::new();
    for (module, file) in [("greet", "greet.lua"), ("shop", "shop/init.lua")] {
        texts.set(
            module,
            std::fs::read(scripts().join(file)).expect("it is there"),
        );
    }
    texts
}

/// Gives a VM a loader.
type Set = fn(&Lua) -> Result<()>;

fn loaders() -> Vec<(&'static str, Set)> {
    vec![
        ("directory", |lua| lua.set_loader(Directory::new(scripts()))),
        ("memory", |lua| lua.set_loader(memory())),
        ("embedded", |lua| lua.set_loader(EMBEDDED)),
        ("pair", |lua| lua.set_loader((Memory::new(), EMBEDDED))),
    ]
}

fn profiles() -> [Lua; 3] {
    [Profile::Full, Profile::Game, Profile::Pure].map(|profile| {
        let builder = Lua::builder().profile(profile);
        let builder = builder.memory_limit(32 << 20).fuel(10_000_000);
        builder.build().expect("it has all limits")
    })
}

#[test]
fn modules_are_found_in_every_loader_and_profile() -> Result<()> {
    for (name, set) in loaders() {
        for lua in profiles() {
            set(&lua)?;
            lua.preload_module("host", lua.load("return 'host'").into_function()?)?;
            let found: (String, i64, bool, String) = lua
                .load(
                    "local again = require 'shop'
                     return require 'greet' 'you', require('shop').price(21),
                       again == require 'shop', require 'host'",
                )
                .eval()?;
            assert_eq!(
                found,
                ("hello you".into(), 42, true, "host".into()),
                "{name}"
            );
            let error = lua.load("require 'none'").exec().unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("module 'none' not found") && text.contains("host's loader"),
                "{name}: {text}"
            );
        }
    }
    Ok(())
}

#[test]
fn no_name_leads_out() -> Result<()> {
    for (name, set) in loaders() {
        for lua in profiles() {
            set(&lua)?;
            for module in [
                "../Cargo",
                "..",
                ".",
                "",
                "/etc/passwd",
                "shop/init",
                "shop..init",
                "\\0",
                "greet.lua",
                "@greet",
                "shop.init.lua",
                ".greet",
                "c:greet",
            ] {
                let outcome = lua.load(format!("return require '{module}'")).exec();
                assert!(outcome.is_err(), "{name}: {module:?}");
            }
        }
    }
    let folder = Directory::new(scripts());
    let chunk = folder.find("shop").expect("it is there");
    assert!(folder.read(&chunk).is_ok() && folder.file(&chunk).is_some());
    let up = format!("@{}/../loader.rs", scripts().display());
    for chunk in [&*up, "@/etc/passwd", "@greet.lua", "greet", ""] {
        assert!(folder.file(chunk).is_none(), "{chunk}");
        let error = folder.read(chunk).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{chunk}");
    }
    Ok(())
}

/// How a script, and the host, take the new text of a module.
const WAYS: &[&str] = &[
    "assert(require 'moonswap'.swap 'shop')",
    "assert(require 'moonswap'.transaction { shop = true })",
    "assert(require 'moonswap'.transaction { ['@shop'] = true })",
    "assert(require 'moonswap'.reload 'shop')",
];

#[test]
fn patches_come_from_the_loader() -> Result<()> {
    let text =
        |by: i64| format!("#!lua\nlocal M = {{}} function M.price(x) return x * {by} end return M");
    for way in WAYS.iter().map(Some).chain([None]) {
        let lua = Lua::new();
        let texts = Memory::new();
        texts.set("shop", text(2));
        lua.set_loader(texts.clone())?;
        lua.load("shop = require 'shop'").exec()?;
        texts.set("shop", text(3));
        assert_eq!(lua.load("shop.price(1)").eval::<i64>()?, 2);
        match way {
            Some(way) => lua.load(*way).exec()?,
            None => _ = lua.hot().patch(PatchInput::module("shop")).apply()?,
        }
        assert_eq!(lua.load("shop.price(1)").eval::<i64>()?, 3, "{way:?}");
        let versions = lua.load("#require('moonswap').versions 'shop'");
        if way != Some(&WAYS[3]) {
            assert_eq!(versions.eval::<i64>()?, 2, "{way:?}");
        }
    }
    Ok(())
}

#[test]
fn what_is_not_there_is_said() -> Result<()> {
    let lua = Lua::new();
    lua.set_loader(Memory::new())?;
    let error = lua
        .hot()
        .patch(PatchInput::module("none"))
        .apply()
        .unwrap_err();
    assert!(error.to_string().contains("no module 'none'"), "{error}");
    let swap = "return select(2, require 'moonswap'.swap 'none')";
    assert!(
        lua.load(swap)
            .eval::<String>()?
            .contains("no module 'none'")
    );
    Ok(())
}

/// A loader that fails in every way.
struct Broken;

impl Loader for Broken {
    fn find(&self, module: &str) -> Option<String> {
        assert_ne!(module, "panics", "on purpose");
        Some(format!("@{module}"))
    }

    fn read(&self, chunk: &str) -> io::Result<Vec<u8>> {
        match chunk {
            "@syntax" => Ok(b"x = = 1".to_vec()),
            "@binary" => Ok(b"\x1bLua".to_vec()),
            "@bytes" => Ok(vec![0xff, 0, 0xfe]),
            _ => Err(io::Error::other("on fire")),
        }
    }
}

#[test]
fn failures_of_loaders_are_errors() -> Result<()> {
    for lua in profiles() {
        lua.catch_panics(true);
        lua.set_loader(Broken)?;
        for (module, expected) in [
            ("fire", "on fire"),
            (
                "syntax",
                "error loading module 'syntax' from 'syntax':\n\tsyntax:1:",
            ),
            ("binary", "error loading module 'binary'"),
            ("bytes", "error loading module 'bytes'"),
            ("panics", "on purpose"),
        ] {
            let error = lua.load(format!("require '{module}'")).exec().unwrap_err();
            assert!(error.to_string().contains(expected), "{module}: {error}");
            let error = lua.hot().patch(PatchInput::module(module)).plan();
            assert!(error.is_err(), "{module}");
        }
        assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    }
    Ok(())
}

/// A program may have replaced what the searcher would be put into.
#[test]
fn a_place_that_is_gone_is_an_error() -> Result<()> {
    let lua = Lua::new();
    lua.load("package.searchers = 7").exec()?;
    let error = lua.set_loader(EMBEDDED).unwrap_err();
    assert!(matches!(error, Error::RuntimeError(_)), "{error:?}");
    assert!(error.to_string().contains("package.searchers"), "{error}");
    Ok(())
}
