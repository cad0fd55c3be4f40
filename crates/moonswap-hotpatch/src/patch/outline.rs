//! `Outline`: the literals of one source text as a flat tree, each with its
//! prototype, its place in the syntax tree and its declarations.

use std::sync::Arc;

use foldhash::HashMap;
use moonswap_bytecode::{FunctionId, PathStep, Prototype};
use moonswap_compiler::syntax::ast::{Ast, Block, ExprId, FunctionIndex, StatementKind, Symbol};
use moonswap_compiler::syntax::visit::Part;

use super::sites::{Site, Sites};
use super::tree::{nested_literals, symbol_text};

/// Index into [`Outline::literals`]; 0 is the main chunk.
pub(crate) type LiteralIndex = usize;

/// How often each name is declared in blocks and at the top level.
pub(crate) type Declarations = HashMap<Arc<str>, [usize; 2]>;

/// One literal.
#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) prototype: Arc<Prototype>,
    /// In the syntax tree; `None` when there is no text.
    pub(crate) function: Option<FunctionIndex>,
    pub(crate) parent: Option<LiteralIndex>,
    pub(crate) children: Vec<LiteralIndex>,
    /// What surrounds it; `None` when there is no text.
    pub(crate) site: Option<Site>,
    /// Nesting, 0 for the main chunk.
    pub(crate) level: usize,
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Names declared: how often in blocks, and at the main chunk's top level;
    /// `None` when there is no text.
    pub(crate) declared: Option<Declarations>,
}

/// The literals of a source text, parents before children.
#[derive(Debug)]
pub(crate) struct Outline {
    pub(crate) literals: Vec<Literal>,
}

impl Outline {
    /// Flattens a tree of prototypes; the syntax tree is that of the same text.
    pub(crate) fn new(main: &Arc<Prototype>, ast: Option<&Ast>) -> Self {
        let root = ast
            .filter(|a| !a.functions.is_empty())
            .map(|a| FunctionIndex(a.functions.len() as u32 - 1));
        let mut sites = ast.map(Sites::new);
        let mut outline = Outline {
            literals: Vec::new(),
        };
        let mut todo = vec![(main.clone(), None::<LiteralIndex>, 0, root)];
        while let Some((prototype, parent, level, function)) = todo.pop() {
            let at = outline.literals.len();
            if let Some(parent) = parent {
                outline.literals[parent].children.push(at);
            }
            if let (Some(sites), Some(function)) = (&mut sites, function)
                && !prototype.children.is_empty()
            {
                sites.look_into(function);
            }
            let facts = ast.zip(function).map(|(ast, f)| Facts::of(ast, f));
            // The two trees are built alike; if they ever differ, the literal
            // is planned without its text instead of with the wrong one.
            let nested = facts
                .as_ref()
                .map(|f| &f.nested)
                .filter(|n| n.len() == prototype.children.len());
            for (i, child) in prototype.children.iter().enumerate().rev() {
                todo.push((child.clone(), Some(at), level + 1, nested.map(|n| n[i])));
            }
            let span = ast
                .zip(function)
                .and_then(|(a, f)| a.functions.get(f.0 as usize))
                .map(|f| f.span);
            outline.literals.push(Literal {
                function,
                parent,
                children: Vec::new(),
                site: sites.as_ref().zip(function).and_then(|(s, f)| s.get(f)),
                level,
                line: span.map_or(prototype.line_defined, |s| s.line).max(1),
                column: span.map_or(1, |s| s.column).max(1),
                declared: facts.map(|f| f.declared),
                prototype,
            });
        }
        outline
    }

    pub(crate) fn get(&self, at: LiteralIndex) -> &Literal {
        &self.literals[at]
    }

    pub(crate) fn step(&self, at: LiteralIndex) -> Option<&(PathStep, u32)> {
        self.literals[at].prototype.id.path().last()
    }

    /// The literal `depth` functions outward.
    pub(crate) fn ancestor(&self, mut at: LiteralIndex, depth: u16) -> Option<LiteralIndex> {
        for _ in 0..depth {
            at = self.literals[at].parent?;
        }
        Some(at)
    }

    /// A literal and all in it.
    pub(crate) fn inside(&self, root: LiteralIndex) -> Vec<LiteralIndex> {
        let mut found = vec![root];
        let mut at = 0;
        while at < found.len() {
            found.extend(&self.get(found[at]).children);
            at += 1;
        }
        found
    }

    /// Path without the chunk, `main chunk` for the main chunk.
    pub(crate) fn name(&self, at: LiteralIndex) -> String {
        path_name(&self.literals[at].prototype.id)
    }

    /// How often a literal declares a name at that level; `None`: not known.
    pub(crate) fn count(&self, at: LiteralIndex, name: &str, top_level: bool) -> Option<usize> {
        let declared = self.literals[at].declared.as_ref()?;
        Some(declared.get(name).map_or(0, |n| n[usize::from(top_level)]))
    }
}

/// Path of a literal without its chunk.
pub fn path_name(id: &FunctionId) -> String {
    if id.path().is_empty() {
        return "main chunk".to_owned();
    }
    let steps: Vec<String> = id
        .path()
        .iter()
        .map(|(step, ordinal)| match (step, ordinal) {
            (PathStep::Local(name), 0) => name.to_string(),
            (PathStep::Local(name), n) => format!("{name}#{}", n + 1),
            (step, 0) => step.to_string(),
            (step, n) => format!("{step}#{}", n + 1),
        })
        .collect();
    steps.join(" / ")
}

/// What one literal contains, nested literals left closed.
struct Facts {
    nested: Vec<FunctionIndex>,
    declared: Declarations,
}

impl Facts {
    fn of(ast: &Ast, index: FunctionIndex) -> Self {
        let mut walk = Walk {
            ast,
            facts: Facts {
                nested: Vec::new(),
                declared: Declarations::default(),
            },
        };
        let is_main = index.0 as usize + 1 == ast.functions.len();
        if let Some(function) = ast.functions.get(index.0 as usize) {
            for (name, _) in &function.params {
                walk.declare(*name, false);
            }
            walk.block(&function.body, is_main);
        }
        walk.facts
    }
}

struct Walk<'a> {
    ast: &'a Ast,
    facts: Facts,
}

impl Walk<'_> {
    fn declare(&mut self, name: Symbol, top: bool) {
        let name = symbol_text(self.ast, name);
        self.facts.declared.entry(name).or_default()[usize::from(top)] += 1;
    }

    fn block(&mut self, block: &Block, top: bool) {
        for statement in &block.statements {
            self.statement(&statement.kind, top);
        }
    }

    fn exprs(&mut self, exprs: &[ExprId]) {
        for expr in exprs {
            nested_literals(self.ast, *expr, &mut self.facts.nested);
        }
    }

    fn statement(&mut self, kind: &StatementKind, top: bool) {
        kind.each_part(&mut |part| match part {
            Part::Expression(expr) => self.exprs(&[expr]),
            Part::Literal(function) => self.facts.nested.push(function),
            Part::Local(name) => self.declare(name, top),
            Part::Loop(name) => self.declare(name, false),
            Part::Block(body) => self.block(body, false),
        });
    }
}

/// The literals written directly in a statement, in source order.
pub(crate) fn statement_literals(ast: &Ast, kind: &StatementKind) -> Vec<FunctionIndex> {
    let mut walk = Walk {
        ast,
        facts: Facts {
            nested: Vec::new(),
            declared: Declarations::default(),
        },
    };
    walk.statement(kind, false);
    walk.facts.nested
}
