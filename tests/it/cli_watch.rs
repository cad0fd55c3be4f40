//! `run --watch`: saves that do not work wait for better ones, files saved
//! together are one transaction, events as JSON, policies as options.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::{STRESS, TempFolder, clean_environment, moonswap};

/// How long to wait for something that must come before giving up.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must come before it is believed that nothing comes.
const QUIET: Duration = Duration::from_millis(400);

/// A watched program that prints a line whenever its answer changes.
struct Watched {
    folder: TempFolder,
    child: Child,
    out: Receiver<String>,
    err: Receiver<String>,
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

const MAIN: &str = "package.path = './?.lua'
local a, b, hot = require 'a', require 'b', require 'moonswap'
local last
while true do
  local now = a.text() .. ' ' .. b.text()
  if now ~= last then print(now) last = now end
  hot.sleep(0.002)
end";

/// [`MAIN`], which goes on when one of them fails.
fn guarded_main() -> String {
    MAIN.replace(
        "local now = a.text() .. ' ' .. b.text()",
        "local ok, text = pcall(a.text)
  local now = ok and text .. ' ' .. b.text() or 'failed'",
    )
}

fn module(text: &str) -> String {
    format!(
        "local M = {{}}\nlocal calls = 0\nfunction M.text() calls = calls + 1 return '{text}' end\nreturn M\n"
    )
}

impl Watched {
    /// Two modules and a program that prints their answers.
    fn start(options: &[&str]) -> Watched {
        Watched::start_stressed(options, None)
    }

    fn start_stressed(options: &[&str], stress: Option<&str>) -> Watched {
        let folder = TempFolder::new("watched");
        folder.write("main.lua", MAIN);
        folder.write("a.lua", module("a1"));
        folder.write("b.lua", module("b1"));
        let watched = Watched::run_stressed(folder, options, Stdio::null(), stress);
        watched.prints("a1 b1");
        watched
    }

    fn run(folder: TempFolder, options: &[&str], input: Stdio) -> Watched {
        Watched::run_stressed(folder, options, input, None)
    }

    fn run_stressed(
        folder: TempFolder,
        options: &[&str],
        input: Stdio,
        stress: Option<&str>,
    ) -> Watched {
        let mut command = Command::new(moonswap());
        command
            .args(["run", "--watch"])
            .args(options)
            .arg("main.lua")
            .current_dir(folder.path())
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        clean_environment(&mut command);
        if let Some(stress) = stress {
            command.env(STRESS, stress);
        }
        let mut child = command.spawn().expect("moonswap runs");
        let out = lines(child.stdout.take().expect("piped"));
        let err = lines(child.stderr.take().expect("piped"));
        Watched {
            folder,
            child,
            out,
            err,
        }
    }

    #[track_caller]
    fn prints(&self, expected: &str) {
        match self.out.recv_timeout(PATIENCE) {
            Ok(line) => assert_eq!(line, expected),
            Err(_) => panic!(
                "no {expected}: {:?}",
                self.err.try_iter().collect::<Vec<_>>()
            ),
        }
    }

    /// Reads standard error on until a line has all parts.
    #[track_caller]
    fn tells(&self, parts: &[&str]) -> String {
        let end = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        while let Ok(line) = self
            .err
            .recv_timeout(end.saturating_duration_since(Instant::now()))
        {
            if parts.iter().all(|part| line.contains(part)) {
                return line;
            }
            seen.push(line);
        }
        panic!("nothing with {parts:?} in {seen:#?}");
    }

    #[track_caller]
    fn prints_nothing(&self) {
        if let Ok(line) = self.out.recv_timeout(QUIET) {
            panic!("{line}");
        }
    }

    /// Both files at once, as far as a file system knows that: prepared beside,
    /// then renamed one after the other.
    fn save_both(&self, a: &str, b: &str) {
        let path = self.folder.path();
        self.folder.write("a.draft", a);
        self.folder.write("b.draft", b);
        std::fs::rename(path.join("a.draft"), path.join("a.lua")).expect("rename");
        std::fs::rename(path.join("b.draft"), path.join("b.lua")).expect("rename");
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn saved_together_is_one_transaction() {
    let watched = Watched::start(&["--json"]);
    watched.save_both(&module("a2"), &module("b2"));
    watched.prints("a2 b2");
    let told = watched.tells(&["\"event\":\"swapped\""]);
    assert!(
        told.contains("\"chunks\":[\"./a.lua\",\"./b.lua\"]"),
        "{told}"
    );

    // One of them is broken: neither runs; a better one brings the other along.
    watched.save_both(&module("a3"), "local M = = {}\n");
    watched.tells(&["\"event\":\"syntax\"", "\"file\":\"./b.lua\",\"line\":1"]);
    watched.prints_nothing();
    watched.folder.write("b.lua", module("b3"));
    watched.prints("a3 b3");
    watched.tells(&["\"event\":\"swapped\"", "./a.lua", "./b.lua"]);
}

#[test]
fn a_bad_save_waits_and_does_not_hold_up_others() {
    let watched = Watched::start(&[]);
    watched.folder.write("a.lua", "local M = = {}\n");
    watched.tells(&["a.lua: not swapped, the old code keeps running"]);
    watched.folder.write("b.lua", module("b2"));
    watched.prints("a1 b2");
    watched.folder.write("a.lua", module("a2"));
    watched.prints("a2 b2");
    // Bad, then as it runs: nothing waits any more.
    watched.folder.write("a.lua", "local M = = {}\n");
    watched.tells(&["a.lua: not swapped"]);
    watched.folder.write("a.lua", module("a2"));
    watched.tells(&["taken back"]);
    watched.prints_nothing();
    watched.folder.write("a.lua", module("a3"));
    watched.prints("a3 b2");
}

/// An empty text is one as well, if the file stays empty.
#[test]
fn a_file_that_stays_empty_is_swapped() {
    let watched = Watched::start(&["--json"]);
    watched.folder.write("a.lua", "");
    watched.tells(&["\"event\":\"swapped\"", "./a.lua"]);
    watched.folder.write("a.lua", module("a2"));
    watched.prints("a2 b1");
}

/// `reset` runs an initialiser again with every save.
#[test]
fn policies_are_options() {
    let watched = Watched::start(&["--reset", "calls"]);
    watched.folder.write(
        "a.lua",
        module("a2").replace("return 'a2'", "return calls < 10 and 'few' or 'many'"),
    );
    watched.prints("few b1");
    watched.prints("many b1");
    watched.folder.write(
        "a.lua",
        module("a2").replace("return 'a2'", "return calls < 20 and 'few' or 'many'"),
    );
    watched.prints("few b1");
    watched.prints("many b1");
}

/// Settings are those of all files: what fits nothing in one of them does not keep it
/// from being swapped.
#[test]
fn settings_that_fit_in_other_files() {
    let watched = Watched::start(&["--reset", "nothing", "--data", "M.max=replace"]);
    watched.folder.write("a.lua", module("a2"));
    watched.prints("a2 b1");
    let refused = crate::support::run_moonswap(
        watched.folder.path(),
        &["run", "--watch", "--run", "3", "main.lua"],
        b"",
    );
    assert_eq!(refused.code, Some(2), "{}", refused.tail());
}

/// Values that a save changes are told by name, and so is a file that has gone.
#[test]
fn what_is_told_of_data_and_of_files_that_are_gone() {
    let folder = TempFolder::new("data");
    folder.write("main.lua", MAIN);
    folder.write("b.lua", module("b1"));
    let limits = |max: u32| {
        format!(
            "local M = {{ max = {max} }}\nfunction M.text() return 'a' .. M.max end\nreturn M\n"
        )
    };
    folder.write("a.lua", limits(1));
    let watched = Watched::run(folder, &[], Stdio::null());
    watched.prints("a1 b1");
    watched.folder.write("a.lua", limits(2));
    watched.tells(&["line 1: M.max: 1 → 2"]);
    watched.prints("a2 b1");
    let file = watched.folder.path().join("a.lua");
    std::fs::remove_file(&file).expect("it is there");
    watched.tells(&["./a.lua: the file is gone; its code keeps running"]);
    watched.folder.write("a.lua", limits(3));
    watched.prints("a3 b1");
}

/// A program that waits in a native reaches no safe point: what was saved is
/// kept until it does, and a better save takes its place.
#[test]
fn a_program_that_waits_gets_the_newest_save() {
    let folder = TempFolder::new("waits");
    let main = |text: &str| {
        format!(
            "local function text() return '{text}' end
             print(text())
             io.read()
             while text() == 'old' do end
             print(text())"
        )
    };
    folder.write("main.lua", main("old"));
    let mut watched = Watched::run(folder, &["--json"], Stdio::piped());
    let mut input = watched.child.stdin.take().expect("piped");
    watched.prints("old");
    // It waits in `io.read` now.
    watched.folder.write("main.lua", main("draft"));
    watched.tells(&["\"event\":\"waiting\"", "main.lua"]);
    watched.folder.write("main.lua", main("final"));
    watched.tells(&["\"event\":\"waiting\"", "main.lua"]);
    input.write_all(b"\n").expect("it reads");
    watched.prints("final");
    assert!(watched.child.wait().expect("ends").success());
}

/// A save that hangs: the program, whose loop is Lua, goes on with the old code and
/// says so; the file stays newer than what runs until it is mended or released.
#[test]
fn a_save_that_hangs_is_undone() {
    let folder = TempFolder::new("hangs");
    folder.write("main.lua", guarded_main());
    folder.write("a.lua", module("a1"));
    folder.write("b.lua", module("b1"));
    let options = ["--guard", "5/1h/100ms", "--audit", "audit.jsonl"];
    let watched = Watched::run(folder, &options, Stdio::null());
    watched.prints("a1 b1");
    let hangs = module("a2").replace("return 'a2'", "while true do pcall(error) end");
    watched.folder.write("a.lua", &hangs);
    watched.prints("failed");
    watched.prints("a1 b1");
    watched.tells(&["undone by guard: patch 1 did not return within 0.1 s: M.text"]);
    watched.tells(&[
        "./a.lua: older code runs than was saved",
        "moonswap release ./a.lua",
    ]);

    // Others are swapped, and it is not forgotten.
    watched.folder.write("b.lua", module("b2"));
    watched.prints("a1 b2");
    watched.tells(&["still older than saved: ./a.lua"]);

    // The same again, in other words: refused. Released, it hangs again.
    watched.folder.write("a.lua", format!("-- again\n{hangs}"));
    watched.tells(&[
        "P040",
        "in quarantine: as patch 1 it did not return within 0.1 s",
    ]);
    watched.tells(&["to try the same code again: moonswap release ./a.lua"]);
    watched.folder.write("a.lua", format!("-- again\n{hangs}"));
    watched.tells(&["P040"]);
    let release = |file: &str| {
        let path = watched.folder.path();
        crate::support::run_moonswap(path, &["release", file], b"")
    };
    assert!(release("a.lua").code == Some(0));
    watched.tells(&["./a.lua: released, tried again"]);
    watched.prints("failed");
    watched.prints("a1 b2");
    watched.tells(&["undone by guard: patch"]);
    assert!(release("b.lua").code == Some(0));
    watched.tells(&["./b.lua: not in quarantine"]);

    watched.folder.write("a.lua", module("a3"));
    watched.prints("a3 b2");
    let record = std::fs::read_to_string(watched.folder.path().join("audit.jsonl"));
    let record = record.expect("a record");
    let undone = |line: &&str| {
        [
            "\"event\":\"rollback\"",
            "\"source\":\"guard\"",
            "\"cause\":\"slow\"",
        ]
        .iter()
        .all(|part| line.contains(part))
    };
    assert_eq!(record.lines().filter(undone).count(), 2, "{record}");
    assert!(record.contains("\"event\":\"released\""), "{record}");
}

/// The same as JSON, for an error; two files of one save are undone and mended
/// together.
#[test]
fn an_undone_save_as_json() {
    let folder = TempFolder::new("undone");
    folder.write("main.lua", guarded_main());
    folder.write("a.lua", module("a1"));
    folder.write("b.lua", module("b1"));
    let options = ["--json", "--guard", "0/1h"];
    let watched = Watched::run(folder, &options, Stdio::null());
    watched.prints("a1 b1");
    let failing = module("a2").replace("return 'a2'", "return nil .. 'a2'");
    watched.save_both(&failing, &module("b2"));
    watched.prints("failed");
    watched.prints("a1 b1");
    watched.tells(&[
        "{\"event\":\"undone\",\"files\":[\"./a.lua\",\"./b.lua\"],\"patch\":1,\"source\":\"guard\",\
         \"cause\":\"errors\",\"reason\":\"patch 1 raised 1 error within 3600 s (the last one: ./a.lua:3: attempt to concatenate a nil value)\"",
        "\"report\":{",
    ]);
    watched.folder.write("a.lua", module("a3"));
    watched.prints("a3 b2");
}

/// The VM can start no thread (in builds that can be told so): what is saved
/// runs all the same.
#[test]
fn without_threads_for_the_vm() {
    let watched = Watched::start_stressed(&["--json"], Some("threads"));
    watched.folder.write("a.lua", module("a2"));
    watched.prints("a2 b1");
    watched.folder.write("a.lua", "local M = = {}\n");
    watched.tells(&["\"event\":\"syntax\""]);
    watched.save_both(&module("a3"), &module("b3"));
    watched.prints("a3 b3");
}

/// A save for which there is no memory is refused and says so; the program goes
/// on, and a better one takes its place.
#[test]
fn a_save_that_memory_does_not_suffice_for() {
    let watched = Watched::start(&["--json", "--mem", "4M"]);
    let greedy = |n: usize| {
        format!(
            "local hoard = {{}} for i = 1, {n} do hoard[i] = ('x'):rep(1000) .. i end\n\
             local M = {{}}\nlocal calls = 0\n\
             function M.text() calls = calls + #hoard - #hoard return 'a2' end\nreturn M\n"
        )
    };
    let initialised = |n: usize| {
        let text = greedy(n).replacen(
            "local hoard = {} for",
            "local hoard = (function() local hoard = {} for",
            1,
        );
        text.replacen(".. i end\n", ".. i end return hoard end)()\n", 1)
    };
    watched.folder.write("a.lua", initialised(10_000));
    watched.tells(&["not enough memory"]);
    watched.prints_nothing();
    watched.folder.write("a.lua", initialised(100));
    watched.prints("a2 b1");
}

/// Nobody can write the record of attempts: they go on, and it is said.
#[cfg(target_os = "linux")]
#[test]
fn saves_with_a_record_on_a_full_disk() {
    let watched = Watched::start(&["--audit", "/dev/full"]);
    watched.folder.write("a.lua", module("a2"));
    watched.prints("a2 b1");
    watched.tells(&["not in the audit record", "No space left"]);
}

/// Ways of putting new files into place that no event of the file's directory tells
/// of: a link that is switched, a directory that is replaced, a link's target that
/// is edited.
#[cfg(unix)]
#[test]
fn deployments_by_links_and_directories_are_seen() {
    use std::os::unix::fs::symlink;
    let folder = TempFolder::new("deployed");
    let path = |name: &str| folder.path().join(name);
    for release in ["one", "two", "lib"] {
        std::fs::create_dir(path(release)).expect("made");
    }
    folder.write(
        "main.lua",
        MAIN.replace("'./?.lua'", "'./current/?.lua;./lib/?.lua'"),
    );
    folder.write("one/a.lua", module("a1"));
    folder.write("two/a.lua", module("a2"));
    folder.write("kept.lua", module("b1"));
    symlink("one", path("current")).expect("linked");
    symlink("../kept.lua", path("lib/b.lua")).expect("linked");
    let watched = Watched::run(folder, &[], Stdio::null());
    watched.prints("a1 b1");
    let path = |name: &str| watched.folder.path().join(name);
    // All at once: another release.
    symlink("two", path("next")).expect("linked");
    std::fs::rename(path("next"), path("current")).expect("switched");
    watched.prints("a2 b1");
    // Behind the link.
    watched.folder.write("kept.lua", module("b2"));
    watched.prints("a2 b2");
    // The directory itself, with its file.
    std::fs::rename(path("two"), path("old")).expect("moved");
    std::fs::create_dir(path("two")).expect("made");
    watched.folder.write("two/a.lua", module("a3"));
    watched.prints("a3 b2");
    // And from then on it is watched as any other.
    watched.folder.write("two/a.lua", module("a4"));
    watched.prints("a4 b2");
}
