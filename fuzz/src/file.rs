//! Damaged patch files: what is read must be what is written, and what was
//! signed must be what is read.
//!
//! No panic; a file that is read reads back the same from its own bytes; with
//! the place of a signature filled, only its one canonical form is read.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use moonswap::{FileChunk, FileSignature, PatchFile, Policy, TextDigest, Timestamp, Trust};

use crate::data::Data;

/// Damaged files that were read nevertheless.
pub static READ: AtomicU64 = AtomicU64::new(0);

/// What damage puts in: syntax, keys, edges of numbers and of encodings.
const PIECES: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u",
    "\\ud800",
    "null",
    "true",
    "-",
    "1e999",
    "0",
    "9223372036854775808",
    "\"source\"",
    "\"source_base64\"",
    "\"base\"",
    "\"policy\": {}",
    "sha256:",
    "\"sequence\": 1,",
    "\"signature\": null",
    "====",
    "\n",
    " ",
    "\u{0}",
    "é",
    "\"guard\": {\"errors\": 1, \"within\": 1e18}",
    "\"deadline\": 1e300",
];

fn file(data: &mut Data<'_>) -> PatchFile {
    let chunks = (0..=data.below(3))
        .map(|i| FileChunk {
            name: format!("@{}{i}.lua", data.pick(&["a", "ü\"\\", "\n"])),
            base: data.chance(2).then(|| TextDigest::of(&[data.byte()])),
            changes: (0..data.below(3))
                .map(|_| data.pick(&PIECES).to_owned())
                .collect(),
            source: (0..data.below(40)).map(|_| data.byte()).collect(),
        })
        .collect();
    let mut policy = Policy::new().config(data.chance(2));
    if data.chance(2) {
        policy = policy
            .reset(data.pick(&PIECES))
            .rename("a", data.pick(&PIECES));
    }
    if data.chance(2) {
        policy.deadline = Some(std::time::Duration::from_nanos(
            data.word() >> data.below(64),
        ));
    }
    let mut file = PatchFile::new(chunks, policy);
    file.sequence = data.chance(2).then(|| data.word() >> 1);
    file.created = data
        .chance(2)
        .then(|| Timestamp::from_secs(data.word() >> data.below(64)));
    file.expires = data
        .chance(2)
        .then(|| Timestamp::from_secs(data.word() >> data.below(64)));
    file.signature = data.chance(2).then(|| FileSignature {
        key: [data.byte(); 32],
        signature: [data.byte(); 64],
    });
    file
}

fn damaged(data: &mut Data<'_>) -> Vec<u8> {
    let mut bytes = file(data).to_bytes();
    for _ in 0..data.below(4) {
        let at = data.below(bytes.len() + 1);
        match data.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..(at + data.below(9)).min(bytes.len()))),
            2 => drop(bytes.splice(at..at, data.pick(&PIECES).bytes())),
            3 => {
                let from = data.below(bytes.len() + 1);
                let piece = bytes[from..(from + data.below(60)).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << data.below(8),
            _ => {}
        }
    }
    bytes
}

/// One execution.
pub fn run(row: &[u8]) {
    let data = &mut Data::new(row);
    let whole = file(data);
    let names: BTreeSet<&String> = whole.chunks.iter().map(|chunk| &chunk.name).collect();
    assert_eq!(names.len(), whole.chunks.len());
    let written = whole.to_bytes();
    let read = PatchFile::parse(&written).expect("what is written is read");
    assert_eq!(read.to_bytes(), written, "and is the same");
    // Seconds as a float may lose nanoseconds of a deadline once.
    assert_eq!(read.chunks, whole.chunks);

    let bytes = damaged(data);
    match PatchFile::parse(&bytes) {
        Ok(read) => {
            READ.fetch_add(1, Ordering::Relaxed);
            let again = read.to_bytes();
            assert_eq!(PatchFile::parse(&again).as_ref(), Ok(&read));
            if read.signature.is_some() {
                assert_eq!(again, bytes, "only the form that was signed");
            }
            // Nothing here can make a signature; the rest is for the texts.
            let trusted = Trust::new().check(&read, Timestamp::now()).is_ok();
            assert!(!(trusted && read.signature.is_some()));
            let _ = read.compile(str::to_owned);
        }
        Err(refused) => assert_eq!(refused.refusals[0].code.text(), "S001"),
    }
}

/// The damaged file.
pub fn show(row: &[u8]) -> String {
    let data = &mut Data::new(row);
    file(data);
    String::from_utf8_lossy(&damaged(data)).into_owned()
}
