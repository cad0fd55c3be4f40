//! docs/guide/mlua-items.md lists every public item of mlua, and whether it is here.
//! It is made of a list of mlua's items (`mlua-items.txt`), the sources of the crate
//! `moonswap`, and what people wrote about differences (`mlua-differences.txt`).
//! `UPDATE=1` writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use moonswap_tests::api::public_items;

use crate::support::root;

/// What the document begins with.
const HEAD: &str = "# The items of mlua, one by one

A test keeps this list current. It lists the public items of mlua 0.12 for Lua 5.4. \
Implementations of traits of the standard library are not in it. \
[from-mlua.md](from-mlua.md) tells what differs in behaviour.
";

fn read(name: &str) -> String {
    let path = root().join("docs/guide").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is not the same: whether it is there, and why.
fn differences() -> BTreeMap<String, (bool, String)> {
    let text = read("mlua-differences.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parsed = lines.map(|line| {
        let parts: Vec<&str> = line.split(" | ").collect();
        let [item, here, why] = parts[..] else {
            panic!("`item | here | why`, not {line:?}");
        };
        let is_there = match here {
            "differs" => true,
            "not there" => false,
            other => panic!("\"differs\" or \"not there\", not {other:?}"),
        };
        (item.to_owned(), (is_there, why.to_owned()))
    });
    parsed.collect()
}

/// The document, and what is wrong with its sources.
fn document() -> (String, Vec<String>) {
    let mlua: BTreeSet<String> = read("mlua-items.txt").lines().map(str::to_owned).collect();
    let own = public_items(&root().join("crates/moonswap/src"), true);
    let differences = differences();
    let mut wrong = Vec::new();
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut n_same, mut rest) = (0, String::new());
    for item in &mlua {
        match differences.get(item) {
            Some((is_there, why)) => {
                if *is_there != own.contains(item) {
                    wrong.push(format!("{item}: the differences say otherwise"));
                }
                let here = if *is_there { "differs" } else { "not there" };
                let _ = writeln!(rest, "| `{item}` | {here} | {why} |");
            }
            None if own.contains(item) => {
                n_same += 1;
                let (type_, name) = item.split_once("::").unwrap_or((item, ""));
                let names = types.entry(type_.to_owned()).or_default();
                if !name.is_empty() {
                    names.push(format!("`{name}`"));
                }
            }
            None => wrong.push(format!(
                "{item}: missing, and the differences do not say why"
            )),
        }
    }
    for item in differences.keys().filter(|item| !mlua.contains(*item)) {
        wrong.push(format!("{item}: not an item of mlua's"));
    }
    let per_mille = n_same * 1000 / mlua.len();
    let mut text = String::from(HEAD);
    let _ = writeln!(
        text,
        "\nOf {} items {n_same} are the same ({}.{} %).\n",
        mlua.len(),
        per_mille / 10,
        per_mille % 10
    );
    let _ = writeln!(
        text,
        "## Not the same\n\n| item | here | why |\n| --- | --- | --- |\n{rest}"
    );
    let _ = writeln!(text, "## The same\n\n| type | items |\n| --- | --- |");
    for (type_, names) in types {
        let _ = writeln!(text, "| `{type_}` | {} |", names.join(", "));
    }
    (text, wrong)
}

#[test]
fn the_list_is_current() {
    let (text, wrong) = document();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = root().join("docs/guide/mlua-items.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &text).expect("mlua-items.md");
    }
    let current = read("mlua-items.md");
    assert!(
        current == text,
        "docs/guide/mlua-items.md is old: UPDATE=1 writes it"
    );
}

#[test]
fn nearly_all_are_the_same() {
    let mlua = read("mlua-items.txt").lines().count();
    let n_different = differences().len();
    assert!(
        n_different * 100 <= mlua * 5,
        "{n_different} of {mlua} items are not the same"
    );
}
