//! How far the main chunk got: what stands behind an early return, or behind
//! the statement that is running, was never reached, and a patch runs none of it.

use moonswap_bytecode::Prototype;
use moonswap_compiler::syntax::ast::{Block, Statement, StatementKind};

use crate::manifest::Progress;

/// The first statement of the new text that counts as not reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) limit: usize,
    /// Why nothing is run from there on.
    pub(crate) why: String,
    /// The main chunk did not get to its end, or is not known to.
    pub(crate) is_left: bool,
    /// Statements above the limit that the old text has as well, and that were not
    /// reached there.
    pub(crate) skipped: Vec<usize>,
    /// The only return that is new, by its statement, and how far the main chunk counts
    /// as having got if it would have got past that.
    pub(crate) passed: Option<(usize, Progress)>,
}

/// Nothing was reached.
pub(super) static NOWHERE: Reach = Reach {
    limit: 0,
    why: String::new(),
    is_left: true,
    skipped: Vec::new(),
    passed: None,
};

impl Reach {
    /// Without the old text it is only known whether the main chunk ran.
    pub(crate) fn without_text(progress: Progress, n_statements: usize) -> Self {
        let is_left = progress == Progress::NotStarted;
        Self {
            limit: if is_left { 0 } else { n_statements },
            why: NOT_RUN.to_owned(),
            is_left,
            skipped: Vec::new(),
            passed: None,
        }
    }

    /// The same for the next patch.
    pub(crate) fn progress(&self, before: Progress) -> Progress {
        match self.is_left {
            _ if before == Progress::NotStarted => before,
            true => Progress::Statement(self.limit.saturating_sub(1) as u32),
            false => Progress::Unknown,
        }
    }

    /// Whether the main chunk has run the statement, or passed its place.
    pub(crate) fn has(&self, statement: usize) -> bool {
        statement < self.limit && !self.skipped.contains(&statement)
    }
}

const NOT_RUN: &str = "the main chunk has not run";

/// What of the old text the main chunk has run: the statement it left or is in.
/// `None`: it ran to its end, or that is not known.
pub(crate) fn left_in(
    progress: Progress,
    main: &Prototype,
    statements: &[Statement],
) -> Option<usize> {
    let at = match progress {
        Progress::Unknown => return None,
        Progress::NotStarted => return Some(0),
        Progress::Statement(at) => return Some(at as usize),
        Progress::Ended(pc) | Progress::Running(pc) => {
            let pc = pc as usize;
            let place = (
                main.debug.lines.get(pc)?,
                main.debug.columns.get(pc).unwrap_or(u32::MAX),
            );
            let begins = |s: &Statement| (s.span.line, s.span.column) <= place;
            statements.iter().rposition(begins).unwrap_or(0)
        }
    };
    // It left the last one at its end: everything was reached.
    let is_running = matches!(progress, Progress::Running(_));
    let is_early = matches!(progress, Progress::Ended(pc) if !is_last_return(main, pc as usize));
    let last = statements.get(at).map(|s| &s.kind);
    let has_left =
        is_early && last.is_some_and(|s| !matches!(s, StatementKind::Return(_)) && may_leave(s));
    (is_running || has_left || at + 1 < statements.len()).then_some(at)
}

/// Whether the return of the main chunk behind this KEEPSCOPE is the one at its end.
fn is_last_return(main: &Prototype, pc: usize) -> bool {
    pc + 2 >= main.code.len()
}

/// How far that is in the new text. `pairs` are statements of the old and the new
/// text that correspond, in the order of the old one.
pub(crate) fn reach(
    progress: Progress,
    main: &Prototype,
    old: &[Statement],
    new: &[Statement],
    pairs: &[(usize, usize)],
) -> Reach {
    let mut reach = Reach::without_text(progress, new.len());
    if progress == Progress::NotStarted {
        return reach;
    }
    if let Some(left) = left_in(progress, main, old) {
        let same = pairs.iter().find(|(was, _)| *was == left);
        reach.limit = match same {
            // What corresponds to it stays what it was: it does not run again.
            Some((_, is)) => is + 1,
            None => {
                let before = pairs.iter().filter(|(was, _)| *was < left);
                let from = before.map(|(_, is)| is + 1).max().unwrap_or(0);
                let behind = pairs.iter().filter(|(was, _)| *was > left);
                let to = behind.map(|(_, is)| *is).min().unwrap_or(new.len());
                // The only one of its kind in its place has changed.
                let kind = std::mem::discriminant(&old[left].kind);
                let mut alike = (from..to.max(from))
                    .filter(|at| std::mem::discriminant(&new[*at].kind) == kind);
                match (alike.next(), alike.next()) {
                    (Some(at), None) => at + 1,
                    _ => from,
                }
            }
        };
        let skipped = pairs
            .iter()
            .filter(|(was, is)| *was > left && *is < reach.limit);
        reach.skipped = skipped.map(|(_, is)| *is).collect();
        let line = old.get(left).map_or(1, |s| s.span.line);
        reach.is_left = true;
        reach.why =
            format!("not reached: the main chunk left or is in line {line} of the old text");
    }
    // A return that is new: whether the program would have got past it is not known.
    let is_new = |at: &usize| {
        let is_old = pairs.iter().any(|(_, is)| is == at);
        !is_old && may_leave(&new[*at].kind) && at + 1 < reach.limit
    };
    let mut returns = (0..reach.limit).filter(is_new);
    let (first, next) = (returns.next(), returns.next());
    if let Some(at) = first {
        if next.is_none() {
            reach.passed = Some((at, reach.progress(progress)));
        }
        reach.limit = at + 1;
        reach.is_left = true;
        reach.why = format!("behind the new return in line {}", new[at].span.line);
    }
    reach
}

/// Whether a return stands in it.
pub(super) fn may_leave(kind: &StatementKind) -> bool {
    let block = |block: &Block| block.statements.iter().any(|s| may_leave(&s.kind));
    match kind {
        StatementKind::Return(_) | StatementKind::Goto(_) => true,
        StatementKind::Do(body)
        | StatementKind::While { body, .. }
        | StatementKind::Repeat { body, .. }
        | StatementKind::NumericFor { body, .. }
        | StatementKind::GenericFor { body, .. } => block(body),
        StatementKind::If { arms, otherwise } => {
            arms.iter().any(|(_, body)| block(body)) || otherwise.as_ref().is_some_and(block)
        }
        StatementKind::Local { .. }
        | StatementKind::LocalFunction { .. }
        | StatementKind::Function { .. }
        | StatementKind::Assign { .. }
        | StatementKind::Call(_)
        | StatementKind::Label(_)
        | StatementKind::Break => false,
    }
}
