//! Signals. Ctrl-C: the first one while Lua runs breaks it off with an error, as
//! in the reference; a second one, or one while nothing runs, ends the process.
//! A pipe that nobody reads any more ends the process, as it ends every filter.

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

/// What Ctrl-C does, from its first use on.
#[derive(Debug)]
pub(crate) struct CtrlC {
    #[cfg(unix)]
    ends_process: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl CtrlC {
    /// Takes Ctrl-C over for one VM. If the system refuses that, it ends the
    /// process as before.
    pub(crate) fn of(lua: &Lua) -> Self {
        Self::install(lua.interrupter())
    }

    /// Runs `work`; Ctrl-C breaks Lua off.
    pub(crate) fn during<R>(&self, work: impl FnOnce() -> R) -> R {
        self.set(false);
        let result = work();
        self.set(true);
        result
    }

    #[cfg(unix)]
    fn install(interrupter: Interrupter) -> Self {
        use signal_hook::consts::SIGINT;
        use signal_hook::flag;
        use signal_hook::iterator::Signals;
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        let ends_process = Arc::new(AtomicBool::new(true));
        // In this order: the first signal does not see what it sets.
        let watched = flag::register_conditional_default(SIGINT, Arc::clone(&ends_process))
            .and_then(|_| flag::register(SIGINT, Arc::clone(&ends_process)))
            .and_then(|_| Signals::new([SIGINT]))
            .and_then(|mut signals| {
                std::thread::Builder::new()
                    .name("moonswap-ctrl-c".into())
                    .stack_size(64 * 1024)
                    .spawn(move || {
                        for _ in signals.forever() {
                            interrupter.break_in();
                        }
                    })
            });
        // Half of it may be in place: then the first Ctrl-C does nothing and the
        // second one ends the process.
        drop(watched);
        Self { ends_process }
    }

    #[cfg(unix)]
    fn set(&self, ends_process: bool) {
        self.ends_process
            .store(ends_process, std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(not(unix))]
    fn install(_: Interrupter) -> Self {
        Self {}
    }

    #[cfg(not(unix))]
    fn set(&self, _: bool) {}
}
