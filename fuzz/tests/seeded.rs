//! Each target for a fixed number of executions: what CI runs. No nightly, no
//! fuzzer; the same executions every time.

use moonswap_fuzz::runner::{self, Options};
use moonswap_fuzz::{TARGETS, Target};

/// Where the rows of these tests come from.
const SEED: u64 = 20_540;

fn target(name: &str) -> Target {
    let found = TARGETS.into_iter().find(|t| t.name == name);
    found.expect("a target of that name")
}

fn holds(name: &str, execs: u64) {
    let options = Options {
        execs,
        seed: SEED,
        first: 0,
        jobs: 1,
        slow: runner::SLOW,
        state: None,
        progress: true,
    };
    let summary = runner::run(target(name), &options);
    assert_eq!(summary.execs, execs);
    assert!(summary.findings.is_empty(), "{:#?}", summary.findings);
}

#[test]
fn compile() {
    holds("compile", 12_000);
}

#[test]
fn undump() {
    holds("undump", 12_000);
}

#[test]
fn run() {
    holds("run", 3_000);
}

#[test]
fn patch() {
    holds("patch", 1_000);
}

#[test]
fn file() {
    holds("file", 12_000);
    let read = moonswap_fuzz::file::READ.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read > 1_000, "damaged files that are read: {read}");
}

/// Each target is a program of libFuzzer as well, and `run all` runs it.
#[test]
fn libfuzzer_has_all_targets() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file");
    let names = TARGETS.map(|target| target.name);
    assert!(read("run").contains(&format!("targets=({})", names.join(" "))));
    let manifest = read("Cargo.toml");
    assert_eq!(manifest.matches("[[bin]]").count(), names.len());
    for name in names {
        assert!(
            manifest.contains(&format!("path = \"targets/{name}.rs\"")),
            "{name}"
        );
        let program = read(&format!("targets/{name}.rs"));
        assert!(
            program.contains(&format!("moonswap_fuzz::{name}::run(bytes)")),
            "{name}"
        );
    }
}

#[test]
fn rows_are_the_same_everywhere() {
    let row = moonswap_fuzz::data::row(1, 2);
    assert_eq!(row, moonswap_fuzz::data::row(1, 2));
    assert_ne!(row, moonswap_fuzz::data::row(1, 3));
    assert_ne!(row, moonswap_fuzz::data::row(2, 2));
    let sum: u64 = row.iter().map(|&b| u64::from(b)).sum();
    assert_eq!((row.len(), sum), (40, 4841));
}

#[test]
fn findings_are_caught_and_made_small() {
    fn fails(bytes: &[u8]) {
        assert!(!bytes.contains(&7), "seven");
    }
    let target = Target {
        name: "sevens",
        run: fails,
        show: |_| String::new(),
    };
    let options = Options {
        execs: 200,
        seed: SEED,
        first: 0,
        jobs: 2,
        slow: runner::SLOW,
        state: None,
        progress: false,
    };
    let summary = runner::run(target, &options);
    assert!(!summary.findings.is_empty());
    for finding in summary.findings {
        assert_eq!(finding.bytes, [7]);
        assert!(finding.message.contains("seven"), "{}", finding.message);
        assert!(moonswap_fuzz::data::row(SEED, finding.number).contains(&7));
    }
}
