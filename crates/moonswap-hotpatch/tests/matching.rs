//! Random edits of modules that register functions, with known truth: whoever
//! edits knows which function is which. No function may be taken for another one;
//! what is refused or not recognised is counted.

use std::collections::HashMap;
use std::fmt::Write;

use moonswap_hotpatch::*;

const CHUNK: &str = "@events.lua";

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n.max(1)
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// How a function is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    On,
    Route,
    Every,
    Register,
    Protected,
    Sort,
    Describe,
    Field,
    Function,
    Method,
    Local,
    Wrapped,
    Handlers,
    Methods,
    Metatable,
    Arms,
    Called,
}

const FORMS: [Form; 17] = [
    Form::On,
    Form::Route,
    Form::Every,
    Form::Register,
    Form::Protected,
    Form::Sort,
    Form::Describe,
    Form::Field,
    Form::Function,
    Form::Method,
    Form::Local,
    Form::Wrapped,
    Form::Handlers,
    Form::Methods,
    Form::Metatable,
    Form::Arms,
    Form::Called,
];

impl Form {
    /// Holds other functions instead of being one.
    fn is_list(self) -> bool {
        matches!(self, Self::Handlers | Self::Methods | Self::Arms)
    }

    /// Nothing beside the function says which one it is.
    fn is_nameless(self) -> bool {
        matches!(
            self,
            Self::Every | Self::Register | Self::Protected | Self::Sort | Self::Called
        )
    }
}

/// A function, or a list of some.
#[derive(Clone)]
struct Node {
    /// Who it is, whatever happens to it.
    who: usize,
    form: Form,
    name: String,
    number: usize,
    body: Vec<String>,
    children: Vec<Node>,
    /// Another one was made from it: not to be taken out, or nobody could tell
    /// that the copy is none of it.
    copied: bool,
}

#[derive(Default)]
struct Maker {
    n: usize,
    n_names: usize,
}

const WORDS: [&str; 40] = [
    "player", "world", "score", "queue", "socket", "buffer", "cursor", "entity", "damage", "armor",
    "spawn", "quest", "session", "token", "cache", "route", "header", "payload", "frame", "sprite",
    "weapon", "shield", "market", "price", "ledger", "account", "invoice", "packet", "stream",
    "filter", "matrix", "vector", "camera", "light", "shader", "texture", "network", "cluster",
    "shard", "replica",
];

impl Maker {
    fn statement(&mut self, random: &mut Random) -> String {
        let (a, b, c) = (
            random.pick(&WORDS),
            random.pick(&WORDS),
            random.pick(&WORDS),
        );
        let n = random.below(1000);
        match random.below(6) {
            0 => format!("{a}.{b} = {c}({n})"),
            1 => format!("if {a}.{b} > {n} then {c}:{b}(x) end"),
            2 => format!("local {a} = {b}.{c}(x, \"{a}{n}\")"),
            3 => format!("for i = 1, {n} do {a}[i] = {b}[i] + {c} end"),
            4 => format!("{a}({b}.{c}, x.{a}, {n})"),
            _ => format!("x.{a} = x.{b} .. \"{c} {n}\""),
        }
    }

    fn name(&mut self, random: &mut Random) -> String {
        self.n_names += 1;
        format!("{}_{}", random.pick(&WORDS), self.n_names)
    }

    fn body(&mut self, random: &mut Random) -> Vec<String> {
        let n = 3 + random.below(5);
        (0..n).map(|_| self.statement(random)).collect()
    }

    fn node(&mut self, random: &mut Random, depth: usize) -> Node {
        let form = random.pick(&FORMS);
        self.node_of(random, form, depth)
    }

    fn node_of(&mut self, random: &mut Random, form: Form, depth: usize) -> Node {
        self.n += 1;
        let who = self.n;
        let n_children = match form {
            Form::Handlers | Form::Methods | Form::Arms => 2 + random.below(3),
            Form::Describe if depth < 3 => 1 + random.below(4),
            _ if depth < 3 && random.chance(25) => 1 + random.below(2),
            _ => 0,
        };
        let children = (0..n_children)
            .map(|_| match form.is_list() {
                true => self.node_of(random, Form::Local, 3),
                false => self.node(random, depth + 1),
            })
            .collect();
        Node {
            who,
            form,
            name: self.name(random),
            number: random.below(9),
            body: self.body(random),
            children,
            copied: false,
        }
    }

    /// Gives a function nearly the same body as one of the list.
    fn twin(&mut self, random: &mut Random, node: &mut Node, list: &mut [Node]) {
        if list.is_empty() {
            return;
        }
        let model = &mut list[random.below(list.len())];
        model.copied = true;
        node.copied = true;
        node.body = model.body.clone();
        let at = random.below(node.body.len());
        node.body[at] = self.statement(random);
        if random.chance(50) && !node.form.is_list() && !model.form.is_list() {
            node.form = model.form;
        }
    }

    fn list(&mut self, random: &mut Random) -> Vec<Node> {
        let mut list: Vec<Node> = Vec::new();
        for _ in 0..3 + random.below(10) {
            let mut node = self.node(random, 0);
            if random.chance(25) {
                self.twin(random, &mut node, &mut list);
            }
            list.push(node);
        }
        list
    }

    /// Changes some of a list of functions. What one is stays what it is unless it
    /// is taken out.
    fn edit(&mut self, random: &mut Random, list: &mut Vec<Node>, depth: usize, inside: Form) {
        for node in list.iter_mut() {
            if random.chance(25) {
                for _ in 0..=random.below(3) {
                    self.change(random, node);
                }
            }
            if !node.children.is_empty() && random.chance(40) {
                self.edit(random, &mut node.children, depth + 1, node.form);
            }
        }
        let fixed = inside == Form::Arms;
        if !fixed && list.len() > 1 && random.chance(25) {
            let at = random.below(list.len());
            if !list[at].copied {
                list.remove(at);
            }
        }
        if !fixed && random.chance(25) {
            let at = random.below(list.len() + 1);
            let mut node = match inside.is_list() {
                true => self.node_of(random, Form::Local, 3),
                false => self.node(random, depth),
            };
            if random.chance(30) && !inside.is_list() {
                self.twin(random, &mut node, list);
            }
            list.insert(at, node);
        }
        if !fixed && list.len() > 1 && random.chance(25) {
            let (from, to) = (random.below(list.len()), random.below(list.len()));
            let node = list.remove(from);
            list.insert(to.min(list.len()), node);
        }
    }

    fn change(&mut self, random: &mut Random, node: &mut Node) {
        let at = random.below(node.body.len());
        match random.below(6) {
            0 => node.body[at] = self.statement(random),
            1 => {
                let statement = self.statement(random);
                node.body.insert(at, statement);
            }
            2 if node.body.len() > 3 => _ = node.body.remove(at),
            3 => node.name = self.name(random),
            // All new: only its name says that it is the same.
            4 if !node.form.is_nameless() => node.body = self.body(random),
            _ => {
                node.form = match node.form {
                    Form::Function => Form::Field,
                    Form::Field => Form::Function,
                    other => other,
                }
            }
        }
    }
}

/// The text of a list, and who stands on which line.
#[derive(Default)]
struct Text {
    text: String,
    line: u32,
    who: HashMap<u32, usize>,
    bodies: HashMap<usize, String>,
}

impl Text {
    fn of(list: &[Node]) -> Self {
        let mut out = Self {
            line: 1,
            ..Self::default()
        };
        out.push("local M, self = {}, {}");
        for node in list {
            out.node(node);
        }
        out.push("return M");
        out
    }

    fn push(&mut self, line: &str) {
        _ = writeln!(self.text, "{line}");
        self.line += 1;
    }

    fn function(&mut self, node: &Node, head: &str, tail: &str) {
        self.who.insert(self.line, node.who);
        self.push(head);
        let from = self.text.len();
        for statement in &node.body {
            self.push(statement);
        }
        for child in &node.children {
            self.node(child);
        }
        self.bodies.insert(node.who, self.text[from..].to_owned());
        self.push(tail);
    }

    fn node(&mut self, node: &Node) {
        let (name, n) = (&node.name, node.number);
        let (head, tail) = match node.form {
            Form::On => (format!("on(\"{name}\", function(x)"), "end)"),
            Form::Route => (format!("app:get(\"/{name}\", function(x, res)"), "end)"),
            Form::Every => (format!("timer.every({n}, function(x)"), "end)"),
            Form::Register => ("register(function(x)".to_owned(), "end)"),
            Form::Protected => ("ok, err = pcall(function(x)".to_owned(), "end)"),
            Form::Sort => ("table.sort(list, function(x, y)".to_owned(), "end)"),
            Form::Describe => (format!("describe(\"{name}\", function(x)"), "end)"),
            Form::Field => (format!("M.{name} = function(x)"), "end"),
            Form::Function => (format!("function M.{name}(x)"), "end"),
            Form::Method => (format!("function M:{name}(x)"), "end"),
            Form::Local => (format!("local function {name}(x)"), "end"),
            Form::Wrapped => (format!("M.{name} = wrap(function(x)"), "end)"),
            Form::Metatable => (
                format!("setmetatable({name}, {{ __index = function(x, k)"),
                "end })",
            ),
            Form::Called => ("(function(x)".to_owned(), "end)(self)"),
            Form::Handlers => {
                self.push(&format!("M.{name} = {{"));
                for child in &node.children {
                    let head = format!("{{ name = \"{}\", run = function(x)", child.name);
                    self.function(child, &head, "end },");
                }
                self.push("}");
                return;
            }
            Form::Methods => {
                self.push(&format!("M.{name} = {{"));
                for child in &node.children {
                    self.function(child, &format!("{} = function(x)", child.name), "end,");
                }
                self.push("}");
                return;
            }
            Form::Arms => {
                for (i, child) in node.children.iter().enumerate() {
                    let head = if i == 0 { "if" } else { "elseif" };
                    self.push(&format!("{head} {} then", child.name));
                    self.function(child, &format!("local function {name}(x)"), "end");
                    self.push(&format!("use({name})"));
                }
                self.push("end");
                return;
            }
        };
        // A call on a line of its own must not go on with the line before.
        let head = match node.form {
            Form::Called => format!(";{head}"),
            _ => head,
        };
        self.function(node, &head, tail);
    }
}

#[derive(Debug, Default)]
struct Counts {
    patches: usize,
    refused: usize,
    refused_functions: usize,
    paired: usize,
    /// In both texts, but not recognised.
    missed: usize,
}

#[test]
fn no_function_is_taken_for_another_one() {
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    for seed in 1..=1000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut maker = Maker::default();
        let mut list = maker.list(&mut random);
        let old = Text::of(&list);
        for _ in 0..=random.below(2) {
            maker.edit(&mut random, &mut list, 0, Form::On);
        }
        let new = Text::of(&list);
        measure(seed, &old, &new, &mut counts, &mut wrong);
    }
    println!("{counts:?}");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(counts.paired > 10_000, "{counts:?}");
    assert!(counts.refused * 100 <= counts.patches * 3, "{counts:?}");
    assert!(counts.missed * 100 <= counts.paired * 3, "{counts:?}");
}

fn measure(seed: u64, old: &Text, new: &Text, counts: &mut Counts, wrong: &mut Vec<String>) {
    let compile = |text: &str| match ChunkPatch::compile(CHUNK, text.as_bytes()) {
        Ok(patch) => patch,
        Err(e) => panic!("{e}\n{text}"),
    };
    let patch = compile(&old.text);
    let manifest = ChunkManifest::fresh(patch.main().clone(), Some(patch.source().clone()));
    let plan = plan_chunk(&manifest, &compile(&new.text), &Policy::default());
    counts.patches += 1;
    let ambiguous = |r: &&Refusal| matches!(r.code, Code::AmbiguousMatch | Code::AmbiguousMove);
    let refused = plan.refusals.iter().filter(ambiguous).count();
    counts.refused += usize::from(refused > 0);
    counts.refused_functions += refused;
    for change in &plan.changes {
        let Some(is) = change.new.as_ref().and_then(|_| new.who.get(&change.line)) else {
            continue;
        };
        if change.class == ChangeClass::Refused {
            continue;
        }
        match &change.old {
            None => counts.missed += usize::from(old.bodies.contains_key(is)),
            Some(id) => {
                counts.paired += 1;
                let line = manifest.slots[id].current.line_defined;
                let was = old.who[&line];
                if was != *is && old.bodies[&was] != new.bodies[is] {
                    wrong.push(format!(
                        "seed {seed}: {} (line {}) was taken for line {line}",
                        change.name(),
                        change.line
                    ));
                }
            }
        }
    }
}
