//! Patch files at a VM: applied, refused for their base, their age, their
//! sequence number; from Rust and from Lua. Signatures are in `signatures.rs`.

use moonswap::prelude::*;
use moonswap::{FileChunk, PatchFile, Result, TextDigest, Timestamp, Trust};

const OLD: &str = "local n = 0\nfunction count() n = n + 1 return n end";
const NEW: &str = "local n = 0\nfunction count() n = n + 10 return n end";

fn chunk(name: &str, base: Option<&str>, source: &str) -> FileChunk {
    FileChunk {
        name: name.into(),
        base: base.map(|text| TextDigest::of(text.as_bytes())),
        changes: vec![],
        source: source.into(),
    }
}

fn file(chunks: Vec<FileChunk>) -> PatchFile {
    PatchFile::new(chunks, Policy::default())
}

fn running() -> Result<Lua> {
    let lua = Lua::new();
    lua.load(OLD).set_name("@c.lua").exec()?;
    lua.load("return 1").exec()?;
    Ok(lua)
}

fn count(lua: &Lua) -> i64 {
    lua.load("return count()").eval().expect("it runs")
}

/// The codes of a refusal.
fn codes<T: std::fmt::Debug>(outcome: Result<T>) -> Vec<&'static str> {
    let error = outcome.expect_err("refused");
    let refused = error.refused().unwrap_or_else(|| panic!("{error}"));
    refused.refusals.iter().map(|r| r.code.text()).collect()
}

#[test]
fn applied_once_for_its_base() -> Result<()> {
    let lua = running()?;
    let patch = file(vec![chunk("@c.lua", Some(OLD), NEW)]);
    assert_eq!(count(&lua), 1);
    let plan = lua.hot().patch(&patch).plan()?;
    assert!(!plan.is_refused());
    assert_eq!(count(&lua), 2);
    let report = lua.hot().patch(&patch).apply()?;
    assert_eq!(count(&lua), 12);
    assert_eq!(codes(lua.hot().patch(&patch).apply()), ["P013"]);
    // The text from before is the base again.
    lua.hot().rollback(report.id)?;
    lua.hot().patch(&patch).apply()?;
    assert_eq!(count(&lua), 22);
    Ok(())
}

#[test]
fn another_base_is_refused_before_anything_is_compiled() -> Result<()> {
    let lua = running()?;
    let no_lua = file(vec![chunk("@c.lua", Some(NEW), "function (")]);
    assert_eq!(codes(lua.hot().patch(&no_lua).apply()), ["P013"]);
    // Each chunk that does not fit is named; one that fits does not help.
    lua.load(OLD).set_name("@d.lua").exec()?;
    let both = file(vec![
        chunk("@c.lua", Some(OLD), "function ("),
        chunk("@d.lua", Some(NEW), "function ("),
    ]);
    let error = lua.hot().patch(&both).apply().expect_err("refused");
    assert!(error.to_string().starts_with("d.lua:1: P013"), "{error}");
    let compiled = file(vec![chunk("@c.lua", Some(OLD), "function (")]);
    let error = lua.hot().patch(&compiled).apply().expect_err("no Lua");
    assert!(matches!(error.kind(), ErrorKind::Syntax), "{error:?}");
    assert!(error.render().contains("function ("), "{}", error.render());
    let missing = file(vec![chunk("@nowhere.lua", None, "function (")]);
    let error = lua.hot().patch(&missing).apply().expect_err("not loaded");
    assert!(error.to_string().contains("nowhere.lua"), "{error}");
    assert_eq!(count(&lua), 1);
    assert_eq!(lua.hot().generation(), 1);
    Ok(())
}

#[test]
fn the_base_counts_for_patches_from_other_threads() -> Result<()> {
    let lua = running()?;
    let patcher = lua.hot().patcher();
    let submit = |base: &str, source: &str| {
        let patch = file(vec![chunk("@c.lua", Some(base), source)]);
        let patch = patch.compile(str::to_owned).expect("compiles");
        let patcher = patcher.clone();
        let thread =
            std::thread::spawn(move || patcher.submit(patch, Policy::default()).wait(None));
        while !thread.is_finished() {
            lua.load("for i = 1, 1000 do end").exec().expect("runs");
        }
        thread.join().expect("no panic")
    };
    assert!(submit(OLD, NEW).is_ok());
    // The chunk is published now: planned by the submitter.
    let late = submit(OLD, "function count() return 0 end").expect_err("another base");
    assert!(late.to_string().contains("P013"), "{late}");
    assert!(submit(NEW, OLD).is_ok());
    assert_eq!(count(&lua), 1);
    Ok(())
}

#[test]
fn several_chunks_are_one_transaction() -> Result<()> {
    let lua = running()?;
    lua.load("function name() return 'old' end")
        .set_name("@d.lua")
        .exec()?;
    let patch = file(vec![
        chunk("@d.lua", None, "function name() return 'new' end"),
        chunk("@c.lua", Some(OLD), NEW),
    ]);
    let report = lua.hot().patch(&patch).apply()?;
    assert_eq!(report.chunks.len(), 2);
    assert_eq!(lua.hot().generation(), 2);
    assert_eq!(lua.load("return name()").eval::<String>()?, "new");
    Ok(())
}

#[test]
fn policies_come_with_the_file() -> Result<()> {
    let lua = running()?;
    let mut patch = file(vec![chunk("@c.lua", None, NEW)]);
    patch.policy = Policy::new().reset("n").signed_off("ann", "start again");
    assert_eq!(count(&lua), 1);
    lua.hot().patch(&patch).apply()?;
    assert_eq!(count(&lua), 10);
    let history = lua.hot().history();
    assert_eq!(history[0].author.as_deref(), Some("ann"));
    patch.policy = Policy::new().base(1);
    assert_eq!(codes(lua.hot().patch(&patch).apply()), ["P013"]);
    Ok(())
}

#[test]
fn age_and_order() -> Result<()> {
    let lua = running()?;
    let numbered = |sequence: Option<u64>, source: &str| {
        let mut patch = file(vec![chunk("@c.lua", None, source)]);
        patch.sequence = sequence;
        patch
    };
    let mut expired = numbered(None, NEW);
    expired.expires = Some(Timestamp::now());
    assert_eq!(codes(lua.hot().patch(&expired).apply()), ["S005"]);
    expired.expires = Some(Timestamp::now().after(std::time::Duration::from_secs(3600)));
    lua.hot().patch(&expired).apply()?;

    lua.hot().patch(&numbered(Some(5), OLD)).apply()?;
    for late in [Some(5), Some(4), None] {
        let outcome = lua.hot().patch(&numbered(late, NEW)).apply();
        assert_eq!(codes(outcome), ["S006"], "{late:?}");
    }
    // What is refused for its code does not use its number up.
    assert!(
        lua.hot()
            .patch(&numbered(Some(6), "function ("))
            .apply()
            .is_err()
    );
    lua.hot().patch(&numbered(Some(6), NEW)).apply()?;
    assert_eq!(lua.hot().trust().last_sequence(None), Some(6));

    // Kept over a restart.
    let lua = running()?;
    lua.hot()
        .set_trust(Trust::new().with_last_sequence(None, 6));
    assert_eq!(
        codes(lua.hot().patch(&numbered(Some(6), NEW)).apply()),
        ["S006"]
    );
    Ok(())
}

#[test]
fn from_lua() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("moonswap-files-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("count.moonpatch");
    std::fs::write(
        &path,
        file(vec![chunk("@./c.lua", Some(OLD), NEW)]).to_bytes(),
    )?;
    let lua = running()?;
    lua.globals()
        .set("path", path.to_string_lossy().into_owned())?;
    lua.load(
        "local hot = require 'moonswap'
         assert(count() == 1)
         local plan = assert(hot.applyfile(path, { dry = true }))
         assert(plan.dry and count() == 2)
         local report = assert(hot.applyfile(path))
         assert(tostring(report):find('count v1', 1, true) and count() == 12, tostring(report))
         local nothing, message = hot.applyfile(path)
         assert(nothing == nil and message:find 'P013', message)
         nothing, message = hot.applyfile(path .. '.gone')
         assert(nothing == nil and message:find 'cannot read', message)
         assert(not pcall(hot.applyfile, path, { remove = true }))",
    )
    .exec()?;
    std::fs::write(&path, "return 1")?;
    lua.load(
        "local nothing, message = require 'moonswap'.applyfile(path)
         assert(nothing == nil and message:find 'S001', message)",
    )
    .exec()?;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
