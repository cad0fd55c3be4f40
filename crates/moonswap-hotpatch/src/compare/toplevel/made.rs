//! What becomes of an entry that was compared: a change of the plan, or a line of what
//! does not run.

use moonswap_compiler::syntax::ast::ExprId;

use super::merge::Merging;
use super::outcome::{Evaluation, MergeCode, TopLevel, ValueCode};
use crate::model::change::{Before, ChangeKind, DataChange, Evaluated};
use crate::model::not_run::NotRun;
use crate::patch::constant::Constant;
use crate::patch::entries::{Entry, Leaf};
use crate::patch::path::{Key, Root};
use crate::policy::DataPolicy;

impl Merging<'_> {
    pub(super) fn change(
        &self,
        entry: &Entry,
        before: Before,
        kind: ChangeKind,
        value: ValueCode,
        evaluation: Option<(Evaluation, NotRun)>,
        top: &mut TopLevel,
    ) {
        let path = entry.path.to_string();
        let after = match (&entry.leaf, &kind) {
            (_, ChangeKind::List(items)) => format!("{} items", items.len()),
            (Leaf::Constant(constant), _) => constant.to_string(),
            (Leaf::Table(_), _) => match self.new.below_of(&entry.path) {
                0 => "{}".to_owned(),
                _ => "{…}".to_owned(),
            },
            (Leaf::Function(_), _) => "function".to_owned(),
            (Leaf::Expression { .. } | Leaf::Wrapped(..), _) => self.value_text(entry),
        };
        // What is evaluated is filled in when it is known.
        let known = |key: &Key| match key {
            Key::Constant(constant) => constant.clone(),
            Key::Shape(_) => Constant::Nil,
        };
        let is_replaced = self.comparison.policy.data.of(&path) == DataPolicy::Replace;
        let change = DataChange {
            line: entry.span.line,
            keys: entry.path.keys.iter().map(known).collect(),
            path,
            before,
            after,
            replace: is_replaced && kind != ChangeKind::Definition,
            kind,
            again: self.is_in_replaced(&entry.path),
            evaluated: None,
        };
        let (evaluation, not_run) = evaluation.unzip();
        let evaluation = evaluation.unwrap_or_default();
        let mut number = |expr: Option<ExprId>| {
            expr.map(|_| {
                top.n_evaluated += 1;
                top.n_evaluated - 1
            })
        };
        let evaluated = not_run.map(|not_run| Evaluated {
            old: number(evaluation.old),
            new: number(evaluation.new),
            keys: evaluation
                .keys
                .iter()
                .filter_map(|(at, key)| Some((*at, number(Some(*key))?)))
                .collect(),
            not_run,
        });
        let change = DataChange {
            evaluated,
            ..change
        };
        if change.is_data() {
            let is_constant = matches!(entry.leaf, Leaf::Constant(_));
            top.changed.insert(entry.path.clone(), is_constant);
        }
        if change.before == Before::Absent {
            top.fresh.insert(entry.path.clone());
        }
        let code = MergeCode {
            change: top.data.len(),
            root: entry.path.root.clone(),
            value,
            evaluation,
        };
        let declared = match &entry.path.root {
            Root::Local(name, declaration) => top
                .variable(name, *declaration)
                .filter(|v| v.statement == entry.statement)
                .map(|v| v.index),
            Root::Global | Root::Returned => None,
        };
        top.data.push(change);
        match declared {
            Some(index) => {
                if let Some(part) = top.part(entry.statement, index) {
                    part.merges.push(code);
                }
            }
            None if entry.statement == usize::MAX => top.gone.push(code),
            None => top.merge(entry.statement, code),
        }
    }

    fn value_text(&self, entry: &Entry) -> String {
        let ast = self.new.text.ast();
        let Some(value) = entry.value else {
            return "nil".to_owned();
        };
        // The span of an operation is that of its operator: the text is not at hand.
        match ast.exprs.get(value.0 as usize) {
            Some(moonswap_compiler::syntax::ast::Expr::Name(name)) => {
                crate::patch::tree::symbol_text(ast, *name).to_string()
            }
            _ => "an expression".to_owned(),
        }
    }

    pub(super) fn list(
        &self,
        entry: &Entry,
        why: &str,
        option: Option<String>,
        top: &mut TopLevel,
    ) {
        top.list(self.listed(entry, why, option));
    }

    pub(super) fn listed(&self, entry: &Entry, why: &str, option: Option<String>) -> NotRun {
        let text = match entry.is_item {
            true => entry.path.to_string(),
            false => self.comparison.statement_text(entry.statement),
        };
        NotRun {
            line: match entry.is_item {
                true => entry.span.line,
                false => self.comparison.statement_line(entry.statement),
            },
            text,
            why: why.to_owned(),
            option,
        }
    }
}
