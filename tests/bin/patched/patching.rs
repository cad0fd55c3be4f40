//! The thread that patches: all chunks, one after the other, again and again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use moonswap::{ChunkPatch, HotError, Patch, Patcher, Policy, Report, TextDigest};

use crate::counts::Counts;
use crate::equivalent::Shapes;
use crate::gate::Gate;

/// How long a patch may take to meet a safe point.
const PATIENCE: Duration = Duration::from_secs(2);
/// Chunks other than files whose patches are kept.
const KEPT: usize = 400;
/// So many chunks of other kinds take turns in a round of the files.
const BETWEEN: usize = 8;

/// The text without a first line for the shell; lines keep their numbers.
fn without_shebang(mut text: Vec<u8>) -> Vec<u8> {
    if text.first() == Some(&b'#') {
        let end = text.iter().position(|&b| b == b'\n');
        text.drain(..end.unwrap_or(text.len()));
    }
    text
}

/// The text that a chunk was loaded from, if its name tells.
fn source_of(chunk: &str) -> Option<Vec<u8>> {
    match chunk.strip_prefix('@') {
        Some(path) => std::fs::read(path).ok().map(without_shebang),
        // Named otherwise.
        None if chunk.starts_with('=') || chunk.is_empty() => None,
        None => Some(chunk.as_bytes().to_vec()),
    }
}

/// What the program in slow motion wants to know.
#[derive(Default)]
pub(crate) struct Progress {
    /// Patches that were tried.
    pub(crate) attempts: AtomicU64,
    /// Files that were loaded.
    pub(crate) files: AtomicU64,
    /// All functions of the files loaded until now were swapped.
    pub(crate) is_done: AtomicBool,
}

struct Patching<'a> {
    progress: &'a Progress,
    patcher: &'a Patcher,
    gate: &'a Gate,
    file: Option<&'a Path>,
    /// Chunks of which one function at a time is changed.
    single: Vec<String>,
    counts: Counts,
    written: Instant,
    files: HashMap<String, Option<Shapes>>,
    others: HashMap<String, Option<Shapes>>,
}

impl Patching<'_> {
    fn write(&mut self) {
        if let Some(file) = self.file {
            // Whole or not at all: the process may end any time.
            let whole = file.with_extension("new");
            if std::fs::write(&whole, self.counts.text()).is_ok() {
                let _ = std::fs::rename(whole, file);
            }
        }
        self.written = Instant::now();
    }

    fn patch(&mut self, chunk: &str) {
        let known = if chunk.starts_with('@') {
            &mut self.files
        } else {
            if self.others.len() > KEPT {
                self.others.clear();
            }
            &mut self.others
        };
        let shapes = known.entry(chunk.to_owned()).or_insert_with(|| {
            let is_single = self.single.iter().any(|name| chunk == name);
            source_of(chunk).map(|source| Shapes::new(source, is_single))
        });
        let Some(shapes) = shapes else { return };
        // A chunk that came in binary form may have a name that is no text.
        let text = shapes.next();
        let Ok(patch) = ChunkPatch::compile(chunk, &text) else {
            known.insert(chunk.to_owned(), None);
            return;
        };
        let start = Instant::now();
        let submit = |patch: ChunkPatch| -> Option<Result<Report, HotError>> {
            self.gate.pass(|| {
                let ticket = self.patcher.submit(Patch::from(patch), Policy::default());
                ticket.wait(Some(PATIENCE))
            })
        };
        let mut n_changed = shapes.n_changing();
        let based = patch.clone().with_base(TextDigest::of(shapes.present()));
        let mut outcome = submit(based);
        if let Some(Err(error)) = &outcome
            && error.to_string().contains("P013")
        {
            // The program has loaded it again, and the one that was patched may be
            // gone: how many functions differ is not known.
            self.counts.again(chunk);
            n_changed = 0;
            outcome = submit(patch);
        }
        match outcome {
            Some(Ok(report)) => {
                shapes.keep(text);
                self.counts.applied(chunk, shapes, n_changed, &report);
            }
            Some(Err(error)) => {
                shapes.skip();
                self.counts.refused(&error);
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
        self.progress.attempts.fetch_add(1, Relaxed);
        // The program is to get somewhere as well.
        std::thread::sleep(2 * start.elapsed());
        // The first of all at once: a program may be short.
        if self.counts.is_young() || self.written.elapsed() > Duration::from_millis(20) {
            self.write();
        }
    }
}

/// Patches everything, until the VM is gone.
pub(crate) fn patch_all(patcher: &Patcher, gate: &Gate, progress: &Progress, file: Option<&Path>) {
    let single = std::env::var("MOONSWAP_PATCHED_SINGLE").unwrap_or_default();
    let mut patching = Patching {
        progress,
        patcher,
        gate,
        file,
        single: single.split_whitespace().map(|f| format!("@{f}")).collect(),
        counts: Counts::default(),
        written: Instant::now(),
        files: HashMap::new(),
        others: HashMap::new(),
    };
    let mut turn = 0;
    while !patcher.is_gone() {
        let chunks = patcher.chunks(PATIENCE).unwrap_or_default();
        if chunks.is_empty() {
            // Nothing is loaded yet.
            std::thread::sleep(Duration::from_millis(1));
        }
        let (files, others): (Vec<String>, Vec<String>) =
            chunks.into_iter().partition(|chunk| chunk.starts_with('@'));
        // Those that have ended do not count.
        let mut shapes = files
            .iter()
            .filter_map(|file| patching.files.get(file)?.as_ref());
        let is_done = !files.is_empty()
            && files.iter().all(|file| patching.files.contains_key(file))
            && shapes.all(Shapes::is_done);
        progress.files.store(patching.files.len() as u64, Relaxed);
        progress.is_done.store(is_done, Relaxed);
        for chunk in &files {
            patching.patch(chunk);
        }
        // There may be thousands; new files are not to wait for them.
        let at = turn % others.len().max(1);
        for chunk in others[at..].iter().take(BETWEEN) {
            patching.patch(chunk);
        }
        turn = at + BETWEEN;
    }
    patching.write();
}
