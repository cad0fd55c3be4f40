//! The thread of a worker: its loop, and the futures that it drives.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moonswap_vm::contained;

use super::call::{Reply, caught};
use super::queue::Taken;
use super::shared::Shared;
use super::tasks::Tasks;
use super::time;
use crate::{Interrupter, Lua, Patcher, Result};

/// Jobs that are done in a row before futures are looked at.
const IN_A_ROW: usize = 64;

/// Works until the queue is closed and nothing is left to do.
pub(super) fn run(lua: &Lua, shared: &Arc<Shared>) {
    let thread = Arc::downgrade(shared);
    let mut tasks = Tasks::new(move || {
        if let Some(shared) = thread.upgrade() {
            shared.queue.wake();
        }
    });
    let mut in_a_row = 0;
    loop {
        time::ring();
        match shared.queue.pop(time::next(), !tasks.is_empty()) {
            Taken::Item(job) => {
                let start = Instant::now();
                shared.is_busy.store(true, Ordering::Release);
                shared.begun.fetch_add(1, Ordering::Relaxed);
                let _ = contained(|| job(lua, &mut tasks));
                shared.is_busy.store(false, Ordering::Release);
                shared.note(lua, start.elapsed());
                in_a_row += 1;
                if in_a_row < IN_A_ROW {
                    continue;
                }
            }
            Taken::Woken | Taken::TimedOut => lua.poll(),
            Taken::Closed => break,
        }
        in_a_row = 0;
        time::ring();
        let start = Instant::now();
        shared.is_busy.store(true, Ordering::Release);
        tasks.poll();
        shared.is_busy.store(false, Ordering::Release);
        shared.note(lua, start.elapsed());
    }
}

/// The whole life of the thread.
pub(super) fn live(
    shared: &Arc<Shared>,
    make: impl FnOnce() -> Result<Lua>,
    set_up: impl FnOnce(&Lua) -> Result<()>,
    ready: Reply<(Patcher, Interrupter)>,
) {
    time::enter();
    let _ = shared.thread.set(std::thread::current().id());
    let lua = match caught(make) {
        Ok(lua) => lua,
        Err(error) => return ready.put(Err(error)),
    };
    let patcher = lua.hot().patcher();
    let queue = Arc::downgrade(shared);
    patcher.set_waker(Some(Arc::new(move || {
        if let Some(shared) = queue.upgrade() {
            shared.queue.wake();
        }
    })));
    if let Err(error) = caught(|| set_up(&lua)) {
        return ready.put(Err(error));
    }
    shared.note(&lua, Duration::ZERO);
    ready.put(Ok((patcher, lua.interrupter())));
    run(&lua, shared);
    let _ = contained(|| lua.close());
}
