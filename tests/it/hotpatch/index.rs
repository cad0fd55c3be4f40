//! `lua-tests/hotpatch/README.md`: which file shows which case. Every file it names
//! is there, every file that is there it names, and what it calls refused is.

use std::collections::BTreeSet;

use crate::support::{files, root};

/// The names in backquotes, of those that look like scenarios.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        name.bytes().all(is_plain)
    })
}

#[test]
fn each_case_has_its_scenarios() {
    let folder = root().join("lua-tests/hotpatch");
    let text = std::fs::read_to_string(folder.join("README.md")).expect("the index");
    let there: BTreeSet<String> = files(&folder, "scn")
        .iter()
        .filter_map(|path| path.file_stem())
        .map(|stem| stem.to_string_lossy().into_owned())
        .collect();
    let mut problems = Vec::new();
    let mut named: BTreeSet<&str> = BTreeSet::new();
    let mut n_rows = 0;
    for row in text.lines().filter(|line| line.starts_with("| ")).skip(2) {
        n_rows += 1;
        let columns: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [case, good, refused] = columns[..] else {
            problems.push(format!("not three columns: {row}"));
            continue;
        };
        if names(good).next().is_none() {
            problems.push(format!("{case}: nothing in which it goes well"));
        }
        if names(refused).next().is_none() && refused.trim_start_matches('—').trim().len() < 10 {
            problems.push(format!("{case}: neither refused nor a reason"));
        }
        named.extend(names(good));
        for name in names(refused) {
            named.insert(name);
            let path = folder.join(format!("{name}.scn"));
            let scenario = std::fs::read_to_string(path).unwrap_or_default();
            let said = [
                "--- refuse",
                "refused: ",
                " stays",
                "undone",
                "not run: ",
                "left alone",
                "P0",
                "warning: ",
            ];
            if !said.iter().any(|word| scenario.contains(word)) {
                problems.push(format!("{case}: {name} refuses nothing"));
            }
        }
    }
    let beyond = text.split("## Beyond the table").nth(1).unwrap_or_default();
    named.extend(names(beyond));
    for name in &named {
        if !there.contains(*name) {
            problems.push(format!("{name} is not there"));
        }
    }
    for name in &there {
        if !named.contains(name.as_str()) {
            problems.push(format!("{name} is not in the index"));
        }
    }
    assert!(n_rows >= 28, "only {n_rows} cases");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
