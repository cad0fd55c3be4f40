//! One test per case, over `libtest-mimic`: `cargo test … -- PART-OF-A-NAME`
//! runs some of them. Times are printed at the end: of each case if they are few, of
//! the slowest ones and of each group otherwise.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Trial};

use crate::skip;

/// How many times are printed when many cases run.
const N_SLOWEST: usize = 20;
/// So many cases are few: all their times are printed.
const N_FEW: usize = 100;

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Passed,
    /// Something that the case needs is not there: what, and how to get it. This
    /// is a failure where `MOONSWAP_REQUIRE` is `all`.
    Skipped {
        /// What is not installed.
        what: String,
        /// How to get it.
        remedy: String,
    },
}

impl Verdict {
    /// A case that needs what is not there.
    pub fn skipped(what: impl Into<String>, remedy: impl Into<String>) -> Verdict {
        let (what, remedy) = (what.into(), remedy.into());
        Verdict::Skipped { what, remedy }
    }
}

type Times = Arc<Mutex<Vec<(Duration, String)>>>;
type Check = Box<dyn FnOnce() -> Result<(), String>>;

/// The cases of a test program.
#[derive(Default)]
#[expect(missing_debug_implementations, reason = "closures have none")]
pub struct Cases {
    trials: Vec<Trial>,
    times: Times,
    at_end: Vec<Check>,
}

impl Cases {
    /// Adds a case. It fails by an error, or by a panic.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        case: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) {
        self.add_skippable(name, || case().map(|()| Verdict::Passed));
    }

    /// Adds a case that may need what is not installed.
    pub fn add_skippable(
        &mut self,
        name: impl Into<String>,
        case: impl FnOnce() -> Result<Verdict, String> + Send + 'static,
    ) {
        let name = name.into();
        let times = Arc::clone(&self.times);
        let timed = name.clone();
        self.trials.push(Trial::ignorable_test(name, move || {
            let start = Instant::now();
            let verdict = case();
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            times.push((start.elapsed(), timed));
            match verdict? {
                Verdict::Passed => Ok(Completion::Completed),
                Verdict::Skipped { what, remedy } => {
                    let line = skip::line(&what, &remedy);
                    if skip::is_required() {
                        return Err(format!("{line} ({}=all)", skip::REQUIRE).into());
                    }
                    Ok(Completion::ignored_with(line))
                }
            }
        }));
    }

    /// Adds a check that is made after all cases, if none was left out by name.
    pub fn at_end(&mut self, check: impl FnOnce() -> Result<(), String> + 'static) {
        self.at_end.push(Box::new(check));
    }

    /// Runs what the command line asks for.
    pub fn run(mut self) -> ExitCode {
        let (names, options) = split(std::env::args());
        let arguments = Arguments::from_iter(options);
        let is_part = !names.is_empty() || !arguments.skip.is_empty();
        self.trials.retain(|trial| {
            let is_meant = |name: &String| match arguments.exact {
                true => trial.name() == name,
                false => trial.name().contains(name),
            };
            names.is_empty() || names.iter().any(is_meant)
        });
        let is_list = arguments.list;
        let conclusion = libtest_mimic::run(&arguments, self.trials);
        if is_list {
            return conclusion.exit_code();
        }
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
        let n = match times.len() {
            n @ ..=N_FEW => n,
            _ => N_SLOWEST,
        };
        for (time, name) in times.iter().take(n) {
            println!("{:8.3} s  {name}", time.as_secs_f64());
        }
        if n < times.len() {
            print_groups(&times);
        }
        if is_part || conclusion.has_failed() || conclusion.num_ignored > 0 {
            return conclusion.exit_code();
        }
        let mut code = conclusion.exit_code();
        for check in self.at_end {
            if let Err(why) = check() {
                eprintln!("after all cases: {why}");
                code = ExitCode::FAILURE;
            }
        }
        code
    }
}

/// Prints how many cases each group has and how long they took together. The group
/// of a case is its name without the last part.
fn print_groups(times: &[(Duration, String)]) {
    let mut groups: BTreeMap<&str, (Duration, usize)> = BTreeMap::new();
    for (time, name) in times {
        let group = name.rsplit_once('/').map_or("", |(group, _)| group);
        let entry = groups.entry(group).or_default();
        *entry = (entry.0 + *time, entry.1 + 1);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (time, _))| std::cmp::Reverse(*time));
    println!();
    for (group, (time, n)) in groups.iter().take(N_SLOWEST) {
        println!("{:8.3} s  {n:5} cases  {group}", time.as_secs_f64());
    }
}

/// Separates the names of cases from all else. The command line of `cargo test`
/// takes several names, that of `libtest-mimic` one.
fn split(arguments: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const WITH_VALUE: [&str; 6] = [
        "--test-threads",
        "--logfile",
        "--skip",
        "--color",
        "--format",
        "-Z",
    ];
    let (mut names, mut options) = (Vec::new(), Vec::new());
    let mut is_value = true; // the program itself
    for argument in arguments {
        if is_value || argument.starts_with('-') {
            is_value = WITH_VALUE.contains(&&*argument);
            options.push(argument);
        } else {
            names.push(argument);
        }
    }
    (names, options)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn names_are_what_is_no_option() {
        let line = [
            "program",
            "a",
            "--test-threads",
            "2",
            "--exact",
            "b",
            "--skip=c",
        ];
        let (names, options) = split(line.into_iter().map(str::to_owned));
        assert_eq!(names, ["a", "b"]);
        assert_eq!(
            options,
            ["program", "--test-threads", "2", "--exact", "--skip=c"]
        );
    }
}
