//! What the tests share: finding the program, running it with a time limit,
//! temporary folders.
//!
//! No test framework: nothing here but the standard library.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// The top folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies one below the top")
}

/// The `moonswap` program of the profile this test was built with, built on
/// first use. `MOONSWAP_BIN` names another one.
pub(crate) fn moonswap() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("MOONSWAP_BIN") {
            return PathBuf::from(given);
        }
        let test = std::env::current_exe().expect("own path");
        // TARGET/PROFILE/deps/it-HASH
        let profile = test.ancestors().nth(2).expect("profile folder");
        let target = profile.parent().expect("target folder");
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(root())
            .args(["build", "--quiet", "-p", "moonswap-cli", "--target-dir"])
            .arg(target);
        if profile.file_name() == Some(OsStr::new("release")) {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "moonswap-cli does not build");
        let program = profile.join(format!("moonswap{}", std::env::consts::EXE_SUFFIX));
        assert!(program.exists(), "no program at {}", program.display());
        program
    })
}

/// Held for reading by every run of the program, and for writing by the tests
/// that measure time and want the machine to themselves.
static MACHINE: RwLock<()> = RwLock::new(());

fn shared() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no other run is under way, and keeps others out.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit code; `None` after a signal or when the time ran out.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) timed_out: bool,
}

impl Outcome {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The last lines of both streams, for messages.
    pub(crate) fn tail(&self) -> String {
        let text = format!("{}\n{}", self.out(), self.err());
        let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
        let how = if self.timed_out {
            "time ran out".to_owned()
        } else {
            format!("exit code {:?}", self.code)
        };
        format!(
            "{how}\n{}",
            lines[lines.len().saturating_sub(12)..].join("\n")
        )
    }
}

/// Runs a command to its end, at most `limit` long.
pub(crate) fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> Outcome {
    run_then(command, stdin, limit, |_| ())
}

/// The same in a process group of its own; what is left of the group at the end
/// is killed.
pub(crate) fn run_group(command: &mut Command, stdin: &[u8], limit: Duration) -> Outcome {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    run_then(command, stdin, limit, |group| {
        // There may be nobody left, which is what the message would say.
        let _ = Command::new("sh")
            .args(["-c", "kill -KILL -- \"-$0\" 2>/dev/null"])
            .arg(group.to_string())
            .status();
    })
}

fn run_then(
    command: &mut Command,
    stdin: &[u8],
    limit: Duration,
    at_end: impl FnOnce(u32),
) -> Outcome {
    let _turn = shared();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().expect("piped");
    let bytes = stdin.to_vec();
    // The program may end without reading: a broken pipe is no failure.
    let writer = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let out = drain(child.stdout.take().expect("piped"));
    let err = drain(child.stderr.take().expect("piped"));
    let (status, timed_out) = wait(&mut child, limit);
    at_end(child.id());
    let _ = writer.join();
    if timed_out {
        // A grandchild may still hold the pipes; do not wait for it.
        return Outcome {
            code: None,
            stdout: Vec::new(),
            stderr: Vec::new(),
            timed_out,
        };
    }
    Outcome {
        code: status.and_then(|status| status.code()),
        stdout: out.join().expect("reader"),
        stderr: err.join().expect("reader"),
        timed_out,
    }
}

/// Runs `moonswap ARGS` in a folder.
pub(crate) fn run_moonswap<A: AsRef<OsStr>>(folder: &Path, args: &[A], stdin: &[u8]) -> Outcome {
    let mut command = Command::new(moonswap());
    command.current_dir(folder).args(args);
    clean_environment(&mut command);
    run(&mut command, stdin, Duration::from_secs(60))
}

/// Takes out what changes the program's behaviour from outside.
pub(crate) fn clean_environment(command: &mut Command) {
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

fn drain<R: Read + Send + 'static>(mut stream: R) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

fn wait(child: &mut Child, limit: Duration) -> (Option<ExitStatus>, bool) {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return (Some(status), false);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            return (child.wait().ok(), true);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// A fresh folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new(name: &str) -> TempFolder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("moonswap-it-{}-{n}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("temporary folder");
        TempFolder(path)
    }

    /// A copy of a folder with all below it.
    pub(crate) fn copy_of(name: &str, source: &Path) -> TempFolder {
        let folder = TempFolder::new(name);
        copy_all(source, folder.path());
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, content).expect("write");
        path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
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
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
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
pub(crate) fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
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
