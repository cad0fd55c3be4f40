//! The law of top-level code: after a patch that says it left nothing out, the program
//! is what a fresh load of the new text is, with the old state.
//!
//! Random modules (`module.rs`) consist of what top-level code consists of: constants,
//! tables of them, functions in every form, values that are computed by functions,
//! classes, variables that functions change, statements for their effects. Random
//! edits (`edit.rs`) change, add, move and remove any of it. Between loading and
//! patching the program calls what it exports, so that there is state, and keeps
//! objects and closures.
//!
//! # What the old state is
//!
//! The *reference* is a fresh load of the new text in which live values stand in place
//! of what counts as state (`Text::reference`), in the order of the new text:
//!
//! | in the new text | in the reference |
//! | --- | --- |
//! | a function, another name for a table or function | as it stands |
//! | what is known without running anything (constants, also derived from constants; the items of tables, one by one) | as it stands, unless the program holds something else than the old text put there: then what the program holds (`MERGE`); a part of a table that the old text computed only has to be there |
//! | any other expression, the same as in the old text | what the program holds (`KEEP`) |
//! | any other expression that is new | as it stands: it runs |
//! | a statement for its effects, the same as in the old text | nothing: its effects are part of what the program holds |
//! | such a statement that is new | as it stands: it runs |
//! | fields and globals that neither text sets | what the program holds |
//! | objects and closures that the program keeps | made again by the new code, with the values that they hold |
//!
//! So what runs when the reference is loaded is what the patch has to run, and in that
//! order: traces are compared. Then all places (locals, fields, globals, metatables,
//! captured variables by name) are, with which names are one object; what every
//! function returns for some arguments; and all places again.
//!
//! Beside what a report lists, everything that does not depend on it is compared as
//! well. A refused patch leaves the program as it was, and so does one that is rolled
//! back, if it computed nothing. Some cases are rows of several patches.
//!
//! `LAWS=n` tries n cases, `LAW_FIRST=n` begins with number n, `LAW_ALL=1` goes on
//! after a failure, `LAW_SHOW=1` prints what was listed and refused. A case that fails
//! is made smaller first (`shrink.rs`).

mod again;
mod case;
mod edit;
mod module;
mod order;
mod shrink;
mod text;
mod write;

use case::{Case, Step};

use super::random::n_cases;

const SEED: u64 = 909;

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some()
}

#[derive(Default)]
struct Tally {
    full: u64,
    /// Of these, those that ran something.
    ran: u64,
    listed: u64,
    refused: u64,
    unusable: u64,
    failures: u64,
}

impl Tally {
    fn count(&mut self, step: &Step) {
        let told = match step {
            Step::Full { ran } => {
                self.full += 1;
                self.ran += u64::from(*ran);
                return;
            }
            Step::Listed(told) => {
                self.listed += 1;
                told
            }
            Step::Refused(told) => {
                self.refused += 1;
                told
            }
            Step::Unusable => {
                self.unusable += 1;
                return;
            }
        };
        if is_set("LAW_SHOW") {
            println!("{told}");
        }
    }
}

#[test]
fn a_patch_that_lists_nothing_is_a_fresh_load_with_the_old_state() {
    let n = n_cases(200);
    let first = std::env::var("LAW_FIRST").map_or(0, |n| n.parse().expect("a number"));
    let mut tally = Tally::default();
    for number in first..first + n {
        let case = Case::draw(SEED, number);
        match case::check(&case) {
            Ok(steps) => steps.iter().for_each(|step| tally.count(step)),
            Err(why) => {
                let (case, why) = shrink::shrunk(case, why, &|case| case::check(case).err());
                let text = format!("case {number}: {why}\n{}", case.shown());
                assert!(is_set("LAW_ALL"), "{text}");
                tally.failures += 1;
                println!("=====\n{text}");
            }
        }
    }
    let Tally {
        full,
        ran,
        listed,
        refused,
        unusable,
        failures,
    } = tally;
    println!(
        "{n} cases: {full} patches in full ({ran} of them ran new code), {listed} listed, {refused} refused, {unusable} unusable"
    );
    assert_eq!(failures, 0);
    // Cases that say nothing must not become the rule.
    let all = full + listed + refused + unusable;
    if n >= 100 {
        assert!(full * 2 > all, "only {full} of {all} in full");
        assert!(ran * 20 > all, "only {ran} of {all} ran new code");
        assert!(
            listed * 10 > all && refused > 0,
            "{listed} listed, {refused} refused"
        );
        assert!(unusable * 20 < all, "{unusable} of {all} unusable");
    }
}

#[test]
fn the_next_call_of_a_chunk_is_a_call_of_the_new_text() {
    let n = n_cases(100);
    let first = std::env::var("LAW_FIRST").map_or(0, |n| n.parse().expect("a number"));
    let (mut compared, mut failures) = (0, 0);
    for number in first..first + n {
        let case = again::draw(SEED, number);
        match again::check(&case) {
            Ok(Step::Full { .. }) => compared += 1,
            Ok(_) => {}
            Err(why) => {
                let (case, why) = shrink::shrunk(case, why, &|case| again::check(case).err());
                let text = format!("case {number}: {why}\n{}", case.shown());
                assert!(is_set("LAW_ALL"), "{text}");
                failures += 1;
                println!("=====\n{text}");
            }
        }
    }
    println!("{n} cases: {compared} compared");
    assert_eq!(failures, 0);
    assert!(
        n < 50 || compared * 2 > n,
        "only {compared} of {n} compared"
    );
}
