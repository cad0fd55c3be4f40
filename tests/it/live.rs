//! The main job, from outside: `moonswap run --watch` on a copy of `demo/`,
//! whose files are then edited as an editor would.
//!
//! Holds the machine alone, because the time from the save to the new code is
//! part of what is promised.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::support::{TempFolder, alone, clean_environment, moonswap, root};

/// Longest time from a save to the first output of the new code.
const PROMISE: Duration = Duration::from_millis(100);
/// How long to wait for something that must come before giving up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A status line: `tick=20 gold=10000(ok) … greeting="…"`.
#[derive(Debug, Clone)]
struct Status {
    when: Instant,
    text: String,
    fields: HashMap<String, String>,
}

impl Status {
    fn parse(when: Instant, text: String) -> Status {
        let (plain, greeting) = text.split_once(" greeting=").unwrap_or((&text, ""));
        let mut fields: HashMap<String, String> = plain
            .split(' ')
            .filter_map(|field| field.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        fields.insert("greeting".to_owned(), greeting.trim_matches('"').to_owned());
        Status { when, text, fields }
    }

    fn number(&self, key: &str) -> i64 {
        self.fields
            .get(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no {key} in {}", self.text))
    }

    fn greeting(&self) -> &str {
        &self.fields["greeting"]
    }
}

/// The running demo. What it says goes on being checked with every line read.
struct Demo {
    child: Child,
    lines: Receiver<(Instant, String)>,
    errors: Arc<Mutex<String>>,
    last: Option<Status>,
}

impl Demo {
    fn start(folder: &Path) -> Demo {
        let mut command = Command::new(moonswap());
        command
            .args(["run", "--watch", "main.lua"])
            .current_dir(folder)
            .env("DEMO_STATUS", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        clean_environment(&mut command);
        let mut child = command.spawn().expect("moonswap runs");
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().expect("piped"));
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new(Mutex::new(String::new()));
        let err = BufReader::new(child.stderr.take().expect("piped"));
        let collected = Arc::clone(&errors);
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                let mut text = collected.lock().expect("not poisoned");
                text.push_str(&line);
                text.push('\n');
            }
        });
        Demo {
            child,
            lines,
            errors,
            last: None,
        }
    }

    fn errors(&self) -> String {
        self.errors.lock().expect("not poisoned").clone()
    }

    /// The next status line. State never goes backward and gold never changes,
    /// whatever was patched in between.
    fn next(&mut self) -> Status {
        let (when, text) = match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the demo is silent\n{}", self.errors()),
            Err(RecvTimeoutError::Disconnected) => panic!("the demo ended\n{}", self.errors()),
        };
        let status = Status::parse(when, text);
        assert_eq!(status.fields["gold"], "10000(ok)", "{}", status.text);
        if let Some(last) = &self.last {
            assert_eq!(
                status.number("tick"),
                last.number("tick") + 1,
                "a tick is lost"
            );
            assert_eq!(status.number("fights"), last.number("fights") + 1);
            for key in ["bell", "patrol", "harvest"] {
                assert!(
                    status.number(key) >= last.number(key),
                    "{key} starts again: {} after {}",
                    status.text,
                    last.text
                );
            }
        }
        self.last = Some(status.clone());
        status
    }

    /// Reads on until a line is as wanted.
    fn until(&mut self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = self.next();
            if wanted(&status) {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{what} does not come; last: {}\n{}",
                status.text,
                self.errors()
            );
        }
    }

    fn ticks(&mut self, count: usize) -> Status {
        for _ in 1..count {
            self.next();
        }
        self.next()
    }

    /// Waits until stderr, after its first `from` bytes, holds one of the words.
    fn until_error(&mut self, from: usize, words: &[&str]) -> String {
        let start = Instant::now();
        loop {
            self.next();
            let text = self.errors()[from..].to_owned();
            let lower = text.to_lowercase();
            if words.iter().any(|word| lower.contains(word)) {
                return text;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "none of {words:?} on stderr:\n{text}"
            );
        }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Replaces text in a file; says when the save began.
fn edit(path: &Path, from: &str, to: &str) -> Instant {
    let old = std::fs::read_to_string(path).expect("readable");
    assert!(old.contains(from), "no {from} in {}", path.display());
    let now = Instant::now();
    std::fs::write(path, old.replacen(from, to, 1)).expect("writable");
    now
}

/// The same in the way of editors that write a new file and rename it.
fn edit_by_rename(path: &Path, from: &str, to: &str) -> Instant {
    let old = std::fs::read_to_string(path).expect("readable");
    assert!(old.contains(from), "no {from} in {}", path.display());
    let draft = path.with_extension("draft");
    std::fs::write(&draft, old.replacen(from, to, 1)).expect("writable");
    let now = Instant::now();
    std::fs::rename(&draft, path).expect("rename");
    now
}

#[test]
fn edited_while_it_runs() {
    let folder = TempFolder::copy_of("live", &root().join("demo"));
    let actors = folder.path().join("actors.lua");
    let timers = folder.path().join("timers.lua");
    let quests = folder.path().join("quests.lua");
    moonswap();
    let _machine = alone();
    let mut demo = Demo::start(folder.path());
    let first = demo.ticks(60);
    assert_eq!(first.greeting(), "Hello, traveller");
    assert!(first.number("bell") > 0 && first.number("patrol") > 0);

    // Changed functions are in effect soon after the save.
    let mut times = Vec::new();
    let mut old = "Hello, traveller".to_owned();
    for round in 1..=7 {
        let new = format!("Greetings, number {round}");
        let saved = if round % 2 == 0 {
            edit_by_rename(&actors, &old, &new)
        } else {
            edit(&actors, &old, &new)
        };
        let seen = demo.until(&new, |status| status.greeting() == new);
        times.push(seen.when.duration_since(saved));
        demo.ticks(30);
        old = new;
    }
    times.sort();
    println!("from the save to the new code: {times:?}");
    assert!(
        times[times.len() / 2] <= PROMISE,
        "from the save to the new code: {times:?}"
    );
    edit(&actors, "return 7", "return 9");
    let damage = demo.until("damage 9", |status| status.number("damage") == 9);
    assert!(damage.number("bell") >= first.number("bell"));

    // A timer's closure runs its new body on the count it already had.
    let before = demo.ticks(1).number("bell");
    edit(&timers, "rings = rings + 1", "rings = rings + 1000");
    let after = demo.until("the new bell", |status| status.number("bell") >= 1000);
    let small = after.number("bell") - 1000;
    assert!(
        (before..before + 20).contains(&small),
        "the bell had rung {before} times, then {}",
        after.text
    );

    // A sleeping coroutine goes on, and what it calls is new.
    let before = demo.ticks(1).number("patrol");
    edit(
        &quests,
        "done[name] = (done[name] or 0) + 1",
        "done[name] = (done[name] or 0) + 1000",
    );
    let after = demo.until("the new step", |status| status.number("patrol") >= 1000);
    assert!(
        after.number("patrol") % 1000 >= before % 1000,
        "{}",
        after.text
    );

    // A syntax error leaves everything as it is, and is told.
    let seen = demo.errors().len();
    edit(&actors, "return 9", "return 9 +");
    let told = demo.until_error(seen, &["actors.lua:"]);
    assert!(!told.contains("panicked"), "{told}");
    assert_eq!(demo.ticks(30).number("damage"), 9);

    // The next good save is picked up.
    edit(&actors, "return 9 +", "return 11");
    demo.until("damage 11", |status| status.number("damage") == 11);

    // So does a refused edit: the bell would capture a local of the function
    // around it, which bells that exist do not have.
    let seen = demo.errors().len();
    let rate = demo.ticks(1);
    edit(&timers, "rings = rings + 1000", "rings = rings + volume");
    let told = demo.until_error(seen, &["refused"]);
    assert!(told.contains("volume"), "{told}");
    let later = demo.until("the old bell", |status| {
        status.number("bell") > rate.number("bell")
    });
    assert_eq!((later.number("bell") - rate.number("bell")) % 1000, 0);
    edit(&timers, "rings = rings + volume", "rings = rings + 100000");
    demo.until("the next bell", |status| status.number("bell") >= 100_000);

    assert!(demo.child.try_wait().expect("wait").is_none(), "it runs on");
    assert!(!demo.errors().contains("panicked"), "{}", demo.errors());
}
