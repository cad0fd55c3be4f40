//! Tables against a model, seeded.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::heap::Heap;
use crate::safepoint::PollHandle;
use crate::tests::sized;

/// xorshift
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 8) % n
    }
}

fn heap() -> Heap {
    Heap::with_seed(Arc::new(PollHandle::default()), 0x1234_5678_9ABC_DEF1)
}

/// Key of the model: integers, floats by bits, strings, booleans.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Int(i64),
    Float(u64),
    Text(Vec<u8>),
    Bool(bool),
}

fn value_of(heap: &mut Heap, key: &Key) -> Value {
    match key {
        Key::Int(i) => Value::integer(*i),
        Key::Float(b) => Value::float(f64::from_bits(*b)),
        Key::Text(t) => Value::string(heap.string(t)),
        Key::Bool(b) => Value::boolean(*b),
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn key_of(v: Value) -> Key {
    // SAFETY: by the test.
    unsafe {
        match v.tag {
            tag::INTEGER => Key::Int(v.as_i64()),
            tag::FLOAT => Key::Float(v.payload),
            tag::STRING => Key::Text(StringObject::bytes(v.as_string()).to_vec()),
            _ => Key::Bool(v.tag == tag::TRUE),
        }
    }
}

fn random_key(r: &mut Random, range: u64) -> Key {
    match r.below(10) {
        0..=4 => Key::Int(r.below(range) as i64 - 3),
        5 => Key::Float((r.below(range) as f64 + 0.5).to_bits()),
        6 => Key::Int((r.below(range) as i64) << 16),
        7 => Key::Text(format!("key{}", r.below(range)).into_bytes()),
        8 => Key::Text(format!("{:060}", r.below(range / 2 + 1)).into_bytes()),
        _ => Key::Bool(r.below(2) == 0),
    }
}

/// # Safety
/// Live objects: nothing was collected that the test still names.
unsafe fn check_against(heap: &mut Heap, t: *mut Table, model: &BTreeMap<Key, i64>) {
    // SAFETY: by the test.
    unsafe {
        for (k, v) in model {
            let key = value_of(heap, k);
            let got = get(t, key);
            assert!(
                got.tag == tag::INTEGER && got.as_i64() == *v,
                "{k:?}: {got:?} not {v}"
            );
        }
        let mut seen = BTreeMap::new();
        let mut key = Value::NIL;
        let mut cursor = 0;
        while let Some((k, v)) = next(t, key).unwrap() {
            let (c, k2, _) = next_at(t, cursor).unwrap();
            assert_eq!(c, cursor_of(t, k).unwrap());
            assert!(k.raw_equal(k2));
            cursor = c;
            assert!(seen.insert(key_of(k), v.as_i64()).is_none(), "twice: {k:?}");
            key = k;
        }
        assert!(next_at(t, cursor).is_none());
        assert_eq!(&seen, model);
        let n = len(t);
        assert!(n == 0 || model.contains_key(&Key::Int(n)));
        assert!(!model.contains_key(&Key::Int(n + 1)));
    }
}

#[test]
fn random_operations_agree_with_a_model() {
    for seed in 1..=sized(60, 2) as u64 {
        let mut r = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut heap = heap();
        let (na, nh) = (r.below(20) as usize, r.below(20) as usize);
        let t = heap.new_table(na, nh);
        let mut model = BTreeMap::new();
        let range = [4, 20, 100, 1000][r.below(4) as usize];
        for step in 0..sized(1500, 250) as i64 {
            let k = random_key(&mut r, range);
            // SAFETY: nothing is collected in this test.
            unsafe {
                let key = value_of(&mut heap, &k);
                if r.below(3) == 0 {
                    set(&mut heap, t, key, Value::NIL).unwrap();
                    model.remove(&k);
                } else {
                    set(&mut heap, t, key, Value::integer(step)).unwrap();
                    model.insert(k, step);
                }
                if step % 100 == 99 {
                    check_against(&mut heap, t, &model);
                }
            }
        }
    }
}

#[test]
fn arrays_in_all_orders() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        for n in [
            1i64,
            3,
            4,
            5,
            8,
            33,
            100,
            sized(1000, 130) as i64,
            sized(3000, 160) as i64,
        ] {
            let forward = heap.new_table(0, 0);
            let backward = heap.new_table(0, 0);
            let presized = heap.new_table(n as usize, 2);
            for i in 1..=n {
                set_int(&mut heap, forward, i, Value::integer(i)).unwrap();
                assert_eq!(len(forward), i);
                set_int(&mut heap, backward, n + 1 - i, Value::integer(i)).unwrap();
                set(
                    &mut heap,
                    presized,
                    Value::float((n + 1 - i) as f64),
                    Value::integer(i),
                )
                .unwrap();
            }
            assert_eq!((len(backward), len(presized)), (n, n));
            assert!(((*forward).array_cap as i64) < 2 * n + 8);
            assert_eq!(node_count(forward), 0);
            // as a stack, down to nothing
            for i in (1..=n).rev() {
                assert_eq!(len(forward), i);
                assert_eq!(get_int(backward, i).as_i64(), n + 1 - i);
                let (value, tag) = array_get(forward, i);
                assert!(*value == i as u64 && *tag == tag::INTEGER);
                set_int(&mut heap, forward, i, Value::NIL).unwrap();
            }
            assert_eq!(len(forward), 0);
            assert!(array_get(forward, 1).0.is_null() && get_int(forward, 0).is_nil());
        }
    }
}

#[test]
fn a_queue_stays_small() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        let t = heap.new_table(0, 0);
        for i in 1..=sized(20_000, 600) as i64 {
            set_int(&mut heap, t, i, Value::integer(i)).unwrap();
            if i > 50 {
                assert_eq!(get_int(t, i - 50).as_i64(), i - 50);
                set_int(&mut heap, t, i - 50, Value::NIL).unwrap();
            }
        }
        assert!(
            (*t).array_cap + ((*t).header.word + 1) < 1000,
            "{} {}",
            (*t).array_cap,
            (*t).header.word
        );
    }
}

#[test]
fn removing_while_traversing() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        let t = heap.new_table(0, 0);
        for i in 1..=sized(500, 60) as i64 {
            let key = Value::string(heap.string(format!("k{i}").as_bytes()));
            set(&mut heap, t, key, Value::boolean(true)).unwrap();
            set_int(&mut heap, t, i, Value::boolean(true)).unwrap();
        }
        let (mut key, mut n) = (Value::NIL, 0);
        while let Some((k, _)) = next(t, key).unwrap() {
            set(&mut heap, t, k, Value::NIL).unwrap();
            key = k;
            n += 1;
        }
        assert_eq!(n, 2 * sized(500, 60));
        assert!(next(t, Value::NIL).unwrap().is_none());
        assert_eq!(next(t, Value::float(1e300)).unwrap_err(), InvalidKey);
        assert_eq!(
            set(&mut heap, t, Value::NIL, Value::NIL),
            Err(TableError::NilKey)
        );
        assert_eq!(
            set(&mut heap, t, Value::float(f64::NAN), Value::NIL),
            Err(TableError::NanKey)
        );
        assert!(get(t, Value::float(f64::NAN)).is_nil());
    }
}

#[test]
fn presized_objects_are_one_cell() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        let (x, y) = (heap.string(b"x"), heap.string(b"y"));
        let mut previous = 0;
        for _ in 0..4 {
            let t = heap.new_table(0, 2);
            assert_eq!((*t).nodes as usize, t as usize + 48);
            assert!(previous == 0 || t as usize - previous == 96);
            previous = t as usize;
            set_short(&mut heap, t, x, Value::integer(1)).unwrap();
            set_short(&mut heap, t, y, Value::integer(2)).unwrap();
            assert_eq!((*t).nodes as usize, t as usize + 48);
            assert_eq!(get_short(t, y).as_i64(), 2);
            (*t).header.flags = 0xFF;
            set_short(&mut heap, t, y, Value::integer(2)).unwrap();
            assert_eq!((*t).header.flags, 0xFF);
            set_short(&mut heap, t, y, Value::NIL).unwrap();
            set_short(&mut heap, t, y, Value::integer(2)).unwrap();
            assert_eq!((*t).header.flags, 0);
        }
    }
}

/// Nodes a lookup of each key passes, on average, when there are as many nodes
/// as keys: the length of its chain by main positions.
fn mean_chain(keys: &[u64], hash: impl Fn(u64) -> u32) -> f64 {
    let n = keys.len().next_power_of_two();
    let mut chains = vec![0u64; n];
    for &key in keys {
        chains[hash(key) as usize & (n - 1)] += 1;
    }
    chains.iter().map(|c| c * c).sum::<u64>() as f64 / keys.len() as f64
}

#[test]
fn keys_that_somebody_chose_do_not_collide() {
    const N: u64 = 50_000;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut sets: Vec<(String, Vec<u64>)> = vec![
        ("random".into(), (0..N).map(|_| random.next()).collect()),
        ("sequence".into(), (0..N).collect()),
        (
            "negative".into(),
            (0..N).map(|i| (i as i64).wrapping_neg() as u64).collect(),
        ),
        (
            "multiples of 65535".into(),
            (0..N).map(|i| i * 65_535).collect(),
        ),
        (
            "floats".into(),
            (0..N).map(|i| (i as f64 + 0.5).to_bits()).collect(),
        ),
        (
            "float powers".into(),
            (0..N)
                .map(|i| (i as f64 * 2f64.powi(-40)).to_bits())
                .collect(),
        ),
        (
            "addresses".into(),
            (0..N).map(|i| 0x7F00_0000_0000 + i * 48).collect(),
        ),
    ];
    for shift in [8, 16, 24, 32, 40, 44, 48] {
        let keys = (0..N).map(|i| i << shift).collect();
        sets.push((format!("multiples of 2^{shift}"), keys));
    }
    // All that collide modulo 512 under one mixer are as good as random under
    // another.
    let (a, b) = (0x2545_F491_4F6C_DD1D, 0x9E37_79B9_7F4A_7C15);
    let crafted: Vec<u64> = (0u64..)
        .filter(|&key| mix_with(key, a, b) & 0x1FF == 7)
        .take(N as usize)
        .collect();
    assert!(mean_chain(&crafted, |key| mix_with(key, a, b)) > 200.0);
    sets.push(("crafted".into(), crafted));
    choose_mixer();
    for (name, keys) in &sets {
        let mean = mean_chain(keys, mix);
        assert!(mean < 4.0, "{name}: {mean}");
        for _ in 0..20 {
            let (a, b) = (random.next(), random.next() | 1 << 63 | 1);
            let mean = mean_chain(keys, |key| mix_with(key, a, b));
            assert!(mean < 4.0, "{name} with {a:#x}, {b:#x}: {mean}");
        }
    }
}
