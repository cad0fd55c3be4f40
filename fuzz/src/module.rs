//! Random modules and random edits of them, by structure: functions of all
//! forms, captures, nested closures, coroutines, statements.

use std::fmt::Write as _;

use crate::data::Data;

/// Names of each sort.
const NAMES: u8 = 5;

/// One top-level item. All choices are numbers, so that an edit is another
/// number.
#[derive(Clone, Debug)]
struct Item {
    kind: u8,
    name: u8,
    constant: u8,
    /// Which top-level locals the body uses, bit by bit.
    uses: u8,
    /// What the body does, bit by bit.
    shape: u8,
    params: u8,
}

impl Item {
    fn draw(data: &mut Data<'_>) -> Self {
        Self {
            kind: data.byte() % 13,
            name: data.byte() % NAMES,
            constant: data.byte(),
            uses: data.byte(),
            shape: data.byte(),
            params: data.byte(),
        }
    }
}

/// A module's source in parts.
#[derive(Clone, Debug)]
pub struct Module(Vec<Item>);

impl Module {
    /// A module of two to seven items.
    pub fn draw(data: &mut Data<'_>) -> Self {
        let n = 2 + data.below(6);
        Self((0..n).map(|_| Item::draw(data)).collect())
    }

    /// A copy with some changes.
    pub fn edited(&self, data: &mut Data<'_>) -> Self {
        let mut items = self.0.clone();
        for _ in 0..1 + data.below(4) {
            let at = data.below(items.len());
            let kind = data.below(12);
            if items.is_empty() || kind == 0 {
                items.insert(at, Item::draw(data));
                continue;
            }
            let item = &mut items[at];
            match kind {
                1 => drop(items.remove(at)),
                2 => item.name = data.byte() % NAMES,
                3 | 4 => item.constant = item.constant.wrapping_add(1),
                5 | 6 => item.uses ^= 1 << data.below(8),
                7 | 8 => item.shape ^= 1 << data.below(8),
                9 => item.params = data.byte(),
                10 => {
                    let other = data.below(items.len());
                    items.swap(at, other);
                }
                _ => item.kind = data.byte() % 13,
            }
        }
        Self(items)
    }

    /// Its text; it calls the globals `keep` and `tick`.
    pub fn source(&self) -> String {
        let mut out = String::from("M = M or {} REG = REG or {}\n");
        for item in &self.0 {
            emit(&mut out, item);
            out.push('\n');
        }
        out.push_str("return M\n");
        out
    }
}

/// `a, b, ...`
fn params(item: &Item) -> String {
    let mut names: Vec<&str> = ["a", "b", "c"][..usize::from(item.params % 4)].to_vec();
    if item.params & 4 != 0 {
        names.push("...");
    }
    names.join(", ")
}

fn used(item: &Item) -> impl Iterator<Item = u8> + use<> {
    let uses = item.uses;
    (0..NAMES).filter(move |bit| uses & (1 << bit) != 0)
}

fn body(item: &Item) -> String {
    let mut out = String::new();
    let k = item.constant;
    let rest = if item.params & 4 != 0 { ", ..." } else { "" };
    if item.shape & 1 != 0 {
        let _ = write!(out, "tick({k}) ");
    }
    for n in used(item) {
        let _ = write!(out, "l{n} = (tonumber(l{n}) or 0) + {k} ");
    }
    if item.shape & 2 != 0 {
        let n = item.name;
        let _ = write!(
            out,
            "local v = {k} keep(function(...) v = v + 1 l{n} = v tick(v) return v, ... end) "
        );
    }
    if item.shape & 4 != 0 {
        let _ = write!(
            out,
            "local x <close> = setmetatable({{}}, {{__close = function() tick({k}) l0 = {k} end}}) "
        );
    }
    if item.shape & 8 != 0 {
        let n = (item.name + 1) % NAMES;
        let _ = write!(
            out,
            "if f{n} then pcall(f{n}, {k}) end if F{n} then pcall(F{n}) end "
        );
    }
    if item.shape & 16 != 0 {
        let _ = write!(
            out,
            "for i = 1, 3 do local j = i keep(function() j = j + i return j, l1 end) tick(i) end "
        );
    }
    if item.uses & 32 != 0 {
        let _ = write!(
            out,
            "do local function inner(z) return z and l2, {k} end keep(inner) end "
        );
    }
    if item.uses & 64 != 0 {
        let _ = write!(out, "if {k} % 2 == 0 then return (select('#'{rest})) end ");
    }
    if item.uses & 128 != 0 {
        let _ = write!(
            out,
            "table.sort({{3, 1, 2}}, function(p, q) tick(p) return p < q end) "
        );
    }
    match item.shape >> 5 {
        0 => {}
        1 => {
            let _ = write!(out, "error({{{k}}})");
        }
        2 => {
            let n = (item.name + 2) % NAMES;
            let _ = write!(out, "if F{n} then return F{n}({k}{rest}) end");
        }
        3 => {
            let _ = write!(out, "return function() l3 = {k} return l3 end");
        }
        _ => {
            let _ = write!(out, "return {k}, l{}{rest}", item.name);
        }
    }
    out
}

fn emit(out: &mut String, item: &Item) {
    let (n, k) = (item.name, item.constant);
    let (params, body) = (params(item), body(item));
    let _ = match item.kind {
        0 | 1 => write!(out, "local l{n} = {k}"),
        2 => write!(
            out,
            "local k{n} <const> = {k} function F{n}() return k{n} end"
        ),
        3 | 4 => write!(out, "function F{n}({params}) {body} end"),
        5 | 6 => write!(out, "local function f{n}({params}) {body} end keep(f{n})"),
        7 => write!(out, "function M:m{n}({params}) self.x = {k} {body} end"),
        8 => write!(
            out,
            "function make{n}(x) local y, z = x, {k} return function({params}) y = {k} {body} end, \
             function() z = z + 1 return y, z end end keep(make{n}(1))"
        ),
        9 => write!(
            out,
            "function gen{n}({params}) local i = {k} for step = 1, 6 do i = i + step \
             coroutine.yield(i) tick(i) l{n} = i end {body} end"
        ),
        10 => write!(
            out,
            "T{n} = {{a = function({params}) {body} end, function() return l{n} end, \
             b = {{c = function() return {k} end}}}}"
        ),
        11 => write!(out, "count = (tonumber(count) or 0) + {k} tick(count)"),
        _ => write!(
            out,
            "for i = 1, 2 do local held = i keep(function() held = held + {k} return held, l{n} end) tick(i) end"
        ),
    };
}
