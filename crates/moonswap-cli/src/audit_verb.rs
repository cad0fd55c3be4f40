//! `audit verify FILE`: is a record of attempts as it was written?

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use moonswap::audit::{self, AuditLog};
use moonswap::{Lua, TextDigest};
use serde::Serialize;

use crate::output::{cannot, complain, say, say_json};
use crate::{LUA_ERROR, PROVENANCE};

#[derive(Subcommand)]
pub(crate) enum AuditVerb {
    /// Check the chain of hashes; names the first line that does not continue the one before it
    Verify {
        /// One JSON object
        #[arg(long)]
        json: bool,
        /// What the last line has to be, as an earlier check printed it
        #[arg(long, value_parser = head)]
        head: Option<TextDigest>,
        /// The record
        file: PathBuf,
    },
}

pub(crate) fn main(verb: AuditVerb) -> u8 {
    match verb {
        AuditVerb::Verify { json, head, file } => verify(json, head, &file),
    }
}

/// Lets a VM append its records to a file.
pub(crate) fn keep(lua: &Lua, file: &Path) -> Result<(), u8> {
    let log = AuditLog::open(file).map_err(|error| {
        complain(format!(
            "moonswap: cannot keep the audit record {}: {error}",
            file.display()
        ));
        LUA_ERROR
    })?;
    if log.was_torn() {
        complain(format!(
            "[moonswap] {}: the last record was cut off by a crash; the next one says so",
            file.display()
        ));
    }
    let log = log.on_failure(|what| complain(format!("[moonswap] {what}")));
    lua.hot().set_audit(log);
    Ok(())
}

fn head(text: &str) -> Result<TextDigest, String> {
    text.parse().map_err(|what: &'static str| what.to_owned())
}

fn verify(json: bool, head: Option<TextDigest>, file: &Path) -> u8 {
    let read = File::open(file).and_then(|log| audit::verify(&mut BufReader::new(log)));
    let outcome = match read {
        Ok(outcome) => outcome,
        Err(error) => {
            complain(format!("moonswap: {}", cannot("read", file, &error)));
            return LUA_ERROR;
        }
    };
    let outcome = outcome.and_then(|found| match head {
        Some(head) if head != found.head => Err(audit::AuditFault {
            line: found.records + found.torn.len() as u64,
            what: "is not the last line that was to be there",
        }),
        _ => Ok(found),
    });
    let shown = file.display();
    match outcome {
        Ok(found) if json => {
            say_json(&Unbroken {
                ok: true,
                records: found.records,
                torn: &found.torn,
                head: found.head,
            });
            0
        }
        Ok(found) => {
            for line in &found.torn {
                say(format!("{shown}:{line}: cut off by a crash\n"));
            }
            let n = found.records;
            say(format!(
                "{shown}: {n} record{}, unbroken; last {}\n",
                if n == 1 { "" } else { "s" },
                found.head
            ));
            0
        }
        Err(fault) => {
            if json {
                say_json(&Broken {
                    ok: false,
                    line: fault.line,
                    what: fault.what,
                });
            } else {
                complain(format!("{shown}:{}: {}", fault.line, fault.what));
            }
            PROVENANCE
        }
    }
}

#[derive(Serialize)]
struct Unbroken<'a> {
    ok: bool,
    records: u64,
    torn: &'a [u64],
    head: TextDigest,
}

#[derive(Serialize)]
struct Broken {
    ok: bool,
    line: u64,
    what: &'static str,
}
