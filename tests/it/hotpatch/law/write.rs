//! Writes the text of a random module, item by item.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::module::{Item, KINDS, Kind, Module, Place};
use super::text::{Line, RETURN, Rhs, Text};

/// Writes the text of a module.
struct Writer<'a> {
    lines: Vec<Line>,
    /// Items above.
    above: Vec<&'a Item>,
    locals: Vec<String>,
    /// The module table is a global.
    is_global: bool,
    /// Items that are numbers known without running anything.
    constants: BTreeSet<u8>,
    /// State variables that functions assign, here or (`None`) not known yet.
    assigned: Option<BTreeSet<u8>>,
    assigns: RefCell<BTreeSet<u8>>,
}

/// The text, and the state variables that functions assign, which decides what is a
/// constant: they are not known (`None`) the first time.
pub(super) fn write(module: &Module, assigned: Option<BTreeSet<u8>>) -> (Text, BTreeSet<u8>) {
    let mut writer = Writer {
        constants: BTreeSet::new(),
        assigned,
        assigns: RefCell::default(),
        lines: Vec::new(),
        above: Vec::new(),
        locals: vec!["on".to_owned()],
        is_global: module.form % 4 == 1,
    };
    let table = Rhs::Table(Vec::new());
    let head = if writer.is_global { "M" } else { "local M" };
    if !writer.is_global {
        writer.locals.push("M".to_owned());
    }
    let path = writer.path("M");
    writer.set(head, vec![(path, table.clone())]);
    writer.set("local on", vec![("on".to_owned(), table)]);
    writer.code("M.on = on");
    let mut probe_at = None;
    let mut probed = Vec::new();
    for item in &module.items {
        if item.leaves() && probe_at.is_none() {
            probe_at = Some(writer.lines.len());
            probed.clone_from(&writer.locals);
        }
        writer.item(item);
        writer.above.push(item);
    }
    if probe_at.is_none() {
        probe_at = Some(writer.lines.len());
        probed.clone_from(&writer.locals);
    }
    match module.form % 4 {
        1 => {}
        2 => writer.code("mod = M"),
        3 if module.items.iter().all(|item| item.kind != Kind::Leave) => writer.returned(module),
        _ => writer.code("return M"),
    }
    let text = Text::new(writer.lines, probe_at.unwrap_or(0), &probed);
    (text, writer.assigns.into_inner())
}

impl<'a> Writer<'a> {
    fn code(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Code(text.into()));
    }

    fn effect(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Effect(text.into()));
    }

    fn set(&mut self, head: impl Into<String>, values: Vec<(String, Rhs)>) {
        let head = head.into();
        self.lines.push(Line::Set { head, values });
    }

    /// The path of what code calls by this name.
    fn path(&self, reference: &str) -> String {
        let root = reference.split('.').next().unwrap_or_default();
        match self.locals.iter().any(|local| local == root) {
            true => reference.to_owned(),
            false => format!("_G.{reference}"),
        }
    }

    fn find(&self, id: u8, kind: &[Kind]) -> Option<&'a Item> {
        let found = self.above.iter().find(|item| item.id == id).copied();
        found.filter(|item| kind.contains(&item.kind))
    }

    fn used(&self, item: &Item, kind: &[Kind]) -> Option<&'a Item> {
        item.uses.iter().find_map(|id| self.find(*id, kind))
    }

    /// The name of a constant that it uses.
    fn constant(&self, item: &Item) -> Option<String> {
        let other = self.used(item, &[Kind::Constant])?;
        Some(other.name())
    }

    /// A number made of what item `n` of the used ones is.
    fn number(&self, item: &Item, n: usize) -> String {
        let Some(other) = self.find(item.uses[n], &KINDS) else {
            return (item.k / 2).to_string();
        };
        let reference = other.reference();
        match other.kind {
            Kind::Value if other.is_table() => format!("{reference}.z{}", other.id),
            Kind::Constant | Kind::Field | Kind::State | Kind::Value => reference,
            Kind::Table => format!("{reference}.p{}", other.id),
            Kind::Function | Kind::Block => format!("{reference}({})", item.k % 5),
            Kind::Factory => format!("{reference}({})(2)", item.k % 5),
            Kind::Class => format!("{reference}.new({}):get{}()", item.k % 5, other.id),
            Kind::Effect | Kind::Alias | Kind::Leave => (item.k / 2).to_string(),
        }
    }

    /// Whether that number is known without running anything.
    fn is_constant(&self, item: &Item, n: usize) -> bool {
        match self.find(item.uses[n], &KINDS) {
            None => true,
            Some(other) => match other.kind {
                Kind::Constant | Kind::State | Kind::Value => self.constants.contains(&other.id),
                kind => matches!(kind, Kind::Effect | Kind::Alias | Kind::Leave),
            },
        }
    }

    fn rhs(&self, text: String, is_constant: bool) -> Rhs {
        match is_constant {
            true => Rhs::Constant(text),
            false => Rhs::Expression(text),
        }
    }

    fn item(&mut self, item: &'a Item) {
        match item.kind {
            Kind::Constant => self.constants(item),
            Kind::Field => self.field(item),
            Kind::Table => self.table(item),
            Kind::Function => self.function(item),
            Kind::Value => self.value(item),
            Kind::State => self.state(item),
            Kind::Class => self.class(item),
            Kind::Effect => self.effects(item),
            Kind::Block => self.block(item),
            Kind::Alias => self.alias(item),
            Kind::Factory => self.factory(item),
            Kind::Leave => self.leave(item),
        }
    }

    fn constants(&mut self, item: &Item) {
        self.constants.insert(item.id);
        let (id, k) = (item.id, item.k);
        let name = item.name();
        let plain = |text: String| Rhs::Constant(text);
        let derived = match self.constant(item) {
            Some(other) => match item.shape % 4 {
                0 => format!("{other} * 2 + {k}"),
                1 => format!("-{other} - {k}"),
                2 => format!("({other} + {k}) % 7"),
                _ => format!("{other} > {k} and 1 or {k}"),
            },
            None => k.to_string(),
        };
        let mut names = vec![name.clone()];
        let mut values = vec![(name.clone(), plain(k.to_string()))];
        match item.style % 7 {
            0 | 1 => {}
            2 => values[0].1 = plain(format!("{k}.5")),
            3 => values[0].1 = plain(derived),
            4 => names[0] = format!("{name} <const>"),
            5 => {
                let text = match self.constant(item) {
                    Some(other) => format!("\"s\" .. {other}"),
                    None => format!("\"s{k}\""),
                };
                names.push(format!("S{id}"));
                values.push((format!("S{id}"), plain(text)));
            }
            _ => {
                names.push(format!("B{id}"));
                names.push(format!("D{id}"));
                values.push((format!("B{id}"), plain((k % 2 == 0).to_string())));
                values.push((format!("D{id}"), plain(derived)));
            }
        }
        // Constants are folded or not, by their place and by what they are.
        if item.bit(1) {
            for (i, name) in names.iter_mut().enumerate() {
                if !name.ends_with('>') && (i == 0 || item.bit(2)) {
                    name.push_str(" <const>");
                }
            }
        }
        self.set(format!("local {}", names.join(", ")), values.clone());
        self.locals.extend(values.into_iter().map(|(name, _)| name));
    }

    /// A constant of the item's number, perhaps derived.
    fn constant_text(&self, item: &Item) -> String {
        let k = item.k;
        match (item.bit(0), self.constant(item)) {
            (true, Some(other)) => format!("{other} * {k}"),
            _ => k.to_string(),
        }
    }

    /// Where an item's value is put, and its path. Declares it if it is a local.
    fn head(&mut self, item: &Item) -> (String, String) {
        let reference = item.reference();
        if item.place() == Place::Local {
            self.locals.push(item.name());
            return (format!("local {reference}"), reference);
        }
        let path = self.path(&reference);
        match (item.place(), item.style % 3) {
            (Place::Field, 2) => (format!("M[\"{}\"]", item.name()), path),
            _ => (reference, path),
        }
    }

    fn field(&mut self, item: &Item) {
        let value = Rhs::Constant(self.constant_text(item));
        let (head, path) = self.head(item);
        self.set(head, vec![(path, value)]);
        if item.bit(3) {
            let name = format!("M.s{}", item.id);
            let text = match item.bit(4) {
                true => "nil".to_owned(),
                false => format!("\"t{}\"", item.k),
            };
            self.set(&*name, vec![(self.path(&name), Rhs::Constant(text))]);
        }
    }

    fn table(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let mut rows = vec![(format!("p{id}"), Rhs::Constant(self.constant_text(item)))];
        if item.bit(1) {
            let inner = vec![
                (format!("q{id}"), Rhs::Constant((k / 2).to_string())),
                (format!("r{id}"), Rhs::Constant(format!("\"x{k}\""))),
            ];
            rows.push((format!("t{id}"), Rhs::Table(inner)));
        }
        if item.bit(2) {
            for i in 1..=1 + item.shape / 256 % 4 {
                let value = u16::from(k) + i % 2;
                rows.push((String::new(), Rhs::Constant(value.to_string())));
            }
        }
        if item.bit(3) {
            let text = format!("function(a) return a + {} end", self.number(item, 0));
            rows.push((format!("g{id}"), Rhs::Code(text)));
        }
        if item.bit(4) && item.bit(5) {
            let value = self.rhs(self.number(item, 1), self.is_constant(item, 1));
            rows.push((format!("w{id}"), value));
        }
        if item.bit(6) {
            let list = (0..item.shape / 512 % 3)
                .map(|i| {
                    let row = vec![(
                        format!("hp{id}"),
                        Rhs::Constant((u16::from(k) + i).to_string()),
                    )];
                    (String::new(), Rhs::Table(row))
                })
                .collect();
            rows.push((format!("l{id}"), Rhs::Table(list)));
        }
        let (head, path) = self.head(item);
        self.set(head, vec![(path, Rhs::Table(rows))]);
    }

    fn state(&mut self, item: &Item) {
        let value = Rhs::Constant((item.k / 8).to_string());
        let is_assigned = |all: &BTreeSet<u8>| all.contains(&item.id);
        if item.place() == Place::Local && !self.assigned.as_ref().is_none_or(is_assigned) {
            self.constants.insert(item.id);
        }
        let (head, path) = self.head(item);
        self.set(head, vec![(path, value)]);
    }

    /// Statements of a body, and the expression that it returns.
    fn body(&self, item: &Item) -> String {
        let (id, k) = (item.id, item.k);
        let mut out = String::new();
        if item.bit(0)
            && let Some(state) = self.used(item, &[Kind::State])
        {
            let name = state.reference();
            self.assigns.borrow_mut().insert(state.id);
            let _ = write!(out, "{name} = {name} + {} ", 1 + k % 3);
        }
        if item.bit(1) && item.bit(9) {
            let _ = write!(out, "trace(\"f{id}\") ");
        }
        if item.bit(2)
            && let Some(table) = self.used(item, &[Kind::Table])
        {
            let name = table.reference();
            let _ = match item.bit(10) {
                true => write!(out, "{name}[\"m\" .. a] = {name}[\"m\" .. a] or a * {k} "),
                false => write!(out, "{name}.u{id} = ({name}.u{id} or 0) + a "),
            };
        }
        if item.bit(3) {
            let _ = write!(
                out,
                "local function inner(z) return z * {k} + {} end ",
                self.number(item, 1)
            );
        }
        if item.bit(4) && item.bit(11) {
            let _ = write!(out, "last{id} = a ");
        }
        if item.bit(5) && item.bit(12) {
            let _ = write!(out, "M.last{id} = a + {} ", k % 4);
        }
        if item.bit(6) {
            let _ = write!(out, "for i = 1, {} do a = a + i end ", k % 4);
        }
        let inner = if item.bit(3) { "inner(a)" } else { "a" };
        let second = match item.bit(7) {
            true => format!(", \"{k}\""),
            false => String::new(),
        };
        let other = if item.bit(8) {
            self.number(item, 2)
        } else {
            "1".to_owned()
        };
        let _ = write!(
            out,
            "return {inner} * {} + {} - {other}{second}",
            k % 7,
            self.number(item, 0)
        );
        out
    }

    fn function(&mut self, item: &Item) {
        let name = item.name();
        let params = match item.style / 8 % 3 {
            0 => "a",
            1 => "a, b",
            _ => "a, ...",
        };
        let body = self.body(item);
        let rest = format!("({params}) {body} end");
        match item.place() {
            Place::Local => match item.style % 5 {
                0 | 1 => self.code(format!("local function {name}{rest}")),
                2 => self.code(format!("local {name} = function{rest}")),
                3 => {
                    self.code(format!("local {name}"));
                    self.code(format!("{name} = function{rest}"));
                }
                _ => {
                    self.code(format!("local {name}"));
                    self.code(format!("function {name}{rest}"));
                }
            },
            Place::Field => match item.style % 5 {
                0 => self.code(format!("function M.{name}{rest}")),
                1 => self.code(format!("M.{name} = function{rest}")),
                2 => self.code(format!("M[\"{name}\"] = function{rest}")),
                3 => self.code(format!("M.{name} = function{rest} M.{name}x = M.{name}")),
                _ => self.code(format!("do function M.{name}{rest} end")),
            },
            Place::Global => match item.style % 3 {
                0 => self.code(format!("function {name}{rest}")),
                _ => self.code(format!("{name} = function{rest}")),
            },
            Place::On => match item.shape % 3 {
                0 => self.code(format!("on[\"{name}\"] = function{rest}")),
                1 => self.code(format!("on.{name} = function{rest}")),
                _ => self.code(format!("function on.{name}{rest}")),
            },
        }
        if item.place() == Place::Local {
            self.locals.push(name.clone());
        }
        if item.shape >> 13 == 7 {
            let key = match self.constant(item) {
                Some(other) if item.k.is_multiple_of(2) => other,
                _ => (100 + u16::from(item.id)).to_string(),
            };
            self.code(format!(
                "on[{key}] = function(z) return {body} end",
                body = item.k
            ));
        }
    }

    fn value(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let first = self.number(item, 0);
        let is_constant = self.is_constant(item, 0);
        let (text, is_constant) = match item.style % 5 {
            0 => (format!("mark(\"v{id}\", {first})"), false),
            1 => (format!("{first} + {k}"), is_constant),
            2 => (format!("{first} * 2"), is_constant),
            3 => {
                let text = format!("({first} or 0) + {}", self.number(item, 1));
                (text, is_constant && self.is_constant(item, 1))
            }
            _ if item.bit(13) => (format!("select(\"#\", ...) + {k}"), false),
            _ => (format!("mark(\"v{id}\", {k})"), false),
        };
        let is_double = item.style / 8 % 4 == 3 && item.place() == Place::Local;
        let second = match item.bit(0) {
            true => Rhs::Expression(format!("mark(\"w{id}\", {})", self.number(item, 2))),
            false => Rhs::Constant(k.to_string()),
        };
        if is_constant && !item.is_table() && item.place() == Place::Local {
            self.constants.insert(id);
        }
        let value = self.rhs(text, is_constant);
        let value = match item.is_table() {
            true => Rhs::Table(vec![
                (format!("y{id}"), value),
                (format!("z{id}"), Rhs::Constant(k.to_string())),
            ]),
            false => value,
        };
        let (mut head, path) = self.head(item);
        let mut values = vec![(path, value)];
        if is_double {
            let _ = write!(head, ", w{id}");
            values.push((format!("w{id}"), second));
            self.locals.push(format!("w{id}"));
        }
        self.set(head, values);
    }

    fn class(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let base = self.used(item, &[Kind::Class]).map(Item::reference);
        let term = self.number(item, 0);
        let (head, path) = self.head(item);
        let class = item.reference();
        match (item.style / 4 % 3, &base) {
            (1, Some(base)) => {
                let object = Rhs::Object(format!("{{ __index = {base} }}"));
                self.set(head, vec![(path.clone(), object)]);
            }
            _ => self.set(head, vec![(path.clone(), Rhs::Table(Vec::new()))]),
        }
        match item.bit(10) {
            true => self.code(format!("{class}[\"__index\"] = {class}")),
            false => self.code(format!("{class}.__index = {class}")),
        }
        if item.bit(0) {
            let at = format!("{class}.count{id}");
            self.set(
                &*at,
                vec![(format!("{path}.count{id}"), Rhs::Constant("0".to_owned()))],
            );
        }
        let counting = match item.bit(0) {
            true => format!("{class}.count{id} = {class}.count{id} + 1 "),
            false => String::new(),
        };
        self.code(format!(
            "function {class}.new(x) {counting}return setmetatable({{ x{id} = x or {k} }}, {class}) end"
        ));
        match item.bit(1) {
            true => self.code(format!(
                "{class}.get{id} = function(self, a) return self.x{id} + {term} end"
            )),
            false => self.code(format!(
                "function {class}:get{id}(a) return self.x{id} + {term} end"
            )),
        }
        if item.bit(2) {
            let at = format!("{class}.step{id}");
            self.set(
                &*at,
                vec![(format!("{path}.step{id}"), Rhs::Constant(k.to_string()))],
            );
            self.code(format!(
                "function {class}:bump{id}(n) self.x{id} = self.x{id} + n * {class}.step{id} return self.x{id} end"
            ));
        }
        if item.bit(3) {
            self.code(format!(
                "function {class}.__add(a, b) return a.x{id} + {k} end"
            ));
        }
        if item.style / 4 % 3 == 2 {
            self.code(format!(
                "setmetatable({class}, {{ __call = function(class, x) return class.new(x) end }})"
            ));
        }
        if item.bit(4) && item.place() == Place::Local {
            self.code(format!("M.{class} = {class}"));
        }
    }

    fn effects(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let number = self.number(item, 0);
        let table = self.used(item, &[Kind::Table]).map(Item::reference);
        let class = self.used(item, &[Kind::Class]).map(Item::reference);
        match (item.style % 6, table, class) {
            (0, Some(table), _) => self.effect(format!("{table}[#{table} + 1] = {k}")),
            (1, Some(table), _) => self.effect(format!(
                "for i = 1, {} do {table}[\"e{id}_\" .. i] = i * {number} end",
                1 + k % 3
            )),
            (2, _, Some(class)) => self.effect(format!(
                "for i = 1, 2 do {class}[\"e{id}_\" .. i] = i * {k} end"
            )),
            (2 | 3, ..) => self.effect(format!(
                "if {number} > {k} then M.e{id} = {number} else M.e{id} = -{k} end"
            )),
            (4, ..) => self.effect(format!("do local t = {number} M.e{id} = t + {k} end")),
            _ => self.effect(format!("trace(\"e{id} \" .. {number})")),
        }
    }

    fn block(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let term = self.number(item, 0);
        let path = self.path(&item.reference());
        let body = format!("function M.b{id}(a) p{id} = p{id} + a return p{id} * {k} + {term} end");
        self.lines.push(Line::Block {
            before: format!("do local p{id} = "),
            path: format!("{path}^p{id}"),
            value: (item.shape % 4).to_string(),
            after: format!(" {body} end"),
        });
    }

    fn alias(&mut self, item: &Item) {
        let kinds = [Kind::Table, Kind::Function, Kind::Class];
        let target = self.used(item, &kinds).map(Item::reference);
        let target =
            target.unwrap_or_else(|| ["M", "math.floor", "on"][usize::from(item.k % 3)].to_owned());
        let (head, _) = self.head(item);
        self.code(format!("{head} = {target}"));
    }

    fn factory(&mut self, item: &Item) {
        let (id, k) = (item.id, item.k);
        let term = self.number(item, 0);
        let start = if item.bit(1) { "x" } else { "x * 2" };
        self.code(format!(
            "function M.mk{id}(x) local h{id} = {start} return function(d) h{id} = h{id} + d * {k} return h{id} + {term} end end"
        ));
    }

    /// What the module returns is made where it is returned.
    fn returned(&mut self, module: &Module) {
        self.code("mod = M");
        let mut rows = Vec::new();
        for item in module.items.iter().filter(|item| item.bit(15)) {
            let (id, k) = (item.id, item.k);
            let value = match item.shape % 4 {
                0 => Rhs::Code(format!("function(a) return a + {k} end")),
                1 if item.kind == Kind::Function => Rhs::Code(item.reference()),
                2 => Rhs::Table(vec![
                    (format!("i{id}"), Rhs::Constant(k.to_string())),
                    (String::new(), Rhs::Constant((k / 4).to_string())),
                ]),
                _ => Rhs::Constant(self.constant_text(item)),
            };
            rows.push((format!("r{id}"), value));
        }
        self.set(RETURN, vec![("R".to_owned(), Rhs::Table(rows))]);
    }

    fn leave(&mut self, item: &Item) {
        match item.style % 4 {
            0 => self.code("do return M end"),
            1 => self.code(format!("if {} > 100 then return M end", item.k)),
            _ => self.code("if not M then return end"),
        }
    }
}
