//! When the collector steps, how long that takes, and what it brings the heap to.

use std::sync::atomic::Ordering;

use super::*;

#[test]
fn count_grows_and_is_brought_back() {
    // SAFETY: nothing but the roots is used after collections.
    unsafe {
        let mut heap = heap();
        let roots = TestRoots {
            stack: vec![Value::table(heap.new_table(sized(20_000, 2_000), 0))],
            ..TestRoots::default()
        };
        heap.collect_full(&roots);
        let base = heap.bytes_in_use();
        heap.new_table(0, 0);
        assert_eq!(heap.bytes_in_use(), base + 48);
        heap.stop();
        while heap.bytes_in_use() < base * 3 {
            for _ in 0..100 {
                heap.new_table(0, 2);
            }
            assert!(!heap.is_due());
        }
        heap.restart();
        let mut n = 0;
        while heap.bytes_in_use() > base * 2 {
            heap.new_table(0, 2);
            if heap.is_due() {
                heap.step(&roots, NO_CLOCK);
            }
            n += 1;
            assert!(n < 100_000);
        }
        heap.set_memory_limit(Some(1 << 20));
        assert!(heap.permit(2 << 20).is_err());
        let t = heap.new_table(0, 0);
        assert!(crate::table::reserve(&mut heap, t, 1 << 20, 0).is_err());
    }
}

#[test]
fn a_step_that_is_put_off_is_asked_for_again() {
    // SAFETY: nothing but the roots is used after collections.
    unsafe {
        let poll = Arc::new(PollHandle::default());
        let mut heap = Heap::with_seed(Arc::clone(&poll), 42);
        let roots = TestRoots {
            stack: Vec::new(),
            ..TestRoots::default()
        };
        let allocate_until_due = |heap: &mut Heap| {
            while !heap.is_due() {
                heap.new_table(16, 0);
            }
        };
        // By the next allocation.
        allocate_until_due(&mut heap);
        heap.put_off_step();
        assert!(!heap.is_due());
        heap.charge(1);
        assert!(heap.is_due());
        // By who waited for the patch, once.
        heap.put_off_step();
        poll.take_request(false);
        poll.resume_step();
        assert!(heap.is_due() && poll.requested.load(Ordering::Relaxed));
        poll.take_request(false);
        poll.resume_step();
        assert!(!poll.requested.load(Ordering::Relaxed));
        // Not for ever, by patches alone.
        let mut n = 0;
        loop {
            heap.put_off_step();
            if heap.is_due() {
                break;
            }
            heap.charge(4096);
            n += 1;
        }
        assert!((8..=16).contains(&n), "{n}");
        heap.step(&roots, NO_CLOCK);
        // Tests that force a step get it.
        allocate_until_due(&mut heap);
        heap.put_off_step();
        assert!(!heap.is_due());
        heap.force(Forced::Step);
        assert!(heap.is_due());
        heap.step(&roots, NO_CLOCK);
        allocate_until_due(&mut heap);
    }
}

#[test]
fn marking_ends_where_roots_are_exact_or_after_a_while() {
    // SAFETY: nothing but the roots is used after collections.
    unsafe {
        let mut heap = Heap::with_seed(Arc::new(PollHandle::default()), 42);
        let mut roots = TestRoots::default();
        for _ in 0..3 {
            for ends_exactly in [true, false] {
                // As far as the end of marking.
                roots.are_inexact = true;
                let until_step = |heap: &mut Heap| {
                    while !heap.is_due() {
                        heap.new_table(16, 0);
                    }
                    heap.bytes_in_use()
                };
                let begin = loop {
                    let now = until_step(&mut heap);
                    heap.step(&roots, NO_CLOCK);
                    if heap.ending_since.is_some() {
                        break now;
                    }
                };
                assert!(!heap.is_sweeping());
                // Not here, though it was asked for again.
                heap.step(&roots, NO_CLOCK);
                assert!(!heap.is_sweeping() && heap.is_due());
                assert!(!heap.has_asked());
                heap.charge(1);
                assert!(heap.has_asked());
                if ends_exactly {
                    roots.are_inexact = false;
                    heap.step(&roots, NO_CLOCK);
                    assert!(heap.is_sweeping());
                } else {
                    let mut reached = begin;
                    while !heap.is_sweeping() {
                        heap.new_table(16, 0);
                        reached = heap.bytes_in_use();
                        if heap.is_due() {
                            heap.step(&roots, NO_CLOCK);
                        }
                    }
                    assert!((1 << 15..1 << 18).contains(&(reached - begin)));
                }
            }
        }
    }
}

/// Churn with `live` tables; the longest step and collection statistics.
fn churn(live: usize, n: usize) -> (f64, f64) {
    // SAFETY: everything used is reachable from the roots.
    unsafe {
        let mut heap = Heap::with_seed(Arc::new(PollHandle::default()), 42);
        let holder = heap.new_table(live, 0);
        let roots = TestRoots {
            stack: vec![Value::table(holder)],
            ..TestRoots::default()
        };
        let (x, y) = (heap.string(b"x"), heap.string(b"y"));
        let mut r = Random(7);
        let mut pauses = Vec::new();
        let start = std::time::Instant::now();
        for i in 0..n + live {
            let t = heap.new_table(0, 2);
            crate::table::set_short(&mut heap, t, x, Value::integer(i as i64)).unwrap();
            crate::table::set_short(&mut heap, t, y, Value::integer(1)).unwrap();
            if i < live {
                set_int(&mut heap, holder, i as i64 + 1, Value::table(t)).unwrap();
            } else if i % 16 == 0 {
                set_int(&mut heap, holder, r.below(live) as i64 + 1, Value::table(t)).unwrap();
            }
            if heap.is_due() {
                let begin = std::time::Instant::now();
                heap.step(&roots, NO_CLOCK);
                pauses.push(begin.elapsed().as_secs_f64() * 1e3);
            }
        }
        let total = start.elapsed().as_secs_f64();
        pauses.sort_by(f64::total_cmp);
        let p = |q: f64| pauses[((pauses.len() - 1) as f64 * q) as usize];
        eprintln!(
            "churn {live}: {total:.3} s, {} steps, p50 {:.3} p99 {:.3} max {:.3} ms, {} MiB in use, {} MiB blocks",
            pauses.len(),
            p(0.5),
            p(0.99),
            p(1.0),
            heap.bytes_in_use() >> 20,
            heap.bytes_reserved() >> 20,
        );
        (p(0.99), total)
    }
}

#[test]
fn steps_are_short() {
    // 0.2 ms measured in release; debug builds are slower, on a busy machine one
    // of several runs is quiet enough, and Miri's time is none.
    let quick = (0..10).any(|_| {
        let (p99, _) = churn(sized(100_000, 500), sized(300_000, 4_000));
        cfg!(miri) || p99 < 20.0
    });
    assert!(quick);
}
