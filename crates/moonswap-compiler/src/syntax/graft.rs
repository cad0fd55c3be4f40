//! A tree made of two: the main chunk of one text with some functions of
//! another, which keep the lines they have there.
//!
//! The spans of a tree are places in one text, so the result has a text too: the
//! main chunk's, and behind it the pieces that the other functions stand in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use foldhash::HashMap;

use super::ast::{Ast, Expr, ExprId, Function, FunctionIndex, Symbol};
use super::limits::ParseLimits;
use super::relocate::Relocate;
use crate::error::Span;

/// A function of one of the two trees: number of the tree, place in it.
pub type Origin = (usize, FunctionIndex);

/// A tree made of two.
#[derive(Debug)]
pub struct Graft {
    /// The tree.
    pub ast: Ast,
    /// The text that its spans are places in. It is not the text of one chunk:
    /// parsing it gives another tree.
    pub source: Vec<u8>,
    /// Where each function comes from.
    pub origins: Vec<Origin>,
}

/// Statements of the main chunk, by position, that give way to statements of the
/// other tree's main chunk.
pub type Exchanged = BTreeMap<usize, Vec<usize>>;

/// Copies an expression to another tree, where it stands at `span`. `None`: it holds a
/// function or `...`, which mean something only where they stand.
pub fn copy_expression(from: &Ast, expr: ExprId, to: &mut Ast, span: Span) -> Option<ExprId> {
    let mut parts = Parts::default();
    parts.expr(&mut expr.clone());
    let mut exprs = HashMap::default();
    let mut order = Vec::new();
    while let Some(expr) = parts.exprs.pop() {
        let mut node = from.exprs.get(expr.0 as usize)?.clone();
        if matches!(node, Expr::Function(_) | Expr::Vararg) {
            return None;
        }
        exprs.insert(expr, ExprId((to.exprs.len() + order.len()) as u32));
        node.relocate(&mut parts);
        order.push(expr);
    }
    let mut place = Copied {
        from,
        exprs,
        symbols: HashMap::default(),
        to,
    };
    for expr in order {
        let mut node = from.exprs[expr.0 as usize].clone();
        node.relocate(&mut place);
        place.to.exprs.push(node);
        place.to.spans.push(span);
        place.to.ends.push(span.end);
    }
    place.exprs.get(&expr).copied()
}

/// Where the parts of a copied expression are.
struct Copied<'a> {
    from: &'a Ast,
    exprs: HashMap<ExprId, ExprId>,
    symbols: HashMap<Symbol, Symbol>,
    to: &'a mut Ast,
}

impl Relocate for Copied<'_> {
    fn symbol(&mut self, symbol: &mut Symbol) {
        let Self {
            from, symbols, to, ..
        } = self;
        *symbol = *symbols.entry(*symbol).or_insert_with(|| {
            let text = from.symbols.get(symbol.0 as usize).cloned();
            let text = text.unwrap_or_else(|| (*b"?").into());
            let known = to.symbols.iter().position(|known| *known == text);
            Symbol(known.unwrap_or_else(|| {
                to.symbols.push(text);
                to.symbols.len() - 1
            }) as u32)
        });
    }

    fn expr(&mut self, expr: &mut ExprId) {
        *expr = self.exprs.get(expr).copied().unwrap_or(*expr);
    }

    fn function(&mut self, _: &mut FunctionIndex) {}

    fn span(&mut self, _: &mut Span) {}
}

/// Copies the main chunk `main`, with some statements exchanged; `choose` says for
/// each function in what is copied which one is to stand there. `None`: the result
/// would be nested too deeply.
pub fn graft(
    trees: [(&Ast, &[u8]); 2],
    main: Origin,
    exchanged: &Exchanged,
    choose: &mut dyn FnMut(Origin) -> Origin,
) -> Option<Graft> {
    let mut pieces = Pieces::default();
    let mut picked = pick(&trees, main, choose, 0, &mut pieces)?;
    let other = 1 - main.0.min(1);
    for (at, others) in exchanged {
        let mut list = Vec::with_capacity(others.len());
        for index in others {
            let statement = trees[other]
                .0
                .functions
                .last()?
                .body
                .statements
                .get(*index)?;
            pieces.add(other, statement.span.start..statement.span.end);
            let mut parts = Parts::default();
            statement.clone().relocate(&mut parts);
            let picked = parts.pick(&trees, (other, 0), choose, 0, &mut pieces)?;
            list.push((*index, picked));
        }
        picked.exchanged.push((*at, list));
    }
    pieces.place();
    let mut copier = Copier {
        trees,
        pieces,
        symbols: [HashMap::default(), HashMap::default()],
        known: HashMap::default(),
        ast: Ast::default(),
        origins: Vec::new(),
    };
    copier.copy(&picked);
    let source = copier.pieces.text(&trees);
    Some(Graft {
        ast: copier.ast,
        source,
        origins: copier.origins,
    })
}

/// A function that is copied.
struct Picked {
    origin: Origin,
    level: u32,
    /// Its own expressions, in ascending order.
    exprs: Vec<ExprId>,
    /// What is copied for each function directly in it.
    nested: Vec<(FunctionIndex, Picked)>,
    /// Statements that give way to such of the other tree.
    exchanged: Vec<(usize, Vec<(usize, PickedParts)>)>,
}

/// What stands in something that is copied.
struct PickedParts {
    exprs: Vec<ExprId>,
    nested: Vec<(FunctionIndex, Picked)>,
}

/// What a function refers to.
#[derive(Default)]
struct Parts {
    exprs: Vec<ExprId>,
    nested: Vec<FunctionIndex>,
}

impl Relocate for Parts {
    fn symbol(&mut self, _: &mut Symbol) {}
    fn expr(&mut self, expr: &mut ExprId) {
        self.exprs.push(*expr);
    }
    fn function(&mut self, function: &mut FunctionIndex) {
        self.nested.push(*function);
    }
    fn span(&mut self, _: &mut Span) {}
}

/// Nesting is bounded by the levels of the functions.
fn pick(
    trees: &[(&Ast, &[u8]); 2],
    origin: Origin,
    choose: &mut dyn FnMut(Origin) -> Origin,
    level: u32,
    pieces: &mut Pieces,
) -> Option<Picked> {
    let (tree, index) = origin;
    let (ast, text) = *trees.get(tree)?;
    let function = ast.functions.get(index.0 as usize)?;
    if level + function.depth >= ParseLimits::MAX_LEVELS {
        return None;
    }
    let is_main = index.0 as usize + 1 == ast.functions.len();
    let piece = match is_main {
        true => 0..text.len() as u32,
        false => function.span.start..function.end.end,
    };
    pieces.add(tree, piece);
    let mut parts = Parts::default();
    function.clone().relocate(&mut parts);
    let parts = parts.pick(trees, (tree, function.level), choose, level, pieces)?;
    Some(Picked {
        origin,
        level,
        exprs: parts.exprs,
        nested: parts.nested,
        exchanged: Vec::new(),
    })
}

impl Parts {
    /// Finds all expressions, and what is to stand for the functions; what they are in
    /// has the level `own` in its tree and `level` in the result.
    fn pick(
        mut self,
        trees: &[(&Ast, &[u8]); 2],
        (tree, own): (usize, u32),
        choose: &mut dyn FnMut(Origin) -> Origin,
        level: u32,
        pieces: &mut Pieces,
    ) -> Option<PickedParts> {
        let ast = trees.get(tree)?.0;
        // Left spines may be a million long: no recursion.
        let mut exprs = Vec::with_capacity(self.exprs.len());
        while let Some(expr) = self.exprs.pop() {
            exprs.push(expr);
            let mut node = ast.exprs.get(expr.0 as usize)?.clone();
            node.relocate(&mut self);
        }
        exprs.sort_unstable_by_key(|expr| expr.0);
        exprs.dedup();
        let mut nested = Vec::with_capacity(self.nested.len());
        for index in self.nested {
            let inner = ast.functions.get(index.0 as usize)?;
            let inside = level + inner.level.checked_sub(own)?;
            let chosen = choose((tree, index));
            nested.push((index, pick(trees, chosen, choose, inside, pieces)?));
        }
        Some(PickedParts { exprs, nested })
    }
}

/// The parts of the two texts that are needed.
#[derive(Default)]
struct Pieces {
    /// Tree, place in its text, place in the result.
    list: Vec<(usize, Range<u32>, u32)>,
}

impl Pieces {
    /// Functions come before those in them.
    fn add(&mut self, tree: usize, piece: Range<u32>) {
        let holds = |(of, known, _): &(usize, Range<u32>, u32)| {
            *of == tree && known.start <= piece.start && piece.end <= known.end
        };
        if !self.list.iter().any(holds) {
            self.list.push((tree, piece, 0));
        }
    }

    fn place(&mut self) {
        let mut at = 0;
        for (_, piece, place) in &mut self.list {
            *place = at;
            at += piece.len() as u32 + 1;
        }
    }

    fn text(&self, trees: &[(&Ast, &[u8]); 2]) -> Vec<u8> {
        let mut text = Vec::new();
        for (i, (tree, piece, _)) in self.list.iter().enumerate() {
            if i > 0 {
                text.push(b'\n');
            }
            let piece = piece.start as usize..piece.end as usize;
            text.extend_from_slice(trees[*tree].1.get(piece).unwrap_or_default());
        }
        text
    }

    /// Where a place of a tree's text is in the result.
    fn moved(&self, tree: usize, at: u32) -> u32 {
        let holds = |piece: &Range<u32>| piece.start <= at && at <= piece.end;
        let found = self
            .list
            .iter()
            .filter(|(of, piece, _)| *of == tree && holds(piece))
            // Neighbours meet in one place: the one that begins there holds it.
            .max_by_key(|(_, piece, _)| piece.start);
        found.map_or(0, |(_, piece, place)| place + (at - piece.start))
    }
}

struct Copier<'a> {
    trees: [(&'a Ast, &'a [u8]); 2],
    pieces: Pieces,
    /// Of each tree, those met.
    symbols: [HashMap<Symbol, Symbol>; 2],
    known: HashMap<Arc<[u8]>, Symbol>,
    ast: Ast,
    origins: Vec<Origin>,
}

impl<'a> Copier<'a> {
    /// Nesting is bounded: see [`pick`].
    fn copy(&mut self, picked: &Picked) -> FunctionIndex {
        let (tree, index) = picked.origin;
        let from = self.trees[tree].0;
        let mut function: Function = from.functions[index.0 as usize].clone();
        function.relocate(&mut self.place(tree, &picked.exprs, &picked.nested));
        let other = 1 - tree.min(1);
        // From behind, so that places stay right.
        for (at, list) in picked.exchanged.iter().rev() {
            let source = &self.trees[other].0.functions;
            let source = source.last().map_or(&[][..], |main| &main.body.statements);
            let mut statements = Vec::with_capacity(list.len());
            for (index, parts) in list {
                let mut statement = source[*index].clone();
                statement.relocate(&mut self.place(other, &parts.exprs, &parts.nested));
                statements.push(statement);
            }
            function.body.statements.splice(*at..=*at, statements);
        }
        function.level = picked.level;
        let deepest = |(_, inner): &(FunctionIndex, Picked)| {
            let depth = self.trees[inner.origin.0].0.functions[inner.origin.1.0 as usize].depth;
            inner.level + depth - picked.level
        };
        let nested = picked.nested.iter().map(deepest).max().unwrap_or(0);
        function.depth = function.depth.max(nested);
        let new = FunctionIndex(self.ast.functions.len() as u32);
        self.ast.functions.push(function);
        self.origins.push(picked.origin);
        new
    }

    /// Copies what stands in something, which is then put there with the result.
    fn place(
        &mut self,
        tree: usize,
        exprs: &[ExprId],
        nested: &[(FunctionIndex, Picked)],
    ) -> Place<'_, 'a> {
        let nested: HashMap<FunctionIndex, FunctionIndex> = nested
            .iter()
            .map(|(index, inner)| (*index, self.copy(inner)))
            .collect();
        let from = self.trees[tree].0;
        let first = self.ast.exprs.len() as u32;
        let new = (first..).map(ExprId);
        let mut place = Place {
            tree,
            exprs: exprs.iter().copied().zip(new).collect(),
            nested,
            copier: self,
        };
        for old in exprs {
            let at = old.0 as usize;
            let (Some(expr), Some(span)) = (from.exprs.get(at), from.spans.get(at)) else {
                continue;
            };
            let (mut expr, mut span) = (expr.clone(), *span);
            expr.relocate(&mut place);
            place.span(&mut span);
            let end = from.ends.get(at).copied().unwrap_or(u32::MAX);
            let end = match end {
                u32::MAX => end,
                end => place.copier.pieces.moved(tree, end),
            };
            let new = place.exprs[old];
            let ast = &mut place.copier.ast;
            ast.exprs.push(expr);
            ast.spans.push(span);
            ast.ends.push(end);
            for (lines, old_lines) in [
                (&mut ast.end_lines, &from.end_lines),
                (&mut ast.separator_lines, &from.separator_lines),
                (&mut ast.method_lines, &from.method_lines),
            ] {
                lines.extend(old_lines.get(old).map(|line| (new, *line)));
            }
        }
        place
    }
}

/// Where the parts of one function are in the new tree.
struct Place<'c, 'a> {
    tree: usize,
    exprs: HashMap<ExprId, ExprId>,
    nested: HashMap<FunctionIndex, FunctionIndex>,
    copier: &'c mut Copier<'a>,
}

impl Relocate for Place<'_, '_> {
    fn symbol(&mut self, symbol: &mut Symbol) {
        let Copier {
            trees,
            symbols,
            known,
            ast,
            ..
        } = &mut *self.copier;
        let from = trees[self.tree].0;
        *symbol = *symbols[self.tree].entry(*symbol).or_insert_with(|| {
            let text = from.symbols.get(symbol.0 as usize).cloned();
            let text = text.unwrap_or_else(|| (*b"?").into());
            *known.entry(Arc::clone(&text)).or_insert_with(|| {
                ast.symbols.push(text);
                Symbol(ast.symbols.len() as u32 - 1)
            })
        });
    }

    fn expr(&mut self, expr: &mut ExprId) {
        *expr = self.exprs.get(expr).copied().unwrap_or(*expr);
    }

    fn function(&mut self, function: &mut FunctionIndex) {
        *function = self.nested.get(function).copied().unwrap_or(*function);
    }

    fn span(&mut self, span: &mut Span) {
        let pieces = &self.copier.pieces;
        let length = span.end.saturating_sub(span.start);
        span.start = pieces.moved(self.tree, span.start);
        span.end = span.start + length;
    }
}
