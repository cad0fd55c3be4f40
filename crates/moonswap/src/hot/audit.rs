//! The audit record: one line of JSON for every attempt to change code, applied
//! or refused, by whatever source; each line holds the SHA-256 of the one before.
//!
//! | field | meaning |
//! | --- | --- |
//! | `seq` | number of the line, from 1 |
//! | `prev` | SHA-256 of the line before, without its end; zeros for the first |
//! | `torn` | only behind a line that a crash cut off: that piece's SHA-256 |
//! | `time` | UTC, ISO 8601 |
//! | `event` | `after`, `refused`, `rollback`; `passed` (a probation is over), `released` (from quarantine) |
//! | `attempt`, `source`, `author`, `reason` | which attempt of this VM, by which way, who, why |
//! | `patch` | of a rollback: the patch that was to be undone; of `passed` and `released`: the patch |
//! | `cause` | of a rollback by the VM itself: `errors`, `limit`, `slow` |
//! | `chunks` | `name`, `base` and `new`: hashes of the code that ran and was to run |
//! | `report` | what was done, as in reports, times included |
//! | `error` | `kind`, `message`, and `refusals` if there are any |
//!
//! [`verify`] names the first line that is not what was written. What it cannot
//! see is that lines are missing at the end, or that the whole file was made
//! anew: compare [`Audited::head`] with a copy kept elsewhere.
//!
//! Lines go to the system before the attempt is over, and not to the disk by
//! force: after a crash of the machine the last ones may be missing.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use moonswap_hotpatch::{Digest, Refused, Report, Timestamp, from_hex, present, to_hex, to_json};
use moonswap_vm::hotpatch::{EventKind, HotError, HotEvent};
use serde::{Deserialize, Serialize};

/// Longest line that is taken for one of ours.
const LONGEST: u64 = 256 << 20;
/// Bytes that are read at once, from the end.
const BLOCK: u64 = 64 << 10;

/// Writes audit records; see the [module](self).
pub struct AuditLog(RefCell<State>);

struct State {
    out: Box<dyn Write>,
    /// To begin again after a line that could not be written.
    path: Option<PathBuf>,
    is_broken: bool,
    link: Link,
    tell: Box<dyn Fn(&str)>,
}

/// Where a chain goes on.
#[derive(Clone, Copy)]
struct Link {
    seq: u64,
    prev: [u8; 32],
    torn: Option<Digest>,
    /// The last line has no end yet.
    is_open: bool,
}

const START: Link = Link {
    seq: 0,
    prev: [0; 32],
    torn: None,
    is_open: false,
};

/// How every record begins.
const BEGIN: &[u8] = b"{\"seq\":";

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

impl AuditLog {
    /// A new chain.
    pub fn new(out: impl Write + 'static) -> Self {
        Self(RefCell::new(State {
            out: Box::new(out),
            path: None,
            is_broken: false,
            link: START,
            tell: Box::new(|_| {}),
        }))
    }

    /// Goes on with the chain in a file, or begins it. A last line that was cut
    /// off by a crash stays where it is; the next record vouches for it. The
    /// file is locked: a second writer would break the chain.
    ///
    /// Errors: the file cannot be written, is in use by another log, or its last
    /// line is no audit record.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let (file, link) = open(&path)?;
        Ok(Self(RefCell::new(State {
            out: Box::new(file),
            path: Some(path),
            is_broken: false,
            link,
            tell: Box::new(|_| {}),
        })))
    }

    /// Calls `tell` when a record cannot be written. The attempt itself is not
    /// stopped by that.
    #[must_use]
    pub fn on_failure(self, tell: impl Fn(&str) + 'static) -> Self {
        self.0.borrow_mut().tell = Box::new(tell);
        self
    }

    /// Whether the last line of the file was cut off by a crash.
    pub fn was_torn(&self) -> bool {
        self.0.borrow().link.torn.is_some()
    }

    pub(crate) fn record(&self, event: &HotEvent) -> Result<(), String> {
        if event.kind == EventKind::Before {
            return Ok(());
        }
        let Ok(mut state) = self.0.try_borrow_mut() else {
            return Err("it is being written to".to_owned());
        };
        state.write(event).map_err(|error| {
            (state.tell)(&format!(
                "attempt {} is not in the audit record: {error}",
                event.attempt
            ));
            error.to_string()
        })
    }
}

impl State {
    fn write(&mut self, event: &HotEvent) -> io::Result<()> {
        if self.is_broken {
            // How much of the last line was written is not known: look.
            let Some(path) = &self.path else {
                return Err(io::Error::other("an earlier record could not be written"));
            };
            // First the lock of the old one goes.
            self.out = Box::new(io::sink());
            let (file, link) = open(path)?;
            (self.out, self.link, self.is_broken) = (Box::new(file), link, false);
        }
        let line = self.link.line(event).into_bytes();
        let prev = Digest::of(&line).0;
        let before: &[u8] = if self.link.is_open { b"\n" } else { b"" };
        // Until it is written: the writer may fail, or panic, in the middle.
        self.is_broken = true;
        self.out.write_all(&[before, &line, b"\n"].concat())?;
        self.out.flush()?;
        self.is_broken = false;
        self.link = Link {
            seq: self.link.seq + 1,
            prev,
            torn: None,
            is_open: false,
        };
        Ok(())
    }
}

/// A line, in the order in which its fields stand.
#[derive(Serialize)]
struct Record<'a> {
    seq: u64,
    prev: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    torn: Option<String>,
    time: Timestamp,
    event: &'static str,
    attempt: u64,
    source: &'static str,
    author: Option<&'a str>,
    reason: Option<&'a str>,
    /// Of what is about another patch: its number, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Option<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'static str>,
    chunks: Vec<Chunk<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a Report>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure<'a>>,
}

#[derive(Serialize)]
struct Chunk<'a> {
    name: &'a str,
    base: Option<String>,
    new: Option<String>,
}

#[derive(Serialize)]
struct Failure<'a> {
    kind: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusals: Option<&'a Refused>,
}

impl Link {
    fn line(&self, event: &HotEvent) -> String {
        let hash = |hash: Option<moonswap_bytecode::CodeHash>| hash.map(|hash| hash.to_string());
        let chunks = event.chunks.iter().map(|chunk| Chunk {
            name: &chunk.name,
            base: hash(chunk.base),
            new: hash(chunk.new),
        });
        let is_about_another = event.kind == EventKind::Rollback || event.undoes.is_some();
        to_json(&Record {
            seq: self.seq + 1,
            prev: to_hex(&self.prev),
            torn: self.torn.map(|torn| to_hex(&torn.0)),
            time: Timestamp::now(),
            event: event.kind.text(),
            attempt: event.attempt,
            source: event.source.text(),
            author: event.author.as_deref(),
            reason: event.reason.as_deref(),
            patch: is_about_another.then_some(event.undoes),
            cause: event.cause.map(|cause| cause.text()),
            chunks: chunks.collect(),
            report: event.outcome.as_ref().and_then(|done| done.as_ref().ok()),
            error: event.outcome.as_ref().and_then(|done| {
                let error = done.as_ref().err()?;
                Some(Failure {
                    kind: error.kind(),
                    message: error.to_string(),
                    refusals: match error {
                        HotError::Refused(refused) => Some(refused),
                        _ => None,
                    },
                })
            }),
        })
    }
}

/// What a line says of its place.
struct Place {
    seq: u64,
    prev: [u8; 32],
    torn: Option<[u8; 32]>,
}

fn place(line: &[u8]) -> Option<Place> {
    /// The other fields are for readers.
    #[derive(Deserialize)]
    struct Said {
        seq: u64,
        prev: String,
        #[serde(default, deserialize_with = "present")]
        torn: Option<String>,
    }
    // An object, not a list of these fields.
    let line = std::str::from_utf8(line)
        .ok()
        .filter(|l| l.starts_with('{'))?;
    let said: Said = serde_json::from_str(line).ok()?;
    Some(Place {
        seq: said.seq,
        prev: from_hex(&said.prev)?,
        torn: match said.torn {
            Some(torn) => Some(from_hex(&torn)?),
            None => None,
        },
    })
}

/// Opens a log for appending, and finds out where its chain goes on. Nothing is
/// written before there is a record.
fn open(path: &Path) -> io::Result<(File, Link)> {
    let mut file = File::options()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            return Err(io::Error::other("another program writes this audit record"));
        }
        // Where there are no locks, there is none.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => {}
    }
    let length = file.metadata()?.len();
    let tail = last_line(&mut file, length)?;
    let is_open = !tail.is_empty();
    // From the end of the last record on: pieces that crashes left.
    let mut piece: Vec<u8> = Vec::new();
    let mut end = length.saturating_sub(u64::from(!is_open));
    let mut link = START;
    while end > 0 {
        let line = last_line(&mut file, end)?;
        if let Some(place) = place(&line) {
            (link.seq, link.prev) = (place.seq, Digest::of(&line).0);
            break;
        }
        // A piece is never closed before the next record.
        let is_piece = line.starts_with(BEGIN) || BEGIN.starts_with(&line);
        if !is_open || !is_piece || piece.len() as u64 > LONGEST {
            return Err(io::Error::other("the last line is no audit record"));
        }
        end = end.saturating_sub(line.len() as u64 + 1);
        let behind = std::mem::replace(&mut piece, line);
        if !behind.is_empty() {
            piece.push(b'\n');
            piece.extend_from_slice(&behind);
        }
    }
    link.is_open = is_open;
    link.torn = (!piece.is_empty()).then(|| Digest::of(&piece));
    Ok((file, link))
}

/// What stands between the last line's end in front of `end`, and `end`.
fn last_line(file: &mut File, end: u64) -> io::Result<Vec<u8>> {
    let mut start = end;
    let mut line: Vec<u8> = Vec::new();
    while start > 0 {
        let n = start.min(BLOCK);
        start -= n;
        file.seek(SeekFrom::Start(start))?;
        let mut block = vec![0; n as usize];
        file.read_exact(&mut block)?;
        let found = block.iter().rposition(|&b| b == b'\n');
        let from = found.map_or(0, |at| at + 1);
        block.drain(..from);
        block.append(&mut line);
        line = block;
        if found.is_some() {
            break;
        }
        if end - start > LONGEST {
            return Err(io::Error::other("the last line is no audit record"));
        }
    }
    Ok(line)
}

/// An audit record that is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// How many records there are.
    pub records: u64,
    /// Lines that a crash cut off; a later record vouches for each but one at the
    /// end, which has no end of line.
    pub torn: Vec<u64>,
    /// SHA-256 of the last record: who has kept it elsewhere can tell whether
    /// the end is missing.
    pub head: Digest,
}

/// Why an audit record is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct AuditFault {
    /// The first line that does not continue the one before it, from 1: of a
    /// record that was changed, the one behind it.
    pub line: u64,
    /// What is wrong.
    pub what: &'static str,
}

const NO_RECORD: &str = "is no audit record";

/// Reads a log and checks its chain. The outer error is that of reading.
pub fn verify(log: &mut impl BufRead) -> io::Result<Result<Audited, AuditFault>> {
    let mut found = Audited {
        records: 0,
        torn: Vec::new(),
        head: Digest([0; 32]),
    };
    // Lines that are no records: number of the first, and what they say.
    let mut pending: Option<(u64, Vec<u8>)> = None;
    let mut is_open = false;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        if log.take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let fault = |line, what| Ok(Err(AuditFault { line, what }));
        is_open = line.last() != Some(&b'\n');
        if !is_open {
            line.pop();
        }
        let Some(place) = place(&line) else {
            match &mut pending {
                Some((first, piece)) if (piece.len() + line.len()) as u64 > LONGEST => {
                    return fault(*first, NO_RECORD);
                }
                Some((_, piece)) => {
                    piece.push(b'\n');
                    piece.extend_from_slice(&line);
                }
                None => pending = Some((number, line.clone())),
            }
            continue;
        };
        match (pending.take(), place.torn) {
            (Some((torn, piece)), Some(said)) if Digest::of(&piece).0 == said => {
                found.torn.push(torn);
            }
            (Some((torn, _)), _) => return fault(torn, NO_RECORD),
            (None, Some(_)) => return fault(number, "the piece in front of it is missing"),
            (None, None) => {}
        }
        if place.prev != found.head.0 {
            let what = "the line before it is not the one it was written behind";
            return fault(number, what);
        }
        if place.seq != found.records + 1 {
            return fault(number, "its number is not the next one");
        }
        found.records = place.seq;
        found.head = Digest::of(&line);
    }
    match pending {
        // Nothing vouches for it yet.
        Some((line, _)) if is_open => found.torn.push(line),
        Some((line, _)) => {
            return Ok(Err(AuditFault {
                line,
                what: NO_RECORD,
            }));
        }
        None => {}
    }
    Ok(Ok(found))
}
