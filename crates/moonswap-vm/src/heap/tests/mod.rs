//! The collector on random graphs, weak tables, finalizers; when it steps (`pacing`).

mod pacing;

use std::cell::Cell as StdCell;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use super::*;
use crate::object::{Table, UserData};
use crate::table::{get, get_int, next, set, set_int};
use crate::tests::sized;
use crate::value::tag;

/// Steps take no time.
const NO_CLOCK: crate::GcClock = || std::time::Duration::ZERO;

#[derive(Default)]
struct TestRoots {
    stack: Vec<Value>,
    running: Option<*mut Coroutine>,
    /// Dead temporaries count as in use.
    are_inexact: bool,
}

impl Roots for TestRoots {
    /// # Safety
    /// Live objects: nothing was collected that the test still names.
    unsafe fn mark(&self, marker: &mut Marker) {
        for v in &self.stack {
            // SAFETY: live by the test.
            unsafe { marker.mark_value(*v) };
        }
    }
    fn running(&self) -> *mut Coroutine {
        self.running.unwrap_or(ptr::null_mut())
    }
    fn are_exact(&self) -> bool {
        !self.are_inexact
    }
    fn forget_dead(&self, _: &dyn Fn(*mut Header) -> bool) {}
}

fn heap() -> Heap {
    let mut heap = Heap::with_seed(Arc::new(PollHandle::default()), 42);
    heap.poison = true;
    heap
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n as u64) as usize
    }
}

struct CountDrop(Rc<StdCell<usize>>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

fn new_userdata(heap: &mut Heap, n: usize, drops: &Rc<StdCell<usize>>) -> *mut UserData {
    heap.adopt(UserData {
        owned: 0,
        header: header(Kind::UserData, 0),
        metatable: ptr::null_mut(),
        data: Some(Box::new(CountDrop(drops.clone()))),
        user_values: vec![Value::NIL; n].into(),
    })
}

fn new_coroutine(heap: &mut Heap, n: usize) -> *mut Coroutine {
    let mut co = crate::heap::boxed::on_stack(vec![Value::NIL; n], 0);
    co.top = n;
    heap.adopt(co)
}

/// What the model knows of an object.
struct ModelObject {
    value: Value,
    edges: BTreeMap<usize, usize>,
}

/// Key under which a table holds its edge `slot`.
fn edge_key(heap: &mut Heap, slot: usize) -> Value {
    match slot % 3 {
        0 => Value::integer(slot as i64 / 3 + 1),
        1 => Value::string(heap.string(format!("edge{slot}").as_bytes())),
        _ => Value::float(slot as f64 + 0.5),
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn store_edge(heap: &mut Heap, from: Value, slot: usize, to: Value) {
    // SAFETY: live by the model.
    unsafe {
        match from.tag {
            tag::TABLE => {
                let key = edge_key(heap, slot);
                set(heap, from.as_table(), key, to).unwrap();
            }
            tag::USERDATA => {
                let u = from.as_userdata();
                (&mut (*u).user_values)[slot] = to;
                heap.barrier(u.cast(), to);
            }
            tag::CLOSURE => {
                let u = *Closure::upvalue_at(from.as_closure(), slot);
                *(*u).value = to;
                heap.barrier(u.cast(), to);
            }
            _ => {
                let co = from.as_coroutine();
                heap.note_resumed(co);
                (&mut (*co).stack)[slot] = to;
            }
        }
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn load_edge(heap: &mut Heap, from: Value, slot: usize) -> Value {
    // SAFETY: live by the model.
    unsafe {
        match from.tag {
            tag::TABLE => {
                let key = edge_key(heap, slot);
                get(from.as_table(), key)
            }
            tag::USERDATA => (&(*from.as_userdata()).user_values)[slot],
            tag::CLOSURE => *(**Closure::upvalue_at(from.as_closure(), slot)).value,
            _ => (&(*from.as_coroutine()).stack)[slot],
        }
    }
}

fn slots_of(v: Value) -> usize {
    match v.tag {
        tag::TABLE => 40,
        tag::USERDATA => 2,
        tag::CLOSURE => 3,
        _ => 4,
    }
}

fn reachable(objects: &[ModelObject], roots: &[usize]) -> HashSet<usize> {
    let mut seen: HashSet<usize> = roots.iter().copied().collect();
    let mut work: Vec<usize> = roots.to_vec();
    while let Some(i) = work.pop() {
        for &to in objects[i].edges.values() {
            if seen.insert(to) {
                work.push(to);
            }
        }
    }
    seen
}

fn random_graph(seed: u64, stress: bool, steps: usize) {
    // SAFETY: the model touches reachable objects only.
    unsafe {
        let mut r = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut heap = heap();
        let drops = Rc::new(StdCell::new(0));
        let mut n_userdata = 0;
        let mut objects: Vec<ModelObject> = Vec::new();
        let mut roots: Vec<usize> = Vec::new();
        for step in 0..steps {
            // A node on a random path.
            let walk = |r: &mut Random, objects: &[ModelObject], roots: &[usize]| {
                let mut i = roots[r.below(roots.len())];
                for _ in 0..r.below(6) {
                    let n = objects[i].edges.len();
                    if n == 0 {
                        break;
                    }
                    i = *objects[i].edges.values().nth(r.below(n)).unwrap();
                }
                i
            };
            if roots.len() < 4 || r.below(2) == 0 {
                let value = match r.below(8) {
                    0 => {
                        n_userdata += 1;
                        Value::userdata(new_userdata(&mut heap, 2, &drops))
                    }
                    1 => {
                        let c = heap.new_closure(ptr::null_mut(), 3);
                        for i in 0..3 {
                            *Closure::upvalue_at(c, i) = heap.new_closed_upvalue(Value::NIL);
                        }
                        Value::closure(c)
                    }
                    2 => Value::coroutine(new_coroutine(&mut heap, 4)),
                    _ => Value::table(heap.new_table(r.below(6), r.below(6))),
                };
                let new = objects.len();
                objects.push(ModelObject {
                    value,
                    edges: BTreeMap::new(),
                });
                if roots.len() < 8 {
                    roots.push(new);
                } else if r.below(12) == 0 {
                    let i = r.below(roots.len());
                    roots[i] = new;
                } else {
                    let from = walk(&mut r, &objects, &roots);
                    let slot = r.below(slots_of(objects[from].value));
                    store_edge(&mut heap, objects[from].value, slot, value);
                    objects[from].edges.insert(slot, new);
                }
            } else {
                let from = walk(&mut r, &objects, &roots);
                let slot = r.below(slots_of(objects[from].value));
                if r.below(4) == 0 {
                    store_edge(&mut heap, objects[from].value, slot, Value::NIL);
                    objects[from].edges.remove(&slot);
                } else {
                    let to = walk(&mut r, &objects, &roots);
                    store_edge(&mut heap, objects[from].value, slot, objects[to].value);
                    objects[from].edges.insert(slot, to);
                }
            }
            let test_roots = TestRoots {
                stack: roots.iter().map(|&i| objects[i].value).collect(),
                ..TestRoots::default()
            };
            if stress {
                heap.force(super::Forced::Collection);
                heap.step(&test_roots, NO_CLOCK);
            } else if r.below(4) == 0 {
                // Small steps, so that every phase meets every operation.
                heap.charged = heap.trigger;
                let work = r.below(2000);
                if heap.phase == Phase::Mark {
                    heap.marker.drain(work);
                }
                if r.below(3) == 0 {
                    heap.step(&test_roots, NO_CLOCK);
                }
            }
            if r.below(200) == 0 {
                heap.verify();
            }
            if r.below(1000) == 0 {
                heap.collect_full(&test_roots);
                heap.verify();
                let live = reachable(&objects, &roots);
                let count = |tag: u8| {
                    live.iter()
                        .filter(|&&i| objects[i].value.tag == tag)
                        .count()
                };
                assert_eq!(
                    heap.count_kind(Kind::Table),
                    count(tag::TABLE),
                    "step {step}"
                );
                assert_eq!(heap.count_kind(Kind::Closure), count(tag::CLOSURE));
                assert_eq!(heap.count_kind(Kind::Upvalue), 3 * count(tag::CLOSURE));
                assert_eq!(heap.count_kind(Kind::Coroutine), count(tag::COROUTINE));
                // Its destructors are for a VM to run.
                heap.host_data.clear();
                assert_eq!(n_userdata - drops.get(), count(tag::USERDATA));
                for &i in &live {
                    for (&slot, &to) in &objects[i].edges {
                        let got = load_edge(&mut heap, objects[i].value, slot);
                        assert!(
                            got.tag == objects[to].value.tag
                                && got.payload == objects[to].value.payload
                        );
                    }
                }
            }
        }
        drop(heap);
        assert_eq!(drops.get(), n_userdata);
    }
}

#[test]
fn liveness_equals_reachability() {
    for seed in 1..=sized(12, 2) as u64 {
        random_graph(seed, false, sized(8_000, 300));
    }
}

#[test]
fn liveness_equals_reachability_under_stress() {
    random_graph(99, true, sized(1_500, 60));
}

#[test]
fn strings_die_and_are_resurrected() {
    // SAFETY: only rooted strings are used after collections.
    unsafe {
        let mut heap = heap();
        let mut roots = TestRoots::default();
        let n = sized(5000, 500);
        for i in 0..n {
            let s = heap.string(format!("s{i}").as_bytes());
            if i % 10 == 0 {
                roots.stack.push(Value::string(s));
            }
        }
        roots
            .stack
            .push(Value::string(heap.string_from_vec(vec![7; 100_000])));
        heap.string_from_vec(vec![8; 100_000]);
        heap.begin_cycle(&roots);
        heap.atomic(&roots);
        // Not swept: dead strings found again live on.
        for i in 0..n {
            if i % 10 == 5 {
                roots
                    .stack
                    .push(Value::string(heap.string(format!("s{i}").as_bytes())));
            }
        }
        heap.finish_sweep();
        assert_eq!(heap.strings.len(), n / 5 + Event::COUNT + 1);
        for v in &roots.stack {
            let s = v.as_string();
            let bytes = StringObject::bytes(s).to_vec();
            assert!(bytes.len() > 40 || heap.string(&bytes) == s);
        }
        assert_eq!(heap.string(b"Q"), heap.single[b'Q' as usize]);
        heap.collect_full(&TestRoots::default());
        assert_eq!(heap.strings.len(), Event::COUNT + 1);
        assert!(heap.bytes_in_use() < 20_000);
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn weak_table(heap: &mut Heap, mode: &[u8]) -> *mut Table {
    // SAFETY: nothing is collected here.
    unsafe {
        let t = heap.new_table(0, 0);
        let metatable = heap.new_table(0, 1);
        let (key, mode) = (heap.event_names[Event::Mode as usize], heap.string(mode));
        set(heap, metatable, Value::string(key), Value::string(mode)).unwrap();
        (*t).metatable = metatable;
        t
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn count_entries(t: *mut Table) -> usize {
    // SAFETY: live by the test.
    unsafe {
        let (mut key, mut n) = (Value::NIL, 0);
        while let Some((k, _)) = next(t, key).unwrap() {
            key = k;
            n += 1;
        }
        n
    }
}

#[test]
fn weak_tables_lose_dead_entries() {
    // SAFETY: only rooted objects are used after collections.
    unsafe {
        let mut heap = heap();
        let values = weak_table(&mut heap, b"v");
        let keys = weak_table(&mut heap, b"k");
        let all = weak_table(&mut heap, b"kv");
        let kept = heap.new_table(0, 0);
        let mut roots = TestRoots::default();
        roots.stack.extend([
            Value::table(values),
            Value::table(keys),
            Value::table(all),
            Value::table(kept),
        ]);
        for i in 1..=100 {
            let object = Value::table(heap.new_table(0, 0));
            let other = Value::table(heap.new_table(0, 0));
            if i % 4 == 0 {
                set_int(&mut heap, kept, i, object).unwrap();
            }
            set_int(&mut heap, values, i, object).unwrap();
            let name = Value::string(heap.string(format!("name{i}").as_bytes()));
            set(&mut heap, values, name, object).unwrap();
            set(&mut heap, keys, object, other).unwrap();
            set(&mut heap, all, object, other).unwrap();
            // strings are values
            let text = Value::string(heap.string(format!("text{i}").as_bytes()));
            set(&mut heap, keys, text, text).unwrap();
            set(&mut heap, values, Value::integer(1000 + i), text).unwrap();
        }
        heap.collect_full(&roots);
        heap.verify();
        assert_eq!(count_entries(values), 50 + 100);
        assert_eq!(count_entries(keys), 25 + 100);
        // `keys` holds the values of its living keys
        assert_eq!(count_entries(all), 25);
        let object = get_int(kept, 8);
        assert_eq!(get(keys, object).tag, tag::TABLE);
        set_int(&mut heap, kept, 8, Value::NIL).unwrap();
        heap.collect_full(&roots);
        assert_eq!(count_entries(values), 48 + 100);
        assert_eq!(count_entries(keys), 24 + 100);
    }
}

#[test]
fn ephemeron_chains_live_and_die() {
    // SAFETY: only rooted objects are used after collections.
    unsafe {
        for forward in [true, false] {
            let mut heap = heap();
            let t = weak_table(&mut heap, b"k");
            let mut links: Vec<Value> = (0..sized(1000, 50))
                .map(|_| Value::table(heap.new_table(0, 0)))
                .collect();
            if !forward {
                links.reverse();
            }
            for w in links.windows(2) {
                set(&mut heap, t, w[0], w[1]).unwrap();
            }
            // A cycle through its own value is garbage.
            let selfish = Value::table(heap.new_table(0, 0));
            set(&mut heap, t, selfish, selfish).unwrap();
            let mut roots = TestRoots {
                stack: vec![Value::table(t), links[0]],
                ..TestRoots::default()
            };
            heap.collect_full(&roots);
            assert_eq!(count_entries(t), sized(1000, 50) - 1);
            roots.stack.pop();
            heap.collect_full(&roots);
            assert_eq!(count_entries(t), 0);
        }
    }
}

#[test]
fn finalizers_run_in_reverse_order_and_resurrect() {
    // SAFETY: only rooted or pending objects are used.
    unsafe {
        let mut heap = heap();
        let weak_values = weak_table(&mut heap, b"v");
        let weak_keys = weak_table(&mut heap, b"k");
        let mut roots = TestRoots::default();
        roots
            .stack
            .extend([Value::table(weak_values), Value::table(weak_keys)]);
        for i in 0..20 {
            let t = heap.new_table(0, 0);
            let inner = heap.new_table(0, 0);
            set_int(&mut heap, t, 1, Value::integer(i)).unwrap();
            set_int(&mut heap, t, 2, Value::table(inner)).unwrap();
            heap.register_finalizer(t.cast());
            heap.register_finalizer(t.cast());
            set_int(&mut heap, weak_values, i + 1, Value::table(t)).unwrap();
            set(&mut heap, weak_keys, Value::table(t), Value::integer(i)).unwrap();
            if i >= 10 {
                roots.stack.push(Value::table(t));
            }
        }
        heap.collect_full(&roots);
        heap.verify();
        assert!(heap.has_pending_finalizers());
        // weak values go before, weak keys after the finalizer
        assert_eq!(
            (count_entries(weak_values), count_entries(weak_keys)),
            (10, 20)
        );
        for i in (0..10).rev() {
            let v = heap.next_finalizer().unwrap();
            assert_eq!(get_int(v.as_table(), 1).as_i64(), i);
            assert_eq!(get_int(v.as_table(), 2).tag, tag::TABLE);
            assert_eq!(get(weak_keys, v).as_i64(), i);
            if i == 5 {
                heap.register_finalizer(v.header());
            }
        }
        assert!(heap.next_finalizer().is_none());
        heap.collect_full(&roots);
        assert_eq!(count_entries(weak_keys), 11);
        assert_eq!(
            get_int(heap.next_finalizer().unwrap().as_table(), 1).as_i64(),
            5
        );
        let rest: Vec<_> = heap
            .take_all_finalizers()
            .iter()
            .map(|v| get_int(v.as_table(), 1).as_i64())
            .collect();
        assert_eq!(rest, (10..20).rev().collect::<Vec<_>>());
    }
}

#[test]
fn variables_survive_their_coroutine() {
    // SAFETY: only rooted objects are used after collections.
    unsafe {
        let mut heap = heap();
        let co = new_coroutine(&mut heap, 8);
        let inner = heap.new_table(0, 0);
        (&mut (*co).stack)[3] = Value::table(inner);
        let slot = (*co).stack.as_mut_ptr().add(3);
        let u = heap.new_open_upvalue(slot, ptr::null_mut());
        (*co).open_upvalues = u;
        let c = heap.new_closure(ptr::null_mut(), 1);
        *Closure::upvalue_at(c, 0) = u;
        let mut roots = TestRoots {
            stack: vec![Value::closure(c), Value::coroutine(co)],
            ..TestRoots::default()
        };
        heap.collect_full(&roots);
        assert!(Upvalue::is_open(u));
        roots.stack.pop();
        heap.collect_full(&roots);
        assert!(!Upvalue::is_open(u));
        assert_eq!((*(*u).value).payload, inner as u64);
        assert_eq!(
            (
                heap.count_kind(Kind::Coroutine),
                heap.count_kind(Kind::Table)
            ),
            (0, 1)
        );
        heap.verify();
        heap.collect_full(&TestRoots::default());
        assert_eq!(
            (heap.count_kind(Kind::Upvalue), heap.count_kind(Kind::Table)),
            (0, 0)
        );
    }
}

#[test]
fn a_running_coroutine_is_looked_at_again() {
    // SAFETY: only rooted objects are used after collections.
    unsafe {
        let mut heap = heap();
        let co = new_coroutine(&mut heap, 8);
        let roots = TestRoots {
            stack: vec![Value::coroutine(co)],
            running: Some(co),
            ..TestRoots::default()
        };
        heap.begin_cycle(&roots);
        heap.marker.drain(usize::MAX);
        let t = heap.new_table(0, 0);
        (&mut (*co).stack)[0] = Value::table(t);
        heap.atomic(&roots);
        heap.finish_sweep();
        assert_eq!(heap.count_kind(Kind::Table), 1);
    }
}

#[test]
fn explicit_steps_scale() {
    // SAFETY: only rooted objects are used after collections.
    unsafe {
        let mut heap = heap();
        let mut roots = TestRoots::default();
        for i in 0..sized(10_000, 400) as i64 {
            let t = heap.new_table(0, 2);
            set_int(&mut heap, t, 1, Value::integer(i)).unwrap();
            roots.stack.push(Value::table(t));
        }
        heap.stop();
        assert!(!heap.is_running());
        let mut steps = |kib: usize| {
            heap.collect_full(&roots);
            let mut n = 0;
            loop {
                heap.new_table(0, 2);
                n += 1;
                if heap.step_kib(&roots, kib) {
                    return n;
                }
            }
        };
        assert!(steps(10) < steps(5));
        assert_eq!(steps(20_000), 1);
        assert!(heap.step_kib(&roots, 20_000));
        assert!(!heap.step_kib(&roots, 1));
        assert_eq!((heap.set_pause(150), heap.set_pause(200)), (200, 150));
        assert_eq!(heap.set_mode(Mode::Generational), Mode::Incremental);
    }
}
