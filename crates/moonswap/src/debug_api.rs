//! What runs: hooks, the stack, tracebacks, warnings.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{BitOr, BitOrAssign};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use moonswap_vm::{Context, Outcome, View, contained};

use crate::value::callback::{is_protected_call, push_callback};
use crate::value::function::FunctionInfo;
use crate::value::handle::Handle;
use crate::value::raise::raise_plain;
use crate::{Error, Function, Lua, LuaString, Result, Thread};

/// What a hook answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VmState {
    /// The program goes on.
    Continue,
    /// The coroutine yields, without values, and goes on here when it is resumed. Only
    /// at lines and counts, and only in a coroutine; elsewhere it is an error.
    Yield,
}

/// At which events a hook is called.
///
/// ```
/// use moonswap::HookTriggers;
/// let both = HookTriggers::ON_CALLS | HookTriggers::new().every_nth_instruction(1000);
/// assert!(both.on_calls && both.every_nth_instruction == Some(1000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookTriggers {
    /// Before a function runs.
    pub on_calls: bool,
    /// Before a function returns.
    pub on_returns: bool,
    /// Before a new line runs.
    pub every_line: bool,
    /// After so many instructions.
    pub every_nth_instruction: Option<u32>,
}

impl HookTriggers {
    /// Only [`HookTriggers::on_calls`].
    pub const ON_CALLS: Self = Self::new().on_calls();
    /// Only [`HookTriggers::on_returns`].
    pub const ON_RETURNS: Self = Self::new().on_returns();
    /// Only [`HookTriggers::every_line`].
    pub const EVERY_LINE: Self = Self::new().every_line();

    /// None.
    pub const fn new() -> Self {
        Self {
            on_calls: false,
            on_returns: false,
            every_line: false,
            every_nth_instruction: None,
        }
    }

    /// Sets `on_calls`.
    #[must_use]
    pub const fn on_calls(mut self) -> Self {
        self.on_calls = true;
        self
    }

    /// Sets `on_returns`.
    #[must_use]
    pub const fn on_returns(mut self) -> Self {
        self.on_returns = true;
        self
    }

    /// Sets `every_line`.
    #[must_use]
    pub const fn every_line(mut self) -> Self {
        self.every_line = true;
        self
    }

    /// Sets `every_nth_instruction`.
    #[must_use]
    pub const fn every_nth_instruction(mut self, n: u32) -> Self {
        self.every_nth_instruction = Some(n);
        self
    }

    /// As `debug.sethook` spells them.
    fn mask(self) -> (Vec<u8>, i32) {
        let letters = [
            (self.on_calls, b'c'),
            (self.on_returns, b'r'),
            (self.every_line, b'l'),
        ];
        let mask = letters.into_iter().filter_map(|(on, c)| on.then_some(c));
        let count = self.every_nth_instruction.unwrap_or(0);
        (mask.collect(), i32::try_from(count).unwrap_or(i32::MAX))
    }
}

impl BitOr for HookTriggers {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self {
            on_calls: self.on_calls | other.on_calls,
            on_returns: self.on_returns | other.on_returns,
            every_line: self.every_line | other.every_line,
            every_nth_instruction: self.every_nth_instruction.or(other.every_nth_instruction),
        }
    }
}
impl BitOrAssign for HookTriggers {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// Why a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DebugEvent {
    /// A function is about to run.
    Call,
    /// A function is about to return.
    Ret,
    /// A function is about to run in place of its caller.
    TailCall,
    /// A new line is about to run.
    Line,
    /// So many instructions have run.
    Count,
    /// No hook is called.
    Unknown(i32),
}

/// An activation of a function; [`Lua::inspect_stack`], and what hooks get.
pub struct Debug<'a> {
    info: FunctionInfo,
    event: DebugEvent,
    line: Option<usize>,
    is_tail_call: bool,
    function: Function,
    _stack: PhantomData<&'a Lua>,
}

impl fmt::Debug for Debug<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debug")
            .field("event", &self.event)
            .field("line", &self.line)
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

/// What an activation is called; [`Debug::names`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DebugNames<'a> {
    /// A name for the function, if its caller tells one.
    pub name: Option<Cow<'a, str>>,
    /// What the name is: `"global"`, `"local"`, `"method"`, `"field"`, `"upvalue"`.
    pub name_what: Option<&'static str>,
}

/// Where a function comes from; [`Debug::source`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DebugSource<'a> {
    /// Chunk name as given to `load`.
    pub source: Option<Cow<'a, str>>,
    /// Chunk name as messages show it.
    pub short_src: Option<Cow<'a, str>>,
    /// First line in the source text.
    pub line_defined: Option<usize>,
    /// Last line in the source text.
    pub last_line_defined: Option<usize>,
    /// `"Lua"`, `"C"` (native) or `"main"`.
    pub what: &'static str,
}

/// What a function takes; [`Debug::stack`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct DebugStack {
    /// How many variables it captured.
    pub num_upvalues: u8,
    /// How many parameters it names.
    pub num_params: u8,
    /// Whether it takes any number of arguments.
    pub is_vararg: bool,
}

impl<'a> Debug<'a> {
    /// Of the activation at a level of the running coroutine, 0 being the one on top.
    fn at(lua: &Lua, cx: &Context<'_>, level: i64, event: DebugEvent) -> Option<Self> {
        let base = cx.height();
        // The bottom of the stack is the host itself.
        let is_host =
            cx.push_running() && !matches!(cx.push_info_level(None, level + 1, b""), Ok(true));
        cx.set_height(base);
        if is_host || !matches!(cx.push_info_level(None, level, b"nSltuf"), Ok(true)) {
            cx.set_height(base);
            return None;
        }
        let info = FunctionInfo::read(cx, base);
        let line = match cx.raw_get_field(base, "currentline") {
            View::Integer(line) => usize::try_from(line).ok(),
            _ => None,
        };
        let is_tail_call = cx.raw_get_field(base, "istailcall").truthy();
        cx.push(cx.raw_get_field(base, "func"));
        let function = Function(Handle::pop(lua, cx));
        cx.set_height(base);
        Some(Self {
            info,
            event,
            line,
            is_tail_call,
            function,
            _stack: PhantomData,
        })
    }

    /// Why the hook is called.
    pub fn event(&self) -> DebugEvent {
        self.event
    }

    /// The function.
    pub fn function(&self) -> Function {
        self.function.clone()
    }

    /// What it is called.
    pub fn names(&self) -> DebugNames<'_> {
        DebugNames {
            name: self.info.name.as_deref().map(Cow::Borrowed),
            name_what: self.info.name_what,
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> DebugSource<'_> {
        DebugSource {
            source: self.info.source.as_deref().map(Cow::Borrowed),
            short_src: self.info.short_src.as_deref().map(Cow::Borrowed),
            line_defined: self.info.line_defined,
            last_line_defined: self.info.last_line_defined,
            what: self.info.what,
        }
    }

    /// The line that runs; `None` in native functions.
    pub fn current_line(&self) -> Option<usize> {
        self.line
    }

    /// Whether it runs in place of its caller.
    pub fn is_tail_call(&self) -> bool {
        self.is_tail_call
    }

    /// What it takes.
    pub fn stack(&self) -> DebugStack {
        DebugStack {
            num_upvalues: self.info.num_upvalues,
            num_params: self.info.num_params,
            is_vararg: self.info.is_vararg,
        }
    }
}

/// Name of the Lua code that waits for futures. Hooks do not see it.
pub(crate) const ASYNC_CHUNK: &str = "=[async]";

/// What is called for warnings.
pub(crate) type WarningFunction = Rc<dyn Fn(&Lua, &str, bool) -> Result<()>>;

pub(crate) type Hook = dyn Fn(&Lua, &Debug<'_>) -> Result<VmState>;

/// Runs a hook, called as one of `debug.sethook` is.
fn run_hook(cx: &mut Context<'_>, hook: &Hook) -> Outcome<usize> {
    let Some(lua) = Lua::of(cx) else {
        return Ok(0);
    };
    let event = match cx.at(0) {
        View::String(name) => match name.as_bytes() {
            b"call" => DebugEvent::Call,
            b"return" => DebugEvent::Ret,
            b"tail call" => DebugEvent::TailCall,
            b"line" => DebugEvent::Line,
            b"count" => DebugEvent::Count,
            _ => DebugEvent::Unknown(-1),
        },
        _ => DebugEvent::Unknown(-1),
    };
    let Some(debug) = Debug::at(&lua, cx, 1, event) else {
        return Ok(0);
    };
    let is_async_driver = debug.info.source.as_deref() == Some(ASYNC_CHUNK);
    if is_async_driver || is_protected_call(cx, &debug.function.0) {
        return Ok(0);
    }
    let run = || hook(&lua, &debug);
    match cx.suspended(|| catch_unwind(AssertUnwindSafe(run))) {
        Ok(Ok(VmState::Continue)) => Ok(0),
        Ok(Ok(VmState::Yield)) => {
            cx.yield_after_hook();
            Ok(0)
        }
        Ok(Err(error)) => Err(raise_plain(cx, &error)),
        Err(payload) => Err(lua.raise_panic(cx, payload)),
    }
}

/// Whose hook it is.
#[derive(Clone, Copy)]
enum Of<'t> {
    Running,
    /// Of the one that runs and of those that it makes.
    AllNew,
    This(&'t Thread),
}

impl Lua {
    fn hook(&self, of: Of<'_>, triggers: HookTriggers, hook: Rc<Hook>) -> Result<()> {
        let (mask, count) = triggers.mask();
        self.attempt(|cx| {
            let at = cx.height();
            if let Of::This(thread) = of {
                thread.0.push(self, cx)?;
            }
            cx.push_boxed("?", Box::new(move |cx| run_hook(cx, &*hook)));
            match (of, cx.at(at)) {
                (Of::This(_), View::Coroutine(coroutine)) => {
                    cx.set_hook(Some(coroutine), &mask, count);
                }
                (Of::AllNew, _) => cx.set_inherited_hook(&mask, count),
                _ => cx.set_hook(None, &mask, count),
            }
            Ok(())
        })
    }

    fn unhook(&self, of: Option<&Thread>) {
        self.with(|cx| {
            let at = cx.height();
            if let Some(thread) = of
                && thread.0.push(self, cx).is_err()
            {
                return;
            }
            cx.push_nil();
            match (of, cx.at(at)) {
                (Some(_), View::Coroutine(coroutine)) => cx.set_hook(Some(coroutine), b"", 0),
                _ => cx.set_hook(None, b"", 0),
            }
        });
    }

    /// Calls `callback` at events of the coroutine that runs, in place of the hook that
    /// was there. An error of it is raised in the program.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use moonswap::{HookTriggers, Lua, VmState};
    /// let lua = Lua::new();
    /// let lines = Rc::new(RefCell::new(Vec::new()));
    /// let seen = lines.clone();
    /// lua.set_hook(HookTriggers::EVERY_LINE, move |_, debug| {
    ///     seen.borrow_mut().extend(debug.current_line());
    ///     Ok(VmState::Continue)
    /// })?;
    /// lua.load("local a = 1\nlocal b = 2").exec()?;
    /// lua.remove_hook();
    /// assert_eq!(*lines.borrow(), [1, 2]);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_hook<F>(&self, triggers: HookTriggers, callback: F) -> Result<()>
    where
        F: Fn(&Lua, &Debug<'_>) -> Result<VmState> + 'static,
    {
        self.hook(Of::Running, triggers, Rc::new(callback))
    }

    /// Takes the hook of the coroutine that runs away.
    pub fn remove_hook(&self) {
        self.unhook(None);
    }

    /// [`Lua::set_hook`] that holds for coroutines as well that the one that runs makes
    /// from now on, and for those that they make.
    ///
    /// # Errors
    /// The same.
    ///
    /// ```
    /// use std::{cell::Cell, rc::Rc};
    /// use moonswap::{HookTriggers, Lua, VmState};
    /// let lua = Lua::new();
    /// let n_lines = Rc::new(Cell::new(0));
    /// let seen = n_lines.clone();
    /// lua.set_global_hook(HookTriggers::EVERY_LINE, move |_, _| {
    ///     seen.set(seen.get() + 1);
    ///     Ok(VmState::Continue)
    /// })?;
    /// lua.load("coroutine.wrap(function()\nlocal x = 1\nend)()").exec()?;
    /// assert!(n_lines.get() >= 3);
    /// lua.remove_global_hook();
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_global_hook<F>(&self, triggers: HookTriggers, callback: F) -> Result<()>
    where
        F: Fn(&Lua, &Debug<'_>) -> Result<VmState> + 'static,
    {
        // Coroutines keep the function below; what it calls can be taken away.
        let global = |lua: &Lua, debug: &Debug<'_>| {
            let callback = lua.0.global_hook.borrow().clone();
            match callback {
                Some(callback) => callback(lua, debug),
                None => {
                    lua.remove_hook();
                    Ok(VmState::Continue)
                }
            }
        };
        let callback: Rc<Hook> = Rc::new(callback);
        let old = self.0.global_hook.replace(Some(callback));
        let hooked = self.hook(Of::AllNew, triggers, Rc::new(global));
        drop(old);
        hooked
    }

    /// Takes the hook of [`Lua::set_global_hook`] away, from all coroutines.
    pub fn remove_global_hook(&self) {
        let old = self.0.global_hook.replace(None);
        self.remove_hook();
        drop(old);
    }

    /// Calls `f` with the activation at a level, 0 being the function that runs;
    /// `None` if there is none.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let line = lua.create_function(|lua, ()| {
    ///     Ok(lua.inspect_stack(1, |caller| caller.current_line()).flatten())
    /// })?;
    /// lua.globals().set("line", line)?;
    /// assert_eq!(lua.load("\nreturn (line())").eval::<usize>()?, 2);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn inspect_stack<R>(&self, level: usize, f: impl FnOnce(&Debug<'_>) -> R) -> Option<R> {
        let level = i64::try_from(level).ok()?;
        let debug = self.with(|cx| Debug::at(self, cx, level, DebugEvent::Unknown(-1)))?;
        Some(f(&debug))
    }

    /// The traceback of what runs from a level on, with a message before it.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn traceback(&self, message: Option<&str>, level: usize) -> Result<LuaString> {
        let text = self.with(|cx| cx.traceback(None, message.map(str::as_bytes), level));
        self.create_string(text)
    }

    /// Calls `callback` for each piece of the warnings that `warn` and
    /// [`Lua::warning`] emit, and whether more of the same warning follows. It is told
    /// of errors in finalizers and in destructors as well.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let heard = Rc::new(RefCell::new(String::new()));
    /// let told = heard.clone();
    /// lua.set_warning_function(move |_, piece, _| {
    ///     told.borrow_mut().push_str(piece);
    ///     Ok(())
    /// });
    /// lua.load("warn('low ', 'fuel')").exec()?;
    /// assert_eq!(*heard.borrow(), "low fuel");
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_warning_function<F>(&self, callback: F)
    where
        F: Fn(&Lua, &str, bool) -> Result<()> + 'static,
    {
        let old = self.0.warnings.replace(Some(Rc::new(callback)));
        drop(old);
        let weak = self.weak();
        self.with(|cx| {
            cx.set_warning_sink(Some(Rc::new(move |message| {
                let Some(lua) = weak.try_upgrade() else {
                    return;
                };
                let text = String::from_utf8_lossy(message);
                // Nobody waits for what the callback panics with.
                let _ = contained(|| lua.warning(text, false));
            })));
        });
        let warn = self.attempt(|cx| {
            push_callback(
                cx,
                Box::new(|lua, pieces| {
                    let n = pieces.len();
                    if n == 0 {
                        return Err(Error::runtime(
                            "bad argument #1 to 'warn' (string expected)",
                        ));
                    }
                    for (at, piece) in (1..).zip(pieces) {
                        let piece: LuaString = lua.unpack(piece)?;
                        lua.warning(piece.to_string_lossy(), at < n);
                    }
                    Ok(crate::MultiValue::new())
                }),
            );
            Ok(Function(Handle::pop(self, cx)))
        });
        // Without memory for it warnings go where they went.
        if let Ok(warn) = warn {
            drop(self.globals().raw_set("warn", warn));
        }
    }

    /// Calls it no more: warnings go to the standard error stream, if they are on.
    pub fn remove_warning_function(&self) {
        let old = self.0.warnings.replace(None);
        drop(old);
        self.with(|cx| cx.set_warning_sink(None));
    }

    /// Emits a piece of a warning, as `warn` does: up to a NUL. Errors of the host's
    /// callback, and warnings of its own, are dropped.
    pub fn warning(&self, message: impl AsRef<str>, incomplete: bool) {
        let piece = message.as_ref().split('\0').next().unwrap_or_default();
        let warnings = &self.0.warnings;
        let callback = warnings.borrow().clone();
        match callback {
            None => self.with(|cx| cx.warn(piece.as_bytes(), incomplete)),
            Some(callback) => {
                let quiet: WarningFunction = Rc::new(|_, _, _| Ok(()));
                warnings.replace(Some(quiet.clone()));
                let ended = catch_unwind(AssertUnwindSafe(|| callback(self, piece, incomplete)));
                let mut now = warnings.borrow_mut();
                // Unless it was changed meanwhile.
                if now.as_ref().is_some_and(|now| Rc::ptr_eq(now, &quiet)) {
                    *now = Some(callback);
                }
                drop(now);
                if let Err(panic) = ended {
                    resume_unwind(panic);
                }
            }
        }
    }
}

impl Thread {
    /// [`Lua::set_hook`] for this coroutine.
    ///
    /// # Errors
    /// The same.
    pub fn set_hook<F>(&self, triggers: HookTriggers, callback: F) -> Result<()>
    where
        F: Fn(&Lua, &Debug<'_>) -> Result<VmState> + 'static,
    {
        let lua = self.0.lua()?;
        lua.hook(Of::This(self), triggers, Rc::new(callback))
    }

    /// Takes the hook of this coroutine away.
    pub fn remove_hook(&self) {
        if let Ok(lua) = self.0.lua() {
            lua.unhook(Some(self));
        }
    }
}
