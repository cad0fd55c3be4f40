//! The audit record: complete, chained, continued after a crash; answers about
//! what runs.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use moonswap::audit::{AuditFault, AuditLog, Audited, verify};
use moonswap::prelude::*;
use moonswap::{FileChunk, PatchFile, Result, TextDigest};
use serde_json::Value as Json;

/// A log that stays readable.
#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn check(log: &[u8]) -> std::result::Result<Audited, AuditFault> {
    verify(&mut &log[..]).expect("memory can be read")
}

fn source(n: u32) -> String {
    format!("function f() return {n} end")
}

/// A VM with `f.lua` that keeps a record.
fn audited(log: AuditLog) -> Result<Lua> {
    let lua = Lua::new();
    lua.load(source(1)).set_name("@f.lua").exec()?;
    lua.hot().set_audit(log);
    Ok(lua)
}

fn lines(log: &[u8]) -> Vec<Json> {
    String::from_utf8_lossy(log)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn text<'a>(record: &'a Json, path: &[&str]) -> &'a str {
    let mut at = record;
    for key in path {
        at = at
            .get(key)
            .unwrap_or_else(|| panic!("no {key} in {record}"));
    }
    at.as_str()
        .unwrap_or_else(|| panic!("{path:?} in {record}"))
}

/// Several attempts: applied, refused by the compiler, by the plan, by a
/// migration, rolled back, undone by its error budget.
fn history() -> Result<Vec<u8>> {
    let log = Shared::default();
    let lua = audited(AuditLog::new(log.clone()))?;
    let hot = lua.hot();
    let by = Policy::new().signed_off("ann", "a \"reason\"\n");
    let report = hot.patch(("@f.lua", source(2))).policy(&by).apply()?;
    assert!(hot.apply_source("@f.lua", "function (").is_err());
    assert!(
        hot.patch(("@f.lua", source(3)))
            .policy(by.clone().base(99))
            .apply()
            .is_err()
    );
    let vetoed = format!("{} function migrate() error('no') end", source(3));
    assert!(hot.apply_source("@f.lua", vetoed).is_err());
    hot.rollback(report.id())?;
    let guarded = Policy::new().guard(0, Duration::from_secs(600));
    hot.patch(("@f.lua", "function f() error('new') end"))
        .policy(&guarded)
        .apply()?;
    let f: Function = lua.globals().get("f")?;
    assert!(f.call::<()>(()).is_err());
    lua.poll();
    let bytes = log.0.borrow().clone();
    Ok(bytes)
}

#[test]
fn every_attempt_is_recorded() -> Result<()> {
    let log = history()?;
    let records = lines(&log);
    let short: Vec<String> = records
        .iter()
        .map(|r| format!("{} {}", text(r, &["event"]), text(r, &["source"])))
        .collect();
    assert_eq!(
        short,
        [
            "after rust",
            "refused rust",
            "refused rust",
            "refused rust",
            "rollback rust",
            "after rust",
            "rollback guard"
        ]
    );
    let first = &records[0];
    assert_eq!(text(first, &["author"]), "ann");
    assert_eq!(text(first, &["reason"]), "a \"reason\"\n");
    let time = text(first, &["time"]);
    assert!(
        time.len() == 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
        "{time}"
    );
    let chunk = |r: &Json| {
        r.get("chunks")
            .and_then(Json::as_array)
            .map(|c| c[0].clone())
    };
    let (one, undo) = (
        chunk(first).expect("chunk"),
        chunk(&records[4]).expect("chunk"),
    );
    assert_eq!(text(&one, &["name"]), "@f.lua");
    assert_ne!(text(&one, &["base"]), text(&one, &["new"]));
    // A rollback goes the way back.
    assert_eq!(text(&one, &["base"]), text(&undo, &["new"]));
    assert_eq!(text(&one, &["new"]), text(&undo, &["base"]));
    let report = first.get("report").expect("report");
    assert_eq!(report.get("id").and_then(Json::as_u64), Some(1));
    let functions = report
        .get("functions")
        .and_then(Json::as_array)
        .expect("list");
    assert_eq!(text(&functions[0], &["id"]), "f");
    assert_eq!(functions[0].get("new").and_then(Json::as_u64), Some(2));
    assert!(report.get("times").and_then(|t| t.get("pause")).is_some());
    assert_eq!(text(&records[1], &["error", "kind"]), "compile");
    let refusals = records[2].get("error").and_then(|e| e.get("refusals"));
    let refusals = refusals.and_then(Json::as_array).expect("refusals");
    assert_eq!(text(&refusals[0], &["code"]), "P013");
    assert_eq!(text(&records[3], &["error", "kind"]), "vetoed");
    assert!(text(&records[6], &["reason"]).contains("raised 1 error within 600 s"));
    let found = check(&log).expect("unbroken");
    assert_eq!((found.records, found.torn.len()), (7, 0));
    Ok(())
}

/// Whatever is done to a line in front of the last is found at that line or the
/// next; what is done to the last one changes the head.
#[test]
fn changes_are_found() -> Result<()> {
    let log = history()?;
    let good = check(&log).expect("unbroken");
    let last = log[..log.len() - 1]
        .iter()
        .rposition(|&b| b == b'\n')
        .expect("lines")
        + 1;
    for at in 0..log.len() {
        let mut bad = log.clone();
        bad[at] ^= 1;
        let line = 1 + log[..at].iter().filter(|&&b| b == b'\n').count() as u64;
        match check(&bad) {
            Err(fault) => assert!(
                fault.line == line || fault.line == line + 1,
                "byte {at} of line {line}: {fault}"
            ),
            Ok(found) => {
                assert!(at >= last, "byte {at} of line {line}");
                assert_ne!(found.head, good.head);
            }
        }
    }
    let whole: Vec<&[u8]> = log.split_inclusive(|&b| b == b'\n').collect();
    for gone in 0..whole.len() {
        let rest: Vec<u8> = (0..whole.len())
            .filter(|i| *i != gone)
            .flat_map(|i| whole[i].to_vec())
            .collect();
        match check(&rest) {
            Err(fault) => assert_eq!(fault.line, gone as u64 + 1),
            Ok(found) => {
                assert_eq!(gone, whole.len() - 1, "line {gone} is missing");
                assert_ne!(found.head, good.head);
            }
        }
        // A piece of something in between, and twice the same.
        let with = |middle: &[u8]| {
            [
                &whole[..=gone].concat()[..],
                middle,
                &whole[gone + 1..].concat(),
            ]
            .concat()
        };
        if gone + 1 < whole.len() {
            let fault = check(&with(b"{\"seq\":1\n")).expect_err("inserted");
            assert_eq!(fault.line, gone as u64 + 2);
        }
        assert_eq!(
            check(&with(whole[gone])).expect_err("twice").line,
            gone as u64 + 2
        );
    }
    assert_eq!(check(b"").expect("empty").records, 0);
    assert!(check(b"hello\nworld\n").is_err());
    Ok(())
}

fn file(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("moonswap-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn a_file_is_continued_and_a_torn_line_vouched_for() -> Result<()> {
    let path = file("audit");
    for run in 0..3 {
        let lua = audited(AuditLog::open(&path)?)?;
        assert!(AuditLog::open(&path).is_err(), "one writer at a time");
        lua.hot().apply_source("@f.lua", source(10 + run))?;
    }
    let three = std::fs::read(&path)?;
    assert_eq!(check(&three).expect("unbroken").records, 3);

    // Cut off anywhere in the last line, then continued twice.
    let start = three[..three.len() - 1]
        .iter()
        .rposition(|&b| b == b'\n')
        .expect("lines")
        + 1;
    for cut in [
        start + 1,
        start + 40,
        three.len() - 2,
        three.len() - 1,
        start,
    ] {
        std::fs::write(&path, &three[..cut])?;
        let whole = cut == three.len() - 1 || cut == start;
        if !whole {
            let found = check(&three[..cut]).expect("a crash is no fault");
            assert_eq!((found.records, &found.torn[..]), (2, &[3][..]));
        }
        let log = AuditLog::open(&path)?;
        assert_eq!(log.was_torn(), !whole, "cut at {cut} of {}", three.len());
        let lua = audited(log)?;
        lua.hot().apply_source("@f.lua", source(20))?;
        lua.hot().apply_source("@f.lua", source(21))?;
        drop(lua);
        let found = check(&std::fs::read(&path)?).expect("unbroken");
        assert_eq!(found.torn.len(), usize::from(!whole));
        let before = if cut == three.len() - 1 { 3 } else { 2 };
        assert_eq!(found.records, before + 2);
    }
    // The very first line is cut off; then opened again without a record.
    std::fs::write(&path, &three[..20])?;
    for _ in 0..2 {
        assert!(AuditLog::open(&path)?.was_torn());
    }
    let lua = audited(AuditLog::open(&path)?)?;
    lua.hot().apply_source("@f.lua", source(30))?;
    drop(lua);
    let found = check(&std::fs::read(&path)?).expect("unbroken");
    assert_eq!((found.records, &found.torn[..]), (1, &[1][..]));
    // A crash while a record vouched for what an earlier crash had left.
    std::fs::write(&path, [&three[..], b"{\"seq\":4,\"pr", b"\n{\"se"].concat())?;
    let lua = audited(AuditLog::open(&path)?)?;
    lua.hot().apply_source("@f.lua", source(30))?;
    drop(lua);
    let found = check(&std::fs::read(&path)?).expect("unbroken");
    assert_eq!((found.records, &found.torn[..]), (4, &[4][..]));
    // What is no audit record is not written to.
    for foreign in ["shopping list\nmilk\n", "shopping list\nmilk", "{}\n"] {
        std::fs::write(&path, foreign)?;
        assert!(AuditLog::open(&path).is_err());
        assert_eq!(std::fs::read(&path)?, foreign.as_bytes());
    }
    std::fs::remove_file(&path)?;
    Ok(())
}

#[test]
fn what_cannot_be_written_is_told() -> Result<()> {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("disk full"))
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let told: Rc<RefCell<Vec<String>>> = Rc::default();
    let into = Rc::clone(&told);
    let log = AuditLog::new(Full).on_failure(move |what| into.borrow_mut().push(what.to_owned()));
    let lua = audited(log)?;
    lua.hot().apply_source("@f.lua", source(2))?;
    lua.hot().apply_source("@f.lua", source(3))?;
    assert_eq!(told.borrow().len(), 2);
    assert!(told.borrow()[0].contains("attempt 1 is not in the audit record: disk full"));
    assert_eq!(
        lua.load("return f()").eval::<i64>()?,
        3,
        "applied all the same"
    );
    Ok(())
}

#[test]
fn a_record_is_complete_whatever_listeners_do() -> Result<()> {
    let log = Shared::default();
    let lua = audited(AuditLog::new(log.clone()))?;
    let n = Rc::new(RefCell::new(0_u64));
    let count = Rc::clone(&n);
    lua.hot().on_event(move |lua, _| {
        *count.borrow_mut() += 1;
        let _ = lua.hot().rollback(99);
    });
    lua.hot().apply_source("@f.lua", source(2))?;
    let found = check(&log.0.borrow()).expect("unbroken");
    assert_eq!(found.records, *n.borrow() + 1, "one per attempt");
    Ok(())
}

#[test]
fn heads_are_digests_as_everywhere() -> Result<()> {
    let log = history()?;
    let head = check(&log).expect("unbroken").head;
    let last = log
        .split(|&b| b == b'\n')
        .rfind(|l| !l.is_empty())
        .expect("lines");
    assert_eq!(head, TextDigest::of(last));
    Ok(())
}

#[test]
fn status_says_who_runs_what() -> Result<()> {
    let lua = Lua::new();
    lua.load(
        "function work() while true do coroutine.yield(step()) end end\nfunction step() return 1 end",
    )
    .set_name("@w.lua")
    .exec()?;
    lua.load("co = coroutine.create(work) coroutine.resume(co)")
        .exec()?;
    let plain = lua.hot().status().to_string();
    assert!(
        plain.starts_with("generation 1, ") && plain.lines().count() == 1,
        "{plain}"
    );
    let policy = Policy::new().signed_off("ann", "faster");
    lua.hot().patch(("@w.lua", "function work() while true do coroutine.yield(step() + 1) end end\nfunction step() return 1 end")).policy(&policy).apply()?;
    let status = lua.hot().status();
    assert_eq!((status.generation, status.unfinished()), (2, 1));
    let text = status.to_string();
    for part in [
        "generation 2, ",
        "1 unfinished old activation\n",
        "w.lua / work v2, 1 running, 1 of them on an older version",
        "stale: w.lua / work v1 (now v2) at line 1 in thread: 0x",
        "stack traceback:",
        "'work' [v1]",
        "patch 1: w.lua: work v1 → v2",
        ", by ann: faster",
    ] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    let json: Json = serde_json::from_str(&status.to_json()).expect("JSON");
    assert_eq!(json.get("unfinished").and_then(Json::as_u64), Some(1));
    let list = |key: &str| {
        json.get(key)
            .and_then(Json::as_array)
            .expect("list")
            .to_vec()
    };
    assert!(list("versions").len() >= 3);
    assert_eq!(
        list("stale")[0].get("version").and_then(Json::as_u64),
        Some(1)
    );
    assert_eq!(
        list("history")[0].get("author").and_then(Json::as_str),
        Some("ann")
    );
    assert!(list("quarantine").is_empty());
    lua.globals().set("co", Value::Nil)?;
    lua.gc_collect()?;
    assert_eq!(lua.hot().status().unfinished(), 0);
    Ok(())
}

/// What Lua asks for and is refused before there is a patch is an attempt, too.
#[test]
fn what_fails_early_is_recorded() -> Result<()> {
    let log = Shared::default();
    let lua = audited(AuditLog::new(log.clone()))?;
    let folder = std::env::temp_dir().join(format!("moonswap-early-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let path = |name: &str| folder.join(name);
    let chunk = FileChunk {
        name: "@f.lua".into(),
        base: None,
        changes: vec![],
        source: source(2).into_bytes(),
    };
    let mut replayed = PatchFile::new(vec![chunk], Policy::new().signed_off("ann", "again"));
    replayed.sequence = Some(3);
    std::fs::write(path("a.moonpatch"), replayed.to_bytes())?;
    std::fs::write(path("torn.moonpatch"), &replayed.to_bytes()[..40])?;
    lua.globals()
        .set("folder", folder.to_string_lossy().as_ref())?;
    lua.load(
        r#"
        local hot = require "moonswap"
        assert(hot.applyfile(folder .. "/a.moonpatch"))
        for _, attempt in ipairs {
          function() return hot.applyfile(folder .. "/a.moonpatch") end,
          function() return hot.applyfile(folder .. "/torn.moonpatch") end,
          function() return hot.applyfile(folder .. "/missing.moonpatch") end,
          function() return hot.swapfile(folder .. "/missing.lua") end,
          function() return hot.swap("no.such.module") end,
          function() return hot.patch(f, "5") end,
          function() return hot.patch(print, "function() end") end,
          function() return hot.transaction { ["no.such.module"] = "return 1" } end,
        } do
          local ok, message = attempt()
          assert(ok == nil and type(message) == "string")
        end
        assert(not hot.applyfile(folder .. "/torn.moonpatch", { dry = true }))
        assert(not hot.applyfile(folder .. "/a.moonpatch", { dry = true }))
        "#,
    )
    .exec()?;
    assert!(lua.hot().patch(path("torn.moonpatch")).apply().is_err());
    std::fs::remove_dir_all(&folder)?;
    let log = log.0.borrow();
    let told: Vec<String> = lines(&log)
        .iter()
        .map(|line| {
            let [source, event] = ["source", "event"].map(|key| text(line, &[key]).to_owned());
            let chunks = line
                .get("chunks")
                .and_then(Json::as_array)
                .map_or(&[][..], Vec::as_slice);
            let names: Vec<&str> = chunks.iter().map(|c| text(c, &["name"])).collect();
            format!("{source} {event} {}", names.join(" "))
        })
        .collect();
    assert_eq!(
        told.iter().map(|line| line.trim_end()).collect::<Vec<_>>(),
        [
            "file after @f.lua",
            "file refused @f.lua",
            "file refused",
            "file refused",
            &format!("lua refused @{}", path("missing.lua").display()),
            "lua refused no.such.module",
            "lua refused @f.lua",
            "lua refused",
            "lua refused no.such.module",
            "file refused",
        ]
    );
    let replay = &lines(&log)[1];
    assert_eq!(text(replay, &["author"]), "ann");
    assert!(text(replay, &["error", "message"]).contains("S006"));
    Ok(())
}
