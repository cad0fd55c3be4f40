//! Fields that are constants, as far as keys are concerned: `M.A = 1` above
//! `M[M.A] = "a"`.

use foldhash::HashMap;
use moonswap_compiler::syntax::ast::{Ast, Expr, ExprId, TableItem};

use super::assigned::Assigned;
use super::constant::Constant;
use super::entries::{Entry, Leaf, Taker};
use super::path::{Constants, Key, Path, Root};

impl Constants {
    /// Adds the fields that are set once, with a constant, in tables that the text
    /// makes: `M.A = 1`, for `M[M.A] = "a"`.
    pub(crate) fn add_fields(&mut self, ast: &Ast, assigned: &Assigned) {
        if !has_field_keys(ast) {
            return;
        }
        let entries = Taker {
            ast,
            constants: self,
        }
        .entries(&|_| true);
        let mut by_path: HashMap<&Path, Vec<&Entry>> = HashMap::default();
        let mut by_key: HashMap<&Key, Vec<&Path>> = HashMap::default();
        for entry in &entries {
            by_path.entry(&entry.path).or_default().push(entry);
            if let Some(key) = entry.path.keys.last() {
                by_key.entry(key).or_default().push(&entry.path);
            }
        }
        let is_made = |path: &Path| match by_path.get(path).map(|all| &all[..]) {
            Some([entry]) => {
                matches!(entry.leaf, Leaf::Table(_) | Leaf::Wrapped(..)) && !assigned.may_set(path)
            }
            _ => false,
        };
        // Only tables that are made here and go by one path each: nothing else names
        // the field.
        let is_in_made = |path: &Path| {
            let mut above = path.parent();
            let mut n = 0;
            while let Some(path) = above {
                if path == Path::of(Root::Global) {
                    break;
                }
                if !is_made(&path) {
                    return false;
                }
                n += 1;
                above = path.parent();
            }
            n > 0
        };
        // Large texts have the same key in thousands of tables.
        let is_only_in_made: HashMap<&Key, bool> = by_key
            .iter()
            .map(|(key, paths)| (*key, paths.iter().all(|path| is_in_made(path))))
            .collect();
        let mut fields = HashMap::default();
        for entry in &entries {
            let (Leaf::Constant(constant), Some(key)) = (&entry.leaf, entry.path.keys.last())
            else {
                continue;
            };
            if *constant != Constant::Nil
                && by_path[&entry.path].len() == 1
                && !assigned.may_set(&entry.path)
                && is_only_in_made[key]
            {
                fields.insert(entry.path.clone(), (constant.clone(), entry.statement));
            }
        }
        self.fields = fields;
    }
}

/// Whether a field stands in the brackets of an index or of an item.
fn has_field_keys(ast: &Ast) -> bool {
    let is_field = |key: &ExprId| {
        matches!(
            ast.exprs.get(key.0 as usize),
            Some(Expr::Field { .. } | Expr::Index { .. })
        )
    };
    ast.exprs.iter().any(|expr| match expr {
        Expr::Index { key, .. } => is_field(key),
        Expr::Table(items) => items
            .iter()
            .any(|item| matches!(item, TableItem::Keyed(key, _) if is_field(key))),
        _ => false,
    })
}
