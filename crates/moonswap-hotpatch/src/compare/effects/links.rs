//! Which names lead to which: what a call may get to, and which names may hold one table.

use super::place::{Node, OUTSIDE};

/// A directed graph of names, and sets of names that may hold the same table.
#[derive(Debug)]
pub(super) struct Links {
    to: Vec<Vec<Node>>,
    /// A name of the same set; of one of each set itself.
    same: Vec<Node>,
    /// Whether tables in those of a set may be in others of them.
    is_shared: Vec<bool>,
    /// Names whose own table others may hold.
    is_own_shared: Vec<bool>,
    n_names: usize,
}

impl Links {
    /// Node 0 is [`OUTSIDE`], those of names follow.
    pub(super) fn new(n_names: usize) -> Self {
        let n = n_names + 1;
        Self {
            to: vec![Vec::new(); n],
            same: (0..n as Node).collect(),
            is_shared: vec![false; n],
            is_own_shared: vec![false; n],
            n_names,
        }
    }

    pub(super) fn n_names(&self) -> usize {
        self.n_names
    }

    pub(super) fn n_nodes(&self) -> usize {
        self.to.len()
    }

    /// A node that stands for a call.
    pub(super) fn hub(&mut self) -> Node {
        self.to.push(Vec::new());
        self.to.len() as Node - 1
    }

    /// Who gets to `from` gets to `to`.
    pub(super) fn link(&mut self, from: Node, to: Node) {
        if let Some(list) = self.to.get_mut(from as usize)
            && from != to
            && list.last() != Some(&to)
        {
            list.push(to);
        }
    }

    /// Two names may hold the same table.
    pub(super) fn unite(&mut self, a: Node, b: Node) {
        let (a, b) = (self.set(a), self.set(b));
        if a != b {
            self.same[b as usize] = a;
        }
        // Or one name, and a table in it at two places.
        self.is_shared[a as usize] = true;
    }

    /// The table that a name holds may be held elsewhere.
    pub(super) fn share(&mut self, name: Node) {
        if let Some(is_shared) = self.is_own_shared.get_mut(name as usize) {
            *is_shared = true;
        }
    }

    /// Whether the table that a name holds may be held elsewhere.
    pub(super) fn is_own_shared(&self, name: Node) -> bool {
        let known = self.is_own_shared.get(name as usize);
        known.copied().unwrap_or_default()
    }

    /// The set of a name.
    pub(super) fn set(&self, of: Node) -> Node {
        let mut at = of;
        while let Some(next) = self
            .same
            .get(at as usize)
            .copied()
            .filter(|next| *next != at)
        {
            at = next;
        }
        at
    }

    /// Makes what follows faster: no name is more than one step from its set.
    pub(super) fn flatten(&mut self) {
        for at in 0..self.same.len() {
            self.same[at] = self.set(at as Node);
        }
    }

    /// Whether a table in that of a name may be in another one.
    pub(super) fn is_shared(&self, of: Node) -> bool {
        let set = self.set(of) as usize;
        self.is_shared.get(set).copied().unwrap_or_default()
    }

    /// All that nodes lead to, with themselves.
    pub(super) fn reach(&self, from: &[Node]) -> Set {
        let mut found = Set::new(self.n_nodes());
        let mut todo = from.to_vec();
        while let Some(node) = todo.pop() {
            if found.insert(node) {
                todo.extend(self.to.get(node as usize).into_iter().flatten());
            }
        }
        found
    }

    /// All nodes that lead to [`OUTSIDE`].
    pub(super) fn that_reach_outside(&self) -> Set {
        let mut back: Vec<Vec<Node>> = vec![Vec::new(); self.n_nodes()];
        for (from, list) in self.to.iter().enumerate() {
            for to in list {
                back[*to as usize].push(from as Node);
            }
        }
        let mut found = Set::new(self.n_nodes());
        let mut todo = vec![OUTSIDE];
        while let Some(node) = todo.pop() {
            if found.insert(node) {
                todo.extend(&back[node as usize]);
            }
        }
        found
    }
}

/// A set of small numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(Vec<u64>);

impl Set {
    pub(super) fn new(n: usize) -> Self {
        Self(vec![0; n.div_ceil(64)])
    }

    /// Answers whether it is new.
    pub(super) fn insert(&mut self, at: Node) -> bool {
        let Some(word) = self.0.get_mut(at as usize / 64) else {
            return false;
        };
        let bit = 1 << (at % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn has(&self, at: Node) -> bool {
        let word = self.0.get(at as usize / 64);
        word.is_some_and(|word| word & (1 << (at % 64)) != 0)
    }

    /// Whether both have one that the third has as well.
    pub(super) fn meet_in(&self, other: &Self, within: &Self) -> bool {
        let both = self.0.iter().zip(&other.0).zip(&within.0);
        { both }.any(|((a, b), c)| a & b & c != 0)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = Node> + '_ {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| {
            let bits = (0..64).filter(move |bit| word & (1 << bit) != 0);
            bits.map(move |bit| at as Node * 64 + bit)
        })
    }
}
