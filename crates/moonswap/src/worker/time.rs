//! Timers of a worker's thread.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use moonswap_vm::contained;

use crate::{Lua, Result};

#[derive(Default)]
struct Timers {
    waiting: BTreeMap<(Instant, u64), Waker>,
    last: u64,
}

thread_local! {
    static TIMERS: RefCell<Timers> = RefCell::default();
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

/// This thread rings timers from now on.
pub(super) fn enter() {
    IS_WORKER.set(true);
}

/// Wakes who waits for a time that has come.
pub(super) fn ring() {
    let now = Instant::now();
    while let Some(waker) = TIMERS.with_borrow_mut(|timers| {
        let first = timers.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }) {
        let _ = contained(|| waker.wake());
    }
}

/// The next time that somebody waits for.
pub(super) fn next() -> Option<Instant> {
    TIMERS.with_borrow(|timers| timers.waiting.keys().next().map(|(at, _)| *at))
}

/// Waits for a time to pass, in a future that a [`Worker`](super::Worker) drives.
/// Dropping it ends the wait.
///
/// ```
/// use std::time::Duration;
/// use moonswap::worker::{Worker, sleep};
///
/// let worker = Worker::spawn(|_| Ok(()))?;
/// let slow = worker.exec_async(|_| async {
///     sleep(Duration::from_millis(5)).await;
///     Ok("slept")
/// });
/// assert_eq!(slow.wait()?, "slept");
/// # Ok::<(), moonswap::Error>(())
/// ```
pub fn sleep(time: Duration) -> Sleep {
    Sleep {
        // A time beyond what clocks count never comes.
        at: Instant::now().checked_add(time),
        key: None,
        has_begun: false,
    }
}

/// The future of [`sleep`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    at: Option<Instant>,
    key: Option<(Instant, u64)>,
    /// It was polled: others have had their turn.
    has_begun: bool,
}

impl Sleep {
    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            // The thread may be ending.
            let _ = TIMERS.try_with(|timers| timers.borrow_mut().waiting.remove(&key));
        }
    }
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    /// On a thread that is not a worker's: nothing would ever wake it there.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        assert!(
            IS_WORKER.get(),
            "worker::sleep is polled outside of a worker; use the sleep of this thread's executor"
        );
        let Some(at) = self.at else {
            return Poll::Pending;
        };
        let has_begun = std::mem::replace(&mut self.has_begun, true);
        if at <= Instant::now() {
            self.forget();
            if has_begun {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let known = self.key;
        let key = TIMERS.with_borrow_mut(|timers| {
            let key = known.unwrap_or_else(|| {
                timers.last += 1;
                (at, timers.last)
            });
            timers.waiting.insert(key, cx.waker().clone());
            key
        });
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.forget();
    }
}

/// Gives Lua code a global function `sleep(seconds)`: the coroutine waits, the worker
/// does other work meanwhile.
///
/// # Errors
/// If the memory limit is in the way.
pub fn open_sleep(lua: &Lua) -> Result<()> {
    let sleep = lua.create_async_function(|_, seconds: f64| async move {
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) => {
                sleep(time).await;
                Ok(())
            }
            Err(_) => Err(crate::Error::runtime(format_args!(
                "bad argument #1 to 'sleep' (cannot sleep for {seconds} seconds)"
            ))),
        }
    })?;
    lua.globals().raw_set("sleep", sleep)
}
