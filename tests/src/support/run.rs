//! Running a program with a time limit, and how it ended. No run outlasts its
//! limit by more than moments, whatever it leaves running behind it.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::shared;

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; `None` after a signal or when the time ran out.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed as errors.
    pub stderr: Vec<u8>,
    /// The time ran out.
    pub timed_out: bool,
}

impl Outcome {
    /// The standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The last lines of both streams, for messages.
    pub fn tail(&self) -> String {
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
pub fn run(command: &mut Command, stdin: &[u8], limit: Duration) -> Outcome {
    run_then(command, stdin, limit, |_| ())
}

/// The same in a process group of its own; what is left of the group at the end
/// is killed.
pub fn run_group(command: &mut Command, stdin: &[u8], limit: Duration) -> Outcome {
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    run_then(command, stdin, limit, kill_group)
}

/// There may be nobody left, which is what the message would say. (Not every
/// shell takes `kill -KILL -- -N`.)
fn kill_group(group: u32) {
    let _ = Command::new("sh")
        .args(["-c", "kill -s KILL -- \"-$0\" 2>/dev/null"])
        .arg(group.to_string())
        .status();
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
    // The program may end without reading: a broken pipe is no failure. Nobody
    // waits for the thread: what the program leaves behind may hold the pipe.
    std::thread::spawn(move || drop(input.write_all(&bytes)));
    let out = Output::of(child.stdout.take().expect("piped"));
    let err = Output::of(child.stderr.take().expect("piped"));
    let (status, timed_out) = wait(&mut child, limit);
    at_end(child.id());
    Outcome {
        code: status
            .and_then(|status| status.code())
            .filter(|_| !timed_out),
        stdout: out.bytes(),
        stderr: err.bytes(),
        timed_out,
    }
}

/// How long to wait for the end of an output when the program has ended: some
/// process that it started may hold the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_secs(10);

/// What comes out of a pipe, read by a thread.
struct Output {
    so_far: Arc<Mutex<Vec<u8>>>,
    /// Closed by the thread at the end of the output.
    ended: Receiver<()>,
}

impl Output {
    fn of(mut pipe: impl Read + Send + 'static) -> Output {
        let so_far = Arc::new(Mutex::new(Vec::new()));
        let (open, ended) = channel();
        let sink = Arc::clone(&so_far);
        std::thread::spawn(move || {
            let _open = open;
            let mut buffer = vec![0; 1 << 16];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                let mut sink = sink.lock().unwrap_or_else(PoisonError::into_inner);
                sink.extend_from_slice(&buffer[..count]);
            }
        });
        Output { so_far, ended }
    }

    fn bytes(self) -> Vec<u8> {
        let _ = self.ended.recv_timeout(LAST_OUTPUT);
        std::mem::take(&mut self.so_far.lock().unwrap_or_else(PoisonError::into_inner))
    }
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

/// What a program leaves running neither holds its run up nor outlives it.
#[cfg(unix)]
#[test]
fn what_is_left_running_ends_with_the_group() {
    let start = Instant::now();
    let mut command = Command::new("sh");
    command.args(["-c", "sleep 1000 & echo $!"]);
    let outcome = run_group(&mut command, b"", Duration::from_secs(60));
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    let pid = outcome.out();
    let state = Command::new("ps")
        .args(["-o", "stat=", "-p", pid.trim()])
        .output()
        .expect("ps runs");
    // Gone, or a zombie until the system's first process looks after it.
    let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
    assert!(state.is_empty() || state.starts_with('Z'), "{state}");
    assert!(start.elapsed() < LAST_OUTPUT, "{:?}", start.elapsed());
}

/// What came before the time ran out is told.
#[cfg(unix)]
#[test]
fn output_is_kept_when_time_runs_out() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo begun; sleep 1000"]);
    let outcome = run_group(&mut command, b"", Duration::from_millis(500));
    assert!(outcome.timed_out);
    assert_eq!((outcome.code, outcome.out().as_str()), (None, "begun\n"));
}
