//! Table constructors (§3.4.9).

use std::sync::Arc;

use moonswap_bytecode::{MULTI, OpCode, PathStep};

use crate::codegen::function::{FunctionState, reg};
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::{key_text, symbol_text};
use crate::syntax::ast::{Expr, ExprId, TableItem};

/// Items stored by one `SETLIST`.
const BATCH: u32 = 50;

impl Generator<'_> {
    /// `{ items }`; `prefix` is the name of what it gets bound to, if any.
    pub(crate) fn table(
        &mut self,
        items: &[TableItem],
        prefix: &str,
        (id, span): (ExprId, Span),
    ) -> Result<Operand> {
        let table = self.f.free;
        let last_is_open =
            matches!(items.last(), Some(TableItem::Positional(e)) if self.is_multi(*e));
        let n_items = items
            .iter()
            .filter(|i| matches!(i, TableItem::Positional(_)))
            .count();
        let size = |n: usize| n.min(usize::from(MULTI - 1)) as u16;
        let from_zero = self.counts_from_zero(items);
        let (n_array, n_fields) = match from_zero {
            true => (items.len() - 1, 1),
            false => (n_items - usize::from(last_is_open), items.len() - n_items),
        };
        self.f.emit_at(
            span,
            OpCode::NewTable,
            0,
            reg(table),
            size(n_array),
            size(n_fields),
        );
        self.f.here = span;
        self.f.reached = span.start.into();
        self.f.reserve(1);
        let mut pending: u32 = 0;
        let mut stored: u32 = 0;
        let n_all = items.len();
        for (i, item) in items.iter().enumerate() {
            match item {
                TableItem::Positional(value) => {
                    let item_id = *value;
                    let mut value =
                        self.bound(*value, || PathStep::TableItem(stored + pending + 1))?;
                    if i + 1 == n_all {
                        self.f.reached = self.end(id).into();
                    } else {
                        self.behind(item_id, 1);
                    }
                    if i + 1 == n_all && value.is_multi() {
                        self.f.set_results(&value, MULTI);
                        self.f.set_list(table, MULTI, stored);
                        pending = 0;
                        continue;
                    }
                    self.at_separator(item_id);
                    self.f.place_next(&mut value);
                    pending += 1;
                    if pending == BATCH {
                        self.f.set_list(table, BATCH as u16, stored);
                        stored += BATCH;
                        pending = 0;
                    }
                }
                TableItem::Named(name, value) => {
                    let free = self.f.free;
                    let ast = self.ast;
                    let mut object = Operand::new(Kind::Register(table));
                    let target = self.field(&mut object, *name);
                    let mut value = self.bound(*value, || {
                        table_field(prefix, &format!(".{}", symbol_text(ast, *name)))
                    })?;
                    self.f.store(&target, &mut value);
                    self.f.free = free;
                }
                TableItem::Keyed(key, value) => {
                    let free = self.f.free;
                    let ast = self.ast;
                    let key_id = *key;
                    let mut key = self.expr(key_id)?;
                    self.behind(key_id, 2);
                    let target = self.f.indexed(table, &mut key);
                    let mut value =
                        self.bound(*value, || table_field(prefix, &key_text(ast, key_id)))?;
                    self.f.store(&target, &mut value);
                    self.f.free = free;
                }
            }
            self.check_limits()?;
        }
        if pending > 0 || from_zero {
            self.f.set_list(table, pending as u16, stored);
        }
        self.f.free = table + 1;
        Ok(Operand::new(Kind::Register(table)))
    }

    /// Whether the keys are written out as 0, 1, 2 and so on: programs rely on the
    /// order in which the reference then visits them.
    fn counts_from_zero(&self, items: &[TableItem]) -> bool {
        items.len() > 1
            && items.iter().zip(0..).all(|(item, n)| match item {
                TableItem::Keyed(key, _) => {
                    matches!(self.node(*key), Expr::Integer(i) if *i == n)
                }
                TableItem::Named(..) | TableItem::Positional(_) => false,
            })
    }

    /// Whether an expression as written can yield several values.
    pub(crate) fn is_multi(&self, id: ExprId) -> bool {
        matches!(
            self.node(id),
            Expr::Call { .. } | Expr::MethodCall { .. } | Expr::Vararg
        )
    }
}

/// The step of a literal that is a field of a table constructor; `key` begins
/// with `.` or `[`.
fn table_field(prefix: &str, key: &str) -> PathStep {
    let text = format!("{prefix}{key}");
    PathStep::TableField(Arc::from(text.strip_prefix('.').unwrap_or(&text)))
}

impl FunctionState<'_> {
    /// Stores the items that stand above the table's register.
    fn set_list(&mut self, table: u16, n: u16, stored: u32) {
        let batch = stored / BATCH;
        self.emit(
            OpCode::SetList,
            (batch >> 16) as u8,
            reg(table),
            n,
            batch as u16,
        );
        self.free = table.saturating_add(1);
    }
}
