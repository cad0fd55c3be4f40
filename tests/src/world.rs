//! A machine for patching tests: the standard libraries, `print` into a buffer,
//! and natives by which scripts patch themselves.
//!
//! | native | does |
//! | --- | --- |
//! | `patch(name)` | applies `sources[name]` to `m.lua`; true, "queued", or nil and the error |
//! | `submit(name)` | queues it for the next safe point that allows it |
//! | `outcome()` | of the last patch queued: "applied", "waits for …", the error |
//! | `poll()` | as the host polls |
//! | `pause(seconds)` | lets time pass without a safe point |
//! | `rollback(id)` | nil and the error, or true |
//! | `version(f)`, `generation()` | numbers |
//! | `probation()` | a line per patch: `PATCH: ERRORS, LEFT left` |
//! | `quarantine()` | a line per patch: `PATCH: DEED` |
//! | `release(id)` | whether the patch was in quarantine |
//! | `listen()`, `heard()` | from now on, a line per event: `KIND SOURCE [PATCH] [REASON]` |
//! | `spin(seconds)` | a native that loops, and is charged for it |
//! | `swallow(f)` | calls it and takes no notice of errors |
//! | `stale()` | a line per stale activation: `PATH vOLD < vNEW at LINE` |
//! | `enter()` | 1, 2, 3 …: numbers for activations |
//! | `fault()` | nothing, or the error "injected" when it is due (`faults`) |
//! | `loaded` | the table that the last module returned |
//! | `hold(f)`, `held(...)` | keeps a function in a Rust handle; calls it |
//! | `fingerprint()` | all that can be reached, as text, to compare |

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use moonswap_vm::hotpatch::Which;
use moonswap_vm::planning::{Patch, PatchSource, Policy, Report};
use moonswap_vm::{Applied, Context, HotError, Keep, Machine, Outcome, Root, Stress, Ticket, View};

/// Name of the chunk that most tests patch.
pub const CHUNK: &str = "@m.lua";

#[derive(Default)]
struct Shared {
    printed: RefCell<Vec<u8>>,
    sources: RefCell<HashMap<String, String>>,
    policy: RefCell<Policy>,
    held: RefCell<Option<Root>>,
    entered: Cell<i64>,
    /// Calls of `fault` until one raises; 0: none will.
    raise_in: Cell<u64>,
    /// The last patch that was queued.
    ticket: RefCell<Option<Ticket>>,
    /// What listeners heard.
    heard: Rc<RefCell<Vec<String>>>,
    /// How many times as long all times are.
    stretch: Cell<u32>,
}

impl Shared {
    /// What became of the last patch that was queued.
    fn outcome(&self) -> String {
        let ticket = self.ticket.borrow();
        let Some(ticket) = &*ticket else {
            return "nothing was queued".to_owned();
        };
        match ticket.try_take() {
            Some(Ok(report)) => {
                let lines = [vec![format!("applied {report}")], report.warnings].concat();
                lines.join("\n")
            }
            Some(Err(error)) => format!("{}: {error}", error.kind()),
            None => match ticket.waits_for() {
                Some(obstacle) => format!("waits for {obstacle}"),
                None => "waits".to_owned(),
            },
        }
    }
}

/// A machine and what it printed.
pub struct World {
    /// The VM.
    pub machine: Machine,
    shared: Rc<Shared>,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Not after a panic in it.
        if self.machine.is_free() {
            self.machine.close();
        }
        *self.shared.held.borrow_mut() = None;
    }
}

/// The value on top as text, dropped from the stack.
fn take_text(cx: &mut Context<'_>) -> String {
    let top = cx.height() - 1;
    let text = match cx.push_tostring(top) {
        Ok(()) => {
            let bytes = cx.bytes_at(cx.height() - 1).unwrap_or_default();
            String::from_utf8_lossy(bytes).into_owned()
        }
        Err(_) => "(no text)".to_owned(),
    };
    cx.set_height(top);
    text
}

/// Runs source text; the first result as text, or the error.
pub fn run_in(
    cx: &mut Context<'_>,
    source: &str,
    name: &str,
    keep: Keep,
) -> Result<String, String> {
    let height = cx.height();
    let loaded = cx.load(source.as_bytes(), name.as_bytes(), "t", keep);
    match loaded {
        Ok(true) => {}
        Ok(false) => return Err(take_text(cx)),
        Err(raised) => {
            cx.push_error(raised);
            return Err(take_text(cx));
        }
    }
    match cx.pcall(0, Some(1)) {
        Ok(Ok(_)) => {
            let value = cx.height() - 1;
            if keep == Keep::Module && matches!(cx.at(value), View::Table(_)) {
                cx.push_globals();
                cx.push_at(value);
                assert!(cx.raw_set_field(value + 1, "loaded").is_ok(), "global");
                cx.set_height(value + 1);
            }
            Ok(take_text(cx))
        }
        Ok(Err(())) => Err(take_text(cx)),
        Err(_) => {
            let _ = cx.take_limit();
            cx.set_height(height);
            Err("(limit)".to_owned())
        }
    }
}

/// Applies new text to a chunk.
pub fn patch_in(
    cx: &mut Context<'_>,
    chunk: &str,
    source: &str,
    policy: &Policy,
) -> Result<Report, HotError> {
    let patch = Patch::compile(chunk, source.as_bytes())?;
    cx.hot_apply(&patch, policy)
}

/// One patch of new texts for one or more chunks.
pub fn compile(texts: &[(String, &str)]) -> Result<Patch, HotError> {
    let mut patches = Vec::with_capacity(texts.len());
    for (chunk, source) in texts {
        patches.push(Patch::compile(chunk, source.as_bytes())?);
    }
    Ok(Patch::transaction(patches)?)
}

impl World {
    /// A machine with the standard libraries and the natives of the table above.
    pub fn new() -> World {
        let world = World {
            machine: Machine::new(),
            shared: Rc::default(),
        };
        world.machine.with(|cx| {
            assert!(moonswap_stdlib::open_all(cx).is_ok(), "libraries");
            world.natives(cx);
        });
        world.stretch(1);
        let prelude = include_str!("prelude.lua");
        world.run(prelude).expect("prelude");
        world
    }

    fn native(
        &self,
        cx: &mut Context<'_>,
        name: &'static str,
        f: impl Fn(&Shared, &mut Context<'_>) -> Outcome<usize> + 'static,
    ) {
        let shared = Rc::clone(&self.shared);
        cx.push_globals();
        cx.push_boxed(name, Box::new(move |cx| f(&shared, cx)));
        let table = cx.height() - 2;
        assert!(cx.raw_set_field(table, name).is_ok(), "global");
        cx.pop(1);
    }

    fn natives(&self, cx: &mut Context<'_>) {
        self.native(cx, "print", |shared, cx| {
            let n = cx.height();
            for i in 0..n {
                cx.push_tostring(i)?;
                let mut out = shared.printed.borrow_mut();
                if i > 0 {
                    out.push(b'\t');
                }
                out.extend_from_slice(cx.bytes_at(cx.height() - 1).unwrap_or_default());
            }
            shared.printed.borrow_mut().push(b'\n');
            Ok(0)
        });
        self.native(cx, "patch", |shared, cx| {
            let source = named(shared, cx)?;
            let policy = shared.policy.borrow().clone();
            let patch = Patch::compile(CHUNK, source.as_bytes()).map_err(HotError::from);
            match patch.and_then(|patch| cx.hot_apply_or_queue(&patch, &policy)) {
                Ok(Applied::Queued(ticket)) => {
                    *shared.ticket.borrow_mut() = Some(ticket);
                    cx.ret_bytes(b"queued")
                }
                outcome => answer(cx, outcome.map(|_| ())),
            }
        });
        self.native(cx, "submit", |shared, cx| {
            let source = named(shared, cx)?;
            let policy = shared.policy.borrow().clone();
            let outcome = Patch::compile(CHUNK, source.as_bytes()).map_err(HotError::from);
            let outcome = outcome.map(|patch| {
                *shared.ticket.borrow_mut() = Some(cx.hot_submit(patch, policy));
            });
            answer(cx, outcome)
        });
        self.native(cx, "outcome", |shared, cx| {
            let text = shared.outcome();
            cx.ret_bytes(text.as_bytes())
        });
        self.native(cx, "poll", |_, cx| {
            cx.hot_poll();
            Ok(0)
        });
        self.native(cx, "pause", |shared, cx| {
            let time = Duration::from_secs_f64(cx.check_num(0)?);
            std::thread::sleep(time * shared.stretch.get());
            Ok(0)
        });
        self.native(cx, "rollback", |_, cx| {
            let id = cx.opt_int(0, 0)?;
            let outcome = cx.hot_rollback(u64::try_from(id).ok().filter(|&id| id > 0));
            answer(cx, outcome.map(|_| ()))
        });
        self.native(cx, "version", |_, cx| match cx.hot_version(0) {
            Some(version) => cx.ret_int(i64::from(version)),
            None => cx.ret(View::Nil),
        });
        self.native(cx, "generation", |_, cx| {
            let generation = cx.hot_generation();
            cx.ret_int(generation as i64)
        });
        self.native(cx, "move_all", |_, cx| {
            let text = match cx.hot_migrate(None) {
                Ok(report) => report.to_string(),
                Err(error) => error.to_string(),
            };
            cx.ret_bytes(text.as_bytes())
        });
        self.native(cx, "probation", |_, cx| {
            let all = cx.hot_probation();
            let lines = all
                .iter()
                .map(|p| format!("{}: {}, {} left", p.patch, p.errors, p.left));
            let lines: Vec<String> = lines.collect();
            cx.ret_bytes(lines.join("\n").as_bytes())
        });
        self.native(cx, "quarantine", |_, cx| {
            let all = cx.hot_quarantine();
            let lines = all.iter().map(|q| format!("{}: {}", q.patch, q.deed));
            let lines: Vec<String> = lines.collect();
            cx.ret_bytes(lines.join("\n").as_bytes())
        });
        self.native(cx, "release", |_, cx| {
            let id = cx.check_int(0)?;
            let all = cx.hot_quarantine();
            let found = all.iter().find(|q| u64::try_from(id) == Ok(q.patch));
            let released =
                found.is_some_and(|q| cx.hot_release(Which::Hash(q.hash), PatchSource::Lua));
            cx.ret_bool(released)
        });
        self.native(cx, "listen", |shared, cx| {
            let heard = Rc::clone(&shared.heard);
            cx.hot_listen(Rc::new(move |_, event| {
                let mut words = vec![event.kind.to_string(), event.source.to_string()];
                words.extend(event.undoes.map(|id| id.to_string()));
                words.extend(event.cause.map(|cause| format!("({cause})")));
                words.extend(event.reason.clone());
                heard.borrow_mut().push(words.join(" "));
                Ok(())
            }));
            Ok(0)
        });
        self.native(cx, "heard", |shared, cx| {
            let lines = shared.heard.take().join("\n");
            cx.ret_bytes(lines.as_bytes())
        });
        self.native(cx, "spin", |_, cx| {
            let end = Instant::now() + Duration::from_secs_f64(cx.check_num(0)?);
            while Instant::now() < end {
                cx.charge(1000)?;
            }
            Ok(0)
        });
        self.native(cx, "swallow", |_, cx| {
            cx.set_height(1);
            let outcome = cx.call(0, Some(0));
            cx.set_height(0);
            cx.ret_bool(outcome.is_ok())
        });
        self.native(cx, "stale", |_, cx| {
            let text = stale_text(cx);
            cx.ret_bytes(text.as_bytes())
        });
        self.native(cx, "enter", |shared, cx| {
            let n = shared.entered.get() + 1;
            shared.entered.set(n);
            cx.ret_int(n)
        });
        self.native(cx, "fault", |shared, cx| {
            let n = shared.raise_in.get();
            shared.raise_in.set(n.saturating_sub(1));
            match n {
                1 => Err(cx.error("injected")),
                _ => Ok(0),
            }
        });
        self.native(cx, "hold", |shared, cx| {
            cx.check_function(0)?;
            cx.set_height(1);
            *shared.held.borrow_mut() = Some(cx.root_top());
            Ok(0)
        });
        self.native(cx, "held", |shared, cx| {
            let held = shared.held.borrow().clone();
            let Some(held) = held else {
                return Err(cx.error("nothing is held"));
            };
            let n = cx.height();
            cx.push_root(&held);
            cx.insert(0);
            cx.call(n, None)
        });
    }

    /// Adds to the texts that `patch(name)` finds.
    pub fn source(&self, name: &str, text: &str) {
        self.shared
            .sources
            .borrow_mut()
            .insert(name.to_owned(), text.to_owned());
    }

    /// Makes times in scenarios longer: where another thread is waited for they
    /// would pass meanwhile.
    pub fn stretch(&self, stretch: u32) {
        self.shared.stretch.set(stretch);
    }

    /// A policy with its times as long as they are here.
    pub fn stretched(&self, mut policy: Policy) -> Policy {
        let stretch = self.shared.stretch.get();
        policy.deadline = policy.deadline.map(|deadline| deadline * stretch);
        if let Some(guard) = &mut policy.guard {
            guard.within *= stretch;
            guard.slow = guard.slow.map(|slow| slow * stretch);
        }
        policy
    }

    /// The policy of patches from now on.
    pub fn set_policy(&self, policy: Policy) {
        *self.shared.policy.borrow_mut() = policy;
    }

    /// Loads and runs a chunk; the first result as text, or the error.
    pub fn load(&self, chunk: &str, source: &str, module: bool) -> Result<String, String> {
        let keep = if module { Keep::Module } else { Keep::Locals };
        self.machine.with(|cx| run_in(cx, source, chunk, keep))
    }

    /// Runs a script that is not patched.
    pub fn run(&self, source: &str) -> Result<String, String> {
        self.machine
            .with(|cx| run_in(cx, source, "=run", Keep::Captured))
    }

    /// Applies new text to a chunk.
    pub fn patch(&self, chunk: &str, source: &str) -> Result<Report, HotError> {
        let policy = self.shared.policy.borrow().clone();
        self.machine.with(|cx| patch_in(cx, chunk, source, &policy))
    }

    /// Queues a patch from the host's side.
    pub fn submit_all(&self, texts: &[(String, &str)]) -> Result<(), HotError> {
        let policy = self.shared.policy.borrow().clone();
        let patch = compile(texts)?;
        let ticket = self.machine.with(|cx| cx.hot_submit(patch, policy));
        *self.shared.ticket.borrow_mut() = Some(ticket);
        Ok(())
    }

    /// What became of the last patch that was queued.
    pub fn outcome(&self) -> String {
        self.shared.outcome()
    }

    /// Everything that a refused patch must leave as it was, as text. Collects
    /// garbage: chunks that nobody holds are listed until then, and when that would
    /// be depends on how long another thread took.
    pub fn fingerprint(&self) -> String {
        // What is under stress is the scenario, not how the world is written down.
        let stress = self.machine.set_stress(Stress::default());
        self.machine.set_stress(stress.at_rest());
        let mut text = self.run("return fingerprint()").expect("fingerprint");
        self.machine.with(|cx| {
            assert!(cx.gc_collect().is_ok(), "collects");
            let _ = writeln!(text, "generation {}", cx.hot_generation());
            for entry in cx.hot_history() {
                let _ = writeln!(text, "history {} {}", entry.id, entry.line);
            }
            for info in cx.hot_versions(None) {
                if !info.id.starts_with("run") {
                    let _ = writeln!(text, "{} v{}", info.id, info.version);
                }
            }
        });
        self.machine.set_stress(stress);
        text
    }

    /// Lets the `k`-th call of `fault` from now on raise (0: none).
    pub fn raise_in(&self, k: u64) {
        self.shared.raise_in.set(k);
    }

    /// Whether such a call is still to come.
    pub fn is_raise_due(&self) -> bool {
        self.shared.raise_in.get() != 0
    }

    /// How many numbers `enter()` has given.
    pub fn entered(&self) -> impl Fn() -> i64 + 'static {
        let shared = Rc::clone(&self.shared);
        move || shared.entered.get()
    }

    /// [`World::printed`] for hooks.
    pub fn taker(&self) -> impl Fn() -> String + 'static {
        let shared = Rc::clone(&self.shared);
        move || {
            String::from_utf8_lossy(&std::mem::take(&mut *shared.printed.borrow_mut())).into_owned()
        }
    }

    /// Takes back what was printed since, and puts `text` in its place.
    pub fn print_anew(&self, text: &str) {
        *self.shared.printed.borrow_mut() = text.as_bytes().to_vec();
    }

    /// What was printed since the last call.
    pub fn printed(&self) -> String {
        self.taker()()
    }
}

fn named(shared: &Shared, cx: &mut Context<'_>) -> Outcome<String> {
    let name = String::from_utf8_lossy(cx.check_str(0)?.as_bytes()).into_owned();
    let source = shared.sources.borrow().get(&name).cloned();
    source.ok_or_else(|| cx.error(format!("no source {name}")))
}

fn answer(cx: &mut Context<'_>, outcome: Result<(), HotError>) -> Outcome<usize> {
    match outcome {
        Ok(()) => cx.ret_bool(true),
        Err(e) => {
            cx.push(View::Nil);
            cx.push_bytes(e.to_string().as_bytes());
            Ok(2)
        }
    }
}

fn stale_text(cx: &mut Context<'_>) -> String {
    let mut lines: Vec<String> = cx
        .hot_frames(Some("m.lua"))
        .into_iter()
        .map(|f| {
            let path =
                f.id.split_once(" / ")
                    .map_or(f.id.as_str(), |(_, path)| path);
            let line = f
                .line
                .map_or_else(|| "?".to_owned(), |line| line.to_string());
            let thread = if f.thread == "main" {
                "main"
            } else {
                "coroutine"
            };
            format!(
                "{path} v{} < v{} at {line} in {thread}{}{}",
                f.version,
                f.current,
                if f.overdue { " overdue" } else { "" },
                f.migration.map_or_else(String::new, |m| format!(": {m}"))
            )
        })
        .collect();
    lines.sort();
    lines.join("\n")
}
