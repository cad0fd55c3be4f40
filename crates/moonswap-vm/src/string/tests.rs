//! Hash quality, interning, creation.

use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::safepoint::PollHandle;
use crate::tests::sized;

fn heap() -> Heap {
    Heap::new(Arc::new(PollHandle::default()))
}

#[test]
fn prefix_and_number_do_not_cluster() {
    for seed in [1u64, 77, 0x0123_4567_89AB_CDEF, u64::MAX] {
        for prefix in [
            "key",
            "k",
            "item_",
            "a_rather_long_prefix_",
            "x.y.z.with.34.bytes.in.front.of.it",
        ] {
            for n in [64usize, sized(1024, 128)] {
                let mut chains = vec![0u32; n];
                for i in 0..n {
                    chains[hash(format!("{prefix}{i}").as_bytes(), seed) as usize & (n - 1)] += 1;
                }
                // Average probes of a hit: 1.5 for a random function.
                let probes: u32 = chains.iter().map(|c| c * (c + 1) / 2).sum();
                assert!(
                    (f64::from(probes)) / (n as f64) < 1.9,
                    "{prefix} {n} {seed}: {probes}"
                );
                assert!(*chains.iter().max().unwrap() <= 9);
            }
        }
    }
}

#[test]
fn every_byte_counts() {
    for n in 1..sized(100, 40) {
        let mut bytes = vec![b'a'; n];
        let base = hash(&bytes, 5);
        for i in 0..n {
            bytes[i] ^= 1;
            // three-byte sampling is exact up to three bytes, overlapping reads above
            assert_ne!(hash(&bytes, 5), base, "{n} {i}");
            bytes[i] ^= 1;
        }
        assert_ne!(hash(&bytes, 6), base);
    }
}

#[test]
fn short_strings_are_unique() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        let mut pointers = HashSet::new();
        for round in 0..2 {
            for i in 0..sized(20_000, 600) {
                let text = format!("id{i}");
                let s = heap.string(text.as_bytes());
                assert_eq!(StringObject::bytes(s), text.as_bytes());
                assert_eq!(pointers.insert(s), round == 0);
                assert_eq!(
                    concat(&mut heap, &[b"id", &text.as_bytes()[2..]]).unwrap(),
                    s
                );
            }
        }
        for b in 0..=255u8 {
            assert_eq!(heap.string(&[b]), heap.string_from_vec(vec![b]));
        }
        assert_eq!(heap.string(b""), concat(&mut heap, &[]).unwrap());
        let exactly = [b'z'; MAX_SHORT];
        assert_eq!(heap.string(&exactly), heap.string(&exactly));
    }
}

#[test]
fn long_strings_compare_by_content() {
    // SAFETY: nothing is collected in this test.
    unsafe {
        let mut heap = heap();
        for n in [41, 100, 8176, 8177, sized(100_000, 9_000)] {
            let bytes: Vec<u8> = (0..n).map(|i| i as u8).collect();
            let a = heap.string(&bytes);
            let body = bytes.clone();
            let address = body.as_ptr();
            let b = heap.string_from_vec(body);
            assert!(n <= 8176 || StringObject::bytes(b).as_ptr() == address);
            let c = concat(&mut heap, &[&bytes[..7], &bytes[7..]]).unwrap();
            assert!(equal_long(a, b) && equal_long(b, c) && a != b);
            assert_eq!(hash_of(a), hash_of(c));
            assert_eq!(StringObject::bytes(c), &bytes[..]);
            let other = heap.string(&bytes[1..]);
            assert!(!equal_long(a, other));
        }
    }
}

/// As the heap does it.
fn insert(table: &mut intern::Interner, hash: u32, len: usize, s: *mut StringObject) {
    if table.is_crowded() {
        assert!(table.grow());
    }
    table.insert(hash, len, s);
}

#[test]
fn the_intern_table_survives_removals() {
    let mut heap = heap();
    let mut table = intern::Interner::new();
    let strings: Vec<_> = (0..sized(3000, 300) as u32)
        .map(|i| {
            let bytes = i.to_string().into_bytes();
            let h = hash(&bytes, 1) & 0xFFF; // force collisions
            let s = heap.new_short(&bytes, h);
            insert(&mut table, h, bytes.len(), s);
            (bytes, h, s)
        })
        .collect();
    for (i, (_, h, s)) in strings.iter().enumerate() {
        if i % 3 != 0 {
            table.remove(*h, *s);
        }
    }
    assert_eq!(table.len(), strings.len() / 3);
    for (i, (bytes, h, s)) in strings.iter().enumerate() {
        let found = table.find(*h, bytes);
        assert!(if i % 3 == 0 {
            found == *s
        } else {
            found.is_null()
        });
    }
}

#[test]
fn the_intern_table_is_complete_while_its_size_changes() {
    let mut heap = heap();
    let mut table = intern::Interner::new();
    let mut strings = Vec::new();
    let check =
        |table: &intern::Interner, strings: &[(Vec<u8>, u32, *mut StringObject)], from: usize| {
            for (i, (bytes, h, s)) in strings.iter().enumerate() {
                let found = table.find(*h, bytes);
                assert!(
                    if i < from {
                        found.is_null()
                    } else {
                        found == *s
                    },
                    "{i} of {}",
                    strings.len()
                );
            }
            assert_eq!(table.len(), strings.len() - from);
        };
    // Past the size from which on entries move one by one; old ones die
    // meanwhile, moved or not.
    let mut dead = 0;
    for i in 0..sized(20_000, 2_500) as u32 {
        let bytes = i.to_string().into_bytes();
        let h = hash(&bytes, 1);
        let s = heap.new_short(&bytes, h);
        insert(&mut table, h, bytes.len(), s);
        strings.push((bytes, h, s));
        if i % 3 == 0 {
            let (_, h, s) = &strings[dead];
            table.remove(*h, *s);
            dead += 1;
        }
        if i % sized(1531, 431) as u32 == 0 || i == sized(6200, 775) as u32 {
            check(&table, &strings, dead);
        }
    }
    // And back, in steps of the collector.
    while dead < strings.len() - 10 {
        let (_, h, s) = &strings[dead];
        table.remove(*h, *s);
        dead += 1;
        if dead % sized(500, 250) == 0 {
            table.shrink();
            table.move_some(100);
            check(&table, &strings, dead);
        }
    }
    check(&table, &strings, dead);
}
