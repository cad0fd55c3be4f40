//! `CommitGate`: whether code may be replaced now. Three things close it: a native
//! that calls back and must not see a commit, a patch that is being prepared, and the
//! mailbox being served.

/// Whether a commit may happen now.
#[derive(Default)]
pub(crate) struct CommitGate {
    /// Natives calling back that must not see a commit (`sort`, `gsub` …).
    n_natives: u32,
    /// A commit waits for that count to become 0.
    is_held: bool,
    /// A patch is being prepared, or its hooks and listeners run.
    is_preparing: bool,
    /// The mailbox is being served, or coroutines are being closed after a commit.
    is_serving: bool,
}

/// What the gate goes back to: patches of the code that one patch runs nest in it.
#[must_use = "the gate stays closed"]
pub(crate) struct Before(bool);

impl CommitGate {
    /// Whether another patch is under way.
    pub(crate) fn is_occupied(&self) -> bool {
        self.is_preparing || self.is_serving
    }

    pub(crate) fn is_preparing(&self) -> bool {
        self.is_preparing
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.is_serving
    }

    /// A patch is prepared, or code runs that belongs to one, until
    /// [`Self::end_preparing`].
    pub(crate) fn begin_preparing(&mut self) -> Before {
        Before(std::mem::replace(&mut self.is_preparing, true))
    }

    pub(crate) fn end_preparing(&mut self, before: Before) {
        self.is_preparing = before.0;
    }

    /// Requests are served, or coroutines closed, until [`Self::end_serving`].
    pub(crate) fn begin_serving(&mut self) -> Before {
        Before(std::mem::replace(&mut self.is_serving, true))
    }

    pub(crate) fn end_serving(&mut self, before: Before) {
        self.is_serving = before.0;
    }

    /// Whether a native that must not see a commit is calling back.
    #[inline(always)]
    pub(crate) fn is_blocked(&self) -> bool {
        self.n_natives > 0
    }

    /// A native calls back; `blocks`: it must not see a commit.
    #[inline(always)]
    pub(crate) fn enter_native(&mut self, blocks: bool) {
        self.n_natives += u32::from(blocks);
    }

    /// It is through. True: what was held for the natives can go on.
    #[inline(always)]
    pub(crate) fn leave_native(&mut self, blocks: bool) -> bool {
        self.n_natives -= u32::from(blocks);
        if !self.is_held || self.n_natives > 0 {
            return false;
        }
        self.is_held = false;
        true
    }

    /// Something waits for the natives that block; the last one's end asks for it.
    pub(crate) fn hold(&mut self) {
        self.is_held = true;
    }
}
