//! Counts and the printed result.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use moonswap::Policy;

use crate::corpus::Package;
use crate::history::ride;
use crate::step::{Unusable, step};
use crate::verdict::{Outcome, Verdict};

/// Of all steps, in full; in hundredths.
const FULL: f64 = 88.0;
/// Of all steps, refused; in hundredths.
const REFUSED: f64 = 3.0;

#[derive(Default)]
struct Counts {
    full: usize,
    listed: usize,
    refused: usize,
    wrong: usize,
    pairs: usize,
    unlike: usize,
    unusable: usize,
    codes: BTreeMap<String, usize>,
    functions: u64,
    tables: u64,
}

impl Counts {
    fn add(&mut self, verdict: &Verdict) {
        match &verdict.outcome {
            Outcome::Full => self.full += 1,
            Outcome::Listed => self.listed += 1,
            Outcome::Refused(codes) => {
                self.refused += 1;
                for code in codes {
                    *self.codes.entry(code.clone()).or_default() += 1;
                }
            }
        }
        self.wrong += usize::from(!verdict.wrong.is_empty());
        self.pairs += verdict.pairs;
        self.unlike += verdict.unlike.len();
        self.functions += verdict.compared.0;
        self.tables += verdict.compared.1;
    }

    fn all(&self) -> usize {
        self.full + self.listed + self.refused
    }

    fn line(&self) -> String {
        let percent = |n: usize| 100.0 * n as f64 / self.all().max(1) as f64;
        let codes: Vec<String> = self.codes.iter().map(|(c, n)| format!("{c} {n}")).collect();
        format!(
            "{:>6} | {:>5.1} % | {:>5.1} % | {:>5.1} % | {:>5} | {:>6} | {:>6} | {}",
            self.all(),
            percent(self.full),
            percent(self.listed),
            percent(self.refused),
            self.wrong,
            self.pairs,
            self.unlike,
            codes.join(", "),
        )
    }
}

struct Arrived {
    package: String,
    releases: usize,
    files: (usize, usize),
    patched: (usize, usize),
}

/// All that was seen.
pub(crate) struct Tally {
    details: Option<File>,
    steps: BTreeMap<String, Counts>,
    rides: BTreeMap<String, Counts>,
    arrived: Vec<Arrived>,
    not_run: BTreeMap<&'static str, usize>,
}

impl Tally {
    pub(crate) fn new(details: Option<&Path>) -> std::io::Result<Self> {
        Ok(Self {
            details: details.map(File::create).transpose()?,
            steps: BTreeMap::new(),
            rides: BTreeMap::new(),
            arrived: Vec::new(),
            not_run: BTreeMap::new(),
        })
    }

    fn detail(&mut self, line: &str) {
        if let Some(file) = &mut self.details {
            let _ = writeln!(file, "{}", line.replace('\n', " "));
        }
    }

    fn note(&mut self, mode: &str, place: &str, verdict: &Verdict) {
        let outcome = match &verdict.outcome {
            Outcome::Full => "full".to_owned(),
            Outcome::Listed => "listed".to_owned(),
            Outcome::Refused(codes) => {
                let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
                format!("refused {}", codes.join(","))
            }
        };
        self.detail(&format!("{mode}\t{place}\t{outcome}"));
        for (kind, text, why) in &verdict.not_run {
            *self.not_run.entry(kind).or_default() += 1;
            self.detail(&format!("{mode}\t{place}\tnot run\t{kind}\t{text}\t{why}"));
        }
        for reason in &verdict.reasons {
            self.detail(&format!("{mode}\t{place}\treason\t{reason}"));
        }
        for wrong in &verdict.wrong {
            self.detail(&format!("{mode}\t{place}\tWRONG\t{wrong}"));
        }
        for state in &verdict.state {
            self.detail(&format!("{mode}\t{place}\tstate\t{state}"));
        }
        for (alike, pair) in &verdict.unlike {
            self.detail(&format!("{mode}\t{place}\tunlike\t{alike:.2}\t{pair}"));
        }
    }

    /// Every release to the next one, each in a VM of its own.
    pub(crate) fn steps(&mut self, package: &Package, policy: &Policy) {
        let mut counts = Counts::default();
        let mut seen = BTreeSet::new();
        for pair in package.releases.windows(2) {
            let [(_, olds), (version, news)] = pair else {
                continue;
            };
            for (path, new) in news {
                let Some(old) = olds.get(path).filter(|old| *old != new) else {
                    continue;
                };
                if !seen.insert((old, new)) {
                    continue;
                }
                let place = format!("{}\t{version}\t{path}", package.name);
                match step(path, old, new, policy, package.per_call) {
                    Ok(verdict) => {
                        counts.add(&verdict);
                        self.note("step", &place, &verdict);
                    }
                    Err(why) => {
                        counts.unusable += 1;
                        let why = match why {
                            Unusable::Syntax => "syntax".to_owned(),
                            Unusable::Load(message) => message,
                        };
                        self.detail(&format!("step\t{place}\tunusable\t{why}"));
                    }
                }
            }
        }
        eprintln!("{}: {} steps", package.name, counts.all());
        self.steps.insert(package.name.clone(), counts);
    }

    /// All releases in one VM.
    pub(crate) fn history(&mut self, package: &Package, policy: &Policy) {
        let Some(ride) = ride(package, policy) else {
            return;
        };
        let mut counts = Counts::default();
        for (version, path, verdict) in &ride.steps {
            counts.add(verdict);
            let place = format!("{}\t{version}\t{path}", package.name);
            self.note("history", &place, verdict);
        }
        self.arrived.push(Arrived {
            package: package.name.clone(),
            releases: ride.releases,
            files: (ride.arrived, ride.files),
            patched: (ride.patched_arrived, ride.patched),
        });
        self.rides.insert(package.name.clone(), counts);
    }

    /// Prints all.
    pub(crate) fn print(&self) {
        let head = " steps | in full | listed  | refused | wrong |  pairs | unlike | refusals";
        for (title, all) in [
            ("each release to the next", &self.steps),
            ("whole histories", &self.rides),
        ] {
            if all.is_empty() {
                continue;
            }
            println!("{title}\n{:>30} | {head}", "package");
            let mut sum = Counts::default();
            for (name, counts) in all {
                println!("{name:>30} | {}", counts.line());
                sum.absorb(counts);
            }
            println!("{:>30} | {}", "all", sum.line());
            println!(
                "compared with fresh loads: {} functions, {} tables; not usable (other syntax, \
                 does not run alone): {} steps\n",
                sum.functions, sum.tables, sum.unusable
            );
        }
        if !self.arrived.is_empty() {
            println!(
                "{:>30} | releases | files at the newest text | of those patched",
                "package"
            );
            for each in &self.arrived {
                let ((a, b), (c, d)) = (each.files, each.patched);
                let (name, releases) = (&each.package, each.releases);
                println!("{name:>30} | {releases:>8} | {a:>11} of {b:>9} | {c:>6} of {d:>6}");
            }
            let there = |a: &&Arrived| a.files.0 == a.files.1;
            let reached = self.arrived.iter().filter(there).count();
            println!(
                "{reached} of {} packages reach their newest release\n",
                self.arrived.len()
            );
        }
        let kinds: Vec<String> = self
            .not_run
            .iter()
            .map(|(k, n)| format!("{k} {n}"))
            .collect();
        println!("statements not run: {}", kinds.join(", "));
    }

    fn sums(&self) -> (Counts, Counts) {
        let sum = |all: &BTreeMap<String, Counts>| {
            let mut sum = Counts::default();
            all.values().for_each(|counts| sum.absorb(counts));
            sum
        };
        (sum(&self.steps), sum(&self.rides))
    }

    /// Nothing is wrong.
    pub(crate) fn is_right(&self) -> bool {
        let (steps, rides) = self.sums();
        steps.wrong + rides.wrong == 0
    }

    /// The bars are met.
    pub(crate) fn is_enough(&self) -> bool {
        let (steps, _) = self.sums();
        let percent = |n: usize| 100.0 * n as f64 / steps.all().max(1) as f64;
        steps.all() == 0 || (percent(steps.full) >= FULL && percent(steps.refused) <= REFUSED)
    }
}

impl Counts {
    fn absorb(&mut self, other: &Counts) {
        self.full += other.full;
        self.listed += other.listed;
        self.refused += other.refused;
        self.wrong += other.wrong;
        self.pairs += other.pairs;
        self.unlike += other.unlike;
        self.unusable += other.unusable;
        self.functions += other.functions;
        self.tables += other.tables;
        for (code, n) in &other.codes {
            *self.codes.entry(code.clone()).or_default() += n;
        }
    }
}
