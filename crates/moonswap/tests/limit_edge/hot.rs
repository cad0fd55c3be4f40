//! Entry points of patching: `Hot`, `Patcher`, `Pool`, patch files.

use std::io::Write;
use std::time::Duration;

use moonswap::audit::AuditLog;
use moonswap::{
    Applied, Error, Function, Lua, Origin, Patch, PatchFile, PatchSource as Way, Policy, Pool,
    Result, StalePolicy, Value, Which,
};

use super::{EntryPoint, MODULE, module, said};

/// Undoes what the entry point did, so that it does the same again.
fn back(lua: &Lua) -> Result<String> {
    lua.hot().rollback_last()?;
    said(())
}

fn file(n: usize) -> PatchFile {
    let chunk = moonswap::FileChunk {
        name: MODULE.into(),
        base: None,
        changes: vec![],
        source: module(n).into_bytes(),
    };
    PatchFile::new(vec![chunk], Policy::default())
}

/// Waits for a ticket on the VM's own thread.
fn taken(lua: &Lua, ticket: &moonswap::Ticket) -> Result<moonswap::Report> {
    loop {
        lua.poll();
        match ticket.try_take() {
            Some(outcome) => return Ok(outcome?),
            None => std::thread::sleep(Duration::from_micros(50)),
        }
    }
}

/// Runs `work` on a thread of its own while the VM polls.
fn beside<R: Send>(lua: &Lua, work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = scope.spawn(work);
        while !thread.is_finished() {
            lua.poll();
            std::thread::sleep(Duration::from_micros(50));
        }
        thread.join().expect("it does not panic")
    })
}

/// An audit log whose lines go nowhere.
struct Nowhere;

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A patch that was committed may still be told of here: `undo` takes it back.
fn undo(lua: &Lua, report: Result<moonswap::Report>) -> Result<String> {
    report?;
    back(lua)
}

pub(crate) const ENTRY_POINTS: &[EntryPoint] = &[
    ("Hot::plan", |lua, w| {
        said(lua.hot().plan(&w.patch)?.is_refused())
    }),
    ("PatchRequest::plan of a patch", |lua, w| {
        let plan = lua.hot().patch(&w.patch).policy(Policy::default()).plan()?;
        said(plan.to_string().len() > 100)
    }),
    ("Hot::apply", |lua, w| undo(lua, lua.hot().apply(&w.patch))),
    ("PatchRequest::policy", |lua, w| {
        let policy = Policy {
            stale: StalePolicy::Migrate,
            ..Policy::default()
        };
        undo(lua, lua.hot().patch(&w.patch).policy(&policy).apply())
    }),
    ("PatchRequest::queue", |lua, w| {
        match lua
            .hot()
            .patch(&w.patch)
            .policy(Policy::default())
            .queue()?
        {
            Applied::Now(_) => back(lua),
            Applied::Queued(_) => said("queued"),
        }
    }),
    ("PatchRequest::submit", |lua, w| {
        let ticket = lua
            .hot()
            .patch(w.patch.clone())
            .policy(Policy::default())
            .submit()?;
        undo(lua, taken(lua, &ticket))
    }),
    ("Hot::apply_source", |lua, _| {
        undo(lua, lua.hot().apply_source(MODULE, module(3)))
    }),
    ("Hot::patch", |lua, _| {
        let policy = Policy::default();
        undo(
            lua,
            lua.hot().patch((MODULE, module(4))).policy(&policy).apply(),
        )
    }),
    ("PatchRequest::apply", |lua, w| {
        undo(lua, lua.hot().patch(&w.path).apply())
    }),
    ("PatchRequest::apply of a file", |lua, _| {
        undo(lua, lua.hot().patch(&file(5)).apply())
    }),
    ("PatchRequest::plan", |lua, _| {
        said(lua.hot().patch(&file(6)).plan()?.is_refused())
    }),
    ("Hot::rollback", |lua, w| {
        let report = lua.hot().apply(&w.patch)?;
        match lua.hot().rollback(report.id) {
            Ok(_) => said(()),
            Err(error) => back(lua).and(Err(error)),
        }
    }),
    ("Hot::rollback_by", |lua, w| {
        let report = lua.hot().apply(&w.patch)?;
        let origin = Origin {
            source: Way::Rust,
            author: Some("a".repeat(100_000)),
            ..Origin::default()
        };
        match lua.hot().rollback_by(Some(report.id), &origin) {
            Ok(_) => said(()),
            Err(error) => back(lua).and(Err(error)),
        }
    }),
    ("Hot::migrate", |lua, _| {
        said(lua.hot().migrate(None)?.activations.len())
    }),
    ("Hot::on_event", |lua, w| {
        let id = lua.hot().on_event(|lua, event| {
            // What a listener allocates may fail as anything else.
            let _ = lua.create_string(format!("{event:?}"));
        });
        let outcome = undo(lua, lua.hot().apply(&w.patch));
        lua.hot().off(id);
        outcome
    }),
    ("Hot::set_audit", |lua, w| {
        let id = lua.hot().set_audit(AuditLog::new(Nowhere));
        let outcome = undo(lua, lua.hot().apply(&w.patch));
        lua.hot().off(id);
        outcome
    }),
    ("Hot::status", |lua, _| {
        said(lua.hot().status().to_json().len() > 1000)
    }),
    ("Hot::versions", |lua, _| {
        // Chunks that are not collected yet count as well.
        said(lua.hot().versions().len() > 50)
    }),
    ("Hot::versions_of", |lua, _| {
        said(lua.hot().versions_of(MODULE).len())
    }),
    ("Hot::frames", |lua, _| said(lua.hot().frames().len())),
    ("Hot::chunks", |lua, _| {
        said(lua.hot().chunks().iter().any(|name| name == MODULE))
    }),
    ("Patcher::submit", |lua, w| {
        let ticket = lua
            .hot()
            .patcher()
            .submit(w.patch.clone(), Policy::default());
        undo(lua, taken(lua, &ticket))
    }),
    ("Patcher::submit_source", |lua, _| {
        let patcher = lua.hot().patcher();
        let ticket = patcher.submit_source(MODULE, module(7).as_bytes(), Policy::default());
        undo(lua, taken(lua, &ticket))
    }),
    ("Patcher::rollback", |lua, w| {
        let report = lua.hot().apply(&w.patch)?;
        let ticket = lua.hot().patcher().rollback(report.id, None);
        match taken(lua, &ticket) {
            Ok(_) => said(()),
            Err(error) => back(lua).and(Err(error)),
        }
    }),
    ("Patcher::chunks", |lua, _| {
        let patcher = lua.hot().patcher();
        let chunks = beside(lua, || patcher.chunks(Duration::from_secs(60)));
        said(chunks.is_some_and(|chunks| chunks.iter().any(|name| name == MODULE)))
    }),
    ("Patcher::migrate", |lua, _| {
        let patcher = lua.hot().patcher();
        let report = beside(lua, || patcher.migrate(None, Duration::from_secs(60)))?;
        said(report.activations.len())
    }),
    ("Patcher::note_failure", |lua, _| {
        let patcher = lua.hot().patcher();
        let names = vec!["n".repeat(1000); 100];
        let error = Patch::compile(MODULE, b"x =").expect_err("no Lua");
        patcher.note_failure(&names, &Policy::default(), error.into());
        lua.poll();
        said(())
    }),
    ("Patcher::release", |lua, _| {
        let patcher = lua.hot().patcher();
        let time = Duration::from_secs(60);
        said(beside(lua, || patcher.release(Which::Patch(77), time)))
    }),
    ("Pool::apply", |lua, w| {
        let mut pool = Pool::new();
        pool.add("one", lua.hot().patcher());
        let patch = w.patch.clone();
        let report = beside(lua, || pool.apply(&patch).run());
        if report.is_complete() {
            return back(lua);
        }
        let text = report.to_string();
        assert!(text.contains("not enough memory"), "{text}");
        Err(Error::runtime("not enough memory"))
    }),
    ("require \"moonswap\"", |lua, _| {
        let swap: Function = lua
            .load(
                "local hot = require 'moonswap'
                return function(name, text) local ok, why = hot.swapstring(name, text) return not ok and tostring(why) end",
            )
            .eval()?;
        if let Value::String(why) = swap.call::<Value>((MODULE, module(8)))? {
            return Err(Error::runtime(why.to_string_lossy()));
        }
        back(lua)
    }),
];

/// Writes the patch file that a request reads.
pub(crate) fn write_file(path: &std::path::Path) -> Result<()> {
    Ok(std::fs::write(path, file(9).to_bytes())?)
}
