//! Workers: VMs on threads of their own, called and patched from others.
#![cfg(feature = "worker")]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use moonswap::worker::{Worker, WorkerPool, open_sleep, sleep};
use moonswap::{Patch, Policy, Result};

const WAIT: Option<Duration> = Some(Duration::from_secs(20));

/// The smallest executor: polls on this thread and parks it meanwhile.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Polls `k` times at most, then drops the future.
fn poll_times<F: Future>(future: F, k: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..k {
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(outcome) = polled {
            return Some(outcome);
        }
        std::thread::yield_now();
    }
    None
}

fn counter() -> Result<Worker> {
    Worker::spawn(|lua| {
        lua.load("count = 0 function add(n) count = count + n return count end")
            .set_name("@counter.lua")
            .exec()
    })
}

#[test]
fn shared_by_threads_and_nothing_is_lost() -> Result<()> {
    let worker = counter()?;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let worker = worker.clone();
            scope.spawn(move || {
                for _ in 0..250 {
                    worker.call::<i64>("add", 1).wait().unwrap();
                }
            });
        }
    });
    assert_eq!(block_on(worker.call::<i64>("add", 0))?, 1000);
    let stats = worker.stats();
    assert_eq!((stats.begun, stats.queued, stats.generation), (1001, 0, 1));
    assert!(stats.memory > 0 && !stats.has_ended);
    Ok(())
}

#[test]
fn a_sleeping_worker_is_woken_by_a_patch() -> Result<()> {
    let worker = counter()?;
    worker.call::<i64>("add", 1).wait()?;
    // Nothing calls it from now on: only the patch can wake it.
    std::thread::sleep(Duration::from_millis(20));
    let text = "count = 0 function add(n) count = count + 2 * n return count end";
    let patch = Patch::compile("@counter.lua", text.as_bytes()).unwrap();
    let report = block_on(worker.patch(&patch)).unwrap();
    assert!(report.functions.iter().any(|function| function.id == "add"));
    assert_eq!(worker.call::<i64>("add", 1).wait()?, 3);
    let back = worker.patcher().rollback(report.id(), None);
    back.wait(WAIT).unwrap();
    assert_eq!(worker.call::<i64>("add", 1).wait()?, 4);
    let plan = worker
        .patcher()
        .plan(patch, Policy::default(), Duration::from_secs(20))
        .unwrap();
    assert!(plan.refused().is_none() && !plan.is_empty());
    assert_eq!(
        worker
            .patcher()
            .history(Duration::from_secs(20))
            .unwrap()
            .len(),
        2
    );
    Ok(())
}

#[test]
fn a_waiting_patch_with_a_deadline_is_answered_though_nothing_happens() -> Result<()> {
    let worker = Worker::spawn(|lua| {
        lua.load("function f() coroutine.yield() end co = coroutine.create(f) coroutine.resume(co)")
            .set_name("@waits.lua")
            .exec()
    })?;
    let text =
        "function f() coroutine.yield() return 1 end co = coroutine.create(f) coroutine.resume(co)";
    let patch = Patch::compile("@waits.lua", text.as_bytes()).unwrap();
    let policy = Policy::new()
        .timing(moonswap::Timing::Quiescent)
        .suspended(moonswap::SuspendedPolicy::Refuse)
        .deadline(Duration::from_millis(50));
    let outcome = block_on(worker.patch_with(&patch, policy));
    assert!(outcome.is_err(), "{outcome:?}");
    Ok(())
}

#[test]
fn senders_wait_for_room() -> Result<()> {
    let worker = Worker::builder()
        .name("small")
        .capacity(2)
        .spawn(|_| Ok(()))?;
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let blocked = worker
        .exec(move |_| {
            begun.send(()).unwrap();
            let _ = wait.recv();
            Ok(())
        })
        .try_send()
        .unwrap();
    has_begun.recv().unwrap();
    let mut queued: Vec<_> = (0..2)
        .map(|i| worker.exec(move |_| Ok(i)).try_send().unwrap())
        .collect();
    let full = worker.exec(|_| Ok(2)).try_send().unwrap_err();
    assert_eq!(worker.stats().queued, 2);
    assert!(poll_times(worker.exec(|_| Ok(3)), 10).is_none(), "dropped");
    let late = full.wait_timeout(Duration::from_millis(10)).unwrap_err();
    assert!(
        late.to_string()
            .ends_with("worker 'small' did not finish in time"),
        "{late}"
    );
    let sender = {
        let worker = worker.clone();
        std::thread::spawn(move || block_on(worker.exec(|_| Ok(4))))
    };
    go_on.send(()).unwrap();
    assert_eq!(sender.join().unwrap()?, 4);
    blocked.wait()?;
    assert_eq!(queued.remove(1).wait()?, 1);
    assert_eq!(queued.remove(0).wait()?, 0);
    Ok(())
}

#[test]
fn a_dropped_call_is_not_begun_and_a_begun_one_is_finished() -> Result<()> {
    for k in 0..20 {
        let worker = Worker::spawn(open_sleep)?;
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (b, e) = (Arc::clone(&begun), Arc::clone(&ended));
        let call = worker.exec(move |_| {
            b.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_micros(50));
            e.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        poll_times(call, k);
        worker.shutdown().wait()?;
        let counts = (begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
        assert!(
            counts == (0, 0) || counts == (1, 1),
            "{k} polls: {counts:?}"
        );
        assert!(k > 0 || counts == (0, 0));
    }
    Ok(())
}

/// Counts how many of it are there.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(n: &Arc<AtomicUsize>) -> Self {
        n.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(n))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn a_dropped_future_is_dropped_where_it_waits() -> Result<()> {
    let n = Arc::new(AtomicUsize::new(0));
    let worker = Worker::spawn(|_| Ok(()))?;
    for k in 0..20 {
        let n = Arc::clone(&n);
        let call = worker.exec_async(move |_| async move {
            let _counted = Counted::new(&n);
            for _ in 0..1000 {
                sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        });
        assert!(poll_times(call, k).is_none());
    }
    // What was begun was dropped: the worker can end, and does.
    worker.shutdown().wait()?;
    assert_eq!(n.load(Ordering::SeqCst), 0);
    Ok(())
}

#[test]
fn lua_code_sleeps_side_by_side() -> Result<()> {
    let worker = Worker::spawn(|lua| {
        open_sleep(lua)?;
        lua.load("function nap(n) sleep(n / 1000) return n end")
            .exec()
    })?;
    let start = Instant::now();
    let calls: Vec<_> = (0..100)
        .map(|_| worker.call_async::<i64>("nap", 30).try_send().unwrap())
        .collect();
    for call in calls {
        assert_eq!(call.wait()?, 30);
    }
    assert!(
        start.elapsed() < Duration::from_millis(100 * 30 / 2),
        "{:?}",
        start.elapsed()
    );
    let wrong = worker.call_async::<()>("nap", -1).wait().unwrap_err();
    assert!(wrong.to_string().contains("cannot sleep"), "{wrong}");
    Ok(())
}

#[test]
fn shutdown_drains() -> Result<()> {
    let worker = Worker::spawn(open_sleep)?;
    let calls: Vec<_> = (0..50)
        .map(|i| worker.exec(move |_| Ok(i)).try_send().unwrap())
        .collect();
    let nap = worker
        .exec_async(|_| async {
            sleep(Duration::from_millis(20)).await;
            Ok("woke up")
        })
        .try_send()
        .unwrap();
    let (one, two) = (worker.shutdown(), worker.shutdown());
    let waits = std::thread::spawn(move || one.wait());
    block_on(two)?;
    waits.join().unwrap()?;
    for (i, call) in calls.into_iter().enumerate() {
        assert_eq!(call.wait()?, i);
    }
    assert_eq!(nap.wait()?, "woke up");
    assert!(worker.stats().has_ended);
    let late = worker.exec(|_| Ok(())).wait().unwrap_err();
    assert!(late.to_string().ends_with("the worker has ended"), "{late}");
    let patch = Patch::compile("@none.lua", b"").unwrap();
    assert!(matches!(
        worker.patch(&patch).wait(WAIT),
        Err(moonswap::HotError::Gone)
    ));
    Ok(())
}

#[test]
fn panics_errors_and_interrupts_are_the_calls_own() -> Result<()> {
    let worker = counter()?;
    let panic = worker
        .exec(|_| -> Result<()> { panic!("oh") })
        .wait()
        .unwrap_err();
    assert!(
        panic
            .to_string()
            .ends_with("panic in the work of a worker: oh"),
        "{panic}"
    );
    let panic = worker
        .exec_async(|_| async { if true { panic!("ah") } else { Ok(()) } })
        .wait()
        .unwrap_err();
    assert!(
        panic
            .to_string()
            .ends_with("panic in the work of a worker: ah"),
        "{panic}"
    );
    let none = worker.call::<()>("no.such", ()).wait().unwrap_err();
    assert!(
        none.to_string()
            .ends_with("no function at 'no.such' (a nil value)"),
        "{none}"
    );
    let spinning = worker
        .exec(|lua| lua.load("while true do end").exec())
        .try_send()
        .unwrap();
    while !worker.stats().is_busy {
        std::thread::yield_now();
    }
    worker.interrupt();
    assert!(spinning.wait().is_err());
    assert_eq!(worker.call::<i64>("add", 1).wait()?, 1);

    let failed = Worker::spawn(|lua| lua.load("error('no set-up', 0)").exec()).unwrap_err();
    assert!(failed.to_string().ends_with("no set-up"), "{failed}");
    let failed = Worker::spawn(|_| panic!("in set-up")).unwrap_err();
    assert!(
        failed
            .to_string()
            .ends_with("panic in the work of a worker: in set-up"),
        "{failed}"
    );
    Ok(())
}

#[test]
fn a_pool_places_by_key_and_is_patched_as_one() -> Result<()> {
    let pool = WorkerPool::spawn(3, |lua, i| {
        lua.globals().set("shard", i)?;
        lua.load("function who() return shard end")
            .set_name("@shard.lua")
            .exec()
    })?;
    let mut used = std::collections::HashSet::new();
    for room in 0..50 {
        let first: usize = pool.of(&room).call("who", ()).wait()?;
        let second: usize = pool.of(&room).call("who", ()).wait()?;
        assert_eq!(first, second);
        used.insert(first);
    }
    assert_eq!(used.len(), 3);
    let patch = Patch::compile("@shard.lua", b"function who() return shard + 10 end").unwrap();
    let report = pool.patches().apply(&patch).canary(1).run();
    assert!(report.is_complete(), "{report}");
    assert!(pool.idlest().call::<usize>("who", ()).wait()? >= 10);
    for end in pool.shutdown() {
        end.wait()?;
    }
    assert!(pool.stats().iter().all(|stats| stats.has_ended));
    Ok(())
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a destructor");
        }
    }
}

#[test]
fn destructors_that_panic_end_their_own_job_only() -> Result<()> {
    let worker = counter()?;
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let blocked = worker
        .exec(move |_| Ok(wait.recv().is_ok()))
        .try_send()
        .unwrap();
    let bomb = Bomb;
    // Withdrawn before it began: the worker drops what it captured.
    drop(
        worker
            .exec(move |_| {
                let _bomb = &bomb;
                Ok(())
            })
            .try_send(),
    );
    go_on.send(()).unwrap();
    assert!(blocked.wait()?);
    let failed = worker
        .exec(|_| {
            let _bomb = Bomb;
            Ok(())
        })
        .wait();
    assert!(failed.unwrap_err().to_string().contains("in a destructor"));
    let failed = worker
        .exec_async(|_| async {
            let _bomb = Bomb;
            Ok(())
        })
        .wait();
    assert!(failed.unwrap_err().to_string().contains("in a destructor"));
    assert_eq!(worker.call::<i64>("add", 1).wait()?, 1);
    Ok(())
}

#[test]
fn a_coroutine_that_yields_for_ever_starves_nobody() -> Result<()> {
    let worker = Worker::spawn(|lua| {
        open_sleep(lua)?;
        lua.load("function spin() while true do coroutine.yield() end end function nap() while true do sleep(0) end end")
            .exec()
    })?;
    let spins = worker.call_async::<()>("spin", ()).try_send().unwrap();
    let naps = worker.call_async::<()>("nap", ()).try_send().unwrap();
    for i in 0..100 {
        assert_eq!(worker.exec(move |_| Ok(i)).wait()?, i);
    }
    drop((spins, naps));
    worker.shutdown().wait()
}

#[test]
fn a_call_that_was_polled_can_be_waited_for() -> Result<()> {
    let worker = Worker::builder().capacity(1).spawn(|_| Ok(()))?;
    let (begun, has_begun) = std::sync::mpsc::channel();
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let busy = worker.exec(move |_| {
        begun.send(()).unwrap();
        Ok(wait.recv().is_ok())
    });
    let busy = busy.try_send().unwrap();
    has_begun.recv().unwrap();
    let queued = worker.exec(|_| Ok(1)).try_send().unwrap();
    let mut polled = worker.exec(|_| Ok(2));
    let context = &mut Context::from_waker(Waker::noop());
    assert!(std::pin::Pin::new(&mut polled).poll(context).is_pending());
    go_on.send(()).unwrap();
    assert!(busy.wait()?);
    assert_eq!(queued.wait()?, 1);
    assert_eq!(polled.wait_timeout(Duration::from_secs(20))?, 2);
    Ok(())
}

#[test]
fn waiting_for_oneself_is_an_error() -> Result<()> {
    let worker = counter()?;
    let own = worker.clone();
    let outcome = worker.exec(move |_| Ok(own.call::<i64>("add", 1).wait().is_err()));
    assert!(outcome.wait()?);
    let own = worker.clone();
    assert!(
        worker
            .exec(move |_| Ok(own.shutdown().wait().is_err()))
            .wait()?
    );
    assert!(Worker::builder().name("a\0b").spawn(|_| Ok(())).is_err());
    Ok(())
}
