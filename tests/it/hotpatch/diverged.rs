//! The law of `refused = "keep-old"`, over random modules and edits some of whose
//! functions are refused: what is not listed as diverged is as in a fresh load of
//! the new text with the old state; what is listed behaves as before; later patches
//! are applied in full beside it; a text that can be applied ends the divergence;
//! a rollback goes back to before all of it.

use std::collections::HashSet;
use std::fmt::Write as _;

use moonswap_fuzz::data::{Data, row};
use moonswap_vm::HotError;
use moonswap_vm::planning::{Patch, Policy, Report, WhenRefused};

use super::random::n_cases;
use super::world::{CHUNK, World};

const SEED: u64 = 9050;
const N: usize = 4;

/// A function that makes closures: the numbers are in the code.
#[derive(Clone, Debug, PartialEq)]
struct Factory {
    /// In the values of `u` and `v`.
    outer: [u8; 2],
    /// Declares a namesake of `u` in a block of its own.
    namesake: bool,
    /// In the closure's code.
    inner: u8,
    /// Which variables the closure captures, bit by bit: `p`, `u`, `v`, `k`.
    captured: u8,
    /// The constant `k`.
    constant: u8,
    /// In the code of a local function that is only called, and whether it captures
    /// `q`.
    helper: (u8, bool),
}

impl Factory {
    fn draw(data: &mut Data<'_>) -> Self {
        Self {
            outer: [data.byte() % 50, data.byte() % 50],
            namesake: data.below(6) == 0,
            inner: data.byte() % 100,
            captured: data.byte() % 16,
            constant: data.byte() % 50,
            helper: (data.byte() % 10, data.below(2) == 0),
        }
    }

    /// One line, so that functions before it do not move it.
    fn source(&self, i: usize) -> String {
        let [a, b] = self.outer;
        let mut sum = format!("x * 100 + {}", self.inner);
        for (bit, name) in ["p", "u", "v", "k"].iter().enumerate() {
            if self.captured & (1 << bit) != 0 {
                let _ = write!(sum, " + {name}");
            }
        }
        let (k, (c, uses_q)) = (self.constant, self.helper);
        let more = if uses_q { " + q" } else { "" };
        let helper = format!("local function h(y) return y * {c}{more} end");
        let locals = format!("local u, v = h(p) * 1000 + {a}, q * 7000 + {b} tick(u, v)");
        // In the same words, so that nothing tells them apart.
        let namesake = match self.namesake {
            true => format!("do {locals} end "),
            false => String::new(),
        };
        format!(
            "function f{i}(p, q) local k = {k} {helper} {namesake}{locals} return function(x) return {sum} end end"
        )
    }

    /// The new text's function around the closure of the old one, and the like.
    fn with_inner_of(&self, other: &Self) -> Self {
        Self {
            inner: other.inner,
            captured: other.captured,
            ..self.clone()
        }
    }

    /// As a closure made by this one has it once its code is that of `inner`.
    fn with_closure_of(&self, inner: &Self) -> Self {
        let mut closure = self.with_inner_of(inner);
        if self.captured & 8 == 0 {
            // It has no `k` of its own.
            closure.constant = inner.constant;
        }
        closure
    }
}

/// A random module.
#[derive(Clone, Debug)]
struct Module {
    factories: Vec<Factory>,
    /// Numbers in plain functions.
    plain: Vec<u8>,
    /// A top-level constant that they use.
    limit: u8,
    /// Whether a second variable stands in the declaration of a first one, and is
    /// used by the first plain function.
    mixed: bool,
}

impl Module {
    fn draw(data: &mut Data<'_>) -> Self {
        Self {
            factories: (0..N).map(|_| Factory::draw(data)).collect(),
            plain: (0..N).map(|_| data.byte()).collect(),
            limit: data.byte(),
            mixed: false,
        }
    }

    fn edited(&self, data: &mut Data<'_>) -> Self {
        let mut new = self.clone();
        for factory in &mut new.factories {
            match data.below(7) {
                0 => {}
                1 => factory.outer[data.below(2)] ^= 1,
                2 => factory.inner ^= 1,
                3 => factory.captured ^= 1 << data.below(4),
                4 => factory.helper.1 ^= true,
                5 => factory.constant += 1,
                _ => *factory = Factory::draw(data),
            }
        }
        for plain in &mut new.plain {
            *plain = plain.wrapping_add(data.byte() % 2);
        }
        new.limit = new.limit.wrapping_add(data.byte() % 2);
        new.mixed = data.below(5) == 0;
        new
    }

    fn first_plain(&self) -> String {
        format!(
            "LIMIT * 1000 + {}{}",
            self.plain[0],
            [" + first", " + first + second"][usize::from(self.mixed)]
        )
    }

    fn source(&self) -> String {
        let mut text = format!("local LIMIT = {}\n", self.limit);
        text.push_str(match self.mixed {
            true => "local first, second = two()\n",
            false => "local first = two()\n",
        });
        for (i, factory) in self.factories.iter().enumerate() {
            text.push_str(&factory.source(i));
            text.push('\n');
        }
        let _ = writeln!(text, "function g0() return {} end", self.first_plain());
        for (i, plain) in self.plain.iter().enumerate().skip(1) {
            let _ = writeln!(text, "function g{i}() return LIMIT * 1000 + {plain} end");
        }
        text
    }
}

const PRELUDE: &str = "function tick() end function two() return 5, 6 end made = {}";

/// What one expression gives beside a definition, without any patching.
fn value(definition: &str, expression: &str) -> String {
    let world = World::new();
    world.run(PRELUDE).expect("runs");
    let script = format!("{definition}\nreturn tostring({expression})");
    world.run(&script).expect("runs")
}

/// Calls everything: old closures, new ones, plain functions.
fn behaviour(world: &World) -> Vec<String> {
    let script = format!(
        "local out = {{}}
for i = 0, {} do
  out[#out + 1] = made[i](5)
  out[#out + 1] = _G['f' .. i](3, 4)(5)
  out[#out + 1] = _G['g' .. i]()
end
return table.concat(out, ' ')",
        N - 1
    );
    let told = world.run(&script).expect("runs");
    told.split(' ').map(str::to_owned).collect()
}

/// What [`behaviour`] has to be after a patch from `old` to `new`, where closures
/// were made by `first`.
fn expected(first: &Module, old: &Module, new: &Module, diverged: &HashSet<String>) -> Vec<String> {
    let mut all = Vec::new();
    let stays = |name: &str| diverged.contains(name);
    // Beside a statement that is held back the others follow the text.
    let limit = new.limit;
    for i in 0..N {
        let (was, is) = (&old.factories[i], &new.factories[i]);
        let inner = if stays(&format!("f{i} / return 1")) {
            was
        } else {
            is
        };
        let outer = if stays(&format!("f{i}")) { was } else { is };
        let helper = if stays(&format!("f{i} / h")) { was } else { is };
        let mut outer = outer.with_inner_of(inner);
        outer.helper = helper.helper;
        for factory in [first.factories[i].with_closure_of(inner), outer] {
            all.push(value(&factory.source(i), &format!("f{i}(3, 4)(5)")));
        }
        let body = if stays(&format!("g{i}")) { old } else { new };
        let body = match i {
            0 => body.first_plain(),
            _ => format!("LIMIT * 1000 + {}", body.plain[i]),
        };
        let locals = format!("local LIMIT, first, second = {limit}, two()");
        all.push(value(&locals, &body));
    }
    all
}

fn names(report: &Report) -> HashSet<String> {
    let all = report.diverged.iter();
    all.map(|refusal| refusal.function.clone()).collect()
}

fn apply(world: &World, text: &str, keep: bool) -> Result<Report, HotError> {
    let mut policy = Policy::default();
    if keep {
        policy = policy.refused(WhenRefused::KeepOld);
    }
    let patch = Patch::compile(CHUNK, text.as_bytes()).expect("compiles");
    world.machine.with(|cx| cx.hot_apply(&patch, &policy))
}

#[derive(Default)]
struct Tally {
    refused: usize,
    diverged: usize,
    parents: usize,
    mains: usize,
}

fn one(i: u64, tally: &mut Tally) {
    let bytes: Vec<u8> = (0..24).flat_map(|n| row(SEED + n, i)).collect();
    let mut data = Data::new(&bytes);
    let old = Module::draw(&mut data);
    let new = old.edited(&mut data);
    let (a, b) = (old.source(), new.source());
    let about = |what: &str| format!("case {i}: {what}\n{a}\n-- to\n{b}");
    let world = World::new();
    world.run(PRELUDE).expect("runs");
    world.load(CHUNK, &a, true).expect("loads");
    let make = format!("for i = 0, {} do made[i] = _G['f' .. i](3, 4) end", N - 1);
    world.run(&make).expect("runs");
    let none = HashSet::new();
    assert_eq!(
        behaviour(&world),
        expected(&old, &old, &old, &none),
        "{}",
        about("old")
    );

    let plain = apply(&world, &b, false);
    if let Err(error) = &plain {
        assert!(
            matches!(error, HotError::Refused(_)),
            "{}",
            about(&error.to_string())
        );
        tally.refused += 1;
    }
    // What can be applied in full is, whatever the policy.
    let report = match plain {
        Ok(report) => report,
        Err(_) => apply(&world, &b, true).unwrap_or_else(|e| panic!("{}", about(&e.to_string()))),
    };
    let diverged = names(&report);
    tally.diverged += diverged.len();
    tally.parents += (0..N)
        .filter(|i| diverged.contains(&format!("f{i}")))
        .count();
    tally.mains += usize::from(diverged.contains("main chunk"));
    let wanted = expected(&old, &old, &new, &diverged);
    assert_eq!(behaviour(&world), wanted, "{}", about(&report.to_string()));
    world.machine.verify_heap();

    // The rest of the text goes on, and nobody asks for the same functions again.
    let mut later = new.clone();
    for plain in &mut later.plain {
        *plain = plain.wrapping_add(10);
    }
    let report = apply(&world, &later.source(), false);
    let report = match (report, diverged.contains("g0")) {
        (Ok(report), _) => report,
        // Its text has changed again, and is refused again.
        (Err(HotError::Refused(_)), true) => apply(&world, &later.source(), true).expect("kept"),
        (Err(e), _) => panic!("{}", about(&e.to_string())),
    };
    assert_eq!(names(&report), diverged, "{}", about("later"));
    // What diverged behaves as the oldest text says.
    let wanted = expected(&old, &old, &later, &diverged);
    assert_eq!(behaviour(&world), wanted, "{}", about(&report.to_string()));

    // Closures capture what they had, declarations are apart: nothing is refused.
    let mut last = later.clone();
    last.mixed = false;
    for (factory, was) in last.factories.iter_mut().zip(&old.factories) {
        factory.captured &= was.captured | 8;
        factory.namesake = was.namesake;
    }
    let report = apply(&world, &last.source(), false)
        .unwrap_or_else(|e| panic!("{}\n-- to\n{}", about(&e.to_string()), last.source()));
    assert!(report.diverged.is_empty(), "{}", about(&report.to_string()));
    let wanted = expected(&old, &later, &last, &none);
    assert_eq!(behaviour(&world), wanted, "{}", about("resolved"));
    assert!(world.machine.with(|cx| cx.hot_diverged(None)).is_empty());

    // One back: as after the patch before; then all.
    let history = world.machine.with(|cx| cx.hot_history());
    if let [first, .., last] = &history[..] {
        world
            .machine
            .with(|cx| cx.hot_rollback(Some(last.id)))
            .expect("rolled back");
        let before: HashSet<String> = world
            .machine
            .with(|cx| cx.hot_diverged(None))
            .into_iter()
            .map(|refusal| refusal.function)
            .collect();
        assert_eq!(before, diverged, "{}", about("one back"));
        world
            .machine
            .with(|cx| cx.hot_rollback(Some(first.id)))
            .expect("rolled back");
        assert!(world.machine.with(|cx| cx.hot_diverged(None)).is_empty());
        assert_eq!(
            behaviour(&world),
            expected(&old, &old, &old, &none),
            "{}",
            about("back")
        );
    }
    world.machine.verify_heap();
}

#[test]
fn what_is_not_diverged_is_as_freshly_loaded() {
    let mut tally = Tally::default();
    let n = n_cases(150);
    for i in 0..n {
        one(i, &mut tally);
    }
    println!(
        "{n} modules: {} refused, {} functions diverged, among them {} with what is in them, {} main chunks",
        tally.refused, tally.diverged, tally.parents, tally.mains
    );
    assert!(tally.refused as u64 > n / 3 && tally.diverged as u64 > n / 2);
    assert!(tally.parents > 5 && tally.mains > 5);
}
