//! The command line's record of attempts: `run --audit`, `audit verify`; and the
//! prompt's answers about what runs.

use std::path::Path;

use crate::support::{TempFolder, run_moonswap};

/// Exit code and both outputs as text.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

fn moonswap(folder: &Path, args: &[&str], input: &[u8]) -> Ran {
    let outcome = run_moonswap(folder, args, input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran {
        code: outcome.code.unwrap_or(-1),
        stdout: text(&outcome.stdout),
        stderr: text(&outcome.stderr),
    }
}

const SCRIPT: &str = r#"
local hot = require "moonswap"
dofile "shop.lua"
print(price(100))
assert(hot.swapfile("new.lua") == nil)
assert(hot.swapstring("shop.lua", "function price(x) return x * 3 end", { author = "ann" }))
assert(hot.swapstring("shop.lua", "function price(") == nil)
print(price(100), #hot.history())
"#;

#[test]
fn attempts_are_recorded_and_checked() {
    let folder = TempFolder::new("audit");
    folder.write("shop.lua", "function price(x) return x * 2 end\n");
    folder.write("new.lua", "x = 1\n");
    folder.write("main.lua", SCRIPT);
    let run = || {
        moonswap(
            folder.path(),
            &["run", "--audit", "log.jsonl", "main.lua"],
            b"",
        )
    };
    for _ in 0..2 {
        let outcome = run();
        assert_eq!(
            (outcome.code, &outcome.stdout[..]),
            (0, "200\n300\t1\n"),
            "{}",
            outcome.stderr
        );
    }
    let verify = |args: &[&str]| {
        let args: Vec<&str> = ["audit", "verify"].iter().chain(args).copied().collect();
        moonswap(folder.path(), &args, b"")
    };
    let good = verify(&["log.jsonl"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(
        good.stdout
            .contains("log.jsonl: 6 records, unbroken; last sha256:"),
        "{}",
        good.stdout
    );
    let head = good
        .stdout
        .trim()
        .rsplit(' ')
        .next()
        .unwrap_or_default()
        .to_owned();
    assert_eq!(verify(&["--head", &head, "log.jsonl"]).code, 0);
    let json = verify(&["--json", "log.jsonl"]);
    assert!(
        json.stdout
            .starts_with("{\"ok\":true,\"records\":6,\"torn\":[],\"head\":\"sha256:")
    );

    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).expect("the log");
    assert!(
        log.lines()
            .nth(1)
            .is_some_and(|line| line.contains("\"author\":\"ann\""))
    );
    folder.write(
        "bad.jsonl",
        log.replacen("\"author\":\"ann\"", "\"author\":\"bob\"", 1),
    );
    let bad = verify(&["bad.jsonl"]);
    assert_eq!(bad.code, 5);
    assert!(bad.stderr.starts_with("bad.jsonl:3: "), "{}", bad.stderr);
    let bad = verify(&["--json", "bad.jsonl"]);
    assert!(bad.code == 5 && bad.stdout.starts_with("{\"ok\":false,\"line\":3,"));
    // Lines missing at the end show only beside a head kept elsewhere.
    let short: String = log.split_inclusive('\n').take(5).collect();
    folder.write("short.jsonl", &short);
    assert_eq!(verify(&["short.jsonl"]).code, 0);
    assert_eq!(verify(&["--head", &head, "short.jsonl"]).code, 5);
    assert_eq!(verify(&["missing.jsonl"]).code, 1);
    assert_eq!(verify(&["--head", "x", "log.jsonl"]).code, 2);

    // A crash in the middle of a line.
    folder.write("log.jsonl", &log[..log.len() - 30]);
    let torn = verify(&["log.jsonl"]);
    assert_eq!(torn.code, 0);
    assert!(
        torn.stdout.contains("log.jsonl:6: cut off by a crash"),
        "{}",
        torn.stdout
    );
    let outcome = run();
    assert_eq!(outcome.code, 0);
    assert!(
        outcome
            .stderr
            .contains("cut off by a crash; the next one says so")
    );
    let after = verify(&["log.jsonl"]);
    assert!(
        after.code == 0 && after.stdout.contains("8 records"),
        "{}",
        after.stdout
    );

    let nowhere = moonswap(
        folder.path(),
        &["run", "--audit", "no/log", "main.lua"],
        b"",
    );
    assert!(
        nowhere.code == 1 && nowhere.stdout.is_empty(),
        "it does not run without its record"
    );
}

/// The script saves files itself, and listens.
const WATCHED: &str = r#"
local hot = require "moonswap"
dofile "shop.lua"
local heard = {}
for _, event in ipairs { "after", "refused" } do
  hot.on(event, function(about) heard[event .. " " .. about.source] = true end)
end
local function save(text)
  local file = assert(io.open("shop.lua", "w"))
  file:write(text)
  file:close()
end
local function wait_for(event)
  for _ = 1, 3000 do
    if heard[event] then return print(event, price(100)) end
    hot.sleep(0.02)
  end
  error("never heard: " .. event)
end
save "function price(x) return x * 3 end\n"
wait_for "after watch"
save "function price(x) return x * end\n"
wait_for "refused watch"
"#;

#[test]
fn saves_are_attempts() {
    let folder = TempFolder::new("audit-watch");
    folder.write("shop.lua", "function price(x) return x * 2 end\n");
    folder.write("main.lua", WATCHED);
    let args = ["run", "--watch", "--audit", "log.jsonl", "main.lua"];
    let outcome = moonswap(folder.path(), &args, b"");
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "after watch\t300\nrefused watch\t300\n");
    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).expect("the log");
    let with = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert!(
        with("\"event\":\"after\"") >= 1 && with("\"kind\":\"compile\"") >= 1,
        "{log}"
    );
    assert_eq!(with("\"source\":\"watch\""), log.lines().count(), "{log}");
    let good = moonswap(folder.path(), &["audit", "verify", "log.jsonl"], b"");
    assert_eq!(good.code, 0, "{}", good.stderr);
}

#[test]
fn the_prompt_tells_what_runs() {
    let folder = TempFolder::new("answers");
    folder.write("shop.lua", "function price(x) return x * 2 end\n");
    let input = "hot = require 'moonswap' dofile 'shop.lua'\n\
                 :history\n\
                 print(hot.swapstring('shop.lua', 'function price(x) return x * 3 end') ~= nil)\n\
                 :status\n:versions shop.lua\n:versions --json\n:frames\n:history\n:what\n:versions no\n\
                 ::label:: print 'a label is Lua'\n";
    let outcome = moonswap(folder.path(), &["repl"], input.as_bytes());
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    for part in [
        "> :history\nnone\n",
        "generation 2, ",
        "  shop.lua / price v2\n",
        "shop.lua / main chunk",
        "{\"id\":\"shop.lua / price\",\"version\":2,\"frames\":0,\"stale\":0,\"diverged\":null}",
        "> :frames\nnone\n",
        "patch 1: shop.lua: price v1 → v2",
        ":status, :versions [CHUNK]",
        "no chunk no is loaded",
        "a label is Lua",
    ] {
        assert!(
            outcome.stdout.contains(part),
            "no {part:?} in\n{}",
            outcome.stdout
        );
    }
    // Where `lua` is meant, it is Lua.
    let outcome = moonswap(folder.path(), &["-i"], b":status\n");
    assert!(!outcome.stdout.contains("generation"), "{}", outcome.stdout);
}
