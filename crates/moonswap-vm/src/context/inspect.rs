//! The debug library's view: levels, locals, captured variables.
//!
//! Invariants: CX1–CX3. The work is in `debug`; here it is wrapped for natives.

use super::{Context, CoroutineRef, Outcome};
use crate::debug::{info, traceback};
use crate::hook;
use crate::value::{Value, tag};

/// Letters of hook masks.
const HOOK_LETTERS: [(u8, u8); 3] = [(b'c', hook::CALL), (b'r', hook::RETURN), (b'l', hook::LINE)];

impl Context<'_> {
    /// Traceback in the reference's format of the running coroutine (`None`) or
    /// of another one.
    pub fn traceback(
        &self,
        of: Option<CoroutineRef<'_>>,
        message: Option<&[u8]>,
        level: usize,
    ) -> Vec<u8> {
        traceback::traceback(&self.vm(), of.map(|c| c.0), message, level)
    }

    /// `debug.getinfo(level)`: pushes a table; false (nothing pushed) if there
    /// is no such level.
    pub fn push_info_level(
        &self,
        of: Option<CoroutineRef<'_>>,
        level: i64,
        what: &[u8],
    ) -> Outcome<bool> {
        let mut vm = self.vm();
        let Ok(level) = usize::try_from(level) else {
            return Ok(false);
        };
        let Some(frame) = info::frame_at_level(&vm, of.map(|c| c.0), level) else {
            return Ok(false);
        };
        let description = info::describe(&vm, info::Target::Frame(frame), what);
        let t = info::info_table(&mut vm, &description, what);
        self.push_value(Value::table(t));
        Ok(true)
    }

    /// `debug.getinfo(f)` of the function at index `i`: pushes a table.
    pub fn push_info_function(&self, i: usize, what: &[u8]) -> Outcome<()> {
        let mut vm = self.vm();
        let target = info::Target::Function(self.value(i));
        let description = info::describe(&vm, target, what);
        let t = info::info_table(&mut vm, &description, what);
        self.push_value(Value::table(t));
        Ok(())
    }

    /// Pushes local `n` of a level and answers its name. Error: level out of
    /// range.
    pub fn push_local(
        &self,
        of: Option<CoroutineRef<'_>>,
        level: i64,
        n: i64,
    ) -> Outcome<Option<Vec<u8>>> {
        let vm = self.vm();
        let co = of.map(|c| c.0);
        let found = usize::try_from(level)
            .ok()
            .filter(|&l| info::frame_at_level(&vm, co, l).is_some());
        let Some(level) = found else {
            return Err(self.arg_error(usize::from(of.is_some()), "level out of range"));
        };
        match info::local(&vm, co, level, n) {
            Some((name, value)) => {
                self.push_value(value);
                Ok(Some(name))
            }
            None => Ok(None),
        }
    }

    /// Pops a value into local `n` of a level and answers its name.
    pub fn set_local(
        &self,
        of: Option<CoroutineRef<'_>>,
        level: i64,
        n: i64,
    ) -> Outcome<Option<Vec<u8>>> {
        let mut vm = self.vm();
        let co = of.map(|c| c.0);
        let found = usize::try_from(level)
            .ok()
            .filter(|&l| info::frame_at_level(&vm, co, l).is_some());
        let Some(level) = found else {
            return Err(self.arg_error(usize::from(of.is_some()), "level out of range"));
        };
        let value = self.pop_value();
        Ok(info::set_local(&mut vm, co, level, n, value))
    }

    /// Pops a function (or nil) and makes it the debug hook of a coroutine
    /// (`None`: the running one). `mask`: letters of "crl"; `count` > 0: also
    /// every so many instructions. Nil or no event: no hook.
    pub fn set_hook(&self, of: Option<CoroutineRef<'_>>, mask: &[u8], count: i32) {
        self.set_hook_of(of, mask, count, false);
    }

    /// [`Context::set_hook`] for the running coroutine and for those that it makes from
    /// now on, which make others in their turn.
    pub fn set_inherited_hook(&self, mask: &[u8], count: i32) {
        self.set_hook_of(None, mask, count, true);
    }

    /// Called from a hook at a line or a count: its coroutine yields, without values,
    /// when the hook has returned. What comes next runs when it is resumed.
    pub fn yield_after_hook(&self) {
        self.vm().hook.wants_yield = true;
    }

    fn set_hook_of(&self, of: Option<CoroutineRef<'_>>, mask: &[u8], count: i32, inherited: bool) {
        let function = self.pop_value();
        let mut vm = self.vm();
        let co = of.map_or(vm.current, |c| c.0);
        let mut bits = 0;
        for (letter, bit) in HOOK_LETTERS {
            if mask.contains(&letter) {
                bits |= bit;
            }
        }
        if count > 0 {
            bits |= hook::COUNT;
        }
        let bits = if matches!(function.tag, tag::CLOSURE | tag::NATIVE) {
            bits
        } else {
            0
        };
        // SAFETY: CX2: a live coroutine.
        unsafe { hook::set(&mut vm, co, function, (bits, count), inherited) };
    }

    /// Pushes the hook of a coroutine; answers its mask and count, or `None`
    /// (nothing pushed) if it has none.
    pub fn push_hook(&self, of: Option<CoroutineRef<'_>>) -> Option<(Vec<u8>, i32)> {
        let co = of.map_or(self.vm().current, |c| c.0);
        // SAFETY: CX2.
        let hook = unsafe { (*co).hook };
        if hook.mask == 0 {
            return None;
        }
        self.push_value(hook.function);
        let letters = HOOK_LETTERS
            .into_iter()
            .filter(|(_, bit)| hook.mask & bit != 0)
            .map(|(letter, _)| letter);
        Some((letters.collect(), hook.count))
    }

    /// Name of parameter `n` of the function at index `i`.
    pub fn parameter_name(&self, i: usize, n: i64) -> Option<Vec<u8>> {
        let function = self.value(i);
        info::parameter_name(&self.vm(), function, n)
    }

    /// Pushes captured variable `n` of the function at `function`, answers its
    /// name.
    pub fn push_upvalue_of(&self, function: usize, n: i64) -> Option<Vec<u8>> {
        let function = self.value(function);
        let (name, value) = info::upvalue(&self.vm(), function, n)?;
        self.push_value(value);
        Some(name)
    }

    /// Pops a value into captured variable `n`, answers its name.
    pub fn set_upvalue_of(&self, function: usize, n: i64) -> Option<Vec<u8>> {
        let value = self.pop_value();
        let function = self.value(function);
        info::set_upvalue(&mut self.vm(), function, n, value)
    }

    /// Identity of captured variable `n`.
    pub fn upvalue_id(&self, function: usize, n: i64) -> Option<usize> {
        let function = self.value(function);
        info::upvalue_id(&mut self.vm(), function, n)
    }

    /// Makes variable `n1` of one Lua function refer to `n2` of another.
    pub fn upvalue_join(&self, f1: usize, n1: i64, f2: usize, n2: i64) -> Outcome<()> {
        let (a, b) = (self.value(f1), self.value(f2));
        if a.tag != tag::CLOSURE {
            return Err(self.arg_error(0, "Lua function expected"));
        }
        if b.tag != tag::CLOSURE {
            return Err(self.arg_error(2, "Lua function expected"));
        }
        if !info::upvalue_join(&mut self.vm(), a, n1, b, n2) {
            return Err(self.arg_error(1, "invalid upvalue index"));
        }
        Ok(())
    }
}
