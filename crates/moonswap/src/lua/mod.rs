//! `Lua`: one VM.

pub(crate) mod builder;
pub(crate) mod chunk;

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::{Rc, Weak};

use moonswap_vm::{Context, Machine, Outcome, View};

use crate::value::callback::{self, caught};
use crate::value::handle::Handle;
use crate::{
    Chunk, Error, FromLuaMulti, Function, Hot, Interrupter, IntoLua, IntoLuaMulti, LuaBuilder,
    LuaString, Result, Table, Trust, Value,
};

/// One VM. Clones share it. It stays on its thread; from other threads use
/// [`Lua::interrupter`] and [`Hot::patcher`].
#[derive(Clone)]
pub struct Lua(Rc<Inner>);

struct Inner {
    machine: Machine,
    app_data: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
    trust: RefCell<Trust>,
}

/// How a native finds its `Lua` again; weak, for the VM owns the natives.
#[derive(Default)]
struct Back(Weak<Inner>);

impl fmt::Debug for Lua {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lua")
    }
}

impl Default for Lua {
    fn default() -> Self {
        Self::new()
    }
}

impl Lua {
    /// A VM with all standard libraries and the `moonswap` module.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Options for a VM that is not the plain one.
    pub fn builder() -> LuaBuilder {
        LuaBuilder::default()
    }

    pub(crate) fn with_libraries(compat: bool) -> Self {
        let lua = Self(Rc::new(Inner {
            machine: Machine::new(),
            app_data: RefCell::default(),
            trust: RefCell::default(),
        }));
        let opened = lua.with(|cx| {
            cx.host_state::<Back>().borrow_mut().0 = Rc::downgrade(&lua.0);
            open(cx, compat).map_err(|raised| caught(cx, raised))
        });
        // Filling the tables of a new VM runs no foreign code and has no limits.
        debug_assert!(opened.is_ok(), "{opened:?}");
        lua
    }

    /// The VM that runs a native.
    pub(crate) fn of(cx: &Context<'_>) -> Option<Self> {
        cx.host_state::<Back>().borrow().0.upgrade().map(Self)
    }

    /// Runs `f` with the VM's stack.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Context<'_>) -> R) -> R {
        self.0.machine.with(f)
    }

    /// [`Lua::with`] for what may allocate: an error, and no stand-in, where the
    /// memory limit is in the way.
    pub(crate) fn attempt<R>(&self, f: impl FnOnce(&mut Context<'_>) -> Result<R>) -> Result<R> {
        self.with(|cx| {
            if let Err(raised) = cx.relieve() {
                return Err(caught(cx, raised));
            }
            let result = f(cx);
            match cx.check_made() {
                Err(raised) => Err(caught(cx, raised)),
                Ok(()) => result,
            }
        })
    }

    /// Which patch files this VM believes.
    pub(crate) fn trust(&self) -> &RefCell<Trust> {
        &self.0.trust
    }

    /// The machine below, for tests of it (limits, stress modes).
    #[doc(hidden)]
    pub fn machine(&self) -> &Machine {
        &self.0.machine
    }

    /// Whether both are the same VM.
    pub fn is_same(&self, other: &Lua) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Source text to be run.
    pub fn load(&self, source: impl AsRef<[u8]>) -> Chunk {
        Chunk::new(self, source.as_ref().to_vec())
    }

    /// The table of globals.
    pub fn globals(&self) -> Table {
        self.with(|cx| {
            cx.push_globals();
            Table(Handle::pop(self, cx))
        })
    }

    /// An empty table.
    pub fn create_table(&self) -> Result<Table> {
        self.attempt(|cx| {
            cx.push_table(0, 0);
            Ok(Table(Handle::pop(self, cx)))
        })
    }

    /// A table with the given entries.
    pub fn create_table_from<K: IntoLua, V: IntoLua>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Table> {
        let table = self.create_table()?;
        for (key, value) in entries {
            table.raw_set(key, value)?;
        }
        Ok(table)
    }

    /// A table with the given values at 1, 2, …
    pub fn create_sequence_from<T: IntoLua>(
        &self,
        values: impl IntoIterator<Item = T>,
    ) -> Result<Table> {
        self.create_table_from(
            values
                .into_iter()
                .enumerate()
                .map(|(at, value)| (at + 1, value)),
        )
    }

    /// A byte string.
    pub fn create_string(&self, bytes: impl AsRef<[u8]>) -> Result<LuaString> {
        self.attempt(|cx| {
            let made = cx.push_large(bytes.as_ref());
            made.map_err(|raised| caught(cx, raised))?;
            Ok(LuaString(Handle::pop(self, cx)))
        })
    }

    /// A Lua function that runs a Rust closure.
    pub fn create_function<A, R, F>(&self, function: F) -> Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
        F: Fn(&Lua, A) -> Result<R> + 'static,
    {
        self.attempt(|cx| {
            callback::push_closure(cx, function);
            Ok(Function(Handle::pop(self, cx)))
        })
    }

    /// [`Lua::create_function`] for a closure with state of its own. A call
    /// while it runs is an error.
    pub fn create_function_mut<A, R, F>(&self, function: F) -> Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
        F: FnMut(&Lua, A) -> Result<R> + 'static,
    {
        let function = RefCell::new(function);
        self.create_function(move |lua, arguments| match function.try_borrow_mut() {
            Ok(mut function) => function(lua, arguments),
            Err(_) => Err(Error::runtime(
                "a Rust function with state was called while it runs",
            )),
        })
    }

    /// A coroutine that is about to run `function`.
    pub fn create_thread(&self, function: Function) -> Result<crate::Thread> {
        self.attempt(|cx| {
            function.0.push(self, cx)?;
            cx.push_coroutine();
            Ok(crate::Thread(Handle::pop(self, cx)))
        })
    }

    /// Collects all garbage.
    pub fn gc_collect(&self) -> Result<()> {
        self.with(|cx| cx.gc_collect().map_err(|raised| caught(cx, raised)))
    }

    /// Bytes in use by Lua objects.
    pub fn used_memory(&self) -> usize {
        self.with(|cx| cx.gc_bytes())
    }

    /// Hot patching.
    pub fn hot(&self) -> Hot {
        Hot::new(self)
    }

    /// A handle that stops what Lua does from any thread: an error of kind
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted), which passes
    /// everything as that of [`Lua::set_deadline`] does, once per request.
    pub fn interrupter(&self) -> Interrupter {
        self.machine().interrupter()
    }

    /// Commits queued patches and does due collector work. For hosts that wait
    /// for something else between calls into Lua.
    pub fn poll(&self) {
        self.machine().poll();
    }

    /// Writes out what Lua's files hold in their buffers; before the process
    /// ends.
    pub fn flush(&self) {
        self.with(|cx| moonswap_stdlib::flush_all(cx));
    }

    /// Limits the memory of Lua objects, in bytes; `None` lifts it.
    pub fn set_memory_limit(&self, bytes: Option<usize>) {
        self.machine().set_memory_limit(bytes);
    }

    /// From `deadline` on no Lua runs. What runs then ends with an error of
    /// kind [`ErrorKind::Deadline`](crate::ErrorKind::Deadline), usually within
    /// milliseconds; nobody has to watch the clock. Later calls end the same way
    /// at once, until another deadline is set; `None` lifts it.
    ///
    /// The error cannot be caught: `pcall`, message handlers, `__close` and `__gc`
    /// are passed by, coroutines on the way are dead. Variables that were to be
    /// closed are not. The VM itself stays usable. A library function that waits
    /// for the system (`os.execute`, reading from a terminal) ends first.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # use moonswap::{ErrorKind, Lua};
    /// let lua = Lua::new();
    /// lua.set_deadline(Some(Instant::now() + Duration::from_millis(20)));
    /// let error = lua.load("while true do pcall(error) end").exec().unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::Deadline));
    /// lua.set_deadline(None);
    /// assert_eq!(lua.load("return 1 + 1").eval::<i64>()?, 2);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_deadline(&self, deadline: Option<std::time::Instant>) {
        self.machine().set_deadline(deadline);
    }

    /// Lets Lua run for `units` more, then ends it as a deadline does, with
    /// [`ErrorKind::OutOfFuel`](crate::ErrorKind::OutOfFuel), and every later
    /// call at once, until it gets more; `None` lifts it.
    ///
    /// One unit is a call of a function or an iteration of a loop; library functions
    /// take one for each 16 elements or bytes they go through. The same program
    /// with the same input takes the same amount on every machine.
    pub fn set_fuel(&self, units: Option<u64>) {
        self.machine().set_fuel(units);
    }

    /// What is left of the fuel; `None` if it is not limited.
    pub fn fuel(&self) -> Option<u64> {
        self.machine().fuel()
    }

    /// Calls all finalizers and writes out files, as the end of a program does.
    pub fn close(&self) {
        self.machine().close();
        self.flush();
    }

    /// Turns `warn` on or off, as the command line's `-W` does.
    pub fn set_warnings(&self, on: bool) {
        self.with(|cx| cx.warn(if on { b"@on" } else { b"@off" }, false));
    }

    /// Keeps a value of the host's with the VM; returns the one of the same
    /// type that was there.
    pub fn set_app_data<T: 'static>(&self, data: T) -> Option<Rc<T>> {
        let old = self
            .0
            .app_data
            .borrow_mut()
            .insert(TypeId::of::<T>(), Rc::new(data));
        old.and_then(|data| data.downcast().ok())
    }

    /// The host's value of a type.
    pub fn app_data<T: 'static>(&self) -> Option<Rc<T>> {
        let found = self.0.app_data.borrow().get(&TypeId::of::<T>()).cloned();
        found.and_then(|data| data.downcast().ok())
    }

    /// Takes the host's value of a type away.
    pub fn remove_app_data<T: 'static>(&self) -> Option<Rc<T>> {
        let found = self.0.app_data.borrow_mut().remove(&TypeId::of::<T>());
        found.and_then(|data| data.downcast().ok())
    }

    /// Text of a value as `tostring` gives it.
    pub fn to_display(&self, value: &Value) -> Result<Vec<u8>> {
        self.attempt(|cx| {
            let at = cx.height();
            value.push(self, cx)?;
            if let Err(raised) = cx.push_tostring(at) {
                return Err(caught(cx, raised));
            }
            Ok(match cx.at(cx.height() - 1) {
                View::String(text) => text.as_bytes().to_vec(),
                _ => Vec::new(),
            })
        })
    }
}

fn open(cx: &mut Context<'_>, compat: bool) -> Outcome<()> {
    moonswap_stdlib::open_all(cx)?;
    if compat {
        moonswap_stdlib::compat::open(cx)?;
    }
    // The stand-alone reference interpreter starts in this mode.
    cx.gc_set_mode("generational");
    crate::lua_module::open(cx)
}
