//! `Positions`: a line or column for each instruction, in as few bytes as the
//! numbers of one function need: most lie close together.

/// Numbers by index. Equal ones are kept the same way, so that they compare equal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// The smallest; the others are distances from it.
    first: u32,
    rest: Distances,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Distances {
    Bytes(Box<[u8]>),
    Halves(Box<[u16]>),
    Words(Box<[u32]>),
}

impl Default for Distances {
    fn default() -> Self {
        Self::Bytes(Box::default())
    }
}

impl Positions {
    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.rest {
            Distances::Bytes(all) => all.len(),
            Distances::Halves(all) => all.len(),
            Distances::Words(all) => all.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number at an index.
    ///
    /// ```
    /// use moonswap_bytecode::Positions;
    /// let lines: Positions = vec![7, 7, 9, 300].into();
    /// assert_eq!((lines.get(2), lines.get(4)), (Some(9), None));
    /// assert_eq!(lines.iter().last(), Some(300));
    /// ```
    pub fn get(&self, i: usize) -> Option<u32> {
        let distance = match &self.rest {
            Distances::Bytes(all) => all.get(i).map(|&n| u32::from(n)),
            Distances::Halves(all) => all.get(i).map(|&n| u32::from(n)),
            Distances::Words(all) => all.get(i).copied(),
        };
        distance.map(|distance| self.first + distance)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).map_while(|i| self.get(i))
    }

    /// The smallest one; 0 if there are none.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// Adds the distances from the smallest one, all with as many bytes as are
    /// needed, after their number: 0, 1, 2 or 4.
    pub(crate) fn put_distances(&self, out: &mut Vec<u8>) {
        match &self.rest {
            Distances::Bytes(all) if all.iter().all(|&n| n == 0) => out.push(0),
            Distances::Bytes(all) => {
                out.push(1);
                out.extend_from_slice(all);
            }
            Distances::Halves(all) => {
                out.push(2);
                out.extend(all.iter().flat_map(|n| n.to_le_bytes()));
            }
            Distances::Words(all) => {
                out.push(4);
                out.extend(all.iter().flat_map(|n| n.to_le_bytes()));
            }
        }
    }

    /// What [`put_distances`](Self::put_distances) wrote of `n` numbers, the smallest
    /// of which is `first`: the width, then the distances. `None` if it would not have
    /// written that.
    pub(crate) fn from_distances(first: u32, n: usize, width: u8, bytes: &[u8]) -> Option<Self> {
        if !Self::are_distances(first, n, width, bytes) {
            return None;
        }
        let rest = match width {
            0 => Distances::Bytes(vec![0; n].into()),
            1 => Distances::Bytes(bytes.into()),
            2 => Distances::Halves(halves(bytes).collect()),
            _ => Distances::Words(words(bytes).collect()),
        };
        Some(Self { first, rest })
    }

    /// Whether [`put_distances`](Self::put_distances) would have written that.
    pub(crate) fn are_distances(first: u32, n: usize, width: u8, bytes: &[u8]) -> bool {
        if n == 0 || n.checked_mul(usize::from(width)) != Some(bytes.len()) {
            return false;
        }
        // One of them is the smallest, and they need this width.
        let (has_least, least, most) = match width {
            0 => (true, 0, 0),
            1 if first <= u32::MAX - 0xFF => return bytes.contains(&0),
            1 => (
                bytes.contains(&0),
                0,
                u32::from(bytes.iter().copied().max().unwrap_or(0)),
            ),
            2 => {
                let most = halves(bytes).max().unwrap_or(0);
                (halves(bytes).any(|n| n == 0), 0x100, u32::from(most))
            }
            4 => {
                let most = words(bytes).max().unwrap_or(0);
                (words(bytes).any(|n| n == 0), 0x1_0000, most)
            }
            _ => return false,
        };
        has_least && most >= least && first.checked_add(most).is_some()
    }

    /// Bytes that it has on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.rest {
            Distances::Bytes(all) => size_of_val(&**all),
            Distances::Halves(all) => size_of_val(&**all),
            Distances::Words(all) => size_of_val(&**all),
        }
    }
}

fn halves(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.as_chunks().0.iter().map(|n| u16::from_le_bytes(*n))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.as_chunks().0.iter().map(|n| u32::from_le_bytes(*n))
}

impl From<Vec<u32>> for Positions {
    fn from(all: Vec<u32>) -> Self {
        let first = all.iter().copied().min().unwrap_or(0);
        let most = all.iter().copied().max().unwrap_or(0) - first;
        let distances = all.iter().map(|n| n - first);
        let rest = if most <= u32::from(u8::MAX) {
            Distances::Bytes(distances.map(|n| n as u8).collect())
        } else if most <= u32::from(u16::MAX) {
            Distances::Halves(distances.map(|n| n as u16).collect())
        } else {
            Distances::Words(distances.collect())
        };
        Self { first, rest }
    }
}

impl FromIterator<u32> for Positions {
    fn from_iter<I: IntoIterator<Item = u32>>(all: I) -> Self {
        all.into_iter().collect::<Vec<u32>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::Positions;

    fn read(first: u32, n: usize, bytes: &[u8]) -> Option<Positions> {
        Positions::from_distances(first, n, bytes[0], &bytes[1..])
    }

    #[test]
    fn what_is_written_is_read_back() {
        for all in [
            vec![7, 7, 7],
            vec![7, 9, 262],
            vec![7, 263, 8],
            vec![7, 65_542],
            vec![70_000, 7, 65_543],
            vec![u32::MAX, 0],
            vec![u32::MAX],
        ] {
            let positions: Positions = all.clone().into();
            let mut bytes = Vec::new();
            positions.put_distances(&mut bytes);
            let back = read(positions.first(), all.len(), &bytes);
            assert_eq!(back, Some(positions), "{all:?}");
        }
    }

    #[test]
    fn what_would_not_be_written_is_not_read() {
        // No smallest one, a number too large, too wide, no such width, too short.
        assert_eq!(read(7, 2, &[1, 1, 2]), None);
        assert_eq!(read(u32::MAX, 2, &[2, 0, 0, 0, 1]), None);
        assert_eq!(read(7, 2, &[2, 0, 0, 255, 0]), None);
        assert_eq!(read(7, 2, &[4, 0, 0, 0, 0, 255, 255, 0, 0]), None);
        assert_eq!(read(7, 2, &[3, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(read(7, 3, &[1, 0, 1]), None);
        assert_eq!(read(7, 0, &[1]), None);
    }
}
