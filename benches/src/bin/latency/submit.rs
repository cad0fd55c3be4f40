//! Patches from another thread to a VM in a busy loop of Lua calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use moonswap_benches::{CHUNK, World, module, run, world};
use moonswap_vm::planning::{Patch, Policy};
use moonswap_vm::{Machine, Patcher};

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The samples of one world, in order.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) prepare: Vec<Duration>,
    pub(crate) load: Vec<Duration>,
    pub(crate) wait: Vec<Duration>,
    pub(crate) pause: Vec<Duration>,
    pub(crate) effective: Vec<Duration>,
}

/// Swaps `samples` times; `seen` tells when a version answered first. The first
/// patch, for which the VM has to be asked what is loaded, does not count.
fn submit(
    patcher: &Patcher,
    size: World,
    samples: usize,
    rest: Duration,
    seen: &Receiver<(i64, Instant)>,
) -> Result<Row, String> {
    let mut row = Row::default();
    for i in 0..=samples {
        let version = i + 2;
        let text = module(size, version);
        let patch = Patch::compile(CHUNK, text.as_bytes()).map_err(|e| format!("{e:?}"))?;
        let start = Instant::now();
        let report = patcher
            .submit(patch, Policy::default())
            .wait(Some(TIMEOUT))
            .map_err(|e| e.to_string())?;
        let served = loop {
            match seen.recv_timeout(TIMEOUT) {
                Ok((v, at)) if v == version as i64 => break at,
                Ok(_) => {}
                Err(e) => return Err(e.to_string()),
            }
        };
        if i > 0 {
            row.prepare.push(report.times.prepare);
            row.load.push(report.times.load);
            row.wait.push(report.times.wait);
            row.pause.push(report.times.pause);
            row.effective.push(served - start);
        }
        std::thread::sleep(rest);
    }
    Ok(row)
}

/// Gives the VM a global `stopped()` that reads the flag.
pub(crate) fn give_stopped(machine: &Machine, stop: &Arc<AtomicBool>) {
    let stopped = Arc::clone(stop);
    machine.with(|cx| {
        cx.push_globals();
        cx.push_boxed(
            "stopped",
            Box::new(move |cx| {
                cx.push_bool(stopped.load(Ordering::Relaxed));
                Ok(1)
            }),
        );
        let _ = cx.raw_set_field(0, "stopped");
    });
}

/// Sets the flag when the submitting thread ends, however it does.
pub(crate) struct Stop(pub(crate) Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `rest`: between two patches. A patch that comes after long meets cold caches.
pub(crate) fn measure(size: World, samples: usize, rest: Duration) -> Result<Row, String> {
    let machine = world(size);
    let stop = Arc::new(AtomicBool::new(false));
    give_stopped(&machine, &stop);
    let (tell, seen) = channel();
    machine.with(|cx| {
        cx.push_globals();
        cx.push_boxed(
            "changed",
            Box::new(move |cx| {
                let now = Instant::now();
                let _ = tell.send((cx.check_int(0)?, now));
                Ok(0)
            }),
        );
        let _ = cx.raw_set_field(0, "changed");
    });
    let patcher = machine.patcher();
    let submitter = std::thread::spawn(move || {
        let _stop = Stop(stop);
        submit(&patcher, size, samples, rest, &seen)
    });
    let busy = "local f, last, stopped, changed = CLOSURES[1], 1, stopped, changed
        while not stopped() do
          for _ = 1, 1000 do
            local v = f(1)
            if v ~= last then last = v changed(v) end
          end
        end";
    run(&machine, "=busy", busy, false);
    submitter
        .join()
        .unwrap_or_else(|_| Err("the submitting thread panicked".to_owned()))
}
