//! Literals: the main chunk and nested functions.

use std::sync::Arc;

use moonswap_bytecode::{
    Capture, ClosureSite, FunctionId, OpCode, PathStep, Prototype, UpvalueDescription, VariableKind,
};

use crate::codegen::function::FunctionState;
use crate::codegen::near::count_lines;
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::identity::stable_step;
use crate::resolve::scope::Place;
use crate::resolve::upvalue::{UpvalueEntry, Upvalues};
use crate::syntax::ast::{Function, FunctionIndex};

impl<'a> Generator<'a> {
    /// Compiles the main chunk, the last function of the tree.
    pub(crate) fn main_chunk(&mut self) -> Result<Arc<Prototype>> {
        let ast = self.ast;
        let Some(function) = ast.functions.last() else {
            return Err(self.error(Default::default(), "empty syntax tree".to_owned()));
        };
        let index = FunctionIndex(ast.functions.len() as u32 - 1);
        loop {
            self.begin_main(self.big.contains(&index));
            self.body(function)?;
            if !self.f.must_grow() {
                break;
            }
            self.big.insert(index);
        }
        let id = self.f.id.clone();
        let f = std::mem::replace(&mut self.f, FunctionState::new(ast, id, false));
        Ok(Arc::new(f.finish(0)))
    }

    /// An empty main chunk as the current function.
    pub(crate) fn begin_main(&mut self, big: bool) {
        self.f = self.new_function(self.f.id.clone(), big);
        self.f.upvalues.entries.push(UpvalueEntry {
            description: UpvalueDescription {
                name: Arc::from("_ENV"),
                kind: VariableKind::Regular,
                depth: 1,
                declaration: 0,
                top_level: false,
                in_loop: false,
            },
            symbol: Some(self.env),
            capture: Capture::Upvalue(0),
        });
    }

    /// Compiles a nested function and emits its creation.
    pub(crate) fn closure(&mut self, index: FunctionIndex, step: PathStep) -> Result<Operand> {
        let ast = self.ast;
        let Some(function) = ast.functions.get(index.0 as usize) else {
            return Ok(Operand::new(Kind::Nil));
        };
        let step = stable_step(ast, index).unwrap_or(step);
        let step = self.f.siblings.number(step);
        let id = self.f.id.child(step);
        let (prototype, captures) = loop {
            self.enter_function(function, index, &id);
            let result = self.nested(function);
            let finished = self.leave_function(function.end.line);
            result?;
            match finished {
                Some(finished) => break finished,
                // Its operands need more room: again.
                None => self.big.insert(index),
            };
        };
        let child = self.f.n_given + self.f.children.len() as u32;
        self.f.children.push(prototype);
        let site = self.f.sites.len() as u32;
        self.f.sites.push(ClosureSite { child, captures });
        self.f.here = function.end;
        let is_closed = function.end.start < self.failed_at;
        self.f.reached = if is_closed {
            function.end.end
        } else {
            u32::MAX
        }
        .into();
        // The reference gives a new function a register at once.
        self.f.need_registers(1);
        Ok(Operand::new(Kind::Relocatable(self.f.emit_wide(
            OpCode::Closure,
            0,
            site,
        ))))
    }

    /// Makes a nested function the current one. States are large, and functions nest
    /// as deep as the parser lets them: they are kept off the stack of [`Self::closure`].
    #[inline(never)]
    fn enter_function(&mut self, function: &Function, index: FunctionIndex, id: &FunctionId) {
        let mut state = self.new_function(id.clone(), self.big.contains(&index));
        state.here = function.span;
        if let Some(layout) = self.options.layout.and_then(|l| l.functions.get(id)) {
            state.upvalues = Upvalues::with_layout(layout);
        }
        let outer = std::mem::replace(&mut self.f, state);
        self.outer.push(outer);
    }

    /// Goes back to the function around the current one. `None`: the current one has
    /// to be compiled again with larger operands.
    #[inline(never)]
    fn leave_function(&mut self, last_line: u32) -> Option<(Arc<Prototype>, Box<[Capture]>)> {
        let outer = self.outer.pop()?;
        let child = std::mem::replace(&mut self.f, outer);
        if child.must_grow() {
            return None;
        }
        let captures = child.upvalues.entries.iter().map(|e| e.capture).collect();
        Some((Arc::new(child.finish(last_line)), captures))
    }

    /// Compiles a nested function as the current one.
    fn nested(&mut self, function: &'a Function) -> Result<()> {
        self.body(function)?;
        self.fill_reserved_captures();
        self.check_limits()
    }

    /// Parameters and statements of the current function.
    fn body(&mut self, function: &'a Function) -> Result<()> {
        self.f.is_vararg = function.is_vararg;
        self.f.line_defined = function.span.line;
        self.enter_block(false);
        for (name, span) in &function.params {
            let register = self.f.free;
            self.f.reserve(1);
            self.declare(
                *name,
                VariableKind::Regular,
                Place::Register(register),
                *span,
            )?;
        }
        self.f.n_params = function.params.len() as u8;
        self.initialise_backfilled(function.span)?;
        if self.f.is_main && self.options.statements.is_some() {
            self.selected_statements(&function.body)?;
        } else {
            self.statements(&function.body, false)?;
        }
        let last = function.body.statements.last().map(|last| last.span);
        self.end_body(last, function.end)
    }

    /// What follows the last statement of the current function, whose text ends at
    /// `end`.
    pub(crate) fn end_body(&mut self, last: Option<Span>, end: Span) -> Result<()> {
        self.check_limits()?;
        self.f.here = if self.f.is_main {
            self.last_token_line(last, end)
        } else {
            end
        };
        self.f.emit_return(0, 0);
        self.leave_block();
        self.check_pending_jumps(end)
    }

    /// The place of the implicit return of a main chunk: the line its last
    /// statement ends on, not that of the end of the text.
    fn last_token_line(&self, last: Option<Span>, end: Span) -> Span {
        let Some(last) = last else {
            return Span {
                line: 1,
                column: 1,
                ..end
            };
        };
        let text = (last.start as usize)..(last.end as usize);
        let text = self.source.get(text).unwrap_or_default();
        Span {
            line: last.line + count_lines(text),
            ..last
        }
    }
}
