//! What is asked of the VM's thread: a patch to be committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Patch, Policy, Report};

use super::HotError;
use super::published::SpeculativePlan;
use super::ticket::Sender;

/// A patch to be committed.
pub(super) struct CommitRequest {
    pub(super) patch: Patch,
    pub(super) policy: Policy,
    /// Plans made elsewhere; `None`: plan on the VM's thread.
    pub(super) speculative: Option<SpeculativePlan>,
    pub(super) prepare: Duration,
    pub(super) submitted: Instant,
    /// When it may no longer wait.
    pub(super) due: Option<Instant>,
    pub(super) ticket: Arc<Sender>,
}

impl CommitRequest {
    pub(super) fn answer(&self, outcome: Result<Report, HotError>) {
        self.ticket.answer(outcome);
    }
}
