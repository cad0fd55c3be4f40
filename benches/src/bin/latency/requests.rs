//! What a loop of requests feels of patches: how many are served in each
//! millisecond around a thousand patches, and how long one takes with and
//! without patches.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moonswap_benches::{SMALL, Summary, World, cpu_time, micros, patch, run, world};
use moonswap_vm::Machine;
use moonswap_vm::planning::{Patch, Policy};

use crate::submit::{Stop, TIMEOUT, give_stopped};

/// Functions of the module that is patched all the time.
const WORLD: World = World {
    functions: 10,
    ..SMALL
};
/// One request calls a changed function some hundred times.
const LOOP: &str = "local f, stopped, served = CLOSURES[1], stopped, served
    while not stopped() do
      for _ = 1, 100 do
        local version
        for i = 1, 300 do version = f(i) end
        served(version)
      end
    end";

/// When a request was done, and by which version.
#[derive(Clone, Copy)]
struct Served {
    at: Instant,
    /// CPU time of the VM's thread.
    cpu: Duration,
    version: i64,
}

/// Serves until the submitter stops; answers when each request was done.
fn serve(
    submit: impl FnOnce(&dyn Fn(&Patch) -> Result<(), String>) -> Result<(), String> + Send + 'static,
) -> Result<Vec<Served>, String> {
    let machine: Machine = world(WORLD);
    let stop = Arc::new(AtomicBool::new(false));
    give_stopped(&machine, &stop);
    let served = Rc::new(RefCell::new(Vec::with_capacity(1 << 21)));
    let log = Rc::clone(&served);
    machine.with(|cx| {
        cx.push_globals();
        cx.push_boxed(
            "served",
            Box::new(move |cx| {
                let version = cx.check_int(0)?;
                log.borrow_mut().push(Served {
                    at: Instant::now(),
                    cpu: cpu_time(),
                    version,
                });
                Ok(0)
            }),
        );
        let _ = cx.raw_set_field(0, "served");
    });
    let patcher = machine.patcher();
    let submitter = std::thread::spawn(move || {
        let _stop = Stop(stop);
        submit(&|patch| {
            let ticket = patcher.submit(patch.clone(), Policy::default());
            ticket.wait(Some(TIMEOUT)).map_err(|e| e.to_string())?;
            Ok(())
        })
    });
    run(&machine, "=requests", LOOP, false);
    submitter
        .join()
        .unwrap_or_else(|_| Err("the submitting thread panicked".to_owned()))?;
    let all = served.borrow().clone();
    Ok(all)
}

/// Requests in each millisecond of the VM's thread, those in which a new version
/// began to answer apart from the others.
pub(crate) fn throughput(is_quick: bool) -> Result<(), String> {
    let n_patches = if is_quick { 50 } else { 1_000 };
    let served = serve(move |apply| {
        let patches = [patch(WORLD, 2), patch(WORLD, 3)];
        std::thread::sleep(Duration::from_millis(20));
        for i in 0..n_patches {
            apply(&patches[i % 2])?;
            // Not in step with the bins.
            std::thread::sleep(Duration::from_micros(3_000 + (i as u64 * 377) % 1_000));
        }
        Ok(())
    })?;
    let (Some(first), Some(last)) = (served.first(), served.last()) else {
        return Err("no request was served".to_owned());
    };
    if served.iter().all(|s| s.version == first.version) {
        return Err("no patch was seen".to_owned());
    }
    let bin = |s: &Served| (s.cpu - first.cpu).as_millis() as usize;
    let mut counts = vec![0_u32; bin(last)];
    let mut has_patch = vec![false; counts.len()];
    let mut version = first.version;
    let (mut usual, mut tripped) = (Vec::new(), Vec::new());
    for pair in served.windows(2) {
        let took = pair[1].cpu - pair[0].cpu;
        if pair[1].version == pair[0].version {
            usual.push(took);
        } else {
            tripped.push(took);
        }
    }
    for one in &served {
        // The last bin is not complete.
        let Some(count) = counts.get_mut(bin(one)) else {
            break;
        };
        *count += 1;
        if one.version != version {
            version = one.version;
            has_patch[bin(one)] = true;
        }
    }
    println!(
        "\nrequests served in bins of 1 ms of CPU time around {n_patches} patches of {} functions\n",
        WORLD.functions
    );
    let mut medians = [0_u32; 2];
    for (i, what) in ["bins without a patch", "bins with a patch"]
        .iter()
        .enumerate()
    {
        let mut some: Vec<u32> = counts
            .iter()
            .zip(&has_patch)
            .filter(|(_, has)| **has == (i == 1))
            .map(|(n, _)| *n)
            .collect();
        some.sort_unstable();
        let at = |q: f64| some.get((some.len() as f64 * q) as usize).copied();
        let [low, mid, high] = [0.05, 0.5, 0.95].map(|q| at(q).unwrap_or_default());
        medians[i] = mid;
        println!(
            "  {what:22}{:>7} bins: p5 {low}, p50 {mid}, p95 {high}",
            some.len()
        );
    }
    let ratio = f64::from(medians[1]) / f64::from(medians[0].max(1));
    println!("  median with a patch against without: {ratio:.3}");
    println!(
        "  one request: p50 {} µs of CPU time, with a commit in it {} µs",
        micros(Summary::of(usual).p50),
        micros(Summary::of(tripped).p50)
    );
    Ok(())
}

/// Ratio of the p99 of requests with ten patches a second to without; by turns,
/// the median of the pairs.
pub(crate) fn latency(is_quick: bool) -> Result<f64, String> {
    let (turns, millis) = if is_quick { (4, 300) } else { (20, 500) };
    let edges = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&edges);
    let n_patches = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&n_patches);
    let served = serve(move |apply| {
        let patches = [patch(WORLD, 2), patch(WORLD, 3)];
        apply(&patches[0])?;
        let mut i = 1;
        for turn in 0..turns {
            let start = Instant::now();
            let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
            list.push(start);
            drop(list);
            while start.elapsed() < Duration::from_millis(millis) {
                if turn % 2 == 1 {
                    apply(&patches[i % 2])?;
                    counter.fetch_add(1, Ordering::Relaxed);
                    i += 1;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    })?;
    let edges = edges.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let cpu = ratio(&served, &edges, |s| s.cpu)?;
    println!(
        "\none request, p99 of turns of {millis} ms, CPU time: {} µs without, {} µs with 10 patches a second ({} in all): {:.3} times",
        micros(cpu.without),
        micros(cpu.with),
        n_patches.load(Ordering::Relaxed),
        cpu.times
    );
    let start = served.first().map_or_else(Instant::now, |s| s.at);
    let passed = ratio(&served, &edges, |s| s.at - start)?;
    println!(
        "the same, time that passes: {} µs without, {} µs with",
        micros(passed.without),
        micros(passed.with)
    );
    Ok(passed.times)
}

/// Two kinds of turns compared.
struct Ratio {
    without: Duration,
    with: Duration,
    /// Median over the pairs of turns.
    times: f64,
}

/// Of the p99 of requests by one clock; turns begin at the `edges`, every second
/// one has patches.
fn ratio(
    served: &[Served],
    edges: &[Instant],
    clock: impl Fn(&Served) -> Duration,
) -> Result<Ratio, String> {
    let p99_of = |turn: usize| {
        let until = edges.get(turn + 1).copied();
        let within = served
            .windows(2)
            .filter(|w| w[1].at >= edges[turn] && until.is_none_or(|until| w[1].at < until));
        let all: Vec<Duration> = within.map(|w| clock(&w[1]) - clock(&w[0])).collect();
        (!all.is_empty()).then(|| Summary::of(all).p99)
    };
    let mut ratios = Vec::new();
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for pair in 0..edges.len() / 2 {
        let (Some(quiet), Some(patched)) = (p99_of(2 * pair), p99_of(2 * pair + 1)) else {
            continue;
        };
        without.push(quiet);
        with.push(patched);
        ratios.push(patched.as_secs_f64() / quiet.as_secs_f64().max(1e-9));
    }
    ratios.sort_by(f64::total_cmp);
    let times = ratios.get(ratios.len() / 2).ok_or("no turns")?;
    Ok(Ratio {
        without: Summary::of(without).p50,
        with: Summary::of(with).p50,
        times: *times,
    })
}
