//! `commits`: takes the releases of real packages (`lua-tests/commits`), applies each
//! text to its successor in a live VM and compares with a fresh load.
#![forbid(unsafe_code)]

mod corpus;
mod history;
mod likeness;
mod step;
mod tally;
mod text;
mod verdict;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use moonswap::{Policy, WhenRefused};

use corpus::Package;
use tally::Tally;

struct Options {
    folder: PathBuf,
    only: Vec<String>,
    limit: usize,
    details: Option<PathBuf>,
    steps: bool,
    histories: bool,
    require: bool,
    refused: WhenRefused,
}

const USAGE: &str = "commits [--folder FOLDER] [--only PACKAGE]... [--limit RELEASES] \
[--steps | --histories] [--keep-old] [--details FILE] [--require]";

fn options() -> Result<Options, String> {
    let mut options = Options {
        folder: PathBuf::from("target/commits"),
        only: Vec::new(),
        limit: usize::MAX,
        details: None,
        steps: true,
        histories: true,
        require: false,
        refused: WhenRefused::default(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--folder" => options.folder = value()?.into(),
            "--only" => options.only.push(value()?),
            "--limit" => {
                let value = value()?;
                options.limit = value
                    .parse()
                    .map_err(|_| format!("not a number: {value}"))?;
            }
            "--details" => options.details = Some(value()?.into()),
            "--steps" => options.histories = false,
            "--histories" => options.steps = false,
            "--keep-old" => options.refused = WhenRefused::KeepOld,
            "--require" => options.require = true,
            other => return Err(format!("unknown option {other}\n{USAGE}")),
        }
    }
    Ok(options)
}

fn run(options: &Options) -> Result<bool, String> {
    let mut tally = Tally::new(options.details.as_deref()).map_err(|e| e.to_string())?;
    let folders = corpus::packages(&options.folder).map_err(|error| {
        let folder = options.folder.display();
        format!("{folder}: {error}; lua-tests/commits/fetch.py gets the packages")
    })?;
    for folder in folders {
        let package = Package::read(&folder, options.limit).map_err(|e| e.to_string())?;
        if !options.only.is_empty() && !options.only.contains(&package.name) {
            continue;
        }
        let policy = package
            .rerun
            .iter()
            .fold(Policy::default(), |policy, rule| policy.rerun(rule));
        let policy = policy.refused(options.refused);
        if options.steps {
            tally.steps(&package, &policy);
        }
        if options.histories {
            tally.history(&package, &policy);
        }
    }
    tally.print();
    Ok(tally.is_right() && (!options.require || tally.is_enough()))
}

fn main() -> ExitCode {
    // Planning and loading recurse with the texts.
    let work = || options().and_then(|options| run(&options));
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(work);
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(true))) => ExitCode::SUCCESS,
        Ok(Ok(Ok(false))) => ExitCode::FAILURE,
        Ok(Ok(Err(message))) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        _ => ExitCode::FAILURE,
    }
}
