//! Writing of binary chunks.

use super::format::{CHECK_INT, CHECK_NUM, HEADER, MAX_SHARED, NO_SOURCE, OPERATIONS};

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use crate::function_id::PathStep;
use crate::prototype::{Capture, Constant, DebugInfo, Prototype, VariableKind};
use crate::varint::{put_number, put_signed};
use crate::watch::Watch;

/// A function as a binary chunk; `strip` leaves out what only people need.
pub fn dump(prototype: &Prototype, strip: bool) -> Vec<u8> {
    let never = || false;
    dump_watched(prototype, strip, &Watch::new(&never)).unwrap_or_default()
}

/// As [`dump`]; `None` if `watch` stopped it.
pub fn dump_watched(prototype: &Prototype, strip: bool, watch: &Watch<'_>) -> Option<Vec<u8>> {
    let mut out = Writer {
        watch,
        is_stopped: false,
        bytes: HEADER.to_vec(),
        strip: strip || prototype.is_stripped(),
        known: HashMap::default(),
    };
    out.bytes.extend_from_slice(&CHECK_INT.to_le_bytes());
    out.bytes.extend_from_slice(&CHECK_NUM.to_le_bytes());
    out.bytes.extend_from_slice(&OPERATIONS.to_le_bytes());
    out.bytes.push(prototype.upvalues.len() as u8);
    out.bytes.push(u8::from(out.strip));
    out.text(if out.strip {
        NO_SOURCE
    } else {
        prototype.id.chunk()
    });
    out.number(prototype.id.path().len() as u64);
    for step in prototype.id.path() {
        out.step(step);
    }
    out.function(prototype);
    (!out.is_stopped).then_some(out.bytes)
}

/// Of a child that is a main chunk, which nothing makes.
static NO_STEP: (PathStep, u32) = (PathStep::Anonymous, 0);

struct Writer<'a> {
    watch: &'a Watch<'a>,
    /// What is written from here on is of no use.
    is_stopped: bool,
    bytes: Vec<u8>,
    strip: bool,
    /// The numbers of short strings that were written.
    known: HashMap<&'a [u8], u64, RandomState>,
}

impl<'a> Writer<'a> {
    /// Looks whether to stop, once an item.
    fn stops(&mut self) -> bool {
        self.is_stopped = self.is_stopped || self.watch.says_stop();
        self.is_stopped
    }

    fn number(&mut self, n: u64) {
        put_number(&mut self.bytes, n);
    }

    fn signed(&mut self, n: i64) {
        put_signed(&mut self.bytes, n);
    }

    fn string(&mut self, s: &'a [u8]) {
        if s.len() <= MAX_SHARED {
            let next = self.known.len() as u64 + 1;
            match self.known.entry(s) {
                Entry::Occupied(known) => {
                    let n = *known.get();
                    return self.number(n);
                }
                Entry::Vacant(place) => {
                    place.insert(next);
                }
            }
        }
        self.number(0);
        self.number(s.len() as u64);
        self.bytes.extend_from_slice(s);
    }

    fn text(&mut self, s: &'a str) {
        self.string(s.as_bytes());
    }

    fn step(&mut self, (step, ordinal): &'a (PathStep, u32)) {
        let (kind, name, n) = step.parts();
        self.bytes.push(kind);
        self.text(name.map_or("", |name| name));
        self.number(u64::from(n));
        self.number(u64::from(*ordinal));
    }

    fn function(&mut self, p: &'a Prototype) {
        if self.stops() {
            return;
        }
        self.bytes.push(p.n_params);
        self.bytes.push(u8::from(p.is_vararg));
        self.number(u64::from(p.frame_size));
        self.number(u64::from(p.line_defined));
        self.number(u64::from(p.last_line_defined));
        self.number(p.code.len() as u64);
        for i in &p.code {
            if self.stops() {
                return;
            }
            self.bytes.extend_from_slice(&i.to_bits().to_le_bytes());
        }
        self.number(p.constants.len() as u64);
        for constant in &p.constants {
            if self.stops() {
                return;
            }
            self.constant(constant);
        }
        self.number(p.upvalues.len() as u64);
        for u in &p.upvalues {
            let name: &str = if self.strip { "" } else { &u.name };
            self.text(name);
            self.bytes
                .push(kind_byte(u.kind) | u8::from(u.top_level) << 2 | u8::from(u.in_loop) << 3);
            self.number(u64::from(u.depth));
            self.number(u64::from(u.declaration));
        }
        self.number(p.sites.len() as u64);
        for site in &p.sites {
            self.number(u64::from(site.child));
            self.number(site.captures.len() as u64);
            for capture in &site.captures {
                let (kind, n) = match capture {
                    Capture::Register(n) => (0, u32::from(*n)),
                    Capture::Upvalue(n) => (1, u32::from(*n)),
                    Capture::Cell(n) => (2, *n),
                    Capture::Vacant => (3, 0),
                    Capture::Late(n) => (4, u32::from(*n)),
                };
                self.bytes.push(kind);
                self.number(u64::from(n));
            }
        }
        self.number(p.scope.len() as u64);
        for v in &p.scope {
            let name: &str = if self.strip { "" } else { &v.name };
            self.text(name);
            self.bytes.push(kind_byte(v.kind));
            self.number(u64::from(v.declaration));
            self.number(v.register.map_or(0, |r| u64::from(r) + 1));
            self.number(u64::from(v.start_pc));
            self.number(u64::from(v.end_pc));
        }
        self.debug(&p.debug);
        self.number(p.children.len() as u64);
        for child in &p.children {
            match child.id.path().last() {
                Some(step) => self.step(step),
                None => self.step(&NO_STEP),
            }
            self.function(child);
        }
    }

    fn constant(&mut self, constant: &'a Constant) {
        match constant {
            Constant::Nil => self.bytes.push(0),
            Constant::Boolean(b) => self.bytes.push(1 + u8::from(*b)),
            Constant::Integer(i) => {
                self.bytes.push(3);
                self.signed(*i);
            }
            Constant::Float(f) => {
                self.bytes.push(4);
                self.bytes.extend_from_slice(&f.to_bits().to_le_bytes());
            }
            Constant::String(s) => {
                self.bytes.push(5);
                self.string(s);
            }
            Constant::Cell(cell) => {
                self.bytes.push(6);
                self.number(u64::from(*cell));
            }
        }
    }

    fn debug(&mut self, debug: &'a DebugInfo) {
        if self.strip {
            return;
        }
        self.number(debug.lines.len() as u64);
        self.number(u64::from(debug.lines.first()));
        debug.lines.put_distances(&mut self.bytes);
        self.number(debug.locals.len() as u64);
        for local in &debug.locals {
            self.text(&local.name);
            self.number(u64::from(local.register));
            self.number(u64::from(local.start_pc));
            self.number(u64::from(local.end_pc));
        }
    }
}

fn kind_byte(kind: VariableKind) -> u8 {
    match kind {
        VariableKind::Regular => 0,
        VariableKind::Const => 1,
        VariableKind::ToBeClosed => 2,
    }
}
