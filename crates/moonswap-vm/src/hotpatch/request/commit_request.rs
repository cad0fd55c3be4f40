//! What is asked of the VM's thread: a patch to be committed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moonswap_hotpatch::{Patch, Policy, Report};

use super::ticket::Sender;
use crate::hotpatch::HotError;
use crate::hotpatch::planner::published::SpeculativePlan;

/// A patch to be committed.
pub(crate) struct CommitRequest {
    pub(crate) patch: Patch,
    pub(crate) policy: Policy,
    /// Plans made elsewhere; `None`: plan on the VM's thread.
    pub(crate) speculative: Option<SpeculativePlan>,
    pub(crate) prepare: Duration,
    pub(crate) submitted: Instant,
    /// When it may no longer wait.
    pub(crate) due: Option<Instant>,
    pub(crate) ticket: Arc<Sender>,
}

impl CommitRequest {
    pub(crate) fn answer(&self, outcome: Result<Report, HotError>) {
        self.ticket.answer(outcome);
    }
}
