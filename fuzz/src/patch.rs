//! Module edits → patch: a program is patched again and again, at rest and while
//! its functions, closures and coroutines are at work; forwards, back, rolled
//! back, refused.
//!
//! No panic; a refusal changes nothing: neither versions, nor globals, nor the
//! generation.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use moonswap::{Error, ErrorKind, Function, Lua, Patch, Policy, Report};
use moonswap_vm::planning::{Captures, RunSelector, StalePolicy, SuspendedPolicy, Timing};

use crate::data::Data;
use crate::module::Module;
use crate::sandbox::{Sandbox, Stress, prepared};

/// Patches that were committed.
pub static COMMITTED: AtomicU64 = AtomicU64::new(0);
/// Patches that were refused.
pub static REFUSED: AtomicU64 = AtomicU64::new(0);

const CHUNK: &str = "@module.lua";

/// What the modules call and what calls them.
const DRIVER: &str = "
    local kept, threads = {}, {}
    function keep(...)
        for i = 1, select('#', ...) do
            local f = select(i, ...)
            if type(f) == 'function' and #kept < 12 then kept[#kept + 1] = f end
        end
    end
    local known = {drive = true, digest = true}
    for k in pairs(_G) do known[k] = true end
    local sort, type, next, tostring = table.sort, type, next, tostring
    local function names(t)
        local found = {}
        for k in next, t do
            if type(k) == 'string' and not (t == _G and known[k]) then found[#found + 1] = k end
        end
        sort(found)
        return found
    end
    function drive(n)
        for _, k in ipairs(names(_G)) do
            local f = _G[k]
            if type(f) == 'function' then
                if k:find '^gen' and #threads < 4 then threads[#threads + 1] = coroutine.create(f) end
                if not k:find '^gen' then keep(select(2, pcall(f, n, 2, 3))) end
            elseif type(f) == 'table' and k ~= 'REG' then
                for _, name in ipairs(names(f)) do
                    if type(f[name]) == 'function' then keep(select(2, pcall(f[name], f, n))) end
                end
                if type(f[1]) == 'function' then pcall(f[1], n) end
            end
        end
        for i = 1, #kept do pcall(kept[i], n) end
        for i = 1, #threads do pcall(coroutine.resume, threads[i], n, i) end
        if n % 4 == 3 then pcall(coroutine.close, table.remove(threads)) table.remove(kept, 1) end
    end
    function digest()
        local out = {}
        for _, k in ipairs(names(_G)) do
            local v = _G[k]
            out[#out + 1] = k .. '=' .. tostring(v)
            if type(v) == 'table' then
                for _, name in ipairs(names(v)) do out[#out + 1] = name .. ':' .. tostring(v[name]) end
            end
        end
        return table.concat(out, ' ')
    end
";

/// What is going to be applied, also from inside the program.
struct Plan {
    variants: Vec<String>,
    /// The same, compiled when they are first wanted.
    compiled: [OnceCell<Patch>; 3],
    /// Which variant, under which policy, whenever the program ticks.
    ticks: RefCell<Vec<(usize, Policy)>>,
    inside: Cell<u32>,
}

impl Plan {
    fn patch(&self, variant: usize) -> &Patch {
        self.compiled[variant].get_or_init(|| {
            let source = self.variants[variant].as_bytes();
            Patch::compile(CHUNK, source).expect("a module compiles")
        })
    }
}

/// Safe points of one run.
const FUEL: u32 = 250;

/// One execution.
///
/// # Panics
/// When something does not hold.
pub fn run(bytes: &[u8]) {
    let mut data = Data::new(bytes);
    let stress = Stress::draw(&mut data);
    let plan = Rc::new(draw(&mut data));
    let sandbox = Sandbox::new(stress, FUEL);
    let lua = sandbox.lua();
    let in_tick = Rc::clone(&plan);
    let tick = lua.create_function(move |lua: &Lua, _: moonswap::MultiValue| {
        if in_tick.inside.get() > 2 {
            return Ok(());
        }
        let next = in_tick.ticks.borrow_mut().pop();
        if let Some((variant, policy)) = next {
            in_tick.inside.set(in_tick.inside.get() + 1);
            apply(lua, in_tick.patch(variant), &policy, true);
            in_tick.inside.set(in_tick.inside.get() - 1);
        }
        Ok(())
    });
    let Ok(tick) = tick else { return };
    if lua.globals().set("tick", tick).is_err() {
        return;
    }
    static PREPARED: OnceLock<Vec<u8>> = OnceLock::new();
    let driver = PREPARED.get_or_init(|| prepared("=driver", DRIVER));
    if sandbox.run("=driver", driver, false).is_err() {
        return;
    }
    let instances = 1 + usize::from(data.chance(8));
    for _ in 0..instances {
        let _ = sandbox.run(CHUNK, plan.variants[0].as_bytes(), true);
    }
    let n = 1 + data.below(4);
    for round in 0..n {
        sandbox.refill();
        match data.below(8) {
            0..=3 => {
                let variant = data.below(plan.variants.len());
                let policy = policy(&mut data, lua);
                apply(lua, plan.patch(variant), &policy, false);
            }
            4 => {
                let before = code(lua);
                if lua.hot().rollback_last().is_err() {
                    assert!(
                        code(lua).is_left_alone(&before),
                        "a failed rollback changed versions"
                    );
                }
            }
            5 => {
                let id = data.below(6) as u64;
                let _ = lua.hot().rollback(id);
            }
            6 => drop(lua.gc_collect()),
            _ => {
                let hot = lua.hot();
                let shown = format!("{:?}{:?}{:?}", hot.history(), hot.frames(), hot.chunks());
                assert!(!shown.is_empty());
            }
        }
        sandbox.refill();
        if let Ok(drive) = lua.globals().get::<Function>("drive") {
            let _ = drive.call::<()>(round as i64);
        }
    }
    sandbox.end();
}

fn draw(data: &mut Data<'_>) -> Plan {
    let first = Module::draw(data);
    let second = first.edited(data);
    let third = if data.chance(2) {
        second.edited(data)
    } else {
        first.edited(data)
    };
    let variants: Vec<String> = [first, second, third].iter().map(Module::source).collect();
    let n = data.below(5);
    let ticks = (0..n)
        .map(|_| {
            let variant = data.below(variants.len());
            let policy = Policy::default().timing(Timing::Immediate);
            let policy = match data.below(4) {
                0 => policy.captures(captures(data)),
                1 => policy.stale(StalePolicy::Migrate),
                2 => policy.captures(captures(data)).stale(StalePolicy::Migrate),
                _ => policy,
            };
            (variant, policy)
        })
        .collect();
    Plan {
        variants,
        compiled: Default::default(),
        ticks: RefCell::new(ticks),
        inside: Cell::new(0),
    }
}

fn captures(data: &mut Data<'_>) -> Captures {
    match data.below(4) {
        0 => Captures::Nil,
        1 => {
            let expressions = [
                "0",
                "x",
                "{}",
                "tostring(x)",
                "nothing.at.all",
                "function() return x end",
            ];
            Captures::Expression((*data.pick(&expressions)).to_owned())
        }
        _ => Captures::KeepOld,
    }
}

fn policy(data: &mut Data<'_>, lua: &Lua) -> Policy {
    let mut policy = Policy::default();
    let name = |data: &mut Data<'_>| {
        let prefix = data.pick(&["l", "F", "f", "M.m", "make", "nothing"]);
        format!("{prefix}{}", data.below(5))
    };
    for _ in 0..data.below(4) {
        policy = match data.below(14) {
            0 => policy.dry(true),
            1 => policy.config(false),
            2 | 3 => policy.captures(captures(data)),
            4 => {
                let (old, new) = (name(data), name(data));
                policy.rename(old, new)
            }
            5 => policy.reset(name(data)),
            6 => policy.run(RunSelector::Line(data.below(12) as u32)),
            7 => {
                let generation = lua.hot().generation();
                policy.base(generation - data.below(2) as u64)
            }
            8 => policy.remove(true),
            9 | 10 => policy.stale(StalePolicy::Migrate),
            11 => policy.suspended(SuspendedPolicy::Refuse),
            12 => policy.suspended(SuspendedPolicy::Close),
            _ => policy.timing(Timing::Immediate),
        };
    }
    policy
}

/// Versions of the functions of the module, and the generation.
#[derive(Debug)]
struct Code(u64, BTreeSet<(String, u32)>);

impl Code {
    /// Whether nothing has changed since; an instance may have been collected.
    fn is_left_alone(&self, before: &Code) -> bool {
        self.0 == before.0 && self.1.is_subset(&before.1)
    }
}

fn code(lua: &Lua) -> Code {
    let hot = lua.hot();
    let versions = hot.versions_of(CHUNK);
    let versions = versions.into_iter().map(|v| (v.id, v.version));
    Code(hot.generation(), versions.collect())
}

fn globals(lua: &Lua) -> Option<String> {
    let digest = lua.globals().get::<Function>("digest").ok()?;
    digest.call::<String>(()).ok()
}

fn apply(lua: &Lua, patch: &Patch, policy: &Policy, inside: bool) {
    let before = (!inside).then(|| (code(lua), globals(lua)));
    let result: Result<Report, Error> = lua.hot().patch(patch).policy(policy).apply();
    match result {
        Ok(report) => {
            COMMITTED.fetch_add(1, Ordering::Relaxed);
            assert!(!report.to_string().is_empty());
        }
        Err(error) => {
            REFUSED.fetch_add(1, Ordering::Relaxed);
            // The definitions of a patch may have patched the program themselves.
            let Some(before) = before else { return };
            if matches!(error.kind(), ErrorKind::Hot) {
                return;
            }
            let after = code(lua);
            assert!(
                after.is_left_alone(&before.0),
                "a refusal changed versions: {error}\n{:?}\n{after:?}",
                before.0
            );
            if let (Some(before), Some(after)) = (before.1, globals(lua)) {
                assert_eq!(before, after, "a refusal changed globals: {error}");
            }
        }
    }
}

/// What an execution runs, to be read by people.
pub fn show(bytes: &[u8]) -> String {
    let mut data = Data::new(bytes);
    let stress = Stress::draw(&mut data);
    let plan = draw(&mut data);
    format!(
        "-- {stress:?}\n-- ticks {:?}\n{}",
        plan.ticks.borrow(),
        plan.variants.join("\n-- next\n")
    )
}
