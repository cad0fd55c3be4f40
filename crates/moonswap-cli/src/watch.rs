//! `run --watch`: what is saved is swapped.
//!
//! Directories are watched, not files: editors replace files. A thread of its
//! own compares contents, compiles, and submits; the VM's thread only commits.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use moonswap::{
    Door, Error, Function, HotError, Lua, Patcher, Policy, Refused, Result, render_diagnostic,
};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::output::{complain, style};

/// Quiet time after which a burst of events is over.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// Longest time a burst is waited for.
const LONGEST_BURST: Duration = Duration::from_millis(50);
/// How long the VM may take to reach a safe point before people are told.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the watching thread hears.
enum Message {
    /// Lua loaded a file, with this content.
    Loaded(PathBuf, Vec<u8>),
    /// Something happened to files; without a list: look at all.
    Changed(Option<Vec<PathBuf>>),
}

/// Tells the watcher of every file that Lua loads. Written in Lua with tail
/// calls so that no native function stands between a caller and `dofile`.
const NOTE_LOADS: &str = "
local note = ...
local searcher = package.searchers[2]
package.searchers[2] = function(name)
  local loader, file = searcher(name)
  if type(loader) == 'function' then note(file) end
  return loader, file
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

/// Starts watching the main script and all that it loads.
pub(crate) fn start(lua: &Lua, main: &Path) -> Result<()> {
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
        patcher,
        files: HashMap::new(),
        directories: HashSet::new(),
    };
    std::thread::Builder::new()
        .name("moonswap-watch".into())
        .spawn(move || state.run(&receiver))
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
    patcher: Patcher,
    /// By path as Lua loaded it: the content seen last.
    files: HashMap<PathBuf, Vec<u8>>,
    directories: HashSet<PathBuf>,
}

impl Watch {
    fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(message) = receiver.recv() {
            let mut changed = Changed::default();
            self.take(message, &mut changed);
            let end = Instant::now() + LONGEST_BURST;
            while changed.any() && Instant::now() < end {
                match receiver.recv_timeout(DEBOUNCE) {
                    Ok(message) => self.take(message, &mut changed),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            if changed.any() {
                self.look(&changed);
            }
        }
    }

    fn take(&mut self, message: Message, changed: &mut Changed) {
        match message {
            Message::Loaded(path, content) => {
                self.watch_directory(&path);
                self.files.insert(path, content);
            }
            Message::Changed(None) => changed.all = true,
            Message::Changed(Some(paths)) => {
                changed.names.extend(
                    paths
                        .iter()
                        .filter_map(|path| path.file_name())
                        .map(ToOwned::to_owned),
                );
            }
        }
    }

    fn watch_directory(&mut self, file: &Path) {
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
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

    /// Swaps every file of the changed names whose content is another.
    fn look(&mut self, changed: &Changed) {
        let mut paths: Vec<PathBuf> = self
            .files
            .keys()
            .filter(|path| changed.has(path))
            .cloned()
            .collect();
        paths.sort();
        for path in paths {
            // A file that is just being replaced may be missing or empty: the
            // event that completes it is still to come.
            let Ok(content) = std::fs::read(&path) else {
                continue;
            };
            let Some(seen) = self.files.get_mut(&path) else {
                continue;
            };
            if *seen == content || (content.is_empty() && !seen.is_empty()) {
                continue;
            }
            seen.clone_from(&content);
            swap(&self.patcher, &path, &content);
        }
    }
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

/// Compiles, submits and tells what became of it.
fn swap(patcher: &Patcher, path: &Path, content: &[u8]) {
    let source = moonswap_compiler::skip_shebang(content);
    let name = format!("@{}", path.display());
    let shown = path.display().to_string();
    let policy = Policy::default().door(Door::Watch);
    let ticket = patcher.submit_source(&name, source, policy);
    match ticket.wait(Some(COMMIT_TIMEOUT)) {
        Err(HotError::Compile(error)) => {
            let span = (error.span.start as usize, error.span.end as usize);
            complain(render_diagnostic(
                style(),
                &shown,
                source,
                span,
                &error.message,
                None,
            ));
            complain(format!(
                "[moonswap] {shown}: not swapped, the old code keeps running"
            ));
        }
        Ok(report) => {
            let mut text = format!("[moonswap] {report}");
            for warning in &report.warnings {
                text.push_str(&format!("\n[moonswap]   warning: {warning}"));
            }
            for statement in &report.not_run {
                text.push_str(&format!(
                    "\n[moonswap]   line {}: not run: {} ({})",
                    statement.line, statement.text, statement.why
                ));
            }
            complain(text);
        }
        Err(HotError::Refused(refused)) => {
            show_refused(&refused, &shown, source);
            complain(format!(
                "[moonswap] {shown}: refused, the old code keeps running"
            ));
        }
        // Not loaded (yet): `loadfile` that was never called, for example.
        Err(HotError::NotLoaded(_) | HotError::Gone) => {}
        Err(error) => complain(format!("[moonswap] {shown}: not swapped: {error}")),
    }
}

fn show_refused(refused: &Refused, shown: &str, source: &[u8]) {
    for refusal in &refused.refusals {
        let span = span_of(source, refusal.line, refusal.column);
        let title = format!(
            "[{}] {}: {}",
            refusal.code, refusal.function, refusal.reason
        );
        complain(render_diagnostic(
            style(),
            shown,
            source,
            span,
            &title,
            Some(&refusal.remedy),
        ));
    }
}

/// The word at a line and column, both from 1.
fn span_of(source: &[u8], line: u32, column: u32) -> (usize, usize) {
    let mut start = 0;
    for _ in 1..line {
        match source[start..].iter().position(|&b| b == b'\n') {
            Some(at) => start += at + 1,
            None => break,
        }
    }
    let line_end = source[start..]
        .iter()
        .position(|&b| b == b'\n')
        .map_or(source.len(), |at| start + at);
    let from = (start + (column.max(1) - 1) as usize).min(line_end);
    let length = source[from..line_end]
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':')))
        .unwrap_or(line_end - from);
    (from, (from + length.max(1)).min(line_end.max(from)))
}

#[cfg(test)]
mod tests {
    use super::span_of;

    #[test]
    fn spans_stay_inside_the_text() {
        let text = b"local a\nfunction M.f() end\n";
        assert_eq!(span_of(text, 2, 10), (17, 20));
        assert_eq!(span_of(text, 1, 1), (0, 5));
        for (line, column) in [(99, 99), (0, 0), (3, 1)] {
            let (from, to) = span_of(text, line, column);
            assert!(from <= to && to <= text.len());
        }
        assert_eq!(span_of(b"", 1, 1), (0, 0));
    }
}
