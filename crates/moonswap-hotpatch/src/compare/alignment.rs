//! Which items of two lists are the same ones. Items are positions with what they are
//! compared by, in the order of the positions.

use std::collections::VecDeque;

use foldhash::HashMap;

/// A position, and what is compared.
pub(crate) type Item = (usize, Vec<u8>);

/// Beyond so many pairs of items a table of lengths is not worth it.
const MAX_COMPARED: usize = 4_000_000;

/// The positions of what is only in the one or only in the other list, by
/// longest common subsequence.
pub(crate) fn unmatched(was: &[Item], is: &[Item]) -> (Vec<usize>, Vec<usize>) {
    let prefix = was.iter().zip(is).take_while(|(a, b)| a.1 == b.1).count();
    let (was, is) = (&was[prefix..], &is[prefix..]);
    let suffix = was
        .iter()
        .rev()
        .zip(is.iter().rev())
        .take_while(|(a, b)| a.1 == b.1)
        .count();
    let (was, is) = (&was[..was.len() - suffix], &is[..is.len() - suffix]);
    if was.len().saturating_mul(is.len()) > MAX_COMPARED {
        return unmatched_of_many(was, is);
    }
    let width = is.len() + 1;
    let mut length = vec![0u32; (was.len() + 1) * width];
    for i in (0..was.len()).rev() {
        for j in (0..is.len()).rev() {
            length[i * width + j] = if was[i].1 == is[j].1 {
                length[(i + 1) * width + j + 1] + 1
            } else {
                length[(i + 1) * width + j].max(length[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut gone, mut come) = (0, 0, Vec::new(), Vec::new());
    while i < was.len() || j < is.len() {
        if i < was.len() && j < is.len() && was[i].1 == is[j].1 {
            (i, j) = (i + 1, j + 1);
        } else if j == is.len()
            || i < was.len() && length[(i + 1) * width + j] >= length[i * width + j + 1]
        {
            gone.push(was[i].0);
            i += 1;
        } else {
            come.push(is[j].0);
            j += 1;
        }
    }
    (gone, come)
}

/// The same for long lists: equal items are paired in their order, and of the pairs the
/// longest increasing subsequence counts.
fn unmatched_of_many(was: &[Item], is: &[Item]) -> (Vec<usize>, Vec<usize>) {
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::default();
    for (at, what) in was {
        places.entry(what).or_default().push_back(*at);
    }
    let pairs = is.iter().filter_map(|(at, what)| {
        let place = places.get_mut(&what[..])?.pop_front()?;
        Some((place, *at))
    });
    let pairs: Vec<(usize, usize)> = pairs.collect();
    // For each length the pair with the least old position that ends such a subsequence.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (n, (place, _)) in pairs.iter().enumerate() {
        let length = ends.partition_point(|&end| pairs[end].0 < *place);
        before.push(length.checked_sub(1).map(|l| ends[l]));
        match ends.get_mut(length) {
            Some(end) => *end = n,
            None => ends.push(n),
        }
    }
    let mut next = ends.last().copied();
    let last_to_first = std::iter::from_fn(|| {
        let n = next?;
        next = before[n];
        Some(pairs[n])
    });
    let (mut old, mut new): (Vec<usize>, Vec<usize>) = last_to_first.unzip();
    old.reverse();
    new.reverse();
    (matched(was, &old), matched(is, &new))
}

/// The positions that are not among `others`, which are in order.
pub(crate) fn matched(all: &[Item], others: &[usize]) -> Vec<usize> {
    let all = all.iter().map(|(at, _)| *at);
    all.filter(|at| others.binary_search(at).is_err()).collect()
}

/// Of what is unmatched the pairs that are equal, in the order of the new list: they
/// stand in both lists, in another order.
pub(crate) fn moved(
    was: &[Item],
    is: &[Item],
    gone: &[usize],
    come: &[usize],
) -> Vec<(usize, usize)> {
    let index = |all: &[Item], at: usize| all.binary_search_by_key(&at, |(at, _)| *at).ok();
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::default();
    for at in gone {
        if let Some(found) = index(was, *at) {
            places.entry(&was[found].1).or_default().push_back(*at);
        }
    }
    let pairs = come.iter().filter_map(|at| {
        let found = index(is, *at)?;
        Some((places.get_mut(&is[found].1[..])?.pop_front()?, *at))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(text: &str) -> Vec<Item> {
        let bytes = text.bytes().map(|byte| vec![byte]);
        bytes.enumerate().collect()
    }

    #[test]
    fn both_ways_leave_as_many() {
        for (was, is) in [
            ("abcdef", "abxcdf"),
            ("abcdef", "badcfe"),
            ("aabbcc", "ccbbaa"),
            ("", "abc"),
            ("abc", ""),
            ("abcabc", "cabcab"),
        ] {
            let (was, is) = (items(was), items(is));
            let (gone, come) = unmatched(&was, &is);
            let (many_gone, many_come) = unmatched_of_many(&was, &is);
            assert!(gone.is_sorted() && many_gone.is_sorted() && many_come.is_sorted());
            assert_eq!(matched(&was, &gone).len(), matched(&is, &come).len());
            let kept = matched(&was, &many_gone).len();
            assert_eq!(kept, matched(&is, &many_come).len());
            assert!(kept <= matched(&was, &gone).len());
        }
        let (was, is) = (items("abcdef"), items("bcdefa"));
        assert_eq!(unmatched_of_many(&was, &is), (vec![0], vec![5]));
        let (gone, come) = unmatched(&was, &is);
        assert_eq!(moved(&was, &is, &gone, &come), [(0, 5)]);
    }
}
