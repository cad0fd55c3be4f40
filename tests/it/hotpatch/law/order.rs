//! The law for the order of statements: a patch that only changes their order, and lists
//! none of them, leaves a program in which the order made no difference.
//!
//! Random programs set variables and fields from each other, call functions that read
//! and change them, and reach one table in several ways. The new text has the same
//! statements in another order, items of constructors and targets included, or sets a
//! path less often. Then all that can be reached is compared with a fresh load of the
//! new text.

use std::fmt::Write as _;

use moonswap_fuzz::data::Data;

use super::case::{Step, step};
use super::edit::bytes;
use super::is_set;
use crate::hotpatch::random::n_cases;
use crate::hotpatch::world::{CHUNK, World};

const SEED: u64 = 77;

/// Statements of a program.
const MOST: usize = 14;

const DUMP: &str = r#"
local known = { dump = true, peek = true }
for name in next, _G do known[name] = true end
function dump()
  local ids, n, out = {}, 0, {}
  local function show(path, value, depth)
    local kind = type(value)
    if kind == "table" then
      if ids[value] then out[#out + 1] = path .. " = " .. ids[value] return end
      n = n + 1
      ids[value] = "table " .. n
      out[#out + 1] = path .. " = " .. ids[value]
      local keys = {}
      for k in next, value do keys[#keys + 1] = k end
      table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
      for _, k in ipairs(keys) do
        show(path .. "[" .. tostring(k) .. "]", rawget(value, k), depth + 1)
      end
      show(path .. " metatable", debug.getmetatable(value), depth + 1)
    elseif kind == "function" then
      out[#out + 1] = path .. " = function"
    else
      out[#out + 1] = path .. " = " .. tostring(value)
    end
  end
  local names = {}
  for name in next, _G do if not known[name] then names[#names + 1] = name end end
  table.sort(names)
  for _, name in ipairs(names) do show(name, _G[name], 0) end
  show("locals", peek and peek() or nil, 0)
  return table.concat(out, "\n")
end
"#;

/// The statements of a program, the parts of each that may change places apart.
#[derive(Clone)]
struct Program(Vec<Vec<String>>);

const FIELDS: [&str; 4] = ["a", "b", "c", "d"];
const GLOBALS: [&str; 3] = ["g", "h", "i"];
const LOCALS: [&str; 3] = ["x", "y", "z"];
const FUNCTIONS: [&str; 4] = ["f", "p", "q", "M.r"];

fn place(data: &mut Data<'_>) -> String {
    match data.below(8) {
        0 | 1 => data.pick(&GLOBALS).to_owned(),
        2 => data.pick(&LOCALS).to_owned(),
        3 | 4 => format!("M.{}", data.pick(&FIELDS)),
        5 => format!("T.{}", data.pick(&FIELDS)),
        6 => format!("M.t.{}", data.pick(&FIELDS)),
        _ => format!("list[{}]", 1 + data.below(3)),
    }
}

fn value(data: &mut Data<'_>, depth: usize) -> String {
    let inner = depth + 1;
    match data.below(if depth < 2 { 16 } else { 6 }) {
        0 | 1 => data.below(9).to_string(),
        2..=5 => place(data),
        6 | 7 => format!("{}()", data.pick(&FUNCTIONS)),
        8 => format!("{{ {} }}", items(data, inner).join(", ")),
        9 => "#list".to_owned(),
        10 => "table.remove(list)".to_owned(),
        11 => format!("{} or {}", value(data, inner), value(data, inner)),
        12 => format!("(function() return {} end)()", value(data, inner)),
        13 => format!(
            "setmetatable({{}}, {{ __index = {} }})",
            data.pick(&["M", "T"])
        ),
        14 => format!("type({})", place(data)),
        _ => data
            .pick(&["M", "T", "list", "M.t", "C.a", "C.b"])
            .to_owned(),
    }
}

fn items(data: &mut Data<'_>, depth: usize) -> Vec<String> {
    let n = 1 + data.below(3);
    let fields = &FIELDS[..n];
    fields
        .iter()
        .map(|field| format!("{field} = {}", value(data, depth)))
        .collect()
}

fn body(data: &mut Data<'_>) -> String {
    match data.below(6) {
        0 | 1 => format!("return {}", place(data)),
        2 => format!("{} = {} return 1", place(data), value(data, 2)),
        3 => "n = n + 1 return n".to_owned(),
        4 => format!("table.insert(list, {}) return #list", value(data, 2)),
        _ => format!("return {}()", data.pick(&["next_number", "p"])),
    }
}

/// One statement: what stands before, its parts, what stands between and behind them.
fn statement(data: &mut Data<'_>) -> Vec<String> {
    let whole = |text: String| vec![text];
    match data.below(17) {
        0..=3 => whole(format!("{} = {}", place(data), value(data, 0))),
        4 | 5 => whole(format!("{} = {}", data.pick(&GLOBALS), value(data, 0))),
        6 => whole(format!(
            "function {}() {} end",
            data.pick(&FUNCTIONS),
            body(data)
        )),
        7 => whole(format!("{}()", data.pick(&FUNCTIONS))),
        8 => whole(format!("list[#list + 1] = {}", value(data, 0))),
        9 => whole(format!("table.insert(list, {})", value(data, 0))),
        10 => whole(format!(
            "rawset(M, \"{}\", {})",
            data.pick(&FIELDS),
            value(data, 0)
        )),
        11 => whole(format!("_G.{} = {}", data.pick(&GLOBALS), value(data, 0))),
        12 => whole(format!(
            "if {} then {} = {} end",
            place(data),
            place(data),
            value(data, 1)
        )),
        13 => whole(format!(
            "M[\"\" .. \"{}\"] = {}",
            data.pick(&FIELDS),
            value(data, 0)
        )),
        14 => {
            let mut all = vec![format!("{} = {{ ", data.pick(&["M.t", "g", "x"]))];
            all.extend(items(data, 1));
            all
        }
        15 => {
            let (first, second) = (place(data), place(data));
            whole(format!(
                "{first}, {second} = {}, {}",
                value(data, 1),
                value(data, 1)
            ))
        }
        _ => whole(format!(
            "for k = 1, 2 do {} = {} end",
            place(data),
            value(data, 1)
        )),
    }
}

impl Program {
    fn draw(data: &mut Data<'_>) -> Self {
        let n = 3 + data.below(MOST - 2);
        let mut defined = Vec::new();
        let all = (0..n).map(|_| statement(data));
        // Of two definitions that change places the other one holds then: a change of
        // code, and what old code has computed stays.
        let is_first = |parts: &Vec<String>| match parts[0].strip_prefix("function ") {
            Some(rest) => {
                let name = rest.split('(').next().map(str::to_owned);
                let is_first = !defined.contains(&name);
                defined.push(name);
                is_first
            }
            None => true,
        };
        Self(all.filter(is_first).collect())
    }

    fn text(&self, head: &str) -> String {
        let mut text = String::from(
            "local x, y, z = 1, 2, 3\nlocal list, n = { 7, 8 }, 0\nlocal function next_number() n = n + 1 return n end
M = { t = { a = 1 } }\nlocal T = M.t\nlocal C = setmetatable({}, { __index = M })
function f() return x end\nfunction p() return M.a end\nfunction q() return next_number() end\nfunction M.r() list[1] = n return g end\n",
        );
        for parts in &self.0 {
            let line = match &parts[..] {
                [whole] => whole.clone(),
                [before, items @ ..] => format!("{before}{} }}", items.join(", ")),
                [] => String::new(),
            };
            writeln!(text, "{line}").expect("writes");
        }
        writeln!(
            text,
            "function peek() return {{ x, y, z, list, n, T, C, {head} }} end"
        )
        .expect("writes");
        text
    }

    /// The same statements in another order.
    fn reordered(&self, data: &mut Data<'_>) -> Self {
        let mut new = self.clone();
        for _ in 0..1 + data.below(3) {
            let n = new.0.len();
            if n == 0 {
                break;
            }
            match data.below(6) {
                5 => new.set_less_often(data),
                0 => {
                    // Items of a constructor.
                    let at = data.below(n);
                    if let [_, items @ ..] = &mut new.0[at][..] {
                        items.reverse();
                    }
                }
                1 => {
                    let at = data.below(n.max(2) - 1);
                    if at + 1 < n {
                        new.0.swap(at, at + 1);
                    }
                }
                _ => {
                    let (from, to) = (data.below(n), data.below(n));
                    let moved = new.0.remove(from);
                    new.0.insert(to, moved);
                }
            }
        }
        new
    }
}

impl Program {
    /// Leaves out that a global is set to a number, if it is set again below.
    fn set_less_often(&mut self, data: &mut Data<'_>) {
        let set = |parts: &[String]| {
            let (name, value) = parts[0].split_once(" = ")?;
            GLOBALS
                .contains(&name)
                .then(|| (name.to_owned(), value.to_owned()))
        };
        let all: Vec<_> = self.0.iter().map(|parts| set(parts)).collect();
        let is_above = |at: &usize| {
            let Some((name, value)) = &all[*at] else {
                return false;
            };
            let mut below = all[at + 1..].iter().flatten();
            value.parse::<u32>().is_ok() && below.any(|(again, _)| again == name)
        };
        let found: Vec<usize> = (0..all.len()).filter(is_above).collect();
        if !found.is_empty() {
            self.0.remove(found[data.below(found.len())]);
        }
    }
}

enum Outcome {
    Compared,
    Listed,
    Unusable,
}

/// Loads a text; `None`: it fails, or takes too much.
fn loaded(text: &str) -> Result<Option<World>, String> {
    let world = World::new();
    world.run(DUMP)?;
    world.machine.set_fuel(Some(1_000_000));
    world.machine.set_memory_limit(Some(64 << 20));
    let is_loaded = world.load(CHUNK, text, true).is_ok();
    world.machine.set_fuel(None);
    world.machine.set_memory_limit(None);
    Ok(is_loaded.then_some(world))
}

fn check(old: &Program, new: &Program) -> Result<Outcome, String> {
    let (old, new) = (old.text("1"), new.text("2"));
    let (Some(live), Some(fresh)) = (loaded(&old)?, loaded(&new)?) else {
        return Ok(Outcome::Unusable);
    };
    let Ok(report) = live.patch(CHUNK, &new) else {
        return Ok(Outcome::Listed);
    };
    if !matches!(step(&report, false), Step::Full { .. }) {
        return Ok(Outcome::Listed);
    }
    let (is, wanted) = (live.run("return dump()")?, fresh.run("return dump()")?);
    match is == wanted {
        true => Ok(Outcome::Compared),
        false => Err(format!(
            "-- old\n{old}\n-- new\n{new}\n-- report\n{report}\n-- is\n{is}\n-- wanted\n{wanted}"
        )),
    }
}

/// Leaves statements out for as long as the law is broken.
fn shrunk(old: Program, new: Program) -> (Program, Program) {
    let (mut old, mut new) = (old, new);
    let mut at = 0;
    while at < old.0.len() {
        let mut fewer = old.clone();
        let gone = fewer.0.remove(at);
        let mut fewer_new = new.clone();
        // One that is left out of the new text stays.
        let same = fewer_new.0.iter().position(|parts| {
            let (mut a, mut b) = (parts.clone(), gone.clone());
            a.sort();
            b.sort();
            a == b
        });
        if let Some(same) = same {
            fewer_new.0.remove(same);
        }
        if same.is_some() && check(&fewer, &fewer_new).is_err() {
            (old, new) = (fewer, fewer_new);
        } else {
            at += 1;
        }
    }
    (old, new)
}

#[test]
fn what_changes_places_unlisted_makes_no_difference() {
    let n = n_cases(400);
    let first = std::env::var("LAW_FIRST").map_or(0, |n| n.parse().expect("a number"));
    let (mut compared, mut listed, mut unusable, mut failures) = (0, 0, 0, 0);
    for number in first..first + n {
        let bytes = bytes(SEED, number);
        let mut data = Data::new(&bytes);
        let old = Program::draw(&mut data);
        let new = old.reordered(&mut data);
        match check(&old, &new) {
            Ok(Outcome::Compared) => compared += 1,
            Ok(Outcome::Listed) => listed += 1,
            Ok(Outcome::Unusable) => unusable += 1,
            Err(_) => {
                let (old, new) = shrunk(old, new);
                let why = check(&old, &new).err().unwrap_or_default();
                assert!(is_set("LAW_ALL"), "case {number}:\n{why}");
                failures += 1;
                println!("===== case {number}:\n{why}");
            }
        }
    }
    println!("{n} cases: {compared} compared, {listed} listed or refused, {unusable} unusable");
    assert_eq!(failures, 0);
    // Cases that say nothing must not become the rule.
    assert!(
        n < 100 || compared * 5 > n,
        "only {compared} of {n} compared"
    );
    assert!(n < 100 || listed * 10 > n, "only {listed} of {n} listed");
}
