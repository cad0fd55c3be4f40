//! Each fault at each of its places, one after the other, until one comes too
//! late to stop the patch: for every subject, and by every source.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use moonswap_vm::planning::{Patch, Policy, Report};
use moonswap_vm::{Applied, HotError, Stress, Ticket};

use super::subjects::{self, Subject};
use super::{Fault, difference, tries_all, without_numbers};
use crate::hotpatch::world::{CHUNK, World};
use crate::support::in_parallel;

/// What became of an attempt; `None`: it came to none.
type Outcome = Option<Result<Report, HotError>>;

/// By which way a patch comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatchSource {
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

const SOURCES: [PatchSource; 6] = [
    PatchSource::Host,
    PatchSource::Lua,
    PatchSource::Queued,
    PatchSource::Thread,
    PatchSource::NoThread,
    PatchSource::Known,
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
fn poll_for(world: &World, ticket: &Ticket) -> Result<Report, HotError> {
    let start = Instant::now();
    loop {
        if let Some(outcome) = ticket.try_take() {
            return outcome;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "no outcome");
        world.machine.poll();
        std::thread::yield_now();
    }
}

impl PatchSource {
    /// Lets the patch in while a fault is due.
    fn enter(
        self,
        world: &World,
        patch: &Patch,
        policy: &Policy,
        fault: Fault,
        k: u64,
    ) -> (Outcome, bool) {
        let machine = &world.machine;
        match self {
            PatchSource::Host => world.trip(fault, k, || {
                Some(machine.with(|cx| cx.hot_apply(patch, policy)))
            }),
            PatchSource::Lua => {
                let outcome: Rc<RefCell<Outcome>> = Rc::default();
                let (mine, patch, policy) = (Rc::clone(&outcome), patch.clone(), policy.clone());
                world.set_global("swap", move |cx| {
                    let done = cx.hot_apply_or_queue(&patch, &policy);
                    *mine.borrow_mut() = Some(done.map(|done| match done {
                        Applied::Now(report) => report,
                        Applied::Queued(_) => panic!("queued"),
                    }));
                    Ok(0)
                });
                let ((), came) = world.trip(fault, k, || {
                    let _ = world.run("local function f() end f() swap() f()");
                });
                world.run("swap = nil").expect("runs");
                (outcome.take(), came)
            }
            PatchSource::Queued => {
                let ticket = machine.with(|cx| cx.hot_submit(patch.clone(), policy.clone()));
                world.trip(fault, k, || Some(poll_for(world, &ticket)))
            }
            PatchSource::Thread | PatchSource::NoThread | PatchSource::Known => {
                let ticket = machine.patcher().submit(patch.clone(), policy.clone());
                world.trip(fault, k, || Some(poll_for(world, &ticket)))
            }
        }
    }

    /// Makes the world one for this source.
    fn prepare(self, world: &World, subject: &Subject) {
        match self {
            PatchSource::NoThread => _ = world.machine.set_stress(Stress::without_threads()),
            PatchSource::Known => {
                let patcher = world.machine.patcher();
                let ticket = patcher.submit(subject.step(), Policy::default());
                poll_for(world, &ticket).expect("published");
            }
            PatchSource::Host | PatchSource::Lua | PatchSource::Queued | PatchSource::Thread => {}
        }
    }
}

/// One row of faults.
struct Row<'a> {
    subject: &'a Subject,
    source: PatchSource,
    fault: Fault,
}

impl Row<'_> {
    fn fail(&self, k: u64, why: &str) -> ! {
        let (name, source, fault) = (self.subject.name, self.source, self.fault);
        panic!("{name}, {source:?}, {fault:?} {k}: {why}");
    }

    /// What the functions answer must be that.
    fn expect(&self, k: u64, world: &World, expected: &str, may_raise: bool) {
        let mut answer = self.subject.ask(world);
        if may_raise && answer == Err("not enough memory".to_owned()) {
            // What was left to be raised.
            answer = self.subject.ask(world);
        }
        if answer.as_deref() != Ok(expected) {
            self.fail(k, &format!("{answer:?} in place of {expected}"));
        }
    }

    /// A fault has tripped, or not: the world must be whole and one of the two.
    /// Answers whether the patch was applied.
    fn check(
        &self,
        k: u64,
        world: &World,
        (outcome, came): (Outcome, bool),
        (before, generation): (&str, u64),
    ) -> bool {
        let machine = &world.machine;
        let now = machine.with(|cx| cx.hot_generation());
        match &outcome {
            Some(Ok(report)) => {
                if came && self.subject.behind.is_none() && self.source != PatchSource::Lua {
                    self.fail(k, "tripped, and the patch was applied all the same");
                }
                self.expect(k, world, self.subject.new, came);
                if let Some(check) = self.subject.behind {
                    let done = world.run(&format!("return {check}"));
                    let told = report
                        .warnings
                        .iter()
                        .any(|w| w.contains(self.fault.cause()));
                    if done.as_deref() != Ok("true") && !told {
                        let warnings = report.warnings.join("; ");
                        self.fail(
                            k,
                            &format!("{check}: {done:?}, and nothing said: {warnings}"),
                        );
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
                let after = world.state();
                if before != after {
                    let difference = difference(before, &after);
                    self.fail(k, &format!("{refused:?}: something changed\n{difference}"));
                }
                self.expect(k, world, self.subject.old, false);
            }
        }
        if k % 16 == 1 {
            machine.verify_heap();
        }
        matches!(outcome, Some(Ok(_)))
    }

    fn roll_back(&self, k: u64, world: &World, before: Option<&str>) {
        let machine = &world.machine;
        if let Err(error) = machine.with(|cx| cx.hot_rollback(None)) {
            self.fail(k, &error.to_string());
        }
        self.expect(k, world, self.subject.old, false);
        let after = without_numbers(&world.state());
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
        let world = subject.world();
        self.source.prepare(&world, subject);
        self.expect(0, &world, subject.old, false);
        world.state();
        let before = world.state();
        let generation = world.machine.with(|cx| cx.hot_generation());
        let mut k = 1;
        loop {
            let tripped = self.source.enter(&world, &patch, policy, self.fault, k);
            if self.check(k, &world, tripped, (&before, generation)) {
                break;
            }
            k += 1;
            assert!(k < 20_000, "{}: no end", subject.name);
        }
        self.roll_back(k, &world, None);
        world.machine.verify_heap();
        k
    }

    /// After each the same patch is applied without a fault, and undone.
    fn each_mended(&self, n: u64, most: u64) {
        let subject = self.subject;
        let (patch, policy) = (subject.patch(), &subject.policy);
        let world = subject.world();
        self.source.prepare(&world, subject);
        let stride = if tries_all() { 1 } else { n.div_ceil(most) };
        for k in (1..=n).step_by(stride.max(1) as usize) {
            subject.set_up(&world);
            self.expect(k, &world, subject.old, false);
            world.state();
            let before = world.state();
            let machine = &world.machine;
            let generation = machine.with(|cx| cx.hot_generation());
            let tripped = self.source.enter(&world, &patch, policy, self.fault, k);
            if !self.check(k, &world, tripped, (&before, generation)) {
                let again = machine.with(|cx| cx.hot_apply(&patch, policy));
                if let Err(error) = again {
                    self.fail(k, &format!("without the fault: {error}"));
                }
                self.expect(k, &world, subject.new, false);
            }
            self.roll_back(k, &world, subject.behind.is_none().then_some(&*before));
        }
        world.machine.verify_heap();
    }

    fn run(&self, most: u64) -> u64 {
        let n = self.one_after_the_other();
        self.each_mended(n, most);
        n
    }
}

fn sweep(subjects: &[Subject], sources: &[PatchSource], most: u64) {
    let rows: Vec<Row<'_>> = subjects
        .iter()
        .flat_map(|subject| sources.iter().map(move |&source| (subject, source)))
        .flat_map(|(subject, source)| {
            FAULTS.map(|fault| Row {
                subject,
                source,
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
        let (name, source, fault) = (row.subject.name, row.source, row.fault);
        let time = time.as_secs_f64();
        match n {
            Some(n) => println!("{name}, {source:?}, {fault:?}: {n} in {time:.2} s"),
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
    sweep(&subjects::all(), &[PatchSource::Host], 12);
}

#[test]
fn by_every_source() {
    let all = subjects::all();
    let rich: Vec<Subject> = all
        .into_iter()
        .filter(|subject| ["initialisers", "hooks", "transaction"].contains(&subject.name))
        .collect();
    sweep(&rich, &SOURCES[1..], 4);
}

/// A rollback has nothing to fail by: with any allocation failing, and with no
/// memory left, the old code is back with all that it had.
#[test]
fn rollbacks_do_not_fail() {
    for subject in subjects::all() {
        for fault in [Fault::Allocation, Fault::Memory(256), Fault::Fuel] {
            let source = PatchSource::Host;
            let row = Row {
                subject: &subject,
                source,
                fault,
            };
            let world = subject.world();
            let machine = &world.machine;
            for k in 1..10 {
                subject.set_up(&world);
                row.expect(k, &world, subject.old, false);
                world.state();
                let before = without_numbers(&world.state());
                let applied = machine.with(|cx| cx.hot_apply(&subject.patch(), &subject.policy));
                applied.unwrap_or_else(|error| row.fail(k, &error.to_string()));
                row.expect(k, &world, subject.new, false);
                let undo = || machine.with(|cx| cx.hot_rollback(None));
                let (outcome, _) = world.trip(fault, k, undo);
                if let Err(error) = outcome {
                    row.fail(k, &error.to_string());
                }
                row.expect(k, &world, subject.old, true);
                let after = without_numbers(&world.state());
                if subject.behind.is_none() && before != after {
                    row.fail(k, &difference(&before, &after));
                }
            }
            machine.verify_heap();
        }
    }
}

/// Fields that a patch cleared come back although their table has to grow for
/// them and there is no memory.
#[test]
fn rollbacks_restore_fields_without_memory() {
    // Around the sizes at which tables are full.
    for n in [1, 8, 64, 1024, 4096, 16384]
        .into_iter()
        .flat_map(|n| n - 1..n + 3)
    {
        let world = World::new();
        let old =
            "function M.a() return 1 end function M.b() return 2 end function M.c() return 3 end";
        world.run("M = {}").expect("runs");
        world.load(CHUNK, old, true).expect("loads");
        world.set_policy(Policy::default().remove(true));
        world
            .patch(CHUNK, "function M.c() return 30 end")
            .expect("applied");
        let fill = format!("for i = 1, {n} do M['x' .. i] = i end return M.a, M.b, M.c()");
        world.run(&fill).expect("runs");
        let undo = || world.machine.with(|cx| cx.hot_rollback(None));
        let (outcome, _) = world.trip(Fault::Memory(0), 1, undo);
        let report = outcome.expect("rolled back");
        assert_eq!(
            world.run("return M.a() .. M.b() .. M.c()").as_deref(),
            Ok("123"),
            "{n} fields: {:?}",
            report.warnings
        );
        world.machine.verify_heap();
    }
}

/// Garbage is no reason to refuse a patch: it gives way, though nothing can be
/// collected while a patch is prepared.
#[test]
fn garbage_gives_way() {
    let subjects = subjects::all();
    let subject = &subjects[0];
    assert_eq!(subject.name, "swapped");
    for source in SOURCES {
        let world = subject.world();
        let machine = &world.machine;
        world.run("collectgarbage('stop')").expect("runs");
        let room = 480 << 10;
        let limit = machine.system_memory() + room;
        world
            .run("for i = 1, 3000 do local t = { i, i } end")
            .expect("runs");
        while machine.system_memory() + (room / 8) < limit {
            world
                .run("for i = 1, 300 do local t = { i, i } end")
                .expect("runs");
        }
        machine.set_memory_limit(Some(limit));
        let (patch, policy) = (subject.patch(), &subject.policy);
        let (outcome, _) = source.enter(&world, &patch, policy, Fault::Raise, 1);
        assert!(matches!(outcome, Some(Ok(_))), "{source:?}: {outcome:?}");
        machine.set_memory_limit(None);
        assert_eq!(subject.ask(&world).as_deref(), Ok(subject.new));
        machine.verify_heap();
    }
}

/// Asked for where hardly any stack is left for what the patch runs: at each
/// depth it is applied, or refused and says why.
#[test]
fn at_the_end_of_the_stack() {
    let subjects = subjects::all();
    let subject = subjects
        .iter()
        .find(|subject| subject.name == "transaction")
        .expect("there");
    let world = subject.world();
    let row = Row {
        subject,
        source: PatchSource::Lua,
        fault: Fault::Raise,
    };
    world.set_global("nest", |cx| {
        cx.set_height(1);
        cx.call(0, Some(0)).map(|_| 0)
    });
    let outcome: Rc<RefCell<Outcome>> = Rc::default();
    let (mine, patch) = (Rc::clone(&outcome), subject.patch());
    world.set_global("swap", move |cx| {
        *mine.borrow_mut() = Some(cx.hot_apply(&patch, &Policy::default()));
        Ok(0)
    });
    // By calls of the host; by calls of Lua, which fill the stack.
    let nested = "local function down(n) if n == 0 then return swap() end nest(function() down(n - 1) end) end";
    let deep = "local function down(n) if n == 0 then swap() else down(n - 1) end end";
    for (by, most) in [(nested, 260), (deep, 400_000)] {
        world.state();
        let before = world.state();
        let (mut n_refused, mut n_missed, mut least, mut most) = (0, 0, 0, most);
        // Where it is just refused, and applied: between, each depth.
        while least < most {
            let depth = u64::midpoint(least, most);
            let _ = world.run(&format!("{by} down({depth})"));
            match outcome.take() {
                Some(Ok(_)) => {
                    row.expect(depth, &world, subject.new, false);
                    row.roll_back(depth, &world, Some(&before));
                    least = depth + 1;
                }
                Some(Err(error)) => {
                    let text = error.to_string();
                    assert!(text.contains("stack overflow"), "{depth}: {text}");
                    n_refused += 1;
                    most = depth;
                }
                None => {
                    n_missed += 1;
                    most = depth;
                }
            }
            row.expect(depth, &world, subject.old, false);
            let after = world.state();
            let (a, b) = (without_numbers(&before), without_numbers(&after));
            assert!(a == b, "{depth}: {}", difference(&a, &b));
        }
        println!(
            "applied at depth {}, {n_refused} refused, {n_missed} not reached",
            least - 1
        );
        assert!(n_refused > 0 && n_missed > 0);
        world.machine.verify_heap();
    }
}
