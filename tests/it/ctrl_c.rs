//! Ctrl-C: breaks off what runs, in Lua code and inside the library's long
//! functions; the prompt goes on; a second one ends the process. And the end by
//! SIGTERM, by a pipe that is closed, and by signals that nobody handles.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::support::{clean_environment, moonswap};

/// Catches what interrupts it, says so, and goes on.
const CATCHES_FOR_EVER: &str = "io.stdout:setvbuf 'line' print 'ready'
    while true do pcall(function() while true do end end) print 'caught' end";

/// A program that has said it is ready, and what it writes from then on.
struct Running {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Running {
    /// Starts `moonswap ARGS`, writes `input`, waits for a line that ends in
    /// "ready".
    fn start(args: &[&str], input: &str) -> Self {
        let mut command = Command::new(moonswap());
        clean_environment(&mut command);
        let mut child = command
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stdin = child.stdin.as_mut().expect("piped");
        stdin.write_all(input.as_bytes()).expect("written");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        await_line(&mut out, "ready");
        // From the line to the loop behind it.
        await_work(&child);
        Self { child, out }
    }

    /// Reads up to a line that says so.
    fn await_line(&mut self, line: &str) {
        await_line(&mut self.out, line);
    }

    fn press(&self) {
        self.send("-INT");
    }

    fn send(&self, signal: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.expect("kill").success());
    }

    /// Waits for the end; what it wrote to both streams.
    fn end(mut self) -> (ExitStatus, String, String) {
        drop(self.child.stdin.take());
        let status = wait(&mut self.child);
        let (mut out, mut err) = (String::new(), String::new());
        self.out.read_to_string(&mut out).expect("text");
        let stream = self.child.stderr.as_mut().expect("piped");
        stream.read_to_string(&mut err).expect("text");
        (status, out, err)
    }
}

fn await_line(out: &mut impl BufRead, wanted: &str) {
    let mut line = String::new();
    while line.trim_end() != wanted {
        line.clear();
        let n = out.read_line(&mut line).expect("text");
        assert!(n > 0, "ended before it was {wanted}");
    }
}

/// Waits until a process has worked for some milliseconds more, by the system's
/// count of its processor time; or waits in a call of the system; or has ended.
#[cfg(target_os = "linux")]
fn await_work(child: &Child) {
    const TICKS: u64 = 3;
    const LOOKS: u32 = 10;
    let look = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
        // Behind the name: state, then the fields from the fourth on.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let sleeps = fields[0] == "S";
        (fields[0] != "Z").then_some((ticks(11)? + ticks(12)?, sleeps))
    };
    let Some((before, _)) = look() else { return };
    let start = Instant::now();
    let mut asleep = 0;
    while let Some((now, sleeps)) = look()
        && now < before + TICKS
        && asleep < LOOKS
    {
        asleep = if sleeps { asleep + 1 } else { 0 };
        assert!(start.elapsed() < Duration::from_secs(20), "it does nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// No such count is known here: long enough for the next line of a program.
#[cfg(not(target_os = "linux"))]
fn await_work(_: &Child) {
    std::thread::sleep(Duration::from_millis(100));
}

/// Waits for the end, which has to come soon.
fn wait(child: &mut Child) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("wait") {
            return status;
        }
        if start.elapsed() > Duration::from_secs(20) {
            child.kill().expect("kill");
            panic!("the signal did not end it");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ctrl-C is an error that the program catches, prints, and prints "on" after.
fn catches_it_and_goes_on(code: &str) {
    let running = Running::start(&["-e", code], "");
    running.press();
    let (status, out, err) = running.end();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(out.ends_with("interrupted!\non\n"), "{out}");
}

#[test]
fn breaks_off_with_an_error() {
    for (code, place) in [
        ("while true do end", "in main chunk"),
        (
            "local function f() while true do end end f()",
            "in local 'f'",
        ),
        (
            "string.find(string.rep('a', 300000), '.*b')",
            "in function 'string.find'",
        ),
        (
            "string.gsub(string.rep('a', 300000), '.-b', '')",
            "in function 'string.gsub'",
        ),
        (
            "table.sort({3, 1, 2}, function() while true do end end)",
            "in function 'table.sort'",
        ),
        (
            "coroutine.wrap(function() while true do end end)()",
            "in main chunk",
        ),
    ] {
        let running = Running::start(&["-e", &format!("print 'ready' {code}")], "");
        running.press();
        let (status, out, err) = running.end();
        assert_eq!(status.code(), Some(1), "{code}: {out}{err}");
        assert!(err.contains("interrupted!\n"), "{code}: {err}");
        assert!(err.contains("stack traceback:"), "{code}: {err}");
        assert!(err.contains(place), "{code}: {err}");
    }
}

#[test]
fn is_an_error_that_can_be_caught() {
    let code = "print 'ready' print(pcall(function() while true do end end)) print 'on'";
    catches_it_and_goes_on(code);
}

/// An error in a finalizer would be no more than a warning.
#[test]
fn is_not_lost_in_a_finalizer() {
    let code = "local gc = { __gc = function() for i = 1, 1000 do end end }
        local function endless() print 'ready' while true do setmetatable({}, gc) end end
        print(pcall(endless)) print 'on'
        -- Without the finalizers of what is left.
        os.exit(0)";
    for _ in 0..10 {
        catches_it_and_goes_on(code);
    }
}

#[test]
fn breaks_off_the_compiler() {
    let code = "local source = ('x = x + 1; '):rep(1 << 21)
        print 'ready' print(pcall(function() while true do load(source) end end)) print 'on'";
    catches_it_and_goes_on(code);
}

#[test]
fn a_closed_pipe_ends_the_process() {
    for code in [
        "while true do print 'ready' end",
        "print 'ready' while true do io.write('x') end",
        "print 'ready' while true do pcall(function() io.write('x'):flush() end) end",
        "print 'ready' local p = io.popen('exec true', 'w') while true do p:write('x') end",
    ] {
        let Running { mut child, out } = Running::start(&["-e", code], "");
        drop(out);
        let status = wait(&mut child);
        assert_eq!(status.signal(), Some(13), "{code}");
    }
}

#[test]
fn the_second_one_ends_the_process() {
    let mut running = Running::start(&["-e", CATCHES_FOR_EVER], "");
    running.press();
    running.await_line("caught");
    running.press();
    let (status, ..) = running.end();
    assert_eq!(status.signal(), Some(2));
}

#[test]
fn the_prompt_goes_on() {
    let input = "print 'ready' while true do end\n'still ' .. 'here'\n";
    let running = Running::start(&["-i"], input);
    running.press();
    let (status, out, err) = running.end();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(out.contains("still here"), "{out}");
    assert!(err.contains("interrupted!"), "{err}");
}

/// What is to be closed is closed, finalizers run, files are written out, and the
/// parent learns of the signal.
#[test]
fn termination_closes_everything() {
    let code = "local c <close> = setmetatable({}, { __close = function() print 'closed' end })
        kept = setmetatable({}, { __gc = function() print 'finalized' end })
        io.stdout:setvbuf 'full' print 'ready' io.stdout:flush() io.write 'written\\n'
        coroutine.wrap(function()
          local d <close> = setmetatable({}, { __close = function() print 'inner' end })
          while true do end
        end)()";
    for args in [&["-e", code][..], &["-W", "-e", code]] {
        let running = Running::start(args, "");
        running.send("-TERM");
        let (status, out, err) = running.end();
        assert_eq!(status.signal(), Some(15), "{out}{err}");
        assert_eq!(out, "written\ninner\nclosed\nfinalized\n", "{err}");
    }
}

/// A program that takes the error and ends well has done what it was asked for.
#[test]
fn termination_can_be_caught_once() {
    let code = "print 'ready' print(pcall(function() while true do end end)) print 'on'";
    let running = Running::start(&["-e", code], "");
    running.send("-TERM");
    let (status, out, err) = running.end();
    assert_eq!(status.code(), Some(0), "{err}");
    assert!(out.ends_with("interrupted!\non\n"), "{out}");
    let mut running = Running::start(&["-e", CATCHES_FOR_EVER], "");
    running.send("-TERM");
    running.await_line("caught");
    running.send("-TERM");
    let (status, ..) = running.end();
    assert_eq!(status.signal(), Some(15));
}

/// As the reference leaves them.
#[test]
fn other_signals_mean_what_the_system_says() {
    for (name, number) in [("-HUP", 1), ("-USR1", 10)] {
        let running = Running::start(&["-e", "print 'ready' while true do end"], "");
        running.send(name);
        let (status, ..) = running.end();
        assert_eq!(status.signal(), Some(number), "{name}");
    }
}
