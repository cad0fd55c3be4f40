//! The collector and the memory limit.

use crate::value::raise::{caught, checked};
use crate::{Lua, Result};

/// How the incremental collector works; [`GcMode::Incremental`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcIncParams {
    /// Percent of the live memory after which a cycle begins.
    pub pause: Option<i32>,
    /// Percent of what is allocated that is collected meanwhile.
    pub step_multiplier: Option<i32>,
    /// Taken and not used: the VM knows its own step.
    pub step_size: Option<i32>,
}

impl GcIncParams {
    /// Sets the pause.
    #[must_use]
    pub fn pause(mut self, percent: i32) -> Self {
        self.pause = Some(percent);
        self
    }

    /// Sets the multiplier.
    #[must_use]
    pub fn step_multiplier(mut self, percent: i32) -> Self {
        self.step_multiplier = Some(percent);
        self
    }

    /// Sets the step.
    #[must_use]
    pub fn step_size(mut self, size: i32) -> Self {
        self.step_size = Some(size);
        self
    }
}

/// How the generational collector works; [`GcMode::Generational`]. Taken and not
/// used: this VM's collector has one generation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcGenParams {
    /// Percent after which young objects are collected.
    pub minor_multiplier: Option<i32>,
    /// Percent after which all objects are collected.
    pub minor_to_major: Option<i32>,
    /// Percent after which only young objects are collected again.
    pub major_to_minor: Option<i32>,
}

impl GcGenParams {
    /// Sets the percentage of young collections.
    #[must_use]
    pub fn minor_multiplier(mut self, percent: i32) -> Self {
        self.minor_multiplier = Some(percent);
        self
    }

    /// Sets the percentage of full collections.
    #[must_use]
    pub fn minor_to_major(mut self, percent: i32) -> Self {
        self.minor_to_major = Some(percent);
        self
    }

    /// Sets the percentage after which young collections begin again.
    #[must_use]
    pub fn major_to_minor(mut self, percent: i32) -> Self {
        self.major_to_minor = Some(percent);
        self
    }
}

/// The collector's modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GcMode {
    /// In steps.
    Incremental(GcIncParams),
    /// What `collectgarbage("generational")` asks for.
    Generational(GcGenParams),
}

impl Lua {
    /// Collects all garbage.
    ///
    /// # Errors
    /// If a limit ends it.
    pub fn gc_collect(&self) -> Result<()> {
        self.with(|cx| cx.gc_collect().map_err(|raised| caught(cx, raised)))
    }

    /// A step of the collector; true if it ended a cycle.
    ///
    /// # Errors
    /// If a limit ends it.
    pub fn gc_step(&self) -> Result<bool> {
        self.with(|cx| checked(cx, |cx| cx.gc_step(0)))
    }

    /// Whether the collector works by itself.
    pub fn gc_is_running(&self) -> bool {
        self.with(|cx| cx.gc_is_running())
    }

    /// Lets the collector rest until [`Lua::gc_restart`].
    pub fn gc_stop(&self) {
        self.with(|cx| cx.gc_stop());
    }

    /// Lets the collector work by itself again.
    pub fn gc_restart(&self) {
        self.with(|cx| cx.gc_restart());
    }

    /// Changes the collector's mode; answers what it was. In a finalizer it changes
    /// nothing and answers `mode`.
    ///
    /// ```
    /// use moonswap::state::{GcIncParams, GcMode};
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// let calm = GcMode::Incremental(GcIncParams::default().pause(300));
    /// assert!(matches!(lua.gc_set_mode(calm), GcMode::Incremental(_)));
    /// ```
    pub fn gc_set_mode(&self, mode: GcMode) -> GcMode {
        if self.with(|cx| cx.gc_in_finalizer()) {
            return mode;
        }
        self.with(|cx| match mode {
            GcMode::Incremental(GcIncParams {
                pause,
                step_multiplier,
                step_size,
            }) => {
                let old = cx.gc_set_mode("incremental");
                let pause = pause.map(|percent| cx.gc_set_pause(percent.into()) as i32);
                let step_multiplier =
                    step_multiplier.map(|percent| cx.gc_set_step_multiplier(percent.into()) as i32);
                match old {
                    "generational" => GcMode::Generational(GcGenParams::default()),
                    _ => GcMode::Incremental(GcIncParams {
                        pause,
                        step_multiplier,
                        step_size,
                    }),
                }
            }
            GcMode::Generational(params) => match cx.gc_set_mode("generational") {
                "generational" => GcMode::Generational(params),
                _ => GcMode::Incremental(GcIncParams::default()),
            },
        })
    }

    /// Bytes in use by Lua objects.
    pub fn used_memory(&self) -> usize {
        self.with(|cx| cx.gc_bytes())
    }

    /// Limits the memory of Lua objects, in bytes; 0 lifts the limit. Answers the one
    /// that was in force.
    ///
    /// # Errors
    /// None: the signature is mlua's, where not every allocator can be limited.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// lua.set_memory_limit(lua.used_memory() + (1 << 20))?;
    /// assert!(lua.load("return ('x'):rep(8 << 20)").exec().is_err());
    /// lua.set_memory_limit(0)?;
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn set_memory_limit(&self, bytes: usize) -> Result<usize> {
        let old = self.with(|cx| cx.memory_limit());
        self.machine()
            .set_memory_limit((bytes != 0).then_some(bytes));
        Ok(old.unwrap_or(0))
    }
}
