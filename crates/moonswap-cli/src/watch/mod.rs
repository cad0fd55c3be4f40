//! `run --watch`: what is saved is swapped; what is saved together is one
//! transaction.
//!
//! Directories are watched, not files: editors replace files. What no event tells
//! of is found by the clock (`stamps`). A thread of its own compares contents,
//! compiles, and submits; the VM's thread only commits.
//! What waits for a better save is kept in `queue`; `tell` says what became of it.
//! What the VM undoes (`guard`) is told as well: the files are newer then than what
//! runs, until they are saved with other code, or released (`release`).

mod queue;
pub(crate) mod release;
mod stamps;
mod tell;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use moonswap::{
    Error, EventKind, Function, HotError, HotEvent, Lua, Patch, PatchSource, Patcher, Policy,
    Report, Result, Which,
};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use self::queue::Queue;
use self::stamps::{Stamp, Stamps};
use self::tell::{Event, Tried, tell};
use crate::output::complain;

/// Quiet time after which a burst of events is over.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// Longest time a burst is waited for.
const LONGEST_BURST: Duration = Duration::from_millis(50);
/// How long the VM may take to reach a safe point before people are told.
const SLOW_COMMIT: Duration = Duration::from_secs(2);
/// How long the watcher first waits before it looks whether a patch is committed.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// What the watching thread hears.
enum Message {
    /// Lua loaded a file, with this content.
    Loaded(PathBuf, Vec<u8>),
    /// Something happened to files; without a list: look at all.
    Changed(Option<Vec<PathBuf>>),
    /// The VM tells what became of a patch.
    Heard(Box<HotEvent>),
}

/// Tells the watcher of every file that Lua loads, before it does: what is saved
/// in between differs from what was noted. Written in Lua with tail
/// calls so that no native function stands between a caller and `dofile`.
const NOTE_LOADS: &str = "
local note = ...
if not package then return end
local searcher, searchpath = package.searchers[2], package.searchpath
package.searchers[2] = function(name)
  local path = package.path
  local file = type(path) == 'string' and searchpath(name, path)
  if file then note(file) end
  return searcher(name)
end
local dofile_, loadfile_ = dofile, loadfile
function dofile(file)
  if file then note(file) end
  return dofile_(file)
end
function loadfile(file, ...)
  if file then note(file) end
  return loadfile_(file, ...)
end";

/// Starts watching the main script and all that it loads. What happens is told
/// as text or as JSON.
pub(crate) fn start(lua: &Lua, main: &Path, policy: Policy, json: bool) -> Result<()> {
    let (sender, receiver) = channel();
    let events = sender.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let message = match event {
            Ok(event) if event.kind.is_access() => return,
            Ok(event) if event.need_rescan() => Message::Changed(None),
            Ok(event) => Message::Changed(Some(event.paths)),
            Err(_) => Message::Changed(None),
        };
        // The receiver is gone only when the process ends.
        let _ = events.send(message);
    })
    .map_err(|error| Error::runtime(format_args!("cannot watch files: {error}")))?;
    let patcher = lua.hot().patcher();
    note_file(&sender, main);
    let heard = sender.clone();
    lua.hot().on_event(move |_, event| {
        let is_told = match event.kind {
            EventKind::Rollback | EventKind::Passed => true,
            EventKind::Refused => event.source == PatchSource::Guard,
            EventKind::Before | EventKind::After | EventKind::Released => false,
        };
        if is_told {
            let _ = heard.send(Message::Heard(Box::new(event.clone())));
        }
    });
    let note: Function = lua.create_function(move |_, file: String| {
        note_file(&sender, Path::new(&file));
        Ok(())
    })?;
    lua.load(NOTE_LOADS)
        .set_name("=moonswap.watch")
        .transient()
        .call::<()>(note)?;
    let state = Watch {
        watcher,
        receiver,
        heard: Changed::default(),
        events: Vec::new(),
        undone: HashMap::new(),
        patcher,
        policy,
        json,
        queue: Queue::default(),
        directories: HashSet::new(),
        stamps: Stamps::default(),
        again: Vec::new(),
    };
    std::thread::Builder::new()
        .name("moonswap-watch".into())
        .spawn(move || state.run())
        .map(drop)
        .map_err(|error| Error::runtime(format_args!("cannot start the watcher: {error}")))
}

/// A file that cannot be read is not noted: loading it fails and says so.
fn note_file(sender: &Sender<Message>, path: &Path) {
    if let Ok(content) = std::fs::read(path) {
        let _ = sender.send(Message::Loaded(path.to_owned(), content));
    }
}

struct Watch {
    watcher: RecommendedWatcher,
    receiver: Receiver<Message>,
    /// Not looked at yet.
    heard: Changed,
    /// Of the VM, not told yet.
    events: Vec<HotEvent>,
    /// Files of which an older text runs since the VM undid a patch, as they were when
    /// they were looked at last.
    undone: HashMap<PathBuf, Option<Stamp>>,
    patcher: Patcher,
    policy: Policy,
    json: bool,
    queue: Queue,
    directories: HashSet<PathBuf>,
    stamps: Stamps,
    /// Withdrawn for the sake of something newer, and not part of it.
    again: Vec<PathBuf>,
}

impl Watch {
    fn run(mut self) {
        loop {
            if !self.heard.any() && self.again.is_empty() {
                match self.receiver.recv_timeout(stamps::PERIOD) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => self.look_without_events(),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            let end = Instant::now() + LONGEST_BURST;
            while self.heard.any() && Instant::now() < end {
                match self.receiver.recv_timeout(DEBOUNCE) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            self.tell_events();
            let heard = std::mem::take(&mut self.heard);
            if heard.any() {
                self.release(&heard);
                self.look(&heard);
            }
            let again = std::mem::take(&mut self.again);
            if !again.is_empty() {
                self.swap(again);
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Loaded(path, content) => {
                self.watch_directory(&path);
                // It may have been saved before anybody watched: looked at again.
                self.heard
                    .names
                    .extend(path.file_name().map(ToOwned::to_owned));
                self.stamps.note(&path);
                self.again.retain(|waiting| *waiting != path);
                self.queue.loaded(path, content);
            }
            Message::Heard(event) => self.events.push(*event),
            Message::Changed(None) => self.heard.all = true,
            Message::Changed(Some(paths)) => {
                self.heard.names.extend(
                    paths
                        .iter()
                        .filter_map(|path| path.file_name())
                        .map(ToOwned::to_owned),
                );
            }
        }
    }

    /// Finds what no event told of. The directory may be another one by now, from
    /// which no events come.
    fn look_without_events(&mut self) {
        for path in self.stamps.changed() {
            if path.exists() {
                let directory = directory_of(&path);
                if self.directories.remove(&directory) {
                    // It may be gone with the old directory.
                    let _ = self.watcher.unwatch(&directory);
                }
                self.watch_directory(&path);
            }
            let name = path.file_name().map(ToOwned::to_owned);
            self.heard.names.extend(name);
        }
        let requests = self.undone.keys().map(|path| release::request_of(path));
        let waiting = requests.filter(|request| request.exists());
        let names = waiting.filter_map(|request| request.file_name().map(ToOwned::to_owned));
        self.heard.names.extend(names);
    }

    /// Tells what the VM has told.
    fn tell_events(&mut self) {
        for event in std::mem::take(&mut self.events) {
            let (Some(report), Some(undone)) = (event.report(), event.undoes) else {
                self.tell(&Event::Heard(&event), &[]);
                continue;
            };
            let files = self.queue.rolled_back(report.id, undone);
            for path in &files {
                if self.queue.waits(path) {
                    self.undone.insert(path.clone(), stamps::stamp(path));
                } else {
                    self.undone.remove(path);
                }
            }
            self.tell(&Event::Undone(&event, report), &files);
        }
    }

    /// Lets texts out of quarantine that somebody asks for, and tries them again.
    fn release(&mut self, heard: &Changed) {
        let asked = |path: &&PathBuf| heard.has(&release::request_of(path));
        let paths: Vec<PathBuf> = self.queue.paths().filter(asked).cloned().collect();
        for path in paths {
            // Removed: that is the answer.
            if std::fs::remove_file(release::request_of(&path)).is_err() {
                continue;
            }
            let group = self.queue.group_of(&path);
            let patches = group
                .iter()
                .map(|path| Patch::compile(&chunk_name(path), self.source(path)))
                .collect::<Result<Vec<_>, _>>();
            let hash = patches.ok().and_then(|patches| {
                let patch = Patch::transaction(patches).ok()?;
                Some(patch.hash())
            });
            let released = hash.is_some_and(|hash| {
                let outcome = self.patcher.release(Which::Hash(hash), SLOW_COMMIT);
                outcome == Some(true)
            });
            if released {
                self.tell(&Event::Released, &group);
                self.swap(group);
            } else {
                self.tell(&Event::NotReleased, &[path]);
            }
        }
    }

    fn watch_directory(&mut self, file: &Path) {
        let directory = directory_of(file);
        if self.directories.contains(&directory) {
            return;
        }
        match self.watcher.watch(&directory, RecursiveMode::NonRecursive) {
            Ok(()) => _ = self.directories.insert(directory),
            Err(error) => complain(format!(
                "[moonswap] cannot watch {}: {error}",
                directory.display()
            )),
        }
    }

    /// Swaps the files of the changed names whose content is another: one
    /// transaction.
    fn look(&mut self, changed: &Changed) {
        let paths = self.queue.paths().filter(|path| changed.has(path));
        // A file that is just being replaced may be missing.
        let contents: Vec<(PathBuf, Vec<u8>)> = paths
            .filter_map(|path| Some((path.clone(), std::fs::read(path).ok()?)))
            .collect();
        let mut again = Vec::new();
        for (path, known) in &mut self.undone {
            let now = stamps::stamp(path);
            if changed.has(path) && *known != now {
                *known = now;
                again.push(path.clone());
            }
        }
        let Some(group) = self.queue.saved(contents, &again) else {
            return;
        };
        // Taken back, or part of this group now.
        let queue = &self.queue;
        self.again
            .retain(|path| queue.waits(path) && !group.contains(path));
        if group.is_empty() {
            self.tell(&Event::TakenBack, &[]);
        } else {
            self.swap(group);
        }
    }

    /// Compiles, submits and tells what became of it. What does not run
    /// afterwards stays in the queue.
    fn swap(&mut self, mut group: Vec<PathBuf>) {
        loop {
            match self.submit(&group) {
                Submitted::Done(id) => {
                    self.queue.committed(id, &group);
                    group.iter().for_each(|path| _ = self.undone.remove(path));
                    return;
                }
                Submitted::Kept => return,
                Submitted::Again => {
                    self.again = group;
                    return;
                }
                // `loadfile` that was never called, for example: when it is
                // loaded it has the new text already.
                Submitted::NotLoaded(chunk) => {
                    let Some(at) = group.iter().position(|path| chunk_name(path) == chunk) else {
                        return;
                    };
                    let path = group.remove(at);
                    self.queue.runs(&[path]);
                    if group.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn submit(&mut self, group: &[PathBuf]) -> Submitted {
        let mut patches = Vec::new();
        let mut errors = Vec::new();
        for path in group {
            match Patch::compile(&chunk_name(path), self.source(path)) {
                Ok(patch) => patches.push(patch),
                Err(error) => errors.push(error),
            }
        }
        if let Some(error) = errors.first() {
            let chunks: Vec<String> = group.iter().map(|path| chunk_name(path)).collect();
            self.patcher
                .note_failure(&chunks, &self.policy, error.clone().into());
            self.tell(&Event::Syntax(&errors), group);
            return Submitted::Kept;
        }
        let outcome = match Patch::transaction(patches) {
            Ok(patch) => self.wait_for(patch, group),
            Err(refused) => Some(Err(refused.into())),
        };
        let Some(outcome) = outcome else {
            return Submitted::Again;
        };
        match outcome {
            Ok(report) => {
                self.tell(&Event::Swapped(&report), group);
                Submitted::Done(report.id)
            }
            Err(HotError::Refused(refused)) => {
                self.tell(&Event::Refused(&refused), group);
                Submitted::Kept
            }
            Err(HotError::NotLoaded { name, .. }) => Submitted::NotLoaded(name),
            Err(HotError::Gone) => Submitted::Kept,
            Err(HotError::Busy) => Submitted::Again,
            Err(error) => {
                self.tell(&Event::Failed(&error), group);
                Submitted::Kept
            }
        }
    }

    /// Waits for the commit. What is saved meanwhile withdraws the patch, to be
    /// made again with that: `None`.
    fn wait_for(&mut self, patch: Patch, group: &[PathBuf]) -> Option<Result<Report, HotError>> {
        let ticket = self.patcher.submit(patch, self.policy.clone());
        let submitted = Instant::now();
        let mut told = false;
        loop {
            if let Some(outcome) = ticket.try_take() {
                return Some(outcome);
            }
            // Of other patches.
            self.tell_events();
            // Soon at first; who waits for long is in no hurry.
            let pause = (submitted.elapsed() / 8).clamp(LOOK_AGAIN, LOOK_AGAIN * 50);
            match self.receiver.recv_timeout(pause) {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Some(Err(HotError::Gone)),
            }
            if self.heard.any() && self.is_changed() && ticket.withdraw() {
                return None;
            }
            if !told && submitted.elapsed() > SLOW_COMMIT {
                told = true;
                self.tell(&Event::Waiting(ticket.waits_for()), group);
            }
        }
    }

    /// Whether what was heard of is not what was seen last.
    fn is_changed(&mut self) -> bool {
        let changed = self.queue.paths().any(|path| {
            let differs = |content: Vec<u8>| content != self.queue.content(path);
            self.heard.has(path) && std::fs::read(path).is_ok_and(differs)
        });
        if !changed {
            self.heard = Changed::default();
        }
        changed
    }

    fn source(&self, path: &Path) -> &[u8] {
        moonswap_compiler::skip_shebang(self.queue.content(path))
    }

    fn tell(&self, event: &Event<'_>, group: &[PathBuf]) {
        let tried: Vec<Tried<'_>> = group
            .iter()
            .map(|path| Tried {
                shown: path.display().to_string(),
                source: self.source(path),
            })
            .collect();
        let rest = self.queue.differing();
        let rest = rest.iter().filter(|path| !group.contains(path));
        let rest: Vec<String> = rest.map(|path| path.display().to_string()).collect();
        tell(event, &tried, &rest, self.json);
    }
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn chunk_name(path: &Path) -> String {
    format!("@{}", path.display())
}

/// What became of a group.
enum Submitted {
    /// It runs, by the patch of this number.
    Done(u64),
    /// It stays in the queue until a file of it is saved again.
    Kept,
    /// It stays in the queue and is submitted again soon.
    Again,
    /// No chunk of this name is loaded.
    NotLoaded(String),
}

/// Names of files of which something was heard.
#[derive(Default)]
struct Changed {
    names: HashSet<OsString>,
    all: bool,
}

impl Changed {
    fn any(&self) -> bool {
        self.all || !self.names.is_empty()
    }

    fn has(&self, path: &Path) -> bool {
        self.all
            || path
                .file_name()
                .is_some_and(|name| self.names.contains(name))
    }
}
