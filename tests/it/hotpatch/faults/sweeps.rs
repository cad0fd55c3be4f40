//! Each fault at each of its places, one after the other, until one comes too
//! late to stop the patch: for every subject, and by every door.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use moonswap_vm::planning::{Patch, Policy, Report};
use moonswap_vm::{Applied, HotError, Stress, Ticket};

use super::subjects::{self, Subject};
use super::{Fault, Faulty, difference, tries_all, without_numbers};
use crate::support::in_parallel;

/// What became of an attempt; `None`: it came to none.
type Outcome = Option<Result<Report, HotError>>;

/// By which way a patch comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// The host applies it.
    Host,
    /// Lua code does.
    Lua,
    /// It is queued, and comes when the host polls.
    Queued,
    /// Another thread submits it; planned on a thread, as the chunk is unknown.
    Thread,
    /// The same where there are no threads.
    NoThread,
    /// The same where the chunk was patched before: planned by the submitter.
    Known,
}

const DOORS: [Door; 6] = [
    Door::Host,
    Door::Lua,
    Door::Queued,
    Door::Thread,
    Door::NoThread,
    Door::Known,
];

const FAULTS: [Fault; 6] = [
    Fault::Allocation,
    Fault::Memory(256),
    Fault::Fuel,
    Fault::Interrupt,
    Fault::Deadline,
    Fault::Raise,
];

/// Polls until there is an outcome.
fn poll_for(faulty: &Faulty, ticket: &Ticket) -> Result<Report, HotError> {
    let start = Instant::now();
    loop {
        if let Some(outcome) = ticket.try_take() {
            return outcome;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no outcome");
        faulty.world.machine.poll();
        std::thread::yield_now();
    }
}

impl Door {
    /// Lets the patch in while a fault is due.
    fn enter(
        self,
        faulty: &Faulty,
        patch: &Patch,
        policy: &Policy,
        fault: Fault,
        k: u64,
    ) -> (Outcome, bool) {
        let machine = &faulty.world.machine;
        match self {
            Door::Host => faulty.strike(fault, k, || {
                Some(machine.with(|cx| cx.hot_apply(patch, policy)))
            }),
            Door::Lua => {
                let outcome: Rc<RefCell<Outcome>> = Rc::default();
                let (mine, patch, policy) = (Rc::clone(&outcome), patch.clone(), policy.clone());
                faulty.native("swap", move |cx| {
                    let done = cx.hot_apply_or_queue(&patch, &policy);
                    *mine.borrow_mut() = Some(done.map(|done| match done {
                        Applied::Now(report) => report,
                        Applied::Queued(_) => panic!("queued"),
                    }));
                    Ok(0)
                });
                let ((), came) = faulty.strike(fault, k, || {
                    let _ = faulty.world.run("local function f() end f() swap() f()");
                });
                faulty.world.run("swap = nil").expect("runs");
                (outcome.take(), came)
            }
            Door::Queued => {
                let ticket = machine.with(|cx| cx.hot_submit(patch.clone(), policy.clone()));
                faulty.strike(fault, k, || Some(poll_for(faulty, &ticket)))
            }
            Door::Thread | Door::NoThread | Door::Known => {
                let ticket = machine.patcher().submit(patch.clone(), policy.clone());
                faulty.strike(fault, k, || Some(poll_for(faulty, &ticket)))
            }
        }
    }

    /// Makes the world one for this door.
    fn prepare(self, faulty: &Faulty, subject: &Subject) {
        match self {
            Door::NoThread => faulty.world.machine.set_stress(Stress::without_threads()),
            Door::Known => {
                let patcher = faulty.world.machine.patcher();
                let ticket = patcher.submit(subject.step(), Policy::default());
                poll_for(faulty, &ticket).expect("published");
            }
            Door::Host | Door::Lua | Door::Queued | Door::Thread => {}
        }
    }
}

/// One row of faults.
struct Row<'a> {
    subject: &'a Subject,
    door: Door,
    fault: Fault,
}

impl Row<'_> {
    fn fail(&self, k: u64, why: &str) -> ! {
        let (name, door, fault) = (self.subject.name, self.door, self.fault);
        panic!("{name}, {door:?}, {fault:?} {k}: {why}");
    }

    /// What the functions answer must be that.
    fn expect(&self, k: u64, faulty: &Faulty, expected: &str, may_raise: bool) {
        let mut answer = self.subject.ask(faulty);
        if may_raise && answer == Err("not enough memory".to_owned()) {
            // What was left to be raised.
            answer = self.subject.ask(faulty);
        }
        if answer.as_deref() != Ok(expected) {
            self.fail(k, &format!("{answer:?} in place of {expected}"));
        }
    }

    /// A fault has struck, or not: the world must be whole and one of the two.
    /// Answers whether the patch was applied.
    fn check(
        &self,
        k: u64,
        faulty: &Faulty,
        (outcome, came): (Outcome, bool),
        (before, generation): (&str, u64),
    ) -> bool {
        let machine = &faulty.world.machine;
        let now = machine.with(|cx| cx.hot_generation());
        match &outcome {
            Some(Ok(report)) => {
                if came && self.subject.behind.is_none() && self.door != Door::Lua {
                    self.fail(k, "struck, and the patch was applied all the same");
                }
                self.expect(k, faulty, self.subject.new, came);
                if let Some(check) = self.subject.behind {
                    let done = faulty.world.run(&format!("return {check}"));
                    let told = report.warnings.iter().any(|w| w.contains(self.fault.cause()));
                    if done.as_deref() != Ok("true") && !told {
                        let warnings = report.warnings.join("; ");
                        self.fail(k, &format!("{check}: {done:?}, and nothing said: {warnings}"));
                    }
                }
                let known = machine.with(|cx| cx.hot_history().last().map(|entry| entry.id));
                if now != generation + 1 || report.generation != now || known != Some(report.id) {
                    self.fail(k, &format!("{report} at generation {now}, {known:?}"));
                }
            }
            refused => {
                if let Some(Err(error)) = refused {
                    let text = error.to_string();
                    if !text.contains(self.fault.cause()) {
                        self.fail(k, &format!("the cause is not named: {text}"));
                    }
                }
                let after = faulty.state();
                if before != after {
                    let difference = difference(before, &after);
                    self.fail(k, &format!("{refused:?}: something changed\n{difference}"));
                }
                self.expect(k, faulty, self.subject.old, false);
            }
        }
        if k % 16 == 1 {
            machine.verify_heap();
        }
        matches!(outcome, Some(Ok(_)))
    }

    fn roll_back(&self, k: u64, faulty: &Faulty, before: Option<&str>) {
        let machine = &faulty.world.machine;
        if let Err(error) = machine.with(|cx| cx.hot_rollback(None)) {
            self.fail(k, &error.to_string());
        }
        self.expect(k, faulty, self.subject.old, false);
        let after = without_numbers(&faulty.state());
        if let Some(before) = before
            && without_numbers(before) != after
        {
            let difference = difference(&without_numbers(before), &after);
            self.fail(k, &format!("not what was before\n{difference}"));
        }
    }

    /// All of them in one world, which must stay as it is until the patch is
    /// applied. Answers how many there were.
    fn one_after_the_other(&self) -> u64 {
        let subject = self.subject;
        let (patch, policy) = (subject.patch(), &subject.policy);
        let faulty = subject.world();
        self.door.prepare(&faulty, subject);
        self.expect(0, &faulty, subject.old, false);
        faulty.state();
        let before = faulty.state();
        let generation = faulty.world.machine.with(|cx| cx.hot_generation());
        let mut k = 1;
        loop {
            let struck = self.door.enter(&faulty, &patch, policy, self.fault, k);
            if self.check(k, &faulty, struck, (&before, generation)) {
                break;
            }
            k += 1;
            assert!(k < 20_000, "{}: no end", subject.name);
        }
        self.roll_back(k, &faulty, None);
        faulty.world.machine.verify_heap();
        k
    }

    /// After each the same patch is applied without a fault, and undone.
    fn each_mended(&self, n: u64, most: u64) {
        let subject = self.subject;
        let (patch, policy) = (subject.patch(), &subject.policy);
        let faulty = subject.world();
        self.door.prepare(&faulty, subject);
        let stride = if tries_all() { 1 } else { n.div_ceil(most) };
        for k in (1..=n).step_by(stride.max(1) as usize) {
            subject.set_up(&faulty);
            self.expect(k, &faulty, subject.old, false);
            faulty.state();
            let before = faulty.state();
            let machine = &faulty.world.machine;
            let generation = machine.with(|cx| cx.hot_generation());
            let struck = self.door.enter(&faulty, &patch, policy, self.fault, k);
            if !self.check(k, &faulty, struck, (&before, generation)) {
                let again = machine.with(|cx| cx.hot_apply(&patch, policy));
                if let Err(error) = again {
                    self.fail(k, &format!("without the fault: {error}"));
                }
                self.expect(k, &faulty, subject.new, false);
            }
            self.roll_back(k, &faulty, subject.behind.is_none().then_some(&*before));
        }
        faulty.world.machine.verify_heap();
    }

    fn run(&self, most: u64) -> u64 {
        let n = self.one_after_the_other();
        self.each_mended(n, most);
        n
    }
}

fn sweep(subjects: &[Subject], doors: &[Door], most: u64) {
    let rows: Vec<Row<'_>> = subjects
        .iter()
        .flat_map(|subject| doors.iter().map(move |&door| (subject, door)))
        .flat_map(|(subject, door)| {
            FAULTS.map(|fault| Row {
                subject,
                door,
                fault,
            })
        })
        .collect();
    let counts = in_parallel(&rows, |row| {
        let start = Instant::now();
        let n = catch_unwind(AssertUnwindSafe(|| row.run(most))).ok();
        (n, start.elapsed())
    });
    let mut n_failed = 0;
    for (row, (n, time)) in rows.iter().zip(&counts) {
        let (name, door, fault) = (row.subject.name, row.door, row.fault);
        let time = time.as_secs_f64();
        match n {
            Some(n) => println!("{name}, {door:?}, {fault:?}: {n} in {time:.2} s"),
            None => n_failed += 1,
        }
        assert!(
            fault != Fault::Allocation || n.is_none_or(|n| n > 3),
            "{name}: no faults"
        );
    }
    assert_eq!(n_failed, 0, "rows fail");
}

#[test]
fn every_step_of_every_subject() {
    sweep(&subjects::all(), &[Door::Host], 12);
}

#[test]
fn by_every_door() {
    let all = subjects::all();
    let rich: Vec<Subject> = all
        .into_iter()
        .filter(|subject| ["initialisers", "hooks", "transaction"].contains(&subject.name))
        .collect();
    sweep(&rich, &DOORS[1..], 4);
}
