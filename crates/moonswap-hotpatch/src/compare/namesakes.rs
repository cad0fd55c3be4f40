//! Which variable is which when a function declares a name another number of times
//! than before, and what the text says of a variable.

use moonswap_compiler::syntax::ast::{
    Ast, Attribute, Block, Expr, ExprId, FunctionIndex, StatementKind, Symbol,
};

use crate::patch::constant::Constant;
use crate::patch::outline::statement_literals;
use crate::patch::shape;
use crate::patch::statements::constant;
use crate::patch::tree::symbol_text;

/// A function of a text.
pub(crate) type InText<'a> = (&'a Ast, FunctionIndex);

/// A declaration of a name in a function.
struct Declaration {
    /// What declares it: bytes that are equal exactly if it is declared in the same
    /// words (bodies of literals apart), as a parameter, or as a local function.
    words: Vec<u8>,
    /// It is a `local` statement that gives it this value.
    value: Option<ExprId>,
}

/// The ordinal in `new` of the variable that is number `ordinal` of its name in
/// `old`, where the numbers of declarations differ: the one declared in the same
/// words, if that is one only in both. As with code that is found elsewhere by its
/// hash, being the only one of its kind in both texts is what identifies it.
pub(crate) fn aligned(old: InText<'_>, new: InText<'_>, name: &str, ordinal: u32) -> Option<u32> {
    let (was, is) = (declarations(old, name), declarations(new, name));
    let wanted = &was.get(ordinal as usize)?.words;
    let places = |list: &[Declaration]| -> Vec<usize> {
        let all = 0..list.len();
        all.filter(|at| list[*at].words == *wanted).collect()
    };
    match (&places(&was)[..], &places(&is)[..]) {
        ([_], [at]) => u32::try_from(*at).ok(),
        _ => None,
    }
}

/// The value of a variable of a function, if it is the same constant from its
/// declaration on: the name is declared once in the function, by a `local` statement
/// with a constant, and nothing in the function assigns a variable of this name.
pub(crate) fn constant_of((ast, function): InText<'_>, name: &str) -> Option<Constant> {
    let all = declarations((ast, function), name);
    let [only] = &all[..] else { return None };
    let value = constant(ast, only.value?)?;
    (!is_assigned(ast, function, name)).then_some(value)
}

/// The declarations of a name in a function's blocks (of the main chunk, those that
/// are not top-level locals), by their ordinals.
fn declarations((ast, function): InText<'_>, name: &str) -> Vec<Declaration> {
    let mut walk = Walk {
        ast,
        name,
        found: Vec::new(),
        assigns: false,
    };
    let is_main = function.0 as usize + 1 == ast.functions.len();
    if let Some(function) = ast.functions.get(function.0 as usize) {
        for (param, _) in &function.params {
            walk.declare(*param, || vec![0], None);
        }
        walk.block(&function.body, is_main);
    }
    walk.found
}

struct Walk<'a> {
    ast: &'a Ast,
    name: &'a str,
    found: Vec<Declaration>,
    /// The name stands on the left of an assignment.
    assigns: bool,
}

impl Walk<'_> {
    fn declare(&mut self, symbol: Symbol, words: impl FnOnce() -> Vec<u8>, value: Option<ExprId>) {
        if *symbol_text(self.ast, symbol) == *self.name {
            let words = words();
            self.found.push(Declaration { words, value });
        }
    }

    fn assign(&mut self, target: ExprId) {
        let target = self.ast.exprs.get(target.0 as usize);
        self.assigns |=
            matches!(target, Some(Expr::Name(n)) if *symbol_text(self.ast, *n) == *self.name);
    }

    /// In the order of code generation.
    fn block(&mut self, block: &Block, is_top: bool) {
        let ast = self.ast;
        for statement in &block.statements {
            let kind = &statement.kind;
            match kind {
                StatementKind::Local { names, values } if !is_top => {
                    for (i, (name, attribute, _)) in names.iter().enumerate() {
                        let words = || [&[1, i as u8][..], &shape::statement(ast, kind)].concat();
                        let own = values.get(i).filter(|_| *attribute != Attribute::Close);
                        self.declare(*name, words, own.copied());
                    }
                }
                StatementKind::LocalFunction { name, .. } if !is_top => {
                    self.declare(*name, || vec![2], None);
                }
                StatementKind::Do(body)
                | StatementKind::While { body, .. }
                | StatementKind::Repeat { body, .. } => self.block(body, false),
                StatementKind::If { arms, otherwise } => {
                    for (_, body) in arms {
                        self.block(body, false);
                    }
                    if let Some(body) = otherwise {
                        self.block(body, false);
                    }
                }
                StatementKind::NumericFor {
                    variable,
                    start,
                    limit,
                    step,
                    body,
                    ..
                } => {
                    let head: Vec<ExprId> = [*start, *limit].into_iter().chain(*step).collect();
                    let words = || [&[3][..], &shape::expressions(ast, &head)].concat();
                    self.declare(*variable, words, None);
                    self.block(body, false);
                }
                StatementKind::GenericFor {
                    names,
                    values,
                    body,
                } => {
                    for (i, (name, _)) in names.iter().enumerate() {
                        let words =
                            || [&[4, i as u8][..], &shape::expressions(ast, values)].concat();
                        self.declare(*name, words, None);
                    }
                    self.block(body, false);
                }
                StatementKind::Assign { targets, .. } => {
                    targets.iter().for_each(|target| self.assign(*target));
                }
                StatementKind::Function { target, .. } => self.assign(*target),
                _ => {}
            }
        }
    }
}

/// Whether a function, or one in it, assigns a variable of this name.
fn is_assigned(ast: &Ast, function: FunctionIndex, name: &str) -> bool {
    let mut todo = vec![function];
    while let Some(at) = todo.pop() {
        let Some(function) = ast.functions.get(at.0 as usize) else {
            return true;
        };
        let mut walk = Walk {
            ast,
            name,
            found: Vec::new(),
            assigns: false,
        };
        walk.block(&function.body, false);
        if walk.assigns {
            return true;
        }
        for statement in &function.body.statements {
            todo.extend(statement_literals(ast, &statement.kind));
        }
    }
    false
}

/// A constant as written in Lua.
pub(crate) fn constant_text(value: &Constant) -> String {
    match value {
        Constant::Nil => "nil".to_owned(),
        Constant::Boolean(value) => value.to_string(),
        // Decimal digits of the smallest one would be read as a float.
        Constant::Integer(value) => format!("(0x{value:x})"),
        Constant::Float(bits) => float_text(f64::from_bits(*bits)),
        Constant::String(bytes) => {
            let escaped: Vec<String> = bytes.iter().map(|byte| format!("\\{byte:03}")).collect();
            format!("\"{}\"", escaped.concat())
        }
    }
}

fn float_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "(1e999)" } else { "(-1e999)" }.to_owned();
    }
    // The shortest digits that give the same number again.
    format!("({value:e})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use moonswap_compiler::{ParseLimits, parse};

    fn text(source: &str) -> Ast {
        parse("=x", source.as_bytes(), ParseLimits::default()).expect("parses")
    }

    /// The function of a text that has one, with others in it.
    fn outer(ast: &Ast) -> InText<'_> {
        (ast, FunctionIndex(ast.functions.len() as u32 - 2))
    }

    #[test]
    fn declared_in_the_same_words() {
        let old = text("function f(n) local a = g() local b = 1 end");
        let new = text(
            "function f(n) do local a = 1 end local a = g() for n = 1, 2 do end local b = 1 local b = 1 end",
        );
        let of = |name, ordinal| aligned(outer(&old), outer(&new), name, ordinal);
        assert_eq!(of("a", 0), Some(1));
        assert_eq!(of("n", 0), Some(0));
        assert_eq!(of("b", 0), None, "two in these words");
        assert_eq!(of("c", 0), None);
    }

    #[test]
    fn constants() {
        let of = |source: &str| constant_of(outer(&text(source)), "x").map(|c| constant_text(&c));
        assert_eq!(of("function f() local x = 3 end"), Some("(0x3)".to_owned()));
        assert_eq!(
            of("function f() local y, x = g(), -1 end"),
            Some("(0xffffffffffffffff)".to_owned())
        );
        assert_eq!(
            of("function f() local x = 'a\\n' end"),
            Some("\"\\097\\010\"".to_owned())
        );
        assert_eq!(
            of("function f() local x = -0.1 end"),
            Some("(-1e-1)".to_owned())
        );
        assert_eq!(of("function f() local x = 3 x = 4 end"), None);
        let in_another = "function f() local x = 3 local function g() x = 1 end end";
        assert_eq!(of(in_another), None);
        assert_eq!(of("function f(x) local x = 3 end"), None);
        assert_eq!(of("function f(x) end"), None);
        assert_eq!(of("function f() local x <close> = nil end"), None);
    }
}
