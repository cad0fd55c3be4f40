//! Compiling and loading chunks.
//!
//! Invariants: CX1–CX3, L1.

use std::sync::Arc;

use moonswap_bytecode::dump::{self, UndumpError};
use moonswap_bytecode::{Prototype, verify};
use moonswap_compiler::{CompileOptions, Compiled, Watch};

use super::{Context, Outcome, View, loading};
use crate::callee::FROZEN;
use crate::heap::PROBE_FROM;
use crate::hotpatch::apply::checkpoint;
use crate::hotpatch::registry::{current, texts};
use crate::loader::Loading;
use crate::object::{Closure, Instance, Keep, PrototypeSlot};
use crate::value::{Value, tag};
use crate::vm::Vm;
use crate::{limits, loader};

/// Bytes that compiling and loading take per token, about: the syntax tree, code
/// being made, the prototype and the version (measured: 70 to 220, most between
/// 110 and 160).
const TOKEN_COST: usize = 200;
/// What a string constant takes beyond that: most are unlike all others, and
/// stand in several tables.
const STRING_COST: usize = 250;
/// The same per byte of a string constant: syntax tree, prototype, string.
const BYTE_COST: usize = 4;
/// Bytes that loading takes per byte of a binary chunk, about.
const BINARY_COST: usize = 6;

/// Shorter texts are compiled as a whole: there is nothing to be gained, and what is
/// loaded at last leaves the fewest gaps.
const SHORT_TEXT: usize = 8 << 10;

/// What compiling a text takes, about: counts its tokens with a glance
/// at strings and comments.
fn compiler_bytes(source: &[u8]) -> usize {
    let mut tokens = 0usize;
    let mut strings = 0usize;
    let mut text = 0usize;
    let mut i = 0;
    while let Some(&c) = source.get(i) {
        let start = i;
        i += 1;
        match c {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' | b'\'' => {
                while let Some(&d) = source.get(i) {
                    i += if d == b'\\' { 2 } else { 1 };
                    if d == c || d == b'\n' {
                        break;
                    }
                }
                strings += 1;
                text += i - start;
            }
            b'-' if source.get(i) == Some(&b'-') => {
                i += 1;
                i = match long_bracket(source, i) {
                    Some(end) => end,
                    None => memchr::memchr(b'\n', &source[i..]).map_or(source.len(), |n| i + n),
                };
                continue;
            }
            b'[' => {
                if let Some(end) = long_bracket(source, start) {
                    strings += 1;
                    text += end - start;
                    i = end;
                }
            }
            c if c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80 => {
                while source
                    .get(i)
                    .is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | 0x80..))
                {
                    i += 1;
                }
                text += i - start;
            }
            _ => {}
        }
        tokens += 1;
    }
    tokens
        .saturating_mul(TOKEN_COST)
        .saturating_add(strings.saturating_mul(STRING_COST))
        .saturating_add(text.saturating_mul(BYTE_COST))
}

/// End of the long bracket that begins at `at`, if one does.
fn long_bracket(source: &[u8], at: usize) -> Option<usize> {
    let level = source
        .get(at + 1..)?
        .iter()
        .take_while(|&&c| c == b'=')
        .count();
    let inside = at + 2 + level;
    if source.get(at) != Some(&b'[') || source.get(inside - 1) != Some(&b'[') {
        return None;
    }
    let mut i = inside;
    loop {
        i += memchr::memchr(b']', source.get(i..)?).unwrap_or(source.len() - i) + 1;
        let Some(rest) = source.get(i..) else {
            return Some(source.len());
        };
        let n = rest.iter().take_while(|&&c| c == b'=').count();
        if n == level && rest.get(n) == Some(&b']') {
            return Some(i + n + 1);
        }
    }
}

/// Whether a VM takes source text only.
#[derive(Default)]
struct TextOnly(bool);

impl Context<'_> {
    /// From now on this VM loads no binary chunk, whoever asks for it.
    pub fn refuse_binary_chunks(&self) {
        self.host_state::<TextOnly>().borrow_mut().0 = true;
    }

    /// Whether `mode` ("b", "t") and this VM allow what begins with these bytes, a
    /// binary chunk or text; if not, a message is pushed.
    pub fn accepts_chunk(&self, start: &[u8], mode: &str) -> bool {
        let binary = start.first() == Some(&dump::SIGNATURE);
        if binary && self.host_state::<TextOnly>().borrow().0 {
            self.push_bytes(b"attempt to load a binary chunk (this VM loads source text only)");
            return false;
        }
        let accepted = mode.contains(if binary { 'b' } else { 't' });
        if !accepted {
            let kind = if binary { "binary" } else { "text" };
            self.push_bytes(
                format!("attempt to load a {kind} chunk (mode is '{mode}')").as_bytes(),
            );
        }
        accepted
    }

    /// Compiles source text and pushes the function with `_ENV` = globals, or
    /// pushes the error message and answers false. `mode`: "t", "b" or "bt".
    /// The text is kept for patches as long as the chunk lives; `keep` says what
    /// else is. Of binary chunks there is no text.
    pub fn load(
        &mut self,
        source: &[u8],
        chunk_name: &[u8],
        mode: &str,
        keep: Keep,
    ) -> Outcome<bool> {
        if !self.accepts_chunk(source, mode) {
            return Ok(false);
        }
        let binary = source.first() == Some(&dump::SIGNATURE);
        if !binary {
            // SAFETY: CX1: everything live is on the stack, the text with it.
            unsafe { loading::collect_before(&mut self.vm(), source.len()) };
        }
        self.room_to_load(source, source.len())?;
        self.charge(source.len())?;
        if binary {
            let mut read = self.undump_and_load(source, keep);
            if matches!(read, Err(UndumpError::Memory)) {
                let top = self.vm().top;
                // SAFETY: CX1: everything live is on the stack, the text with it.
                if unsafe { crate::host::collect_for(&mut self.vm(), top) } {
                    read = self.undump_and_load(source, keep);
                }
            }
            self.charge(0)?;
            self.has_constants()?;
            return Ok(match read {
                Ok((instance, n_upvalues)) => {
                    self.push_instance(instance, n_upvalues, None);
                    true
                }
                Err(UndumpError::Memory) => return Err(self.vm().raise_memory()),
                Err(e) => {
                    // Names end at a zero byte in messages.
                    let shown = chunk_name.split(|&b| b == 0).next().unwrap_or_default();
                    let name = match shown.first() {
                        Some(b'@' | b'=') => &shown[1..],
                        Some(&dump::SIGNATURE) => b"binary string",
                        _ => shown,
                    };
                    self.push_bytes(&[name, format!(": {e}").as_bytes()].concat());
                    false
                }
            });
        }
        let name = String::from_utf8_lossy(chunk_name);
        let is_over = || limits::has_to_stop(&self.vm());
        let watch = Watch::new(&is_over);
        let compiled = self.compile_and_load(&name, source, keep, &watch);
        loading::give_back_after(&mut self.vm(), source.len());
        self.charge(0)?;
        self.has_constants()?;
        match compiled {
            Ok((instance, n_upvalues)) => {
                self.push_instance(instance, n_upvalues, Some(source));
                Ok(true)
            }
            Err(message) => {
                self.push_bytes(&message);
                Ok(false)
            }
        }
    }

    /// [`load`](Self::load) of the string at a place of the stack, without a copy. The
    /// chunk is called `chunk_name`, or like the string itself. False if there is no
    /// string: then nothing was done.
    pub fn load_at(
        &mut self,
        at: usize,
        chunk_name: Option<&[u8]>,
        mode: &str,
        keep: Keep,
    ) -> Outcome<bool> {
        let source = match self.at(at) {
            View::String(text) => std::ptr::from_ref(text.as_bytes()),
            _ => return Ok(false),
        };
        // SAFETY: CX1: the stack keeps the string, whose bytes do not change or move.
        // Loading runs no Lua code and writes above the arguments only.
        let source = unsafe { &*source };
        self.load(source, chunk_name.unwrap_or(source), mode, keep)
    }

    /// Whether memory was there for all constants of what was loaded.
    fn has_constants(&self) -> Outcome<()> {
        if self.vm().heap.deferred {
            return Err(self.vm().raise_memory());
        }
        Ok(())
    }

    /// Loads the literals of a text as they are compiled; answers the instance and
    /// how many variables the main chunk captures.
    fn compile_and_load(
        &self,
        name: &str,
        source: &[u8],
        keep: Keep,
        watch: &Watch<'_>,
    ) -> Result<(*mut Instance, usize), Vec<u8>> {
        let wrong = |e| format!("internal compiler error: {e}").into_bytes();
        let mut loading: Option<Loading> = None;
        let mut fault = None;
        let mut give = |child: Arc<Prototype>| {
            if fault.is_some() {
                return;
            }
            match verify::verify_watched(&child, Some(watch)) {
                Ok(()) => {
                    let begin = || Loading::begin(&mut self.vm(), child.id.chunk(), keep);
                    let loading = loading.get_or_insert_with(begin);
                    loading.child(&mut self.vm(), &child);
                }
                Err(e) => fault = Some(e),
            }
        };
        let compiled = if source.len() < SHORT_TEXT {
            let options = CompileOptions {
                watch: Some(watch),
                without_columns: true,
                ..CompileOptions::default()
            };
            moonswap_compiler::compile_with(name, source, options).map(Compiled::Whole)
        } else {
            moonswap_compiler::compile_in_parts(name, source, Some(watch), &mut give)
        };
        let verified = match (fault, compiled) {
            (_, Err(e)) => Err(e.raw),
            (Some(fault), Ok(_)) => Err(wrong(fault)),
            (None, Ok(Compiled::InParts(main, children))) => {
                let verified = verify::verify_without(&main, &children, Some(watch));
                verified
                    .map(|()| Compiled::InParts(main, children))
                    .map_err(wrong)
            }
            (None, Ok(Compiled::Whole(main))) => {
                let verified = verify::verify_watched(&main, Some(watch));
                verified.map(|()| Compiled::Whole(main)).map_err(wrong)
            }
        };
        let mut vm = self.vm();
        match verified {
            Ok(Compiled::InParts(main, _)) => {
                let begin = |vm: &mut Vm| Loading::begin(vm, main.id.chunk(), keep);
                let loading = loading.unwrap_or_else(|| begin(&mut vm));
                Ok((loading.finish(&mut vm, &main), main.upvalues.len()))
            }
            Ok(Compiled::Whole(main)) => {
                if let Some(loading) = loading {
                    loading.abandon(&mut vm);
                }
                let instance = loader::load_instance(&mut vm, &main, keep);
                Ok((instance, main.upvalues.len()))
            }
            Err(message) => {
                if let Some(loading) = loading {
                    loading.abandon(&mut vm);
                }
                Err(message)
            }
        }
    }

    /// Whether there is room for what loading takes, and `more` bytes.
    fn room_to_load(&mut self, source: &[u8], more: usize) -> Outcome<()> {
        let has_limit = self.vm().heap.memory_limit().is_some();
        if !has_limit && source.len() < PROBE_FROM {
            return Ok(());
        }
        // The compiler knows no limits: what it is going to take is estimated.
        let size = match source.first() {
            Some(&dump::SIGNATURE) => source.len().saturating_mul(BINARY_COST),
            // Its own copy is kept.
            _ => compiler_bytes(source).saturating_add(more),
        };
        self.make_room(size)?;
        self.check_size(size)?;
        self.vm().heap.note_freed(size);
        Ok(())
    }

    /// Whether what follows these first bytes of a chunk makes no difference any
    /// more: they have an error, or are all of a binary chunk. Takes as long as
    /// loading them, and may not notice an error at their very end.
    pub fn has_read_enough(&mut self, start: &[u8]) -> Outcome<bool> {
        self.room_to_load(start, 0)?;
        self.charge(start.len())?;
        let is_over = || limits::has_to_stop(&self.vm());
        let watch = Watch::new(&is_over);
        let enough = if start.first() == Some(&dump::SIGNATURE) {
            dump::is_decided(start, Some(&watch), self.vm().heap.room())
        } else {
            let options = CompileOptions {
                watch: Some(&watch),
                ..CompileOptions::default()
            };
            moonswap_compiler::is_hopeless(start, options)
        };
        self.charge(0)?;
        Ok(enough)
    }

    /// The Lua function at index `i` as a binary chunk, with the current code of the
    /// functions inside it; `None` for others.
    pub fn dump(&self, i: usize, strip: bool) -> Outcome<Option<Vec<u8>>> {
        let f = self.value(i);
        if f.tag != tag::CLOSURE {
            return Ok(None);
        }
        let is_over = || limits::has_to_stop(&self.vm());
        let watch = Watch::new(&is_over);
        // SAFETY: CX2: a live closure; an installed slot has a version.
        let prototype = unsafe {
            let version = Closure::version(f.as_closure());
            current::prototype(&self.vm(), version, &watch)
        };
        // It says so again if it stopped what was before.
        let dumped = dump::dump_watched(&prototype, strip, &watch);
        self.charge(0)?;
        match dumped {
            Some(bytes) => Ok(Some(bytes)),
            // The limit that stopped it was lifted meanwhile, by another thread.
            None => Err(self.error_plain("dump stopped")),
        }
    }

    /// Pushes the closure of a main prototype that was just loaded.
    fn push_instance(&self, instance: *mut Instance, n_upvalues: usize, source: Option<&[u8]>) {
        let mut vm = self.vm();
        // SAFETY: CX2: nothing is collected before the closure is pushed.
        unsafe {
            if !FROZEN {
                if let Some(source) = source {
                    texts::keep(&mut vm, instance, source);
                }
                let main = PrototypeSlot::version((*instance).main);
                if Instance::keep(instance) == Keep::Module && (*main).is_main {
                    checkpoint::module(&mut vm, &(*instance).chunk);
                    vm.hot.keep_named(instance);
                }
            }
            let globals = Value::table(vm.globals);
            let environment = vm.heap.new_closed_upvalue(globals);
            (*instance).environment = environment;
            vm.heap.barrier_object(instance.cast(), environment.cast());
            let closure = vm.heap.new_closure((*instance).main, n_upvalues);
            for i in 0..n_upvalues {
                *Closure::upvalue_at(closure, i) = if i == 0 {
                    environment
                } else {
                    vm.heap.new_closed_upvalue(Value::NIL)
                };
            }
            self.push_value(Value::closure(closure));
        }
    }

    /// Makes the chunk a module, if the value at index `i` is the function of a
    /// main chunk that has not begun yet: whoever loaded it, it is kept as
    /// [`Keep::Module`] says.
    pub fn keep_as_module(&self, i: usize) {
        let f = self.value(i);
        if FROZEN || f.tag != tag::CLOSURE {
            return;
        }
        let mut vm = self.vm();
        // SAFETY: CX2: a live closure, whose slot and instance are live.
        unsafe {
            let slot = Closure::slot(f.as_closure());
            let instance = (*slot).instance;
            let is_new = std::ptr::eq((*instance).main, slot)
                && (*PrototypeSlot::version(slot)).is_main
                && (*instance).header.word == 0;
            if is_new && Instance::keep(instance) != Keep::Module {
                checkpoint::module(&mut vm, &(*instance).chunk);
                Instance::set_keep(instance, Keep::Module);
                vm.hot.keep_module(instance);
            }
        }
    }

    /// Pops a value and makes it the first upvalue (the environment) of the
    /// Lua function at index `i`.
    pub fn set_first_upvalue(&self, i: usize) {
        let value = self.pop_value();
        let f = self.value(i);
        if f.tag != tag::CLOSURE {
            return;
        }
        // SAFETY: CX2; barrier after the store.
        unsafe {
            let closure = f.as_closure();
            if (*closure).header.word > 0 {
                let up = *Closure::upvalue_at(closure, 0);
                self.vm().undo().variable(up);
                crate::value::store((*up).value, value);
                self.vm().heap.barrier(up.cast(), value);
            }
        }
    }
}
