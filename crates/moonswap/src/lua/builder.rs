//! `LuaBuilder`: a VM that is not the plain one; `ProfileBuilder`: one with less in it.

use std::time::Instant;

use crate::value::raise::{caught, make_error_texts};
use crate::{Error, Lua, Profile, Result};

/// Options of a VM that have to be known when it is made; [`Lua::builder`].
///
/// ```
/// use moonswap::Lua;
/// let lua = Lua::builder().compat(true).build();
/// assert_eq!(lua.load("loadstring('return 7')()").eval::<i64>()?, 7);
/// # Ok::<(), moonswap::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "`build` makes the VM"]
pub struct LuaBuilder {
    compat: bool,
    error_texts: bool,
}

impl LuaBuilder {
    /// Adds what older code expects and Lua 5.4 no longer has: `loadstring`,
    /// `unpack`, `table.getn`, `table.maxn`, `setfenv` and `getfenv` (of
    /// functions with an `_ENV` upvalue), `math.pow`, `cosh`, `sinh`, `tanh`,
    /// `frexp`, `ldexp`, `log10`. Off by default.
    pub fn compat(mut self, on: bool) -> Self {
        self.compat = on;
        self
    }

    /// Makes errors what they are in the stand-alone interpreter from where they
    /// are raised: text that ends in the traceback. `__close` methods that run
    /// because of an error that nobody catches get that text. Without it they
    /// get the value that was raised. [`crate::Error`]s that reach the host are
    /// the same either way. Off by default.
    pub fn error_texts(mut self, on: bool) -> Self {
        self.error_texts = on;
        self
    }

    /// Chooses what the program can reach; see [`Profile`].
    ///
    /// ```
    /// use moonswap::{Lua, Profile};
    /// let lua = Lua::builder()
    ///     .profile(Profile::Untrusted)
    ///     .memory_limit(16 << 20)
    ///     .fuel(1_000_000)
    ///     .build()?;
    /// assert!(lua.load("return io == nil and require == nil").eval::<bool>()?);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn profile(self, profile: Profile) -> ProfileBuilder {
        ProfileBuilder {
            options: self,
            profile,
            memory: None,
            fuel: None,
            deadline: None,
        }
    }

    /// The VM, with all standard libraries and the `moonswap` module.
    pub fn build(self) -> Lua {
        let lua = Lua::bare();
        let opened = self.open(&lua, Profile::Full);
        // Filling the tables of a new VM runs no foreign code and has no limits.
        debug_assert!(opened.is_ok(), "{opened:?}");
        lua
    }

    fn open(&self, lua: &Lua, profile: Profile) -> Result<()> {
        lua.with(|cx| {
            moonswap_stdlib::profile::open(cx, profile).map_err(|raised| caught(cx, raised))?;
            if self.compat {
                moonswap_stdlib::compat::open(cx).map_err(|raised| caught(cx, raised))?;
            }
            if matches!(profile, Profile::Full | Profile::Game) {
                crate::lua_module::open(cx).map_err(|raised| caught(cx, raised))?;
            }
            if self.error_texts {
                make_error_texts(cx);
            }
            Ok(())
        })
    }
}

/// A VM of a [`Profile`], and its limits; [`LuaBuilder::profile`].
///
/// `Untrusted` and `Pure` need a memory limit, and a deadline or fuel. Both stay used
/// up: give the VM new ones before each run, with [`Lua::set_deadline`] or
/// [`Lua::set_fuel`].
#[derive(Clone, Debug)]
#[must_use = "`build` makes the VM"]
pub struct ProfileBuilder {
    options: LuaBuilder,
    profile: Profile,
    memory: Option<usize>,
    fuel: Option<u64>,
    deadline: Option<Instant>,
}

impl ProfileBuilder {
    /// Most bytes that all Lua objects may take, the libraries' included; see
    /// [`Lua::set_memory_limit`].
    ///
    /// ```
    /// use moonswap::{ErrorKind, Lua, Profile};
    /// let lua = Lua::builder().profile(Profile::Full).memory_limit(4 << 20).build()?;
    /// let error = lua.load("return ('x'):rep(8 << 20)").exec().unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::Memory));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Calls and iterations of loops that may run; see [`Lua::set_fuel`].
    ///
    /// ```
    /// use moonswap::{ErrorKind, Lua, Profile};
    /// let lua = Lua::builder().profile(Profile::Game).fuel(1000).build()?;
    /// let error = lua.load("while true do end").exec().unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::OutOfFuel));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = Some(units);
        self
    }

    /// From when on no Lua runs; see [`Lua::set_deadline`].
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use moonswap::{ErrorKind, Lua, Profile};
    /// let soon = Instant::now() + Duration::from_millis(20);
    /// let lua = Lua::builder().profile(Profile::Full).deadline(soon).build()?;
    /// let error = lua.load("while true do end").exec().unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::Deadline));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The limits that the profile needs and that were not given, in words.
    fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if self.profile.needs_limits() {
            if self.memory.is_none() {
                missing.push("a memory limit (memory_limit)");
            }
            if self.fuel.is_none() && self.deadline.is_none() {
                missing.push("a limit of time (fuel or deadline)");
            }
        }
        missing
    }

    /// The VM, under its limits.
    ///
    /// # Errors
    /// A limit that the profile needs is missing: the message names it. Or the memory
    /// limit is less than the libraries take.
    ///
    /// ```
    /// use moonswap::{Lua, Profile};
    /// let error = Lua::builder().profile(Profile::Untrusted).build().unwrap_err();
    /// assert!(error.to_string().contains("a memory limit"));
    /// ```
    pub fn build(self) -> Result<Lua> {
        let missing = self.missing();
        if !missing.is_empty() {
            return Err(Error::runtime(format_args!(
                "profile {:?} needs {}: nothing was made",
                self.profile,
                missing.join(" and ")
            )));
        }
        let lua = Lua::bare();
        self.options.open(&lua, self.profile)?;
        if let Some(limit) = self.memory {
            let used = lua.used_memory();
            if limit < used {
                return Err(Error::runtime(format_args!(
                    "a memory limit of {limit} bytes is below the {used} bytes that the libraries take; raise it"
                )));
            }
            lua.machine().set_memory_limit(Some(limit));
        }
        lua.set_fuel(self.fuel);
        lua.set_deadline(self.deadline);
        Ok(lua)
    }
}
