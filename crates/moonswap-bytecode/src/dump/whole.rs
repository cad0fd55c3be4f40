//! Binary chunks as prototypes.

use std::sync::Arc;

use super::format::{MAX_DEPTH, STEPS_PER_BYTE, UndumpError};
use super::walk::{Take, undump_to};
use crate::code_hash;
use crate::function_id::FunctionId;
use crate::literal::{Literal, LiteralConstant, LiteralStep, Name, Numbered};
use crate::positions::Positions;
use crate::prototype::{
    ClosureSite, Constant, DebugInfo, LocalVariable, Prototype, ScopeVariable, UpvalueDescription,
};
use crate::watch::Watch;

/// Reads and verifies a binary chunk. Bytes after its end are ignored.
pub fn undump(bytes: &[u8]) -> Result<Arc<Prototype>, UndumpError> {
    undump_watched(bytes, None)
}

/// As [`undump`], and `watch` may stop it ([`UndumpError::Stopped`]).
pub fn undump_watched(
    bytes: &[u8],
    watch: Option<&Watch<'_>>,
) -> Result<Arc<Prototype>, UndumpError> {
    let mut maker = Maker {
        left: MAX_DEPTH * MAX_DEPTH + bytes.len() * STEPS_PER_BYTE,
        open: Vec::new(),
        made: None,
        strings: Vec::new(),
        texts: Vec::new(),
    };
    undump_to(bytes, watch, usize::MAX, &mut maker)?;
    maker.made.ok_or(UndumpError::Corrupted)
}

/// Makes prototypes.
struct Maker {
    /// Path steps that may still be made.
    left: usize,
    /// Functions that began and did not end: who they are, and those in them.
    open: Vec<(FunctionId, Vec<Arc<Prototype>>)>,
    /// The outermost one.
    made: Option<Arc<Prototype>>,
    /// What was made of the chunk's short strings.
    strings: Vec<Option<Arc<[u8]>>>,
    texts: Vec<Option<Arc<str>>>,
}

/// A string of the chunk as one that is shared.
fn shared<'a, T: ?Sized>(known: &mut Vec<Option<Arc<T>>>, string: Numbered<&'a T>) -> Arc<T>
where
    Arc<T>: From<&'a T>,
{
    let Some(number) = string.number() else {
        return string.text().into();
    };
    if number >= known.len() {
        known.resize(number + 1, None);
    }
    let place = &mut known[number];
    Arc::clone(place.get_or_insert_with(|| string.text().into()))
}

impl Maker {
    fn name(&mut self, name: &Name<'_>) -> Arc<str> {
        shared(&mut self.texts, *name)
    }

    fn constant(&mut self, constant: &LiteralConstant<'_>) -> Constant {
        match *constant {
            LiteralConstant::Nil => Constant::Nil,
            LiteralConstant::Boolean(b) => Constant::Boolean(b),
            LiteralConstant::Integer(i) => Constant::Integer(i),
            LiteralConstant::Float(f) => Constant::Float(f),
            LiteralConstant::String(s) => Constant::String(shared(&mut self.strings, s)),
            LiteralConstant::Cell(cell) => Constant::Cell(cell),
        }
    }

    fn debug(&mut self, literal: &Literal<'_>) -> DebugInfo {
        let lines = &literal.lines;
        let locals = literal.locals.iter().map(|v| LocalVariable {
            name: self.name(&v.name),
            register: v.register,
            start_pc: v.start_pc,
            end_pc: v.end_pc,
        });
        DebugInfo {
            locals: locals.collect(),
            lines: Positions::from_distances(lines.first, lines.n, lines.width, lines.distances)
                .unwrap_or_default(),
            ..DebugInfo::default()
        }
    }
}

impl Take for Maker {
    fn begins_outermost(
        &mut self,
        chunk: &str,
        path: &[LiteralStep<'_>],
    ) -> Result<(), UndumpError> {
        let path: Vec<_> = path.iter().map(LiteralStep::step).collect();
        let id = FunctionId::new(chunk.into(), path);
        self.open.push((id, Vec::new()));
        Ok(())
    }

    fn begins(&mut self, step: &LiteralStep<'_>) -> Result<(), UndumpError> {
        let (outer, _) = self.open.last().ok_or(UndumpError::Corrupted)?;
        // A path is written as one step and held in full.
        let n = outer.path().len() + 1;
        self.left = self.left.checked_sub(n).ok_or(UndumpError::Corrupted)?;
        let id = outer.child(step.step());
        self.open.push((id, Vec::new()));
        Ok(())
    }

    fn ends(&mut self, literal: &Literal<'_>, _: usize) -> Result<usize, UndumpError> {
        let (id, children) = self.open.pop().ok_or(UndumpError::Corrupted)?;
        let sites = literal.sites().map(|(child, captures)| ClosureSite {
            child,
            captures: captures.into(),
        });
        let upvalues = literal.upvalues.iter().map(|u| UpvalueDescription {
            name: self.name(&u.name),
            kind: u.kind,
            depth: u.depth,
            declaration: u.declaration,
            top_level: u.top_level,
            in_loop: u.in_loop,
        });
        let upvalues = upvalues.collect();
        let scope = literal.scope.iter().map(|v| ScopeVariable {
            name: self.name(&v.name),
            declaration: v.declaration,
            kind: v.kind,
            register: v.register,
            start_pc: v.start_pc,
            end_pc: v.end_pc,
        });
        let scope = scope.collect();
        let constants = literal.constants.iter();
        let mut prototype = Prototype {
            id,
            own_hash: Default::default(),
            deep_hash: Default::default(),
            code: literal.code[..].into(),
            constants: constants.map(|constant| self.constant(constant)).collect(),
            children: children.into(),
            sites: sites.collect(),
            upvalues,
            n_params: literal.n_params,
            is_vararg: literal.is_vararg,
            frame_size: literal.frame_size,
            line_defined: literal.line_defined,
            last_line_defined: literal.last_line_defined,
            debug: self.debug(literal),
            scope,
            // A function that is loaded again has all its variables.
            initialisers: Box::default(),
        };
        code_hash::set(&mut prototype);
        let prototype = Arc::new(prototype);
        match self.open.last_mut() {
            Some((_, siblings)) => siblings.push(prototype),
            None => self.made = Some(prototype),
        }
        Ok(usize::MAX)
    }
}
