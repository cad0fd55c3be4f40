//! Signals. Ctrl-C and SIGTERM: the first one while Lua runs breaks it off with an
//! error, as in the reference, so that pending `__close` methods run and the state
//! is closed; a second one, or one while nothing runs, ends the process. A process
//! that SIGTERM ended this way tells its parent so. A pipe that nobody reads any
//! more ends the process, as it ends every filter. SIGHUP and SIGUSR1 mean what
//! the system says: the end, at once.

use moonswap::{Interrupter, Lua};

/// Gives SIGPIPE its usual action, which the start of a Rust program takes away:
/// writing to a pipe without readers ends the process. If the system refuses
/// that, writing fails with an error.
pub(crate) fn end_with_the_pipe() {
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGPIPE;
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        let always = Arc::new(AtomicBool::new(true));
        let _ = signal_hook::flag::register_conditional_default(SIGPIPE, always);
    }
}

/// What Ctrl-C and SIGTERM do, from their first use on.
#[derive(Debug)]
pub(crate) struct Signals {
    #[cfg(unix)]
    ends_process: std::sync::Arc<std::sync::atomic::AtomicBool>,
    #[cfg(unix)]
    terminated: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Signals {
    /// Takes the signals over for one VM. If the system refuses that, they end the
    /// process as before.
    pub(crate) fn of(lua: &Lua) -> Self {
        Self::install(lua.interrupter())
    }

    /// Runs `work`; the signals break Lua off.
    pub(crate) fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        self.set(false);
        let result = work();
        self.set(true);
        result
    }

    #[cfg(unix)]
    fn install(interrupter: Interrupter) -> Self {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        let ends_process = Arc::new(AtomicBool::new(true));
        let terminated = Arc::new(AtomicBool::new(false));
        // In this order: the first signal does not see what it sets.
        let watched = [SIGINT, SIGTERM]
            .into_iter()
            .try_for_each(|signal| {
                flag::register_conditional_default(signal, Arc::clone(&ends_process))?;
                flag::register(signal, Arc::clone(&ends_process)).map(drop)
            })
            .and_then(|()| flag::register(SIGTERM, Arc::clone(&terminated)))
            .and_then(|_| signal_hook::iterator::Signals::new([SIGINT, SIGTERM]))
            .and_then(|mut signals| {
                std::thread::Builder::new()
                    .name("moonswap-signals".into())
                    .stack_size(64 * 1024)
                    .spawn(move || {
                        for _ in signals.forever() {
                            interrupter.break_in();
                        }
                    })
            });
        // Half of it may be in place: then the first signal does nothing and the
        // second one ends the process.
        drop(watched);
        Self {
            ends_process,
            terminated,
        }
    }

    #[cfg(unix)]
    fn set(&self, ends_process: bool) {
        self.ends_process
            .store(ends_process, std::sync::atomic::Ordering::SeqCst);
    }

    /// Ends the process if SIGTERM asked for its end, so that its parent learns
    /// of it.
    #[cfg(unix)]
    pub(crate) fn end_if_terminated(&self) {
        if self.terminated.load(std::sync::atomic::Ordering::SeqCst) {
            // If the system refuses that, the exit code of the error remains.
            let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGTERM);
        }
    }

    #[cfg(not(unix))]
    fn install(_: Interrupter) -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    fn set(&self, _: bool) {}

    #[cfg(not(unix))]
    pub(crate) fn end_if_terminated(&self) {}
}
