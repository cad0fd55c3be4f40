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
/// longest run in the same order counts.
fn unmatched_of_many(was: &[Item], is: &[Item]) -> (Vec<usize>, Vec<usize>) {
    fn all(list: &[Item]) -> impl Iterator<Item = (usize, &[u8])> {
        list.iter().map(|(at, what)| (*at, &what[..]))
    }
    let pairs = equal_pairs(all(was), all(is));
    let places: Vec<usize> = pairs.iter().map(|(was, _)| *was).collect();
    let run = longest_run(&places);
    let (old, new): (Vec<usize>, Vec<usize>) = run.into_iter().map(|n| pairs[n]).unzip();
    (matched(was, &old), matched(is, &new))
}

/// Pairs of positions that hold the same, the first with the first, in the order of `is`.
pub(crate) fn equal_pairs<'a>(
    was: impl IntoIterator<Item = (usize, &'a [u8])>,
    is: impl IntoIterator<Item = (usize, &'a [u8])>,
) -> Vec<(usize, usize)> {
    let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::default();
    for (at, what) in was {
        places.entry(what).or_default().push_back(at);
    }
    let pair = |(at, what): (usize, &[u8])| Some((places.get_mut(what)?.pop_front()?, at));
    is.into_iter().filter_map(pair).collect()
}

/// The indices of a longest run of keys that grow. Of two keys that changed places the
/// first one is in it.
pub(crate) fn longest_run<K: Ord>(keys: &[K]) -> Vec<usize> {
    // For each length the key with the greatest value that begins such a run.
    let mut begins: Vec<usize> = Vec::new();
    let mut behind: Vec<Option<usize>> = vec![None; keys.len()];
    for (n, key) in keys.iter().enumerate().rev() {
        let length = begins.partition_point(|begin| keys[*begin] > *key);
        behind[n] = length.checked_sub(1).map(|l| begins[l]);
        match begins.get_mut(length) {
            Some(begin) => *begin = n,
            None => begins.push(n),
        }
    }
    std::iter::successors(begins.last().copied(), |n| behind[*n]).collect()
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
    fn items<'a>(all: &'a [Item], at: &[usize]) -> Vec<(usize, &'a [u8])> {
        let item = |at: &usize| {
            let found = all.binary_search_by_key(at, |(at, _)| *at).ok()?;
            Some((*at, &all[found].1[..]))
        };
        at.iter().filter_map(item).collect()
    }
    equal_pairs(items(was, gone), items(is, come))
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
