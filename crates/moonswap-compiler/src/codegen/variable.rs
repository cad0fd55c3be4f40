//! Names: which variable one means, and how a function reaches it.

use std::sync::Arc;

use moonswap_bytecode::{Capture, LocalVariable, ScopeVariable, UpvalueDescription, VariableKind};

use crate::codegen::function::{FunctionState, Limit};
use crate::codegen::operand::{Kind, Operand};
use crate::codegen::{Generator, Result};
use crate::error::Span;
use crate::resolve::scope::{MAX_LOCALS, Place, Variable};
use crate::resolve::upvalue::{MAX_UPVALUES, UpvalueEntry};
use crate::syntax::ast::Symbol;

/// A variable, seen from the function that uses it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// How to reach it.
    pub(crate) operand: Operand,
    /// How it was declared.
    pub(crate) kind: VariableKind,
}

/// How a nested function reaches a variable of an outer one.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Upvalue(u16),
    Cell(u32),
}

/// The variable as declared: function level and index there, or the
/// environment that the main chunk is given.
#[derive(Clone, Copy, Debug)]
enum Declared {
    At(usize, usize),
    Environment,
}

impl<'a> Generator<'a> {
    /// The function at a level of nesting, 0 being the main chunk.
    fn function_at(&mut self, level: usize) -> &mut FunctionState<'a> {
        if level < self.outer.len() {
            &mut self.outer[level]
        } else {
            &mut self.f
        }
    }

    fn declared(&mut self, variable: Declared) -> Option<Variable> {
        match variable {
            Declared::At(level, index) => self.function_at(level).scope.active.get(index).copied(),
            Declared::Environment => None,
        }
    }

    /// The variable a name means, unless it is a global.
    pub(crate) fn find(&mut self, name: Symbol) -> Option<Found> {
        if let Some(index) = self.f.scope.find(name) {
            let variable = self.f.scope.active[index];
            if variable.absent && !self.dropping {
                self.uses_absent.get_or_insert((self.f.here, name));
            }
            let operand = match variable.place {
                Place::Register(register) => Operand::new(Kind::Local(register)),
                Place::Cell(cell) => Operand::new(Kind::Cell(cell)),
                Place::Constant(value) => Operand::from(value),
            };
            return Some(Found {
                operand,
                kind: variable.kind,
            });
        }
        if let Some(index) = self.f.upvalues.find_name(name) {
            let kind = self.f.upvalues.entries[index].description.kind;
            return Some(Found {
                operand: Operand::new(Kind::Upvalue(index as u16)),
                kind,
            });
        }
        let level = self.outer.len();
        let outward = (0..level)
            .rev()
            .find_map(|l| Some(Declared::At(l, self.outer[l].scope.find(name)?)));
        let declared = match outward {
            Some(declared) => declared,
            None if name == self.env => Declared::Environment,
            None => return None,
        };
        let mut kind = VariableKind::Regular;
        if let Some(variable) = self.declared(declared) {
            kind = variable.kind;
            if let Place::Constant(value) = variable.place {
                return Some(Found {
                    operand: Operand::from(value),
                    kind,
                });
            }
        }
        let operand = match self.reach(level, name, declared) {
            Reach::Upvalue(index) => Operand::new(Kind::Upvalue(index)),
            Reach::Cell(cell) => Operand::new(Kind::Cell(cell)),
        };
        Some(Found { operand, kind })
    }

    /// How the function at `level` reaches a variable declared further out.
    fn reach(&mut self, level: usize, name: Symbol, declared: Declared) -> Reach {
        let variable = self.declared(declared);
        let depth = match declared {
            Declared::At(at, _) => level - at,
            Declared::Environment => level + 1,
        };
        let description = UpvalueDescription {
            name: self.name_text(name),
            kind: variable.map_or(VariableKind::Regular, |v| v.kind),
            depth: depth as u16,
            declaration: variable.map_or(0, |v| v.declaration),
            top_level: variable.is_some_and(|v| v.top_level),
            in_loop: variable.is_some_and(|v| v.in_loop),
        };
        let known = self.function_at(level).upvalues.find_variable(&description);
        if let Some(index) = known
            && self.function_at(level).upvalues.entries[index]
                .symbol
                .is_some()
        {
            return Reach::Upvalue(index as u16);
        }
        if known.is_none()
            && description.top_level
            && self.function_at(level).upvalues.has_layout
            && let Some(cell) = self.cell_of(&description.name, description.declaration)
        {
            return Reach::Cell(cell);
        }
        let capture = match declared {
            Declared::Environment if level == 0 => Capture::Upvalue(0),
            Declared::Environment => self.capture_from(level - 1, name, declared),
            Declared::At(..) => self.capture_from(level - 1, name, declared),
        };
        let here = self.f.here;
        let function = self.function_at(level);
        let entry = UpvalueEntry {
            description,
            symbol: Some(name),
            capture,
        };
        let upvalues = &mut function.upvalues.entries;
        if let Some(index) = known {
            upvalues[index].symbol = Some(name);
            upvalues[index].capture = capture;
            upvalues[index].description = entry.description;
            return Reach::Upvalue(index as u16);
        }
        upvalues.push(entry);
        let index = upvalues.len() - 1;
        if index >= MAX_UPVALUES {
            self.f.limit.get_or_insert(Limit::Upvalues(here));
        }
        Reach::Upvalue(index as u16)
    }

    /// Where code of the function at `level` takes the variable from when it
    /// creates a closure that captures it.
    fn capture_from(&mut self, level: usize, name: Symbol, declared: Declared) -> Capture {
        if let Declared::At(at, index) = declared
            && at == level
        {
            let function = self.function_at(level);
            let variable = function.scope.active.get(index);
            return match variable.filter(|v| !v.absent).map(|v| v.place) {
                Some(Place::Register(register)) => {
                    function.scope.mark_captured(index);
                    function.needs_close = true;
                    Capture::Register(register)
                }
                Some(Place::Cell(cell)) => Capture::Cell(cell),
                Some(Place::Constant(_)) | None => Capture::Vacant,
            };
        }
        match self.reach(level, name, declared) {
            Reach::Upvalue(index) => Capture::Upvalue(index),
            Reach::Cell(cell) => Capture::Cell(cell),
        }
    }

    /// Captures of an older version that the new text does not mention are
    /// still handed on where their variable is in scope.
    pub(crate) fn fill_reserved_captures(&mut self) {
        let level = self.outer.len();
        for index in 0..self.f.upvalues.entries.len() {
            let entry = &self.f.upvalues.entries[index];
            if entry.symbol.is_some() {
                continue;
            }
            let description = entry.description.clone();
            let Some((name, declared)) = self.find_described(level, &description) else {
                continue;
            };
            let capture = self.capture_from(level - 1, name, declared);
            self.f.upvalues.entries[index].capture = capture;
        }
    }

    /// The variable in scope that a description means, seen from `level`.
    fn find_described(
        &mut self,
        level: usize,
        wanted: &UpvalueDescription,
    ) -> Option<(Symbol, Declared)> {
        let depth = usize::from(wanted.depth);
        if &*wanted.name == "_ENV" && depth == level + 1 {
            return Some((self.env, Declared::Environment));
        }
        let at = level.checked_sub(depth)?;
        let ast = self.ast;
        let active = &self.function_at(at).scope.active;
        let index = active.iter().rposition(|v| {
            v.declaration == wanted.declaration
                && v.top_level == wanted.top_level
                && v.name
                    .and_then(|n| ast.symbols.get(n.0 as usize))
                    .is_some_and(|s| **s == *wanted.name.as_bytes())
        })?;
        let variable = active[index];
        if matches!(variable.place, Place::Constant(_)) {
            return None;
        }
        Some((variable.name?, Declared::At(at, index)))
    }

    /// The cell of a top-level local, in code made for a patch.
    pub(crate) fn cell_of(&self, name: &Arc<str>, declaration: u32) -> Option<u32> {
        self.options
            .cells?
            .get(&(Arc::clone(name), declaration))
            .copied()
    }

    /// Declares a variable; the register, if it has one, is taken already.
    pub(crate) fn declare(
        &mut self,
        name: Symbol,
        kind: VariableKind,
        place: Place,
        span: Span,
    ) -> Result<()> {
        self.check_local_limit(span)?;
        let top_level = self.f.is_main && self.f.scope.blocks.len() == 1;
        let declaration = self.f.scope.count_declaration(name, top_level);
        let text = self.name_text(name);
        let place = match place {
            Place::Register(_) if top_level && self.options.delta => {
                self.cell_of(&text, declaration).map_or(place, Place::Cell)
            }
            Place::Register(_) | Place::Constant(_) | Place::Cell(_) => place,
        };
        let start_pc = self.f.pc();
        let register = match place {
            Place::Register(register) => Some(register),
            Place::Constant(_) | Place::Cell(_) => None,
        };
        let debug = register.map(|register| {
            let local = LocalVariable {
                name: Arc::clone(&text),
                register,
                start_pc,
                end_pc: start_pc,
            };
            self.f.locals.push(local);
            self.f.locals.len() as u32 - 1
        });
        let scope = top_level.then(|| {
            let variable = ScopeVariable {
                name: text,
                declaration,
                kind,
                register,
                start_pc,
                end_pc: start_pc,
            };
            self.f.scope_variables.push(variable);
            self.f.scope_variables.len() as u32 - 1
        });
        let in_loop = self.f.scope.blocks.last().is_some_and(|b| b.in_loop);
        let absent = self.dropping && top_level && register.is_some();
        let name = Some(name);
        self.f.scope.active.push(Variable {
            name,
            kind,
            place,
            declaration,
            top_level,
            in_loop,
            debug,
            scope,
            absent,
        });
        Ok(())
    }

    /// Declares a hidden variable of a loop.
    pub(crate) fn declare_hidden(&mut self, register: u16, span: Span) -> Result<()> {
        self.check_local_limit(span)?;
        let start_pc = self.f.pc();
        let name = Arc::clone(&self.for_state);
        self.f.locals.push(LocalVariable {
            name,
            register,
            start_pc,
            end_pc: start_pc,
        });
        let debug = Some(self.f.locals.len() as u32 - 1);
        self.f.scope.active.push(Variable {
            name: None,
            kind: VariableKind::Regular,
            place: Place::Register(register),
            declaration: 0,
            top_level: false,
            in_loop: true,
            debug,
            scope: None,
            absent: false,
        });
        Ok(())
    }

    fn check_local_limit(&self, span: Span) -> Result<()> {
        if self.f.scope.active.len() < MAX_LOCALS {
            return Ok(());
        }
        Err(self.limit_error("local variables", MAX_LOCALS, span))
    }

    /// The operand of a name.
    pub(crate) fn name(&mut self, name: Symbol, span: Span) -> Operand {
        self.f.here = span;
        if let Some(found) = self.find(name) {
            return found.operand;
        }
        let mut environment = match self.find(self.env) {
            Some(found) => found.operand,
            None => Operand::new(Kind::Nil),
        };
        self.f.here = span;
        self.field(&mut environment, name)
    }

    /// `object.name`, the object not yet in a register.
    pub(crate) fn field(&mut self, object: &mut Operand, name: Symbol) -> Operand {
        if self.f.is_field_key(name) {
            let constant = self.f.string_operand(name);
            if let Kind::Upvalue(upvalue) = object.kind
                && !object.has_jumps()
            {
                return Operand::new(Kind::IndexUpvalue { upvalue, constant });
            }
            let table = self.f.place_any(object);
            return Operand::new(Kind::IndexField { table, constant });
        }
        let table = self.f.place_any(object);
        let key = self.f.place_any(&mut Operand::new(Kind::String(name)));
        Operand::new(Kind::Index { table, key })
    }

    /// Refuses assignment to constants. In code made for a patch, constants of the
    /// chunk are cells: what assigns to one is the changed declaration itself, as
    /// the whole text was compiled before.
    pub(crate) fn check_assignable(&mut self, name: Symbol, offset: u32, line: u32) -> Result<()> {
        match self.find(name) {
            Some(Found {
                kind: VariableKind::Const,
                operand:
                    Operand {
                        kind: Kind::Cell(_),
                        ..
                    },
            }) => Ok(()),
            Some(found) if found.kind != VariableKind::Regular => {
                let (_, span) = crate::codegen::near::following(self.source, offset, line);
                let message = format!(
                    "attempt to assign to const variable '{}'",
                    self.name_text(name)
                );
                Err(self.error(span, message))
            }
            Some(_) | None => Ok(()),
        }
    }
}
