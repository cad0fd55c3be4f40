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

    /// Bytes that it has on the heap.
    pub fn heap_bytes(&self) -> usize {
        match &self.rest {
            Distances::Bytes(all) => size_of_val(&**all),
            Distances::Halves(all) => size_of_val(&**all),
            Distances::Words(all) => size_of_val(&**all),
        }
    }
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
