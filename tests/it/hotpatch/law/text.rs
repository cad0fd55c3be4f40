//! The text of a random module, as a program and as the *reference*: the same with
//! the live values in place of what counts as state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// What is to the right of `=`.
#[derive(Clone, Debug)]
pub(super) enum Rhs {
    /// Known without running anything: follows the text.
    Constant(String),
    /// Anything else: state once it has run.
    Expression(String),
    /// A function.
    Code(String),
    /// A table; items without a name are a list.
    Table(Vec<(String, Rhs)>),
    /// An empty table with this metatable.
    Object(String),
}

/// One line of a text: one top-level statement, at most two.
#[derive(Clone, Debug)]
pub(super) enum Line {
    /// Runs in the reference as it stands: a definition, another name of something.
    Code(String),
    /// Its effects are state.
    Effect(String),
    /// Sets places, by their paths.
    Set {
        head: String,
        values: Vec<(String, Rhs)>,
    },
    /// A block with a variable, whose value is state.
    Block {
        before: String,
        path: String,
        value: String,
        after: String,
    },
}

/// A text and what it sets.
#[derive(Clone, Debug)]
pub(super) struct Text {
    lines: Vec<Line>,
    probe_at: usize,
    probe: String,
    /// What it sets each path to, as written; tables are empty.
    sets: BTreeMap<String, String>,
    /// The paths among them whose values are computed.
    computed: BTreeSet<String>,
    /// Its statements.
    statements: BTreeSet<String>,
}

/// The path of item `at` of a table.
fn below(path: &str, name: &str, at: usize) -> String {
    match name {
        "" => format!("{path}[{at}]"),
        name => format!("{path}.{name}"),
    }
}

impl Rhs {
    fn plain(&self) -> String {
        self.written("", &|_, text, _| text.to_owned())
    }

    /// The text of it, with `leaf(path, text, is_constant)` for what is not a function.
    fn written(&self, path: &str, leaf: &dyn Fn(&str, &str, bool) -> String) -> String {
        match self {
            Self::Constant(text) => leaf(path, text, true),
            Self::Expression(text) => leaf(path, text, false),
            Self::Code(text) => text.clone(),
            Self::Object(meta) => format!("setmetatable({{}}, {meta})"),
            Self::Table(items) => {
                let mut written = Vec::new();
                let mut at = 0;
                for (name, item) in items {
                    at += usize::from(name.is_empty());
                    let value = item.written(&below(path, name, at), leaf);
                    written.push(match &**name {
                        "" => value,
                        name => format!("{name} = {value}"),
                    });
                }
                match written.is_empty() {
                    true => "{}".to_owned(),
                    false => format!("{{ {} }}", written.join(", ")),
                }
            }
        }
    }

    fn sets(&self, path: &str, found: &mut BTreeMap<String, String>) {
        if let Self::Table(items) = self {
            found.insert(path.to_owned(), String::new());
            let mut at = 0;
            for (name, item) in items {
                at += usize::from(name.is_empty());
                item.sets(&below(path, name, at), found);
            }
        } else {
            found.insert(path.to_owned(), self.plain());
        }
    }
}

/// `a = 1`, `return 1`.
fn assignment(head: &str, values: &[String]) -> String {
    let equals = if head == RETURN { "" } else { "= " };
    format!("{head} {equals}{}", values.join(", "))
}

/// The head of the statement that sets what the main chunk returns.
pub(super) const RETURN: &str = "return";

impl Line {
    fn plain(&self) -> String {
        match self {
            Self::Code(text) | Self::Effect(text) => text.clone(),
            Self::Set { head, values } => {
                let values: Vec<String> = values.iter().map(|(_, rhs)| rhs.plain()).collect();
                assignment(head, &values)
            }
            Self::Block {
                before,
                value,
                after,
                ..
            } => format!("{before}{value}{after}"),
        }
    }

    /// With `SET` around what is set.
    fn noted(&self) -> String {
        match self {
            Self::Set { head, values } => {
                let one = |(path, rhs): &(String, Rhs)| format!("SET({path:?}, {})", rhs.plain());
                let values: Vec<String> = values.iter().map(one).collect();
                assignment(head, &values)
            }
            other => other.plain(),
        }
    }

    /// In the reference.
    fn reference(&self, old: &Text) -> String {
        let keep = |path: &str, text: &str| match old.sets.get(path).is_some_and(|was| was == text)
        {
            true => format!("KEEP({path:?})"),
            false => text.to_owned(),
        };
        match self {
            Self::Code(text) => text.clone(),
            Self::Effect(text) if old.statements.contains(text) => String::new(),
            Self::Effect(text) => text.clone(),
            Self::Set { head, values } if head.contains('<') => {
                let values: Vec<String> = values.iter().map(|(_, rhs)| rhs.plain()).collect();
                assignment(head, &values)
            }
            Self::Set { head, values } => {
                let one = |(path, rhs): &(String, Rhs)| {
                    let text = rhs.written(path, &|path, text, is_constant| match is_constant {
                        true => text.to_owned(),
                        false => keep(path, text),
                    });
                    match rhs {
                        Rhs::Expression(_) => text,
                        Rhs::Object(meta) => format!("setmetatable(MERGE({path:?}, {{}}), {meta})"),
                        _ => format!("MERGE({path:?}, {text})"),
                    }
                };
                let values: Vec<String> = values.iter().map(one).collect();
                assignment(head, &values)
            }
            Self::Block {
                before,
                path,
                value,
                after,
            } => format!("{before}{}{after}", keep(path, value)),
        }
    }
}

impl Text {
    pub(super) fn new(lines: Vec<Line>, probe_at: usize, locals: &[String]) -> Self {
        let mut sets = BTreeMap::new();
        let computed = std::cell::RefCell::new(BTreeSet::new());
        for line in &lines {
            match line {
                Line::Set { values, .. } => {
                    for (path, rhs) in values {
                        rhs.sets(path, &mut sets);
                        rhs.written(path, &|path, text, is_constant| {
                            if !is_constant {
                                computed.borrow_mut().insert(path.to_owned());
                            }
                            text.to_owned()
                        });
                    }
                }
                Line::Block { path, value, .. } => {
                    sets.insert(path.clone(), value.clone());
                }
                Line::Code(_) | Line::Effect(_) => {}
            }
        }
        let fields: Vec<String> = locals
            .iter()
            .map(|name| format!("{name} = {name}"))
            .collect();
        Self {
            statements: lines.iter().map(Line::plain).collect(),
            lines,
            probe_at,
            probe: format!("function __probe() return {{ {} }} end", fields.join(", ")),
            sets,
            computed: computed.into_inner(),
        }
    }

    fn written(&self, probe: bool, line: &dyn Fn(&Line) -> String) -> String {
        let mut out = String::new();
        for (at, each) in self.lines.iter().enumerate() {
            if probe && at == self.probe_at {
                // In the same line: lines stay what they are.
                let _ = write!(out, "{} ", self.probe);
            }
            let _ = writeln!(out, "{}", line(each));
        }
        if probe && self.probe_at >= self.lines.len() {
            let _ = writeln!(out, "{}", self.probe);
        }
        out
    }

    /// The program.
    pub(super) fn plain(&self) -> String {
        self.written(false, &Line::plain)
    }

    /// The program, which also tells its top-level locals.
    pub(super) fn probed(&self) -> String {
        self.written(true, &Line::plain)
    }

    /// The program, which notes what it puts where.
    pub(super) fn noted(&self) -> String {
        self.written(false, &Line::noted)
    }

    /// The reference for a patch from `old`.
    pub(super) fn reference(&self, old: &Text) -> String {
        self.written(true, &|line| line.reference(old))
    }

    /// The statements above the place where it ends, and those below.
    pub(super) fn parts(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let part = |lines: &[Line]| lines.iter().map(Line::plain).collect();
        let at = self.probe_at.min(self.lines.len());
        (part(&self.lines[..at]), part(&self.lines[at..]))
    }

    /// Whether it computes anything that `old` does not.
    pub(super) fn computes_more_than(&self, old: &Text) -> bool {
        let is_new = |path: &String| !old.sets.contains_key(path);
        self.computed.iter().any(is_new)
    }

    /// The paths it sets, as a Lua expression.
    pub(super) fn paths(&self) -> String {
        let paths = self.sets.keys().filter(|path| !path.contains('^'));
        as_set(paths)
    }

    /// The paths whose values it computes, as a Lua expression.
    pub(super) fn computed(&self) -> String {
        as_set(self.computed.iter())
    }
}

fn as_set<'a>(paths: impl Iterator<Item = &'a String>) -> String {
    let fields: Vec<String> = paths.map(|path| format!("[{path:?}] = true")).collect();
    format!("{{ {} }}", fields.join(", "))
}
