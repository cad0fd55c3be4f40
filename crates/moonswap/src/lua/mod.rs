//! `Lua`: one VM.

pub(crate) mod app_data;
pub(crate) mod builder;
pub(crate) mod chunk;
mod coerce;
mod create;
pub(crate) mod events;
pub(crate) mod gc;
pub(crate) mod loading;
mod modules;
pub(crate) mod options;
pub(crate) mod panics;
pub(crate) mod registry;
mod type_metatables;
mod user_types;
pub(crate) mod weak;

pub(crate) use user_types::UserTypes;

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use moonswap_vm::{Context, Machine, View};

use crate::value::handle::Handle;
use crate::value::raise::{caught, checked};
use crate::{
    Hot, Interrupter, LuaBuilder, LuaOptions, Result, StdLib, Table, Thread, Trust, Value, WeakLua,
};

/// One VM. Clones share it. It stays on its thread; from other threads use
/// [`Lua::interrupter`] and [`Hot::patcher`].
///
/// Values of the VM do not keep it alive: when the last `Lua` is dropped they give
/// [`Error::Destroyed`](crate::Error::Destroyed). A closure or a userdata may own values of the VM that owns
/// it, but not a `Lua`: that would keep the VM for ever.
#[derive(Clone)]
pub struct Lua(pub(crate) Rc<Inner>);

pub(crate) struct Inner {
    machine: Machine,
    app_data: app_data::AppData,
    registry: registry::Registry,
    events: events::Events,
    pub(crate) global_hook: RefCell<Option<Rc<crate::debug_api::Hook>>>,
    panics: panics::Panics,
    pub(crate) warnings: RefCell<Option<crate::debug_api::WarningFunction>>,
    pub(crate) user_types: UserTypes,
    #[cfg(feature = "async")]
    pub(crate) futures: crate::asynchronous::AsyncState,
    trust: RefCell<Trust>,
    loader: RefCell<Option<std::sync::Arc<dyn crate::loader::Loader>>>,
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

    /// A VM with the base library and those that are wanted. Without `PACKAGE` there
    /// is no `require`, and no `moonswap` module.
    ///
    /// # Errors
    /// None today.
    ///
    /// ```
    /// use moonswap::{Lua, LuaOptions, StdLib};
    /// let lua = Lua::new_with(StdLib::STRING | StdLib::MATH, LuaOptions::new())?;
    /// assert!(lua.load("return io == nil and os == nil and string.rep('x', 3) == 'xxx'").eval::<bool>()?);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn new_with(libraries: StdLib, options: LuaOptions) -> Result<Self> {
        let lua = Self::bare();
        lua.let_panics_pass(!options.catch_rust_panics);
        lua.with(|cx| checked(cx, moonswap_stdlib::base::open))?;
        lua.load_std_libs(libraries)?;
        Ok(lua)
    }

    /// [`Lua::new`]: no library of moonswap is unsafe. For programs written for mlua,
    /// where this is.
    #[doc(hidden)]
    pub fn unsafe_new() -> Self {
        Self::new()
    }

    /// [`Lua::new_with`], for programs written for mlua.
    #[doc(hidden)]
    pub fn unsafe_new_with(libraries: StdLib, options: LuaOptions) -> Self {
        Self::new_with(libraries, options).unwrap_or_else(|_| Self::bare())
    }

    /// Opens more standard libraries.
    ///
    /// # Errors
    /// If the memory limit is in the way.
    pub fn load_std_libs(&self, libraries: StdLib) -> Result<()> {
        self.with(|cx| {
            checked(cx, |cx| {
                moonswap_stdlib::open_some(cx, |name| libraries.has(name))?;
                match libraries.has("package") {
                    true => crate::lua_module::open(cx),
                    false => Ok(()),
                }
            })
        })
    }

    /// Options for a VM that is not the plain one.
    pub fn builder() -> LuaBuilder {
        LuaBuilder::default()
    }

    pub(crate) fn bare() -> Self {
        let lua = Self(Rc::new(Inner {
            machine: Machine::new(),
            app_data: Default::default(),
            registry: Default::default(),
            events: Default::default(),
            global_hook: RefCell::default(),
            panics: panics::Panics::default(),
            warnings: RefCell::default(),
            user_types: Default::default(),
            #[cfg(feature = "async")]
            futures: Default::default(),
            trust: RefCell::default(),
            loader: RefCell::default(),
        }));
        lua.with(|cx| cx.host_state::<Back>().borrow_mut().0 = Rc::downgrade(&lua.0));
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
        self.surfacing(|cx| {
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

    /// A handle that does not keep the VM alive.
    pub fn weak(&self) -> WeakLua {
        WeakLua(Rc::downgrade(&self.0))
    }

    /// The table of globals.
    pub fn globals(&self) -> Table {
        self.with(|cx| {
            cx.push_globals();
            Table(Handle::pop(self, cx))
        })
    }

    /// Makes another table the table of globals, for what is loaded from now on.
    /// Functions that were loaded before keep theirs.
    ///
    /// # Errors
    /// For a table of another VM.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// lua.set_globals(lua.create_table_from([("x", 7)])?)?;
    /// assert_eq!(lua.load("x").eval::<i64>()?, 7);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_globals(&self, globals: Table) -> Result<()> {
        self.attempt(|cx| {
            globals.0.push(self, cx)?;
            cx.set_globals();
            Ok(())
        })
    }

    /// The coroutine that runs. In what an asynchronous call runs it is the one that
    /// called: coroutines that are made for such calls are not shown.
    pub fn current_thread(&self) -> Thread {
        let running = self.with(|cx| {
            cx.push_running();
            Thread(Handle::pop(self, cx))
        });
        #[cfg(feature = "async")]
        if let Some(caller) = self.0.futures.caller_of(&running) {
            return caller;
        }
        running
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
