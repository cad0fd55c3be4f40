//! What a text says of its names: which are Lua's own, which are other names for a place,
//! which names a function uses.

use foldhash::{HashMap, HashSet};
use moonswap_compiler::syntax::ast::{
    Ast, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol, TableItem,
};
use moonswap_compiler::syntax::visit::Part;

use super::library::{Library, library};
use super::links::{Links, Set};
use super::place::{Node, OUTSIDE};
use crate::compare::undefined::{Globals, StandardGlobals};
use crate::patch::ChunkPatch;
use crate::patch::constant::Constant;
use crate::patch::facts::Facts;
use crate::patch::path::{Key, Path, Root};
use crate::patch::statements::{required, statements, target_text};
use crate::patch::tree::{parts, root_of};

/// Metamethods that operators run, and functions that only answer.
const OPERATORS: &[&[u8]] = &[
    b"__add",
    b"__band",
    b"__bnot",
    b"__bor",
    b"__bxor",
    b"__concat",
    b"__div",
    b"__eq",
    b"__idiv",
    b"__le",
    b"__len",
    b"__lt",
    b"__mod",
    b"__mul",
    b"__pairs",
    b"__pow",
    b"__shl",
    b"__shr",
    b"__sub",
    b"__tostring",
    b"__unm",
];

/// Fields of a chain that a local is another name for.
const MAX_FIELDS: usize = 20;

/// What a text says of its names.
#[derive(Debug)]
pub(crate) struct Flow<'a> {
    pub(super) ast: &'a Ast,
    pub(super) facts: &'a Facts,
    pub(super) links: Links,
    /// The names that a literal uses and does not declare, literals in it included.
    free: HashMap<FunctionIndex, Vec<Node>>,
    /// Names of locals that hold (a part of) one of Lua's libraries, as it is written.
    aliases: HashMap<Symbol, String>,
    /// Locals that are another name for a variable or field, and nothing else.
    pub(super) other_names: HashMap<Symbol, ExprId>,
    /// Fields of Lua's libraries that the text sets.
    replaced: HashSet<String>,
    /// Sets of names that hold a table with a metatable.
    pub(super) metatables: Set,
    /// Names that may lead to something that code changes.
    pub(super) state: Set,
    nodes: HashMap<&'a [u8], Node>,
    locals: HashSet<Symbol>,
    /// Names of libraries, or of functions of them, that may do anything.
    acts: HashSet<Symbol>,
    /// Locals that hold what `require` gave.
    pub(super) modules: HashSet<Symbol>,
    /// A function as `__index`, and operators that run functions.
    pub(super) has_index_functions: bool,
    pub(super) has_operators: bool,
}

impl<'a> Flow<'a> {
    /// Its names; what links them is not known yet.
    pub(super) fn of_names(text: &'a ChunkPatch) -> Self {
        let (ast, facts) = (text.ast(), text.facts());
        let n = ast.symbols.len();
        let nodes = ast.symbols.iter().zip(1..);
        let nodes: HashMap<&[u8], Node> = nodes.map(|(text, node)| (&**text, node)).collect();
        let name = |name: &[u8]| nodes.contains_key(name);
        let mut flow = Self {
            ast,
            facts,
            links: Links::new(n),
            free: HashMap::default(),
            aliases: HashMap::default(),
            other_names: HashMap::default(),
            replaced: HashSet::default(),
            metatables: Set::new(n + 1),
            state: Set::new(n + 1),
            locals: HashSet::default(),
            acts: HashSet::default(),
            modules: HashSet::default(),
            has_index_functions: name(b"__index") && sets_index_function(ast),
            has_operators: OPERATORS.iter().any(|operator| name(operator)),
            nodes,
        };
        flow.find_free(ast, facts);
        flow.find_names();
        let names = (0..n as u32).map(Symbol);
        flow.acts = names
            .filter(|name| flow.is_library(*name) && flow.acts(*name))
            .collect();
        flow
    }

    pub(super) fn node(symbol: Symbol) -> Node {
        symbol.0 + 1
    }

    /// The node of a name, if the text has it.
    pub(super) fn named(&self, name: &[u8]) -> Option<Node> {
        self.nodes.get(name).copied()
    }

    pub(super) fn is_global(&self, node: Node) -> bool {
        node.checked_sub(1)
            .is_some_and(|symbol| !self.locals.contains(&Symbol(symbol)))
    }

    pub(super) fn has_metatable(&self, root: Node) -> bool {
        self.metatables.has(self.links.set(root))
    }

    pub(super) fn expr(&self, expr: ExprId) -> Option<&'a Expr> {
        self.ast.exprs.get(expr.0 as usize)
    }

    fn find_free(&mut self, ast: &Ast, facts: &Facts) {
        // Of each literal, with those in it.
        let mut globals: HashMap<FunctionIndex, Vec<Node>> = HashMap::default();
        for used in &facts.names.uses {
            let node = Self::node(used.name);
            globals.entry(used.function).or_default().push(node);
        }
        let literals = &facts.outline.literals;
        for literal in literals.iter().rev() {
            let Some(function) = literal.function else {
                continue;
            };
            let mut used = globals.remove(&function).unwrap_or_default();
            assigned_in(ast, function, &mut used);
            for child in &literal.children {
                let inner = literals[*child].function.and_then(|f| globals.get(&f));
                used.extend(inner.into_iter().flatten());
            }
            used.sort_unstable();
            used.dedup();
            let captured = literal.prototype.upvalues.iter();
            let captured = captured.filter(|v| &*v.name != "_ENV");
            let captured = captured.filter_map(|v| self.nodes.get(v.name.as_bytes()));
            let mut free: Vec<Node> = captured.chain(&used).copied().collect();
            free.sort_unstable();
            free.dedup();
            self.free.insert(function, free);
            globals.insert(function, used);
        }
    }

    fn find_names(&mut self) {
        let ast = self.ast;
        let mut n_declared: HashMap<Symbol, usize> = HashMap::default();
        for statement in statements(ast) {
            match &statement.kind {
                StatementKind::Local { names, .. } => {
                    names
                        .iter()
                        .for_each(|(name, ..)| *n_declared.entry(*name).or_default() += 1);
                }
                StatementKind::LocalFunction { name, .. } => {
                    *n_declared.entry(*name).or_default() += 1;
                }
                StatementKind::Assign { targets, .. } => {
                    let texts = targets.iter().map(|target| target_text(ast, *target));
                    self.replaced.extend(texts);
                }
                StatementKind::Function { target, .. } => {
                    self.replaced.insert(target_text(ast, *target));
                }
                _ => {}
            }
        }
        self.locals = n_declared.keys().copied().collect();
        let mut above: HashSet<Symbol> = HashSet::default();
        for statement in statements(ast) {
            if let StatementKind::LocalFunction { name, .. } = &statement.kind {
                above.insert(*name);
            }
            let StatementKind::Local { names, values } = &statement.kind else {
                continue;
            };
            for ((name, ..), value) in names.iter().zip(values) {
                let is_once = n_declared.get(name) == Some(&1) && !self.is_assigned(*name);
                if let Some(library) = self.library_path(*value).filter(|_| is_once) {
                    self.aliases.insert(*name, library);
                }
                if is_once && self.is_chain(*value, &above) {
                    self.other_names.insert(*name, *value);
                }
                if is_once && required(ast, *value).is_some() {
                    self.modules.insert(*name);
                }
            }
            above.extend(names.iter().map(|(name, ..)| *name));
        }
    }

    /// Whether an expression is a short chain of a name and fields. The name is one of
    /// the locals `above`, or of none: so no names stand for each other.
    fn is_chain(&self, expr: ExprId, above: &HashSet<Symbol>) -> bool {
        let (mut at, mut n) = (expr, 0);
        while n < MAX_FIELDS {
            match self.expr(at) {
                Some(Expr::Name(name)) => {
                    let is_known = above.contains(name) || !self.locals.contains(name);
                    return is_known && !self.is_library(*name);
                }
                Some(Expr::Field { object, .. } | Expr::Paren(object)) => at = *object,
                _ => return false,
            }
            n += 1;
        }
        false
    }

    /// The name that a chain of other names begins with in the end.
    pub(super) fn original(&self, name: Symbol) -> Symbol {
        let mut at = name;
        // Values name what is declared above: there is no cycle, but nobody proves it.
        for _ in 0..self.other_names.len() {
            let value = self.other_names.get(&at);
            match value.map(|value| self.expr(root_of(self.ast, *value))) {
                Some(Some(Expr::Name(next))) => at = *next,
                _ => break,
            }
        }
        at
    }

    pub(super) fn is_assigned(&self, name: Symbol) -> bool {
        let text = self.ast.symbols.get(name.0 as usize);
        text.is_some_and(|text| self.facts.assigned.name_anywhere(text))
    }

    /// Whether functions or blocks assign a variable of that name.
    pub(super) fn is_changed_by_functions(&self, node: Node) -> bool {
        let text = node
            .checked_sub(1)
            .and_then(|at| self.ast.symbols.get(at as usize));
        text.is_some_and(|text| self.facts.assigned.name(text))
    }

    /// The name of (a part of) one of Lua's libraries that an expression is.
    pub(super) fn library_path(&self, expr: ExprId) -> Option<String> {
        let mut names = Vec::new();
        let mut at = expr;
        loop {
            match self.expr(at)? {
                Expr::Paren(inner) => at = *inner,
                Expr::Field { object, name } => {
                    names.push(std::str::from_utf8(self.ast.symbols.get(name.0 as usize)?).ok()?);
                    at = *object;
                }
                Expr::Name(name) => {
                    let text = std::str::from_utf8(self.ast.symbols.get(name.0 as usize)?).ok()?;
                    let known = self.aliases.get(name).map(String::as_str);
                    let is_own = self.locals.contains(name) || self.is_assigned(*name);
                    let root = match known {
                        Some(known) => known,
                        None if !is_own && StandardGlobals.has(text) => text,
                        None => return None,
                    };
                    names.push(root);
                    break;
                }
                _ => return None,
            }
        }
        names.reverse();
        if names.len() > 1 && matches!(names[0], "_G" | "_ENV") {
            names.remove(0);
        }
        Some(names.join("."))
    }

    /// What a function of Lua's libraries does that an expression is.
    pub(super) fn library(&self, callee: ExprId) -> Option<Library> {
        let name = self.library_path(callee)?;
        let keys = name.split('.');
        let keys = keys.map(|key| Key::Constant(Constant::String(key.as_bytes().into())));
        let path = Path {
            root: Root::Global,
            keys: keys.collect(),
        };
        let is_replaced = self.replaced.contains(&name) || self.facts.assigned.may_set(&path);
        library(&name).filter(|_| !is_replaced)
    }

    /// The names in an expression, literals included, but for those of Lua's libraries.
    pub(super) fn names_in(&self, expr: ExprId, found: &mut Vec<Node>) {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            match self.expr(expr) {
                Some(Expr::Name(name)) if self.acts.contains(name) && !self.is_table(*name) => {
                    found.push(OUTSIDE);
                }
                Some(Expr::Name(name)) => self.name(*name, found),
                Some(Expr::Function(function)) => found.extend(self.free_of(*function)),
                // A function of Lua's that may do anything, as a value.
                Some(Expr::Field { .. })
                    if self.library(expr).is_none() && self.library_path(expr).is_some() =>
                {
                    found.push(OUTSIDE);
                }
                _ => {}
            }
            todo.extend(parts(self.ast, expr));
        }
    }

    pub(super) fn name(&self, name: Symbol, found: &mut Vec<Node>) {
        if !self.is_library(name) {
            found.push(Self::node(name));
        }
    }

    /// The same of a literal. What uses a library that may do anything reaches outside.
    pub(super) fn free_of(&self, function: FunctionIndex) -> impl Iterator<Item = Node> {
        let free = self.free.get(&function).into_iter().flatten().copied();
        free.filter_map(|node| match self.is_library(Symbol(node - 1)) {
            false => Some(node),
            true if self.acts.contains(&Symbol(node - 1)) => Some(OUTSIDE),
            true => None,
        })
    }

    /// Whether a literal uses a name and does not declare it. What is outside is there for
    /// all.
    pub(super) fn is_free(&self, name: Node, within: FunctionIndex) -> bool {
        let is_used = || {
            let free = self.free.get(&within);
            free.is_some_and(|free| free.binary_search(&name).is_ok())
        };
        name == OUTSIDE || is_used() && !self.is_library(Symbol(name - 1))
    }

    /// Whether a name of Lua's is that of a library, not of a function.
    fn is_table(&self, name: Symbol) -> bool {
        let text = self.ast.symbols.get(name.0 as usize);
        let known = self.aliases.get(&name).map(String::as_bytes);
        let tables: [&[u8]; 8] = [
            b"coroutine",
            b"debug",
            b"io",
            b"math",
            b"os",
            b"string",
            b"table",
            b"utf8",
        ];
        let text = known.or(text.map(|text| &**text));
        text.is_some_and(|text| tables.contains(&text))
    }

    /// Whether a name is of a library, or is a function of one, that may do anything.
    fn acts(&self, name: Symbol) -> bool {
        let own = |name: Symbol| {
            let text = self.ast.symbols.get(name.0 as usize)?;
            std::str::from_utf8(text).ok().map(str::to_owned)
        };
        let known = self.aliases.get(&name).cloned();
        let Some(text) = known.or_else(|| own(name)) else {
            return false;
        };
        let has_random = || { self.ast.symbols.iter() }.any(|s| s.starts_with(b"random"));
        match &*text {
            "string" | "table" | "utf8" | "error" => {
                let begin = format!("{text}.");
                self.replaced.iter().any(|name| name.starts_with(&begin))
            }
            "math" => has_random(),
            text => library(text).is_none_or(|library| library == Library::Loads),
        }
    }

    /// Whether a name is one of Lua's libraries or of their functions. What may do
    /// anything is none.
    pub(super) fn is_library(&self, name: Symbol) -> bool {
        let text = self.ast.symbols.get(name.0 as usize);
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let is_own = self.locals.contains(&name) || self.is_assigned(name);
        let is_plain = |text: &str| {
            StandardGlobals.has(text) && !matches!(text, "_G" | "_ENV" | "arg" | "package")
        };
        match self.aliases.get(&name) {
            Some(library) => is_plain(library.split('.').next().unwrap_or_default()),
            None => !is_own && text.is_some_and(is_plain),
        }
    }
}

/// The names that a literal assigns, maybe its own: those of globals are no uses.
fn assigned_in(ast: &Ast, function: FunctionIndex, found: &mut Vec<Node>) {
    let body = ast.functions.get(function.0 as usize).map(|f| &f.body);
    let mut todo: Vec<&Block> = body.into_iter().collect();
    while let Some(block) = todo.pop() {
        for statement in &block.statements {
            let targets = match &statement.kind {
                StatementKind::Assign { targets, .. } => &targets[..],
                StatementKind::Function { target, .. } => std::slice::from_ref(target),
                _ => &[],
            };
            for target in targets {
                if let Some(Expr::Name(name)) = ast.exprs.get(target.0 as usize) {
                    found.push(Flow::node(*name));
                }
            }
            statement.kind.each_part(&mut |part| {
                if let Part::Block(block) = part {
                    todo.push(block);
                }
            });
        }
    }
}

/// The last names of what the statements of a text define as functions.
fn functions_of(ast: &Ast) -> HashSet<Symbol> {
    let is_function =
        |value: &ExprId| matches!(ast.exprs.get(value.0 as usize), Some(Expr::Function(_)));
    let last = |target: &ExprId| match ast.exprs.get(target.0 as usize) {
        Some(Expr::Name(name) | Expr::Field { name, .. }) => Some(*name),
        _ => None,
    };
    let mut found = HashSet::default();
    for statement in statements(ast) {
        match &statement.kind {
            StatementKind::LocalFunction { name, .. } => drop(found.insert(*name)),
            StatementKind::Function { target, .. } => found.extend(last(target)),
            StatementKind::Local { names, values } => {
                let pairs = names.iter().zip(values);
                found.extend(
                    pairs
                        .filter(|(_, v)| is_function(v))
                        .map(|((name, ..), _)| *name),
                );
            }
            StatementKind::Assign { targets, values } => {
                let pairs = targets.iter().zip(values);
                found.extend(
                    pairs
                        .filter(|(_, v)| is_function(v))
                        .filter_map(|(t, _)| last(t)),
                );
            }
            _ => {}
        }
    }
    found
}

/// Whether a text gives `__index` something else than a table that it names or makes.
fn sets_index_function(ast: &Ast) -> bool {
    let is_index = |name: &Symbol| {
        let text = ast.symbols.get(name.0 as usize);
        text.is_some_and(|text| **text == *b"__index")
    };
    let functions = functions_of(ast);
    let is_table = |value: &ExprId| match ast.exprs.get(value.0 as usize) {
        Some(Expr::Name(name) | Expr::Field { name, .. }) => !functions.contains(name),
        Some(Expr::Table(_)) => true,
        _ => false,
    };
    let in_table = |expr: &Expr| match expr {
        Expr::Table(items) => items.iter().any(|item| match item {
            TableItem::Named(name, value) => is_index(name) && !is_table(value),
            TableItem::Keyed(key, value) => match ast.exprs.get(key.0 as usize) {
                Some(Expr::String(name)) => is_index(name) && !is_table(value),
                _ => false,
            },
            TableItem::Positional(_) => false,
        }),
        _ => false,
    };
    let is_target = |target: &ExprId| match ast.exprs.get(target.0 as usize) {
        Some(Expr::Field { name, .. }) => is_index(name),
        _ => false,
    };
    let sets = |kind: &StatementKind| match kind {
        StatementKind::Function { target, .. } => is_target(target),
        StatementKind::Assign { targets, values } => {
            let mut pairs = targets.iter().zip(values);
            pairs.any(|(target, value)| is_target(target) && !is_table(value))
        }
        _ => false,
    };
    ast.exprs.iter().any(in_table) || statements(ast).iter().any(|s| sets(&s.kind))
}
