//! Global names that a text uses and nobody defines: neither the texts nor the
//! program. Most are typing errors that show when the function next runs; they
//! are a warning, never a refusal.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{Ast, FunctionIndex, Symbol};

use super::matching::matcher::Matching;
use crate::model::plan::ChunkPlan;
use crate::model::undefined::Undefined;
use crate::patch::ChunkPatch;
use crate::patch::names::{Names, Use};
use crate::patch::outline::{LiteralIndex, Outline};
use crate::patch::tree::symbol_text;
use crate::refusal::{Unmatched, UnmatchedSetting};

/// The globals of whoever runs a text.
pub trait Globals {
    /// Whether there is one of that name, or may be.
    fn has(&self, name: &str) -> bool;
    /// Their names, or some if they are many.
    fn each(&self, see: &mut dyn FnMut(&str));
}

/// The globals of a VM with Lua's own libraries.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardGlobals;

const STANDARD: &[&str] = &[
    "_G",
    "_VERSION",
    "arg",
    "assert",
    "collectgarbage",
    "coroutine",
    "debug",
    "dofile",
    "error",
    "getmetatable",
    "io",
    "ipairs",
    "load",
    "loadfile",
    "math",
    "next",
    "os",
    "package",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "require",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "utf8",
    "warn",
    "xpcall",
];

impl Globals for StandardGlobals {
    fn has(&self, name: &str) -> bool {
        STANDARD.binary_search(&name).is_ok()
    }

    fn each(&self, see: &mut dyn FnMut(&str)) {
        STANDARD.iter().for_each(|name| see(name));
    }
}

/// What a function of a text uses and no text defines: to be asked whoever runs
/// it.
fn describe(ast: &Ast, found: &Use, function: String) -> Undefined {
    Undefined {
        name: symbol_text(ast, found.name),
        line: found.span.line,
        column: found.span.column,
        span: (found.span.start, found.span.end),
        function,
        suggestion: None,
    }
}

/// The literals of a text by their places in the syntax tree.
fn literals_of(outline: &Outline) -> HashMap<FunctionIndex, LiteralIndex> {
    let literals = outline.literals.iter().enumerate();
    let placed = literals.filter_map(|(at, literal)| Some((literal.function?, at)));
    placed.collect()
}

/// Names that functions of the new text use now, and those of the old one did
/// not, and that neither text defines: to be asked whoever runs them.
pub(crate) fn candidates(
    old: Option<&ChunkPatch>,
    old_outline: &Outline,
    new: &ChunkPatch,
    matching: &Matching,
) -> Vec<Undefined> {
    let (names, ast) = (&new.facts().names, new.ast());
    if names.is_dynamic || old.is_some_and(|old| old.facts().names.is_dynamic) {
        return Vec::new();
    }
    let outline = &new.facts().outline;
    let literals = literals_of(outline);
    // Names of the old text as bytes: the two have symbols of their own.
    let mut was_used = HashSet::default();
    let mut was_defined = HashSet::default();
    if let Some(old) = old {
        let (names, ast) = (&old.facts().names, old.ast());
        let text = |name: Symbol| ast.symbols.get(name.0 as usize);
        let used = names.uses.iter();
        was_used.extend(used.filter_map(|u| Some((u.function, text(u.name)?))));
        was_defined.extend(names.defined.iter().filter_map(|name| text(*name)));
    }
    let mut found = Vec::new();
    for used in &names.uses {
        if names.defined.contains(&used.name) || names.tested.contains(&used.name) {
            continue;
        }
        let Some(name) = ast.symbols.get(used.name.0 as usize) else {
            continue;
        };
        if was_defined.contains(name) {
            continue;
        }
        let Some(&is) = literals.get(&used.function) else {
            continue;
        };
        let before = matching.old_of[is].and_then(|was| old_outline.get(was).function);
        if before.is_some_and(|before| was_used.contains(&(before, name))) {
            continue;
        }
        found.push(describe(ast, used, outline.name(is)));
    }
    found.sort_by_key(|one| one.span);
    found
}

/// Settles which of the names that plans could not decide are undefined.
/// `globals`: of the program that a plan's chunk runs in, by its position; told
/// what will be asked. `beside`: other texts of the program.
pub fn settle<G: Globals>(
    plans: &mut [&mut ChunkPlan],
    beside: &[ChunkPatch],
    mut globals: impl FnMut(usize, &[Undefined]) -> G,
) {
    warn_of_settings(plans);
    if plans.iter().all(|plan| plan.look_up.is_empty()) {
        return;
    }
    // Another chunk of the patch may define them.
    let new = plans.iter().filter_map(|plan| plan.text.as_ref());
    let texts: Vec<ChunkPatch> = new.chain(beside).cloned().collect();
    let defined = defined_by(&texts);
    for (at, plan) in plans.iter_mut().enumerate() {
        let mut asked = std::mem::take(&mut plan.look_up);
        let (Some(defined), false) = (&defined, asked.is_empty()) else {
            continue;
        };
        let globals = globals(at, &asked);
        asked.retain(|one| !defined.contains(one.name.as_bytes()) && !globals.has(&one.name));
        suggest(&mut asked, &texts, &globals);
        plan.undefined = asked;
    }
}

/// Warns, with the first plan, of what the policy names and no plan has.
fn warn_of_settings(plans: &mut [&mut ChunkPlan]) {
    let settings = plans.iter().map(|plan| &plan.unmatched_settings[..]);
    let nowhere = UnmatchedSetting::nowhere(settings);
    let mut warnings: Vec<String> = Vec::new();
    for setting in nowhere {
        if let Unmatched::Warns(warning) = &setting.effect
            && !warnings.contains(warning)
        {
            warnings.push(warning.clone());
        }
    }
    if let Some(plan) = plans.first_mut() {
        plan.warnings.append(&mut warnings);
    }
}

/// The global names that texts define; `None`: they may define any.
fn defined_by(texts: &[ChunkPatch]) -> Option<HashSet<&[u8]>> {
    let mut all = HashSet::default();
    for text in texts {
        let (names, ast) = (&text.facts().names, text.ast());
        if names.is_dynamic {
            return None;
        }
        let bytes = |name: &Symbol| ast.symbols.get(name.0 as usize).map(|text| &**text);
        all.extend(names.defined.iter().filter_map(bytes));
    }
    Some(all)
}

/// What texts use and neither they nor `globals` define, for each of them in its
/// order.
pub fn undefined_in(texts: &[ChunkPatch], globals: &impl Globals) -> Vec<Vec<Undefined>> {
    let Some(defined) = defined_by(texts) else {
        return texts.iter().map(|_| Vec::new()).collect();
    };
    let each = |text: &ChunkPatch| {
        let (Names { uses, tested, .. }, ast) = (&text.facts().names, text.ast());
        let outline = &text.facts().outline;
        let literals = literals_of(outline);
        let name_of = |function: FunctionIndex| {
            let at = literals.get(&function);
            at.map_or_else(String::new, |at| outline.name(*at))
        };
        let mut found: Vec<Undefined> = uses
            .iter()
            .filter(|used| !tested.contains(&used.name))
            .filter(|used| {
                let name = symbol_text(ast, used.name);
                !globals.has(&name) && !defined.contains(name.as_bytes())
            })
            .map(|used| describe(ast, used, name_of(used.function)))
            .collect();
        found.sort_by_key(|one| one.span);
        suggest(&mut found, texts, globals);
        found
    };
    texts.iter().map(each).collect()
}

/// Adds what may have been meant.
fn suggest(found: &mut [Undefined], texts: &[ChunkPatch], globals: &impl Globals) {
    if found.is_empty() {
        return;
    }
    let mut best: Vec<(usize, Option<Arc<str>>)> = found
        .iter()
        .map(|one| (tolerance(&one.name) + 1, None))
        .collect();
    let mut see = |name: &str| {
        for (one, (distance, like)) in found.iter().zip(&mut best) {
            let new = edits(&one.name, name, *distance);
            let is_better = new < *distance
                || new == *distance && like.as_deref().is_some_and(|like| name < like);
            if is_better && new > 0 {
                (*distance, *like) = (new, Some(name.into()));
            }
        }
    };
    for text in texts {
        let (names, ast) = (&text.facts().names, text.ast());
        for symbol in names.locals.iter().chain(&names.defined) {
            see(&symbol_text(ast, *symbol));
        }
    }
    globals.each(&mut see);
    for (one, (_, like)) in found.iter_mut().zip(best) {
        one.suggestion = like;
    }
}

/// The name among `all` that was probably meant by one that is not among them; names
/// of files and modules are at most some letters apart.
pub fn similar<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = tolerance(name);
    let near = all.map(|one| (edits(name, one, most), one));
    let near = near.filter(|(distance, _)| *distance <= most);
    near.min().map(|(_, one)| one)
}

/// How many edits two names may be apart to be taken for one another.
fn tolerance(name: &str) -> usize {
    match name.len() {
        0..3 => 0,
        3..6 => 1,
        _ => 2,
    }
}

/// Characters to be inserted, removed, replaced or exchanged with their neighbours
/// to make one name of the other; more than `most` is answered as `most + 1`.
fn edits(a: &str, b: &str, most: usize) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().abs_diff(b.len()) > most || b.len() > 64 {
        return most + 1;
    }
    // Rows of the table of distances between beginnings: the last two and this one.
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = above[j] + usize::from(!x.eq_ignore_ascii_case(y));
            let mut least = replaced.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        if row.iter().all(|n| *n > most) {
            return most + 1;
        }
        before = std::mem::replace(&mut above, row);
    }
    // Names that differ in case only are very near.
    above[b.len()].max(usize::from(a != b)).min(most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(edits("health", "health", 2), 0);
        assert_eq!(edits("helath", "health", 2), 1);
        assert_eq!(edits("healt", "health", 2), 1);
        assert_eq!(edits("Health", "health", 2), 1);
        assert_eq!(edits("print", "prnit", 2), 1);
        assert_eq!(edits("kitten", "sitting", 2), 3);
        assert_eq!(edits("abc", "abcdefgh", 2), 3);
    }

    #[test]
    fn standard_names_are_sorted() {
        assert!(STANDARD.is_sorted());
    }

    fn found(text: &str) -> Vec<String> {
        let text = ChunkPatch::compile("@t.lua", text.as_bytes()).expect("compiles");
        let mut lists = undefined_in(&[text], &StandardGlobals);
        lists.remove(0).iter().map(Undefined::to_string).collect()
    }

    #[test]
    fn what_is_used_and_not_defined() {
        assert_eq!(
            found("local total = 0\nfunction add(n) totl = total + n return tota end"),
            ["line 2: add: the global tota is not defined; did you mean total?"]
        );
        assert_eq!(
            found("local function f() return prinf(x), { y = z.w, [q] = 1 } end"),
            [
                "line 1: f: the global prinf is not defined; did you mean print?",
                "line 1: f: the global x is not defined",
                "line 1: f: the global z is not defined",
                "line 1: f: the global q is not defined",
            ]
        );
        // Each once in a function.
        assert_eq!(found("a() a() local function f() a() a() end").len(), 2);
        assert_eq!(
            found("function a.b.c:d() end"),
            ["line 1: main chunk: the global a is not defined"]
        );
    }

    #[test]
    fn what_is_defined_somewhere_or_local() {
        for text in [
            "print(type(_G), _ENV.x, _VERSION)",
            "function f() return g() end function g() return f() end",
            "function f() return config.x end local function init() config = {} end",
            "_G.a = 1 _ENV.b = 2 _G['c'] = 3 rawset(_G, 'd', 4) return a, b, c, d",
            "local a <const>, b = 1, 2 return a, b",
            "local function f(a, ...) return a, f, ... end",
            "for i = 1, 2 do print(i) end for k, v in pairs({}) do print(k, v) end",
            "repeat local done = true until done",
            "local t = {} function t:m() return self end",
            "local a = 1 do local b = a print(b) end",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        assert_eq!(found("do local b = 1 end return b").len(), 1);
        assert_eq!(found("local b = b").len(), 1);
        assert_eq!(found("for i = i, 2 do end").len(), 1);
    }

    #[test]
    fn what_is_asked_for_first_may_be_absent() {
        for text in [
            "local unpack = unpack or table.unpack",
            "if jit then print(jit.version) end",
            "if not bit32 then return end return bit32.band(1, 2)",
            "if setfenv ~= nil then print(getfenv and getfenv()) end",
            "if type(ngx) == 'table' then ngx.say() end",
            "while (a or b) do a, b = nil end",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        assert_eq!(
            found("if jit.on then end"),
            ["line 1: main chunk: the global jit is not defined"]
        );
    }

    #[test]
    fn environments_of_their_own() {
        for text in [
            "local _ENV = { f = print } f(x)",
            "local function f(_ENV) return x end",
            "setfenv(1, {}) f()",
            "module('m', package.seeall) f()",
            "_ENV = setmetatable({}, { __index = _ENV }) f()",
            "setmetatable(_G, { __index = function() end }) f()",
            "for k, v in pairs(math) do _G[k] = v end return sin(1)",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        assert_eq!(found("do local _ENV = {} f() end g()").len(), 1);
    }
}
