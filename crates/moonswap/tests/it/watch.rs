//! The watcher as a library: files that Lua loads, along `package.path` and from a
//! loader of the host's, are swapped when they are saved; it ends with its handle.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use moonswap::loader::{Directory, Loader};
use moonswap::watch::{WatchKind, Watcher, release_request};
use moonswap::{Function, Lua, Policy, Result};

/// How long to wait for something that must come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must come before it is believed that nothing comes.
const QUIET: Duration = Duration::from_millis(300);

/// Kind of the event, its files, the texts that were tried.
type Heard = (String, Vec<PathBuf>, Vec<Vec<u8>>);

fn watch(lua: &Lua, policy: Policy) -> Result<(Watcher, Receiver<Heard>)> {
    let (sender, receiver) = channel();
    let watcher = Watcher::builder(lua)
        .policy(policy)
        .on_event(move |event| {
            let kind = match &event.kind {
                WatchKind::Swapped(report) => format!("swapped {}", report.functions.len()),
                WatchKind::Syntax(errors) => format!("syntax {}", errors.len()),
                WatchKind::Refused(refused) => format!("refused {}", refused.refusals[0].code),
                other => format!("{other:?}"),
            };
            let files = event.files.iter().map(|file| file.path.to_owned());
            let texts = event.files.iter().map(|file| file.source.to_vec());
            let _ = sender.send((kind, files.collect(), texts.collect()));
        })
        .start()?;
    Ok((watcher, receiver))
}

/// The next event, while the VM is polled as a host does.
fn next(lua: &Lua, events: &Receiver<Heard>, patience: Duration) -> Option<Heard> {
    let end = Instant::now() + patience;
    while Instant::now() < end {
        lua.poll();
        if let Ok(heard) = events.recv_timeout(Duration::from_millis(2)) {
            return Some(heard);
        }
    }
    None
}

fn text(n: i64) -> String {
    format!("local M = {{}}\nfunction M.f() return {n} end\nreturn M\n")
}

/// A loader whose chunks are not called as their files.
struct Named(PathBuf);

impl Loader for Named {
    fn find(&self, module: &str) -> Option<String> {
        Some(format!("=module {module}"))
    }

    fn read(&self, chunk: &str) -> std::io::Result<Vec<u8>> {
        let file = self.file(chunk).ok_or(std::io::ErrorKind::NotFound)?;
        std::fs::read(file)
    }

    fn file(&self, chunk: &str) -> Option<PathBuf> {
        let module = chunk.strip_prefix("=module ")?;
        Some(self.0.join(module).with_extension("lua"))
    }
}

/// A loader of texts that come from no file, though their chunks are called like one.
struct NoFile(PathBuf);

impl Loader for NoFile {
    fn find(&self, _: &str) -> Option<String> {
        Some(format!("@{}", self.0.display()))
    }

    fn read(&self, _: &str) -> std::io::Result<Vec<u8>> {
        Ok(text(1).into_bytes())
    }
}

#[test]
fn a_chunk_without_a_file_is_not_watched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("m.lua");
    let other = folder.path().join("other.lua");
    std::fs::write(&other, text(1))?;
    let lua = Lua::new();
    let (_watcher, events) = watch(&lua, Policy::default())?;
    lua.set_loader(NoFile(file.clone()))?;
    lua.globals().set("path", other.to_str())?;
    lua.load("m = require 'm' o = dofile(path)").exec()?;
    // Neither a text of that name nor a request counts for the chunk.
    std::fs::write(&file, text(2))?;
    std::fs::write(release_request(&file), "")?;
    assert!(next(&lua, &events, QUIET).is_none());
    assert!(release_request(&file).exists());
    assert_eq!(lua.load("m.f()").eval::<i64>()?, 1);
    // Files beside it are watched.
    std::fs::write(&other, text(3))?;
    let heard = next(&lua, &events, PATIENCE).expect("a swap");
    assert_eq!(heard.1, [other]);
    assert_eq!(lua.load("o.f()").eval::<i64>()?, 3);
    Ok(())
}

/// A program that has loaded `m.lua` of a folder in some way.
type Load = fn(&Lua, &Path) -> Result<()>;

const WAYS: &[(&str, Load)] = &[
    ("package.path", |lua, folder| {
        lua.globals().set("path", folder.join("?.lua").to_str())?;
        lua.load("package.path = path m = require 'm'").exec()
    }),
    ("dofile", |lua, folder| {
        lua.globals().set("path", folder.join("m.lua").to_str())?;
        lua.load("m = dofile(path)").exec()
    }),
    ("loadfile", |lua, folder| {
        lua.globals().set("path", folder.join("m.lua").to_str())?;
        lua.load("m = loadfile(path)()").exec()
    }),
    ("directory", |lua, folder| {
        lua.set_loader(Directory::new(folder))?;
        lua.load("m = require 'm'").exec()
    }),
    ("own loader", |lua, folder| {
        lua.set_loader(Named(folder.to_owned()))?;
        lua.load("m = require 'm'").exec()
    }),
];

#[test]
fn saves_are_swapped_however_files_are_loaded() -> Result<()> {
    for (name, load) in WAYS {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("m.lua");
        std::fs::write(&file, text(1))?;
        let lua = Lua::new();
        // The loader is known to the watcher: it is set before.
        let is_early = name.contains("loader") || *name == "directory";
        if is_early {
            load(&lua, folder.path())?;
            lua.unload_module("m")?;
        }
        let (_watcher, events) = watch(&lua, Policy::default())?;
        load(&lua, folder.path())?;
        let f: Function = lua.load("m.f").eval()?;
        for (saved, kind, answer) in [
            (text(2), "swapped 1", 2),
            ("return {".into(), "syntax 1", 2),
            (text(3), "swapped 1", 3),
        ] {
            std::fs::write(&file, &saved)?;
            let heard = next(&lua, &events, PATIENCE).unwrap_or_else(|| panic!("{name}: {kind}"));
            assert_eq!(heard.0, kind, "{name}");
            assert_eq!(heard.1, std::slice::from_ref(&file), "{name}");
            assert_eq!(heard.2, [saved.into_bytes()], "{name}");
            assert_eq!(f.call::<i64>(())?, answer, "{name}");
        }
    }
    Ok(())
}

#[test]
fn a_file_of_the_host_is_watched_under_the_policy() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("main.lua");
    std::fs::write(&file, "answer = 1 function f() return answer end")?;
    let lua = Lua::new();
    let (sender, receiver) = channel();
    let _watcher = Watcher::builder(&lua)
        .file(&file)
        .policy(Policy::default().signed_off("somebody", "a test"))
        .on_event(move |event| {
            if let WatchKind::Swapped(report) = &event.kind {
                let _ = sender.send(report.id);
            }
            panic!("the host's own, which does not end the watcher");
        })
        .start()?;
    lua.load(&*file).exec()?;
    for n in 2..4 {
        std::fs::write(
            &file,
            format!("answer = 1 function f() return answer * {n} end"),
        )?;
        let end = Instant::now() + PATIENCE;
        while receiver.try_recv().is_err() {
            assert!(Instant::now() < end, "no save was swapped");
            lua.poll();
            std::thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(lua.load("f()").eval::<i64>()?, n);
        let last = lua.hot().history().pop().expect("there was a patch");
        assert_eq!(last.author.as_deref(), Some("somebody"));
    }
    Ok(())
}

#[test]
fn who_is_gone_watches_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("m.lua");
    std::fs::write(&file, text(1))?;
    let lua = Lua::new();
    let (watcher, events) = watch(&lua, Policy::default())?;
    lua.globals().set("path", file.to_str())?;
    lua.load("m = dofile(path)").exec()?;
    drop(watcher);
    std::fs::write(&file, text(2))?;
    assert!(next(&lua, &events, QUIET).is_none());
    assert_eq!(lua.load("m.f()").eval::<i64>()?, 1);
    // Its thread has ended, with the listener: nobody can send any more.
    let end = Instant::now() + PATIENCE;
    while !matches!(
        events.try_recv(),
        Err(std::sync::mpsc::TryRecvError::Disconnected)
    ) {
        assert!(Instant::now() < end, "the thread goes on");
        std::thread::sleep(Duration::from_millis(2));
    }
    // The same when the VM goes first.
    let (_watcher, events) = watch(&lua, Policy::default())?;
    drop(lua);
    let gone = events.recv_timeout(PATIENCE);
    assert_eq!(gone, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
    Ok(())
}

#[test]
fn a_release_that_means_nothing_is_answered() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("m.lua");
    std::fs::write(&file, text(1))?;
    let lua = Lua::new();
    let (_watcher, events) = watch(&lua, Policy::default())?;
    lua.globals().set("path", file.to_str())?;
    lua.load("m = dofile(path)").exec()?;
    std::fs::write(release_request(&file), "")?;
    let heard = next(&lua, &events, PATIENCE).expect("an answer");
    assert_eq!(heard.0, "NotReleased");
    assert!(!release_request(&file).exists());
    Ok(())
}

/// A path that is misspelt is an error, not a file that is never swapped.
#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let lua = Lua::new();
    let path = std::env::temp_dir().join("moonswap-no-such-file.lua");
    let error = Watcher::builder(&lua)
        .file(&path)
        .start()
        .expect_err("no such file");
    let text = error.to_string();
    assert!(text.contains("cannot watch the file"), "{text}");
    assert!(text.contains("moonswap-no-such-file.lua"), "{text}");
}
