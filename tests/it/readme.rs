//! README.md as written: its Lua runs, its commands work, its lines of TOML name what
//! there is. Its Rust is in the doctests of the crate `moonswap`.

use std::process::Command;

use crate::support::{TempFolder, clean_environment, moonswap, root, run_moonswap};

/// The fenced pieces in a language.
fn pieces(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let fence = format!("```{language}\n");
    let all = text.split(&fence).skip(1);
    all.map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn lua_runs() {
    let pieces = pieces("lua");
    assert_eq!(pieces.len(), 1);
    let folder = TempFolder::new("readme-lua");
    let old = "return { price = function(x) return x * 1.2 end }";
    folder.write("shop.lua", old);
    // Somebody edits.
    let edit = format!(
        "do local f = io.open('shop.lua', 'w') f:write({:?}) f:close() end",
        old.replace("1.2", "1.25")
    );
    let note = "-- … shop.lua is edited …";
    assert!(pieces[0].contains(note));
    folder.write("main.lua", pieces[0].replace(note, &edit));
    let outcome = run_moonswap(folder.path(), &["main.lua"], b"");
    assert_eq!(outcome.code, Some(0), "{}", outcome.tail());
    assert!(
        outcome.out().contains("v1 → v2, 1 function"),
        "{}",
        outcome.out()
    );
    assert_eq!(outcome.err(), "");
}

#[test]
fn commands_work() {
    let pieces = pieces("sh");
    let [commands, signing] = &pieces[..] else {
        panic!("{} pieces", pieces.len());
    };
    // Building and testing is what happens here.
    assert!(commands.contains("-p moonswap-cli -- run --watch demo/main.lua"));
    assert!(root().join("demo/main.lua").exists());
    let folder = TempFolder::new("readme-sh");
    for (name, factor) in [("running", "1.2"), ("fixed", "1.25")] {
        std::fs::create_dir(folder.path().join(name)).expect("folder");
        let text = format!("function price(x) return x * {factor} end\n");
        folder.write(&format!("{name}/shop.lua"), &text);
    }
    let program = moonswap().parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    clean_environment(&mut shell);
    let output = shell
        .args(["-e", "-c", signing])
        .env("PATH", format!("{}:{path}", program.display()))
        .current_dir(folder.path())
        .output()
        .expect("sh");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}{told}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(told.contains("price"), "{told}");
}

#[test]
fn dependencies_are_there() {
    let pieces = pieces("toml");
    assert_eq!(pieces.len(), 1);
    let path = pieces[0].split('"').nth(1).expect("a path");
    let path = path
        .strip_prefix("../moonswap/")
        .expect("in this repository");
    let manifest = root().join(path).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("a crate");
    assert!(manifest.contains("name = \"moonswap\"") && manifest.contains("\nsign = "));
}
