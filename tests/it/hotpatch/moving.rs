//! Activations that move, in random functions with random edits: each goes on as the
//! new code does that begins at the same place with the same variables, written out
//! as a function of its own.

use std::fmt::Write as _;

use moonswap_fuzz::data::{Data, row};

use super::random::n_cases;
use super::world::{CHUNK, World};

const SEED: u64 = 911;
const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
/// Argument of the function.
const P: i64 = 7;

/// What a variable is declared with.
#[derive(Clone, Copy)]
enum Initial {
    Number(u8),
    /// Worked out from the argument.
    Argument(u8),
    Table,
}

#[derive(Clone, Copy)]
enum Loop {
    For {
        limit: u8,
        step: u8,
        of_argument: bool,
    },
    While {
        limit: u8,
    },
    Repeat {
        limit: u8,
    },
}

/// A function with a loop.
#[derive(Clone)]
struct Worker {
    locals: Vec<(usize, Initial)>,
    turns: Loop,
    /// Target, source, number.
    body: Vec<(u8, u8, u8)>,
}

fn initial(data: &mut Data<'_>) -> Initial {
    match data.byte() % 5 {
        0 | 1 => Initial::Number(data.byte()),
        2 | 3 => Initial::Argument(data.byte()),
        _ => Initial::Table,
    }
}

fn turns(data: &mut Data<'_>, kind: u8) -> Loop {
    let limit = 4 + data.byte() % 12;
    match kind {
        0 => Loop::For {
            limit,
            step: 1 + data.byte() % 3,
            of_argument: data.byte().is_multiple_of(2),
        },
        1 => Loop::While { limit },
        _ => Loop::Repeat { limit },
    }
}

impl Worker {
    fn new(data: &mut Data<'_>) -> Self {
        let n = 1 + usize::from(data.byte() % 3);
        let kind = data.byte() % 3;
        Self {
            locals: (0..n).map(|at| (at, initial(data))).collect(),
            turns: turns(data, kind),
            body: (0..6)
                .map(|_| (data.byte(), data.byte(), data.byte()))
                .collect(),
        }
    }

    /// Another version of it.
    fn edited(&self, data: &mut Data<'_>) -> Self {
        let mut edited = self.clone();
        match data.byte() % 4 {
            0 => drop(edited.locals.pop()),
            1 => edited.locals.push((4, initial(data))),
            2 => edited.locals.insert(0, (3, initial(data))),
            _ => {}
        }
        let other = |data: &mut Data<'_>, kind| match data.byte() % 2 {
            0 => turns(data, kind),
            _ => self.turns,
        };
        edited.turns = match self.turns {
            Loop::For { .. } => other(data, 0),
            Loop::While { .. } => other(data, 1),
            // Its condition is the end of a turn, which is old code.
            Loop::Repeat { .. } => self.turns,
        };
        let at = usize::from(data.byte()) % edited.body.len();
        edited.body[at].2 = data.byte();
        edited
    }

    /// Its text; `goes_on`: with the variables that `before` had, from the turn after.
    fn text(&self, name: &str, tag: &str, goes_on: Option<&Worker>) -> String {
        let mut text = format!("function {name}(p, s, at)\n");
        let had = |local: usize| goes_on.is_some_and(|w| w.locals.iter().any(|l| l.0 == local));
        let declared = |text: &mut String, name: &str, value: String| {
            let _ = writeln!(text, "  local {name} = {value}");
        };
        declared(
            &mut text,
            "turn",
            goes_on.map_or("0", |_| "s.turn").to_owned(),
        );
        for &(at, initial) in &self.locals {
            let value = match initial {
                _ if had(at) => format!("s.{}", NAMES[at]),
                Initial::Number(n) => n.to_string(),
                Initial::Argument(n) => format!("p * {n} + 1"),
                Initial::Table => "{}".to_owned(),
            };
            declared(&mut text, NAMES[at], value);
        }
        let _ = match self.turns {
            Loop::For {
                limit,
                step,
                of_argument,
            } => {
                let first = if goes_on.is_some() {
                    format!("at + {step}")
                } else {
                    "1".to_owned()
                };
                let limit = match of_argument {
                    true => format!("p + {limit}"),
                    false => limit.to_string(),
                };
                writeln!(text, "  for i = {first}, {limit}, {step} do")
            }
            Loop::While { limit } => writeln!(text, "  while turn < {limit} do local i = turn"),
            Loop::Repeat { .. } => writeln!(text, "  repeat local i = turn"),
        };
        let _ = writeln!(text, "    turn = turn + 1");
        for &(target, source, number) in &self.body {
            let of = |n: u8| self.locals.get(usize::from(n) % self.locals.len().max(1));
            let (Some(&(to, kind)), Some(&(from, other))) = (of(target), of(source)) else {
                continue;
            };
            let (to, from) = (NAMES[to], NAMES[from]);
            let _ = match (kind, other) {
                (Initial::Table, _) => writeln!(text, "    {to}[#{to} + 1] = {number} + i"),
                (_, Initial::Table) => writeln!(text, "    {to} = {to} + #{from} * {number}"),
                // Not all are assigned to.
                _ if target % 3 == 0 => writeln!(text, "    i = i + {from} * {number}"),
                _ => writeln!(text, "    {to} = ({to} * {number} + {from}) % 1009"),
            };
        }
        let shown: Vec<String> = self
            .locals
            .iter()
            .map(|&(at, _)| format!("{0} = {0}", NAMES[at]))
            .collect();
        let state = format!("{{ turn = turn, {} }}", shown.join(", "));
        let _ = writeln!(text, "    coroutine.yield(\"{tag}\", i, {state}, AT)");
        let _ = match self.turns {
            Loop::Repeat { limit } => writeln!(text, "  until turn >= {limit}"),
            Loop::For { .. } | Loop::While { .. } => writeln!(text, "  end"),
        };
        let _ = writeln!(text, "  return \"{tag} end\", 0, {state}\nend");
        // The body may change the loop's variable: the index is told apart.
        text.replace("turn = turn + 1\n", "turn = turn + 1\n    local AT = i\n")
    }
}

/// Prints what a coroutine does in a few turns.
const TRACE: &str = "
function trace(co, ...)
  local out = {}
  for _ = 1, 8 do
    local ok, tag, i, s = coroutine.resume(co, ...)
    if not ok then out[#out + 1] = tostring(tag) break end
    local line = { tag, i }
    for _, name in ipairs { 'turn', 'a', 'b', 'c', 'd', 'e' } do
      local v = s[name]
      line[#line + 1] = name .. '=' .. (type(v) == 'table' and '{' .. table.concat(v, ',') .. '}' or tostring(v))
    end
    out[#out + 1] = table.concat(line, ' ')
    if coroutine.status(co) == 'dead' then break end
  end
  return table.concat(out, '\\n')
end
function copy(s)
  local to = {}
  for k, v in pairs(s) do to[k] = type(v) == 'table' and { table.unpack(v) } or v end
  return to
end";

#[test]
fn moved_activations_go_on_as_the_new_code_does_from_there() {
    let (mut n_moved, mut n_made, mut n_limits) = (0, 0, 0);
    for case in 0..n_cases(300) {
        let bytes: Vec<u8> = (0..40).flat_map(|n| row(SEED + n, case)).collect();
        let mut data = Data::new(&bytes);
        let old = Worker::new(&mut data);
        let between = old.edited(&mut data);
        let new = between.edited(&mut data);
        let world = World::new();
        world.run(TRACE).expect("runs");
        world
            .load(CHUNK, &old.text("work", "old", None), true)
            .expect("loads");
        let n_turns = 1 + data.byte() % 3;
        let begin = format!(
            "co = coroutine.create(work)
            local ok, tag, i, s, at
            for _ = 1, {n_turns} do ok, tag, i, s, at = coroutine.resume(co, {P}) end
            AT, STATE = at, ok and s and copy(s)
            return coroutine.status(co) == 'suspended' and at and true"
        );
        if world.run(&begin).as_deref() != Ok("true") {
            continue;
        }
        let show = || {
            let texts = [old.text("work", "old", None), new.text("work", "new", None)];
            format!("case {case}, after {n_turns}\n{}", texts.join("-- to\n"))
        };
        // A version in between, which leaves it behind.
        for (worker, tag) in [(&between, "between"), (&new, "new")] {
            let text = worker.text("work", tag, None);
            world
                .patch(CHUNK, &text)
                .unwrap_or_else(|e| panic!("{e}\n{}", show()));
        }
        let report = world
            .machine
            .with(|cx| cx.hot_migrate(None))
            .expect("asked");
        let goes_on = match report.moving().next() {
            Some(_) => new.text("from_there", "new", Some(&old)),
            None => old.text("from_there", "old", Some(&old)),
        };
        world.load("@oracle.lua", &goes_on, true).expect("loads");
        let wanted = format!("return trace(coroutine.create(from_there), {P}, copy(STATE), AT)");
        let wanted = world.run(&wanted).expect("runs");
        let is = world.run("return trace(co)").expect("runs");
        // The end of a turn may be the end of an old loop.
        if is.starts_with("old end") && matches!(old.turns, Loop::Repeat { .. }) {
            continue;
        }
        assert_eq!(is, wanted, "{}{report}", show());
        if report.moving().next().is_some() {
            n_moved += 1;
            let had = |local: &(usize, Initial)| old.locals.iter().any(|l| l.0 == local.0);
            n_made += usize::from(!new.locals.iter().all(had));
            n_limits += usize::from(matches!(new.turns, Loop::For { .. } | Loop::While { .. }));
        }
    }
    println!("{n_moved} moved, {n_made} with new variables, {n_limits} in loops with heads");
    assert!(
        n_moved > 60 && n_made > 8 && n_limits > 20,
        "{n_moved}, {n_made}, {n_limits}"
    );
}
