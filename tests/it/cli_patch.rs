//! `plan` and `patch` on the command line: files and folders, JSON, signatures,
//! exit codes (3 refused, 5 wrong signature or base).

use std::path::Path;

use crate::support::{Outcome, TempFolder, run_moonswap};

const OLD: &str = "local M = {}\nfunction M.price(x) return x * 1.2 end\nfunction M.name() return 'shop' end\nreturn M\n";

fn moonswap(folder: &Path, line: &str) -> Outcome {
    let args: Vec<&str> = line.split_whitespace().collect();
    run_moonswap(folder, &args, b"")
}

#[track_caller]
fn expect(folder: &TempFolder, line: &str, code: i32, parts: &[&str]) -> String {
    let outcome = moonswap(folder.path(), line);
    assert_eq!(outcome.code, Some(code), "{line}: {}", outcome.tail());
    let text = outcome.out() + &outcome.err();
    for part in parts {
        assert!(text.contains(part), "{line}: no {part} in\n{text}");
    }
    outcome.out()
}

fn shop() -> TempFolder {
    let folder = TempFolder::new("patch");
    folder.write("old.lua", OLD);
    folder.write("new.lua", OLD.replace("1.2", "1.25"));
    folder
}

#[test]
fn plans_warn_of_names_that_nobody_defines() {
    let folder = shop();
    folder.write(
        "typo.lua",
        OLD.replace("x * 1.2", "x * taxx")
            .replace("local M", "local tax local M"),
    );
    let text = expect(
        &folder,
        "plan old.lua typo.lua",
        0,
        &["warning: line 2: M.price: the global taxx is not defined; did you mean tax?"],
    );
    assert_eq!(text.matches("warning").count(), 1, "{text}");
    expect(
        &folder,
        "plan old.lua typo.lua --json",
        0,
        &[
            "\"undefined\":[{\"name\":\"taxx\",\"line\":2,\"column\":32,\"function\":\"M.price\",\"suggestion\":\"tax\"}]",
        ],
    );
    let text = expect(&folder, "plan old.lua typo.lua --globals taxx", 0, &[]);
    assert!(!text.contains("warning"), "{text}");
    // What the text used before is not new.
    folder.write("later.lua", OLD.replace("x * 1.2", "x * taxx * 2"));
    folder.write("before.lua", OLD.replace("x * 1.2", "x * taxx"));
    let text = expect(&folder, "plan before.lua later.lua", 0, &["M.price"]);
    assert!(!text.contains("warning"), "{text}");
    // Other files of the folder define it, whether they change or not.
    for below in ["a", "b"] {
        std::fs::create_dir_all(folder.path().join(below)).expect("made");
        folder.write(
            &format!("{below}/globals.lua"),
            "function vat() return 1.2 end\n",
        );
    }
    folder.write("a/shop.lua", OLD);
    folder.write("b/shop.lua", OLD.replace("x * 1.2", "x * vat() * more()"));
    folder.write("b/more.lua", "function more() return 1 end\n");
    let text = expect(&folder, "plan a b", 0, &["M.price"]);
    assert!(!text.contains("warning"), "{text}");
}

#[test]
fn plans_of_folders_and_as_json() {
    let folder = shop();
    for below in ["a/deep", "b/deep"] {
        std::fs::create_dir_all(folder.path().join(below)).expect("made");
    }
    folder.write("a/shop.lua", OLD);
    folder.write("a/deep/same.lua", "return 1\n");
    folder.write("a/gone.lua", "return 1\n");
    folder.write("b/shop.lua", OLD.replace("'shop'", "'store'"));
    folder.write("b/deep/same.lua", "return 1\n");
    folder.write("b/more.lua", "return 1\n");
    folder.write("b/notes.txt", "not Lua (");
    let parts = [
        "shop.lua: ",
        "M.name",
        "swapped",
        "more.lua is new",
        "gone.lua is gone",
    ];
    expect(&folder, "plan a b", 0, &parts);
    let json = expect(
        &folder,
        "plan a b --json --prefix scripts/",
        0,
        &[
            "\"chunk\":\"scripts/shop.lua\"",
            "\"class\":\"swapped\"",
            "\"refusals\":[]",
        ],
    );
    assert_eq!(json.lines().count(), 1, "{json}");
    expect(&folder, "plan a a", 0, &["nothing changed"]);
    expect(
        &folder,
        "plan a old.lua",
        2,
        &["a is a folder", "both be folders"],
    );
    expect(&folder, "plan a b --name x", 2, &["--name"]);
    expect(
        &folder,
        "plan a missing.lua",
        1,
        &["cannot open missing.lua"],
    );

    expect(
        &folder,
        "plan old.lua new.lua --json",
        0,
        &["\"refused\":false"],
    );
    folder.write("bad.lua", "x = = 1\n");
    expect(
        &folder,
        "plan old.lua bad.lua --json",
        1,
        &["{\"file\":\"bad.lua\",\"line\":1"],
    );
    expect(
        &folder,
        "plan old.lua new.lua --reset nothing",
        3,
        &["P011"],
    );
    let json = expect(
        &folder,
        "plan old.lua new.lua --reset nothing --json",
        3,
        &["\"code\":\"P011\""],
    );
    assert!(json.starts_with('{') && json.ends_with("}\n"), "{json}");
    expect(
        &folder,
        "plan old.lua new.lua --timing soon",
        2,
        &["deferred-native"],
    );
}

#[test]
fn build_and_show() {
    let folder = shop();
    expect(
        &folder,
        "patch build old.lua new.lua -o shop.moonpatch --name @shop.lua --author ann --reason prices --expires 7d --sequence 4",
        0,
        &["swapped", "M.price", "1 chunk, sequence 4", "not signed"],
    );
    expect(
        &folder,
        "patch show shop.moonpatch",
        0,
        &[
            "@shop.lua",
            "for sha256:",
            "swapped M.price",
            "author = \"ann\"",
            "expires 2",
        ],
    );
    expect(
        &folder,
        "patch show shop.moonpatch --json",
        0,
        &[
            "\"sequence\":4",
            "\"policy\":{\"author\":\"ann\",\"reason\":\"prices\"}",
            "\"accepted\":true",
            "\"signed_by\":null",
        ],
    );
    // For the running text, and for another.
    expect(
        &folder,
        "patch show shop.moonpatch --old old.lua",
        0,
        &["plan for shop.lua: M.price v1 → v2"],
    );
    expect(
        &folder,
        "patch show shop.moonpatch --old new.lua",
        5,
        &["P013", "already"],
    );
    folder.write("other.lua", "return 2\n");
    expect(
        &folder,
        "patch show shop.moonpatch --old other.lua --json",
        5,
        &["\"code\":\"P013\""],
    );

    let text = std::fs::read_to_string(folder.path().join("shop.moonpatch")).expect("written");
    folder.write("damaged.moonpatch", text.replace("1.25", "9.99"));
    expect(&folder, "patch show damaged.moonpatch", 5, &["S001"]);
    expect(
        &folder,
        "patch show damaged.moonpatch --json",
        5,
        &["\"code\":\"S001\""],
    );
    expect(&folder, "patch show old.lua", 5, &["S001"]);
    expect(&folder, "patch show missing.moonpatch", 1, &["cannot open"]);
    expect(
        &folder,
        "patch build old.lua new.lua -o late.moonpatch --expires 1999-12-31T23:59:59Z",
        0,
        &[],
    );
    expect(
        &folder,
        "patch show late.moonpatch",
        5,
        &["S005", "expired 1999"],
    );

    expect(
        &folder,
        "patch build old.lua old.lua -o no.moonpatch",
        2,
        &["the same"],
    );
    folder.write("outer.lua", "local function make(a, b)\n  a = a or 1\n  return function() return a end, b\nend\nreturn make\n");
    folder.write("capture.lua", "local function make(a, b)\n  a = a or 1\n  return function() return a + b end, b\nend\nreturn make\n");
    expect(
        &folder,
        "patch build outer.lua capture.lua -o no.moonpatch",
        3,
        &["P003"],
    );
    folder.write("bad.lua", "x = = 1\n");
    expect(
        &folder,
        "patch build old.lua bad.lua -o no.moonpatch",
        1,
        &["bad.lua:1"],
    );
    expect(&folder, "patch build old.lua new.lua", 2, &["--output"]);
    assert!(!folder.path().join("no.moonpatch").exists());
    assert!(!folder.path().join("no.moonpatch.part").exists());
    // A text that is not UTF-8, to standard output.
    std::fs::write(
        folder.path().join("bytes.lua"),
        [OLD.as_bytes(), b"--\xff\n"].concat(),
    )
    .expect("written");
    expect(
        &folder,
        "patch build old.lua bytes.lua -o - --any-base",
        0,
        &["\"source_base64\": \""],
    );
}

#[test]
fn signatures() {
    let folder = shop();
    let public = expect(&folder, "patch keygen key", 0, &["moonswap-public-key "]);
    expect(
        &folder,
        "patch keygen key",
        1,
        &["cannot write key", "another name"],
    );
    expect(
        &folder,
        "patch keygen other --json",
        0,
        &["\"public\":\"moonswap-public-key "],
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path().join("key"))
            .expect("made")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    expect(
        &folder,
        "patch build old.lua new.lua -o p.moonpatch",
        0,
        &[],
    );
    expect(
        &folder,
        "patch show p.moonpatch --key key.pub",
        5,
        &["S004"],
    );
    expect(
        &folder,
        "patch sign p.moonpatch --key key -o s.moonpatch",
        0,
        &["signed, sequence"],
    );
    expect(
        &folder,
        "patch show s.moonpatch --key key.pub --key other.pub",
        0,
        &["signed", "key "],
    );
    let digits = public.split_whitespace().last().expect("a key").to_owned();
    expect(
        &folder,
        &format!("patch show s.moonpatch --key {digits}"),
        0,
        &[],
    );
    expect(
        &folder,
        "patch show s.moonpatch --key other.pub",
        5,
        &["S003"],
    );
    expect(
        &folder,
        "patch show s.moonpatch --key other.pub --json",
        5,
        &["\"accepted\":false", "S003"],
    );
    expect(
        &folder,
        "patch show s.moonpatch --key nokey",
        2,
        &["not a public key"],
    );
    expect(
        &folder,
        "patch sign p.moonpatch --key key.pub",
        1,
        &["not a secret key"],
    );

    let text = std::fs::read_to_string(folder.path().join("s.moonpatch")).expect("signed");
    folder.write(
        "tampered.moonpatch",
        text.replacen("\"sequence\": 1", "\"sequence\": 2", 1),
    );
    expect(&folder, "patch show tampered.moonpatch", 5, &["S002"]);
    // Built and signed at once.
    expect(
        &folder,
        "patch build old.lua new.lua -o t.moonpatch --key key --sequence 9 --json",
        0,
        &["\"sequence\":9", &digits],
    );
    expect(
        &folder,
        "patch show t.moonpatch --key key.pub",
        0,
        &["sequence 9"],
    );
}

/// What the command line builds, a running program applies.
#[test]
fn applied_by_a_script() {
    let folder = shop();
    folder.write("shop.lua", OLD);
    expect(
        &folder,
        "patch build old.lua new.lua -o p.moonpatch --name @shop.lua",
        0,
        &[],
    );
    folder.write(
        "main.lua",
        "package.path = './?.lua'
         local shop, hot = require 'shop', require 'moonswap'
         local price = shop.price
         assert(hot.applyfile 'p.moonpatch')
         print(price(100))
         print(select(2, hot.applyfile 'p.moonpatch'))",
    );
    expect(&folder, "main.lua", 0, &["125.0\n", "P013"]);
}

/// Several chunks, compared with the folder that runs.
#[test]
fn shown_for_a_running_folder() {
    let folder = shop();
    for below in ["running", "fixed", "elsewhere"] {
        std::fs::create_dir_all(folder.path().join(below)).expect("made");
    }
    for name in ["a.lua", "b.lua"] {
        folder.write(&format!("running/{name}"), OLD);
        folder.write(&format!("fixed/{name}"), OLD.replace("1.2", "1.25"));
        folder.write(&format!("elsewhere/{name}"), OLD);
    }
    folder.write("elsewhere/b.lua", OLD.replace("1.2", "2"));
    expect(
        &folder,
        "patch build running fixed -o all.moonpatch",
        0,
        &[],
    );
    expect(
        &folder,
        "patch show all.moonpatch --old running",
        0,
        &["plan for a.lua: M.price v1 → v2", "b.lua: M.price v1 → v2"],
    );
    expect(
        &folder,
        "patch show all.moonpatch --old elsewhere",
        5,
        &["b.lua:1: P013"],
    );
    expect(
        &folder,
        "patch show all.moonpatch --old running/a.lua",
        2,
        &["is no folder"],
    );
    let text = std::fs::read_to_string(folder.path().join("all.moonpatch")).expect("written");
    folder.write("out.moonpatch", text.replace("@a.lua", "@../old.lua"));
    expect(
        &folder,
        "patch show out.moonpatch --old running",
        2,
        &["no path in running"],
    );
}

#[test]
fn help_and_messages_name_the_cause_and_the_choices() {
    let folder = shop();
    let help = expect(
        &folder,
        "run --help",
        0,
        &[
            "possible values: deferred-native, immediate, quiescent, checkpoint",
            "possible values: finish, refuse, close",
            "possible values: finish, migrate",
        ],
    );
    // What is no setting of patches does not stand under their heading.
    let (own, settings) = help
        .split_once("How to apply the patch")
        .expect("a heading");
    assert!(own.contains("[ARGUMENTS]..."), "{help}");
    assert!(!settings.contains("[ARGUMENTS]"), "{help}");

    for (line, code, parts) in [
        (
            "plan --timing later old.lua new.lua",
            2,
            ["--timing", "quiescent"],
        ),
        (
            "plan --captures x old.lua new.lua",
            2,
            ["--captures", "keep-old"],
        ),
        (
            "run --timing immediate old.lua",
            2,
            ["--watch", "nothing is patched"],
        ),
        (
            "patch build old.lua new.lua -o x --expires soon",
            2,
            ["7d", "2031-05-04T12:30:00Z"],
        ),
        (
            "audit verify missing.jsonl",
            1,
            ["cannot read missing.jsonl", "No such"],
        ),
    ] {
        expect(&folder, line, code, &parts);
    }
    std::fs::create_dir(folder.path().join("a")).expect("made");
    expect(&folder, "plan a old.lua", 2, &["both be folders"]);
}

#[test]
fn a_prefix_is_a_folder_and_sequence_numbers_are_large() {
    let folder = shop();
    for (name, text) in [("a", OLD.to_owned()), ("b", OLD.replace("1.2", "1.5"))] {
        std::fs::create_dir(folder.path().join(name)).expect("made");
        folder.write(&format!("{name}/shop.lua"), text);
    }
    for prefix in ["scripts", "scripts/"] {
        let line = format!("plan a b --json --prefix {prefix}");
        expect(&folder, &line, 0, &["\"chunk\":\"scripts/shop.lua\""]);
    }
    // Behind a number that signing chose: milliseconds since 1970.
    expect(
        &folder,
        "patch build a b -o x.moonpatch --sequence 1795414460510",
        0,
        &["sequence 1795414460510"],
    );
    expect(
        &folder,
        "patch show x.moonpatch",
        0,
        &["sequence 1795414460510"],
    );
}

#[test]
fn only_what_the_user_loaded_is_listed() {
    let folder = TempFolder::new("listed");
    folder.write(
        "main.lua",
        "for _, one in ipairs(require('moonswap').versions()) do print(one.id) end\n",
    );
    let out = expect(&folder, "main.lua", 0, &[]);
    assert_eq!(out, "main.lua / main chunk\n");
}
