//! What the tests share: finding the program, running it, temporary folders.
//!
//! No test framework: nothing here but the standard library.

mod run;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

pub use run::{Outcome, run, run_group};

/// The top folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies one below the top")
}

/// The `moonswap` program that cargo built with this test. `MOONSWAP_BIN` names
/// another one.
pub fn moonswap() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("MOONSWAP_BIN") {
            return PathBuf::from(given);
        }
        let test = std::env::current_exe().expect("own path");
        // TARGET/PROFILE/deps/it-HASH
        let profile = test.ancestors().nth(2).expect("profile folder");
        let suffix = std::env::consts::EXE_SUFFIX;
        let built = profile.join(format!("tested-moonswap{suffix}"));
        assert!(built.exists(), "no program at {}", built.display());
        under_its_name(
            &built,
            &profile.join("tested"),
            &format!("moonswap{suffix}"),
        )
    })
}

/// The same program in a folder where it has the name that users know. Several
/// tests may do this at a time.
fn under_its_name(built: &Path, folder: &Path, name: &str) -> PathBuf {
    std::fs::create_dir_all(folder).expect("a folder for the program");
    let program = folder.join(name);
    let next = folder.join(format!("{name}.{}", std::process::id()));
    let _ = std::fs::remove_file(&next);
    if std::fs::hard_link(built, &next).is_err() {
        std::fs::copy(built, &next).expect("a copy of the program");
    }
    std::fs::rename(&next, &program).expect("the program under its name");
    // Two names of one file: then the renaming has done nothing.
    let _ = std::fs::remove_file(&next);
    program
}

/// Held for reading by every run of the program, and for writing by the tests
/// that measure time and want the machine to themselves.
static MACHINE: RwLock<()> = RwLock::new(());

fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no other run is under way, and keeps others out.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// How long a script may take when nothing is said.
pub const SCRIPT_LIMIT: Duration = Duration::from_secs(60);

/// The variable that turns stress on in test builds of the program; it passes
/// from the tests' own environment to all that they run.
pub const STRESS: &str = "MOONSWAP_STRESS";

/// Runs `moonswap ARGS` in a folder.
pub fn run_moonswap<A: AsRef<OsStr>>(folder: &Path, args: &[A], stdin: &[u8]) -> Outcome {
    run_stressed(folder, args, stdin, None, SCRIPT_LIMIT)
}

/// [`run_moonswap`], under stress if wanted.
pub fn run_stressed<A: AsRef<OsStr>>(
    folder: &Path,
    args: &[A],
    stdin: &[u8],
    stress: Option<&str>,
    limit: Duration,
) -> Outcome {
    let mut command = Command::new(moonswap());
    command.current_dir(folder).args(args);
    clean_environment(&mut command);
    if let Some(stress) = stress {
        command.env(STRESS, stress);
    }
    run(&mut command, stdin, limit)
}

/// A section of a data file: its name, and its keys with their values and the
/// place where they stand.
#[derive(Debug)]
pub struct Section {
    /// What stands between the brackets.
    pub name: String,
    /// Key, value, place.
    pub entries: Vec<(String, String, String)>,
}

/// Reads the few forms of TOML that the data files use: sections,
/// `key = "text"`, `key = number`, `key = true`.
pub fn sections(file: &str) -> Vec<Section> {
    let text = std::fs::read_to_string(root().join(file)).expect(file);
    let mut list: Vec<Section> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let at = format!("{file}:{}: {line}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            list.push(Section {
                name: name.to_owned(),
                entries: Vec::new(),
            });
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{at}"));
        let section = list
            .last_mut()
            .unwrap_or_else(|| panic!("{at}: no section"));
        let value = value.trim().trim_matches('"').to_owned();
        section.entries.push((key.trim().to_owned(), value, at));
    }
    list
}

/// Whether a program is there: it can be started with an argument that shows its
/// version.
pub fn is_installed(program: &str, version: &str) -> bool {
    Command::new(program).arg(version).output().is_ok()
}

/// Takes out what changes the program's behaviour from outside.
pub fn clean_environment(command: &mut Command) {
    for name in [
        "LUA_INIT",
        "LUA_INIT_5_4",
        "LUA_PATH",
        "LUA_PATH_5_4",
        "LUA_CPATH",
        "LUA_CPATH_5_4",
        "MOONSWAP_BIN",
    ] {
        command.env_remove(name);
    }
    command
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
}

/// A fresh folder that is removed at the end.
#[derive(Debug)]
pub struct TempFolder(tempfile::TempDir);

impl TempFolder {
    /// A new folder; the name is part of its path.
    pub fn new(name: &str) -> TempFolder {
        let folder = tempfile::Builder::new()
            .prefix(&format!("moonswap-{name}-"))
            .tempdir();
        TempFolder(folder.expect("temporary folder"))
    }

    /// A copy of a folder with all below it.
    pub fn copy_of(name: &str, source: &Path) -> TempFolder {
        let folder = TempFolder::new(name);
        copy_all(source, folder.path());
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it; answers its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, content).expect("write");
        path
    }
}

fn copy_all(source: &Path, target: &Path) {
    std::fs::create_dir_all(target).expect("folder");
    for entry in std::fs::read_dir(source).expect("readable folder") {
        let entry = entry.expect("entry");
        let to = target.join(entry.file_name());
        if entry.file_type().expect("type").is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).expect("copy");
        }
    }
}

/// All files below a folder whose names end in `.EXTENSION`, sorted; the build
/// folder, hidden folders and the fetched suite are left out.
pub fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "official" {
                found.extend(files(&path, extension));
            }
        } else if path.extension() == Some(OsStr::new(extension)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Does independent pieces of work on as many threads as there are processors
/// (at least two), and gives the results in order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().max(2));
    let next = AtomicUsize::new(0);
    let mut results: Vec<(usize, R)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.min(items.len()))
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(index) else {
                            return mine;
                        };
                        mine.push((index, work(item)));
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("worker"))
            .collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
