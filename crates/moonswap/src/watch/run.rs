//! The watcher's thread.
//!
//! Directories are watched, not files: editors replace files. What no event tells
//! of is found by the clock (`stamps`). It compares contents, compiles, and submits;
//! the VM's thread only commits.
//! What waits for a better save is kept in `queue`; events say what became of it.
//! What the VM undoes (`guard`) is told as well: the files are newer then than what
//! runs, until they are saved with other code, or released.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use moonswap_vm::contained;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::event::{Listener, WatchEvent, WatchKind, WatchedFile};
use super::queue::Queue;
use super::release::release_request;
use super::stamps::{self, Stamp, Stamps};
use crate::loader::Loader;
use crate::{EventKind, HotError, HotEvent, Patch, Patcher, Policy, Report, Which};

/// Quiet time after which a burst of events is over.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// Longest time a burst is waited for.
const LONGEST_BURST: Duration = Duration::from_millis(50);
/// How long the VM may take to reach a safe point before people are told.
const SLOW_COMMIT: Duration = Duration::from_secs(2);
/// How long the watcher first waits before it looks whether a patch is committed.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The name of a chunk, and where its text is read again.
pub(super) type Origin = (String, Arc<dyn Loader>);

/// What the watching thread hears.
pub(super) enum Message {
    /// Lua loads a file: its path, its chunk, its content.
    Loaded(PathBuf, Origin, Vec<u8>),
    /// Something happened to files; without a list: look at all.
    Changed(Option<Vec<PathBuf>>),
    /// The VM tells what became of a patch.
    Heard(Box<HotEvent>),
    /// Nobody wants it any more.
    Stop,
}

/// What is told of an event of the system's.
pub(super) fn changed(event: notify::Result<notify::Event>) -> Option<Message> {
    Some(match event {
        Ok(event) if event.kind.is_access() => return None,
        Ok(event) if event.need_rescan() => Message::Changed(None),
        Ok(event) => Message::Changed(Some(event.paths)),
        Err(_) => Message::Changed(None),
    })
}

pub(super) struct Watch {
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
    /// Chunks by the paths of their files.
    chunks: HashMap<PathBuf, Origin>,
    /// Events borrow from the rest.
    listener: RefCell<Listener>,
    stopped: bool,
    queue: Queue,
    directories: HashSet<PathBuf>,
    stamps: Stamps,
    /// Not there when the clock looked last: maybe just being replaced.
    absent: Vec<PathBuf>,
    /// Withdrawn for the sake of something newer, and not part of it.
    again: Vec<PathBuf>,
}

impl Watch {
    pub(super) fn new(
        watcher: RecommendedWatcher,
        receiver: Receiver<Message>,
        patcher: Patcher,
        policy: Policy,
        listener: Listener,
    ) -> Self {
        Self {
            watcher,
            receiver,
            heard: Changed::default(),
            events: Vec::new(),
            undone: HashMap::new(),
            patcher,
            policy,
            chunks: HashMap::new(),
            listener: RefCell::new(listener),
            stopped: false,
            queue: Queue::default(),
            directories: HashSet::new(),
            stamps: Stamps::default(),
            absent: Vec::new(),
            again: Vec::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut next_scan = Instant::now() + stamps::PERIOD;
        while !self.stopped && !self.patcher.is_gone() {
            // Events of other files do not put it off.
            if Instant::now() >= next_scan {
                self.look_without_events();
                next_scan = Instant::now() + stamps::PERIOD;
            }
            // Events may have come while a swap was waited for.
            if !self.heard.any() && self.again.is_empty() && self.events.is_empty() {
                let pause = next_scan.saturating_duration_since(Instant::now());
                match self.receiver.recv_timeout(pause) {
                    Ok(message) => self.take(message),
                    Err(RecvTimeoutError::Timeout) => continue,
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
            if self.stopped {
                return;
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
            Message::Stop => self.stopped = true,
            Message::Loaded(path, origin, content) => {
                self.chunks.insert(path.clone(), origin);
                self.watch_directory(&path);
                // It may have been saved, or its release asked for, before anybody
                // watched: looked at again.
                for path in [&path, &release_request(&path)] {
                    let name = path.file_name().map(ToOwned::to_owned);
                    self.heard.names.extend(name);
                }
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
        for path in std::mem::take(&mut self.absent) {
            if !path.exists() {
                self.tell(WatchKind::Missing, &[path]);
            }
        }
        for path in self.stamps.changed() {
            if !path.exists() {
                self.absent.push(path.clone());
            } else {
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
        let emptied = self.queue.emptied();
        let names = emptied.filter_map(|path| path.file_name().map(ToOwned::to_owned));
        self.heard.names.extend(names);
        let requests = self.undone.keys().map(|path| release_request(path));
        let waiting = requests.filter(|request| request.exists());
        let names = waiting.filter_map(|request| request.file_name().map(ToOwned::to_owned));
        self.heard.names.extend(names);
    }

    /// Tells what the VM has told.
    fn tell_events(&mut self) {
        for event in std::mem::take(&mut self.events) {
            if event.kind == EventKind::After {
                self.patched_by_others(&event);
                continue;
            }
            let (Some(report), Some(undone)) = (event.report(), event.undoes) else {
                self.tell(WatchKind::Heard(&event), &[]);
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
            self.tell(WatchKind::Undone(&event, report), &files);
        }
    }

    /// A patch that was not a save: what runs is compared with the next save.
    fn patched_by_others(&mut self, event: &HotEvent) {
        let is_patched = |chunk: &str| event.chunks.iter().any(|c| *c.name == *chunk);
        let patched = self
            .chunks
            .iter()
            .filter(|(_, (chunk, _))| is_patched(chunk));
        let paths: Vec<PathBuf> = patched.map(|(path, _)| path.clone()).collect();
        if let Some(report) = event.report().filter(|_| !paths.is_empty()) {
            self.queue.patched(report.id, &paths);
        }
    }

    /// Lets texts out of quarantine that somebody asks for, and tries them again.
    fn release(&mut self, heard: &Changed) {
        let asked = |path: &&PathBuf| heard.has(&release_request(path));
        let paths: Vec<PathBuf> = self.queue.paths().filter(asked).cloned().collect();
        for path in paths {
            // Removed: that is the answer.
            if std::fs::remove_file(release_request(&path)).is_err() {
                continue;
            }
            let group = self.queue.group_of(&path);
            let patches = group
                .iter()
                .map(|path| Patch::compile(self.chunk(path), self.source(path)))
                .collect::<Result<Vec<_>, _>>();
            let hash = patches.ok().and_then(|patches| {
                let patch = Patch::transaction(patches).ok()?;
                Some(patch.hash())
            });
            let released = hash.is_some_and(|hash| {
                let outcome = self.patcher.release(Which::Hash(hash), SLOW_COMMIT);
                outcome == Some(true)
            });
            // Undone by hand: nothing keeps it from being tried again.
            if released || group.iter().any(|path| self.undone.contains_key(path)) {
                self.tell(WatchKind::Released, &group);
                self.swap(group);
            } else {
                self.tell(WatchKind::NotReleased, &[path]);
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
            Err(error) => {
                self.tell(WatchKind::NotWatched(&directory, error.to_string()), &[]);
            }
        }
    }

    /// Swaps the files of the changed names whose content is another: one
    /// transaction.
    fn look(&mut self, changed: &Changed) {
        let paths = self.queue.paths().filter(|path| changed.has(path));
        // A file that is just being replaced may be missing.
        let contents: Vec<(PathBuf, Vec<u8>)> = paths
            .filter_map(|path| Some((path.clone(), self.read(path)?)))
            .collect();
        let mut again = Vec::new();
        for (path, known) in &mut self.undone {
            let now = stamps::stamp(path);
            if changed.has(path) && *known != now {
                *known = now;
                again.push(path.clone());
            }
        }
        let Some(group) = self.queue.saved(contents, &again, Instant::now()) else {
            return;
        };
        // Taken back, or part of this group now.
        let queue = &self.queue;
        self.again
            .retain(|path| queue.waits(path) && !group.contains(path));
        if group.is_empty() {
            self.tell(WatchKind::TakenBack, &[]);
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
                    let Some(at) = group.iter().position(|path| self.chunk(path) == chunk) else {
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
            match Patch::compile(self.chunk(path), self.source(path)) {
                Ok(patch) => patches.push(patch),
                Err(error) => errors.push(error),
            }
        }
        if let Some(error) = errors.first() {
            let chunks: Vec<String> = group
                .iter()
                .map(|path| self.chunk(path).to_owned())
                .collect();
            self.patcher
                .note_failure(&chunks, &self.policy, error.clone().into());
            self.tell(WatchKind::Syntax(&errors), group);
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
                self.tell(WatchKind::Swapped(&report), group);
                Submitted::Done(report.id)
            }
            Err(HotError::Refused(refused)) => {
                self.tell(WatchKind::Refused(&refused), group);
                Submitted::Kept
            }
            Err(HotError::NotLoaded { name, .. }) => Submitted::NotLoaded(name),
            Err(HotError::Gone) => Submitted::Kept,
            Err(HotError::Busy) => Submitted::Again,
            Err(error) => {
                self.tell(WatchKind::Failed(&error), group);
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
            if self.stopped {
                // Nobody is told of what becomes of it.
                ticket.withdraw();
                return Some(Err(HotError::Gone));
            }
            if self.heard.any() && self.is_changed() && ticket.withdraw() {
                return None;
            }
            if !told && submitted.elapsed() > SLOW_COMMIT {
                told = true;
                self.tell(WatchKind::Waiting(ticket.waits_for()), group);
            }
        }
    }

    /// Whether what was heard of is not what was seen last.
    fn is_changed(&mut self) -> bool {
        let changed = self.queue.paths().any(|path| {
            let differs = |content: Vec<u8>| content != self.queue.content(path);
            self.heard.has(path) && self.read(path).is_some_and(differs)
        });
        if !changed {
            self.heard = Changed::default();
        }
        changed
    }

    fn source(&self, path: &Path) -> &[u8] {
        moonswap_compiler::skip_shebang(self.queue.content(path))
    }

    fn chunk(&self, path: &Path) -> &str {
        self.chunks.get(path).map_or("", |(chunk, _)| chunk)
    }

    /// The text of a file as it is now. It may be missing while it is being replaced.
    fn read(&self, path: &Path) -> Option<Vec<u8>> {
        let (chunk, loader) = self.chunks.get(path)?;
        let mut text = None;
        let _ = contained(|| text = loader.read(chunk).ok());
        text
    }

    fn tell(&self, kind: WatchKind<'_>, group: &[PathBuf]) {
        let files = group.iter().map(|path| WatchedFile {
            path,
            chunk: self.chunk(path),
            source: self.source(path),
        });
        let files = files.collect();
        let differing = self.queue.differing();
        let differing = differing.iter().filter(|path| !group.contains(path));
        let differing = differing.map(|path| path.display().to_string()).collect();
        let event = WatchEvent {
            kind,
            files,
            differing,
        };
        let mut listener = self.listener.borrow_mut();
        // A panic of the host's is told by the panic hook and ends there.
        let _ = contained(|| listener(&event));
    }
}

fn directory_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
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
