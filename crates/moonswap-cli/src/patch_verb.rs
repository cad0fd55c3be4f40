//! `patch`: build, show and sign patch files.

use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::{Args, Subcommand};
use moonswap::{FileChunk, PatchFile, Policy, TextDigest, Timestamp, Trust};
use moonswap_hotpatch::{ChangeClass, Plan, Refused, base_refusals, to_hex};
use serde::Serialize;

use crate::check;
use crate::output::{cannot, complain, entries, refused, say, say_json};
use crate::policy_args::{PolicyArgs, duration};
use crate::sources::{NameArgs, Sources, patch_file};
use crate::{LUA_ERROR, REFUSED, USAGE};

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one, for a moment")]
pub(crate) enum PatchVerb {
    /// Write a patch file that makes NEW out of OLD
    Build {
        /// The file or folder that runs
        old: PathBuf,
        /// The file or folder to patch it with
        new: PathBuf,
        /// The patch file; `-` is standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Fit any running text, not only OLD
        #[arg(long)]
        any_base: bool,
        #[command(flatten)]
        names: NameArgs,
        #[command(flatten)]
        seal: Seal,
        /// Sign it with this secret key
        #[cfg(feature = "sign")]
        #[arg(long, value_name = "KEYFILE")]
        key: Option<PathBuf>,
        /// The plan and what was written as JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Show what a patch file is, and whether it would be accepted
    Show {
        /// The patch file
        file: PathBuf,
        /// Plan it for this running text as well: a file, or the folder in which
        /// names of chunks are paths
        #[arg(long, value_name = "RUNNING")]
        old: Option<PathBuf>,
        /// Accept only what one of these public keys signed: a key, or its file
        #[cfg(feature = "sign")]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Sign a patch file
    #[cfg(feature = "sign")]
    Sign {
        /// The patch file
        file: PathBuf,
        /// The secret key
        #[arg(long, value_name = "KEYFILE")]
        key: PathBuf,
        /// Write it here instead; `-` is standard output
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        seal: Seal,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a secret key, and its public key beside it
    #[cfg(feature = "sign")]
    Keygen {
        /// File of the secret key; the public one is FILE.pub
        file: PathBuf,
        /// The result as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What a signer vouches for besides the content.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Seal {
    /// Sequence number, larger than that of the file applied before [signed files: the time in ms]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    sequence: Option<u64>,
    /// Until when it may be applied: 7d, 12h, or 2031-05-04T12:30:00Z
    #[arg(long, value_name = "TIME", value_parser = expiry)]
    expires: Option<Timestamp>,
}

impl Seal {
    fn put(&self, file: &mut PatchFile) {
        if let Some(sequence) = self.sequence {
            file.sequence = Some(sequence);
        }
        if self.expires.is_some() {
            file.expires = self.expires;
        }
    }
}

fn expiry(text: &str) -> Result<Timestamp, String> {
    match text.parse() {
        Ok(time) => Ok(time),
        Err(_) => duration(text)
            .map(|time| Timestamp::now().after(time))
            .map_err(|_| "7d, 12h or 2031-05-04T12:30:00Z expected".to_owned()),
    }
}

/// Runs the verb; returns the exit code.
pub(crate) fn main(verb: PatchVerb) -> u8 {
    let done = match verb {
        PatchVerb::Build {
            old,
            new,
            output,
            any_base,
            names,
            seal,
            #[cfg(feature = "sign")]
            key,
            json,
            policy,
        } => Sources::read(&old, &new, &names).and_then(|sources| {
            let (mut file, plan) = build(&sources, !any_base, policy, json)?;
            seal.put(&mut file);
            #[cfg(feature = "sign")]
            if let Some(key) = key {
                keys::secret(&key)?.sign(&mut file);
            }
            write(&output, &file.to_bytes())?;
            tell_built(&output, &file, &plan, &sources.notes, json);
            Ok(())
        }),
        PatchVerb::Show {
            file,
            old,
            #[cfg(feature = "sign")]
            key,
            json,
        } => {
            #[cfg(feature = "sign")]
            let trust = keys::trust(&key);
            #[cfg(not(feature = "sign"))]
            let trust = Ok(Trust::new());
            trust.and_then(|trust| show(&file, old.as_deref(), &trust, json))
        }
        #[cfg(feature = "sign")]
        PatchVerb::Sign {
            file: path,
            key,
            output,
            seal,
            json,
        } => patch_file(&path, json).and_then(|mut file| {
            seal.put(&mut file);
            keys::secret(&key)?.sign(&mut file);
            let output = output.unwrap_or(path);
            write(&output, &file.to_bytes())?;
            if json {
                say_json(&described(&file));
            } else {
                complain(format!(
                    "{}: signed, sequence {}",
                    output.display(),
                    file.sequence.unwrap_or_default()
                ));
            }
            Ok(())
        }),
        #[cfg(feature = "sign")]
        PatchVerb::Keygen { file, json } => keys::generate(&file, json),
    };
    done.err().unwrap_or(0)
}

/// Errors: the exit code, when people have been told.
fn build(
    sources: &Sources,
    with_base: bool,
    policy: PolicyArgs,
    json: bool,
) -> Result<(PatchFile, Plan), u8> {
    let policy = policy.policy();
    if sources.pairs.iter().all(|pair| pair.old == pair.new) {
        complain("moonswap: OLD and NEW are the same: nothing to patch");
        return Err(USAGE);
    }
    let plan = sources.plan(&policy, json)?;
    if let Some(refusals) = plan.refused() {
        return Err(refused(&refusals, json));
    }
    let chunks = sources.pairs.iter().map(|pair| {
        let planned = plan.chunks.iter().find(|chunk| *chunk.chunk == *pair.name);
        let changes = planned.into_iter().flat_map(|chunk| chunk.touched());
        FileChunk {
            name: pair.name.clone(),
            base: with_base.then(|| TextDigest::of(&pair.old)),
            changes: changes
                .filter(|change| change.class != ChangeClass::DebugOnly)
                .map(|change| format!("{} {}", change.class, change.name()))
                .collect(),
            source: pair.new.clone(),
        }
    });
    let mut file = PatchFile::new(chunks.collect(), policy);
    file.created = Some(Timestamp::now());
    Ok((file, plan))
}

fn tell_built(output: &Path, file: &PatchFile, plan: &Plan, notes: &[String], json: bool) {
    // The file itself went to standard output.
    let quiet = output == Path::new("-");
    if json && !quiet {
        #[derive(Serialize)]
        struct Told<'a> {
            file: Described<'a>,
            plan: &'a Plan,
            notes: &'a [String],
        }
        say_json(&Told {
            file: described(file),
            plan,
            notes,
        });
        return;
    }
    for note in notes {
        complain(format!("note: {note}"));
    }
    if !quiet {
        say(format!("{plan}\n"));
        complain(format!("{}: {}", output.display(), headline(file)));
    }
}

/// Writes beside the file and renames: who watches sees it whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<(), u8> {
    if path == Path::new("-") {
        say(bytes);
        return Ok(());
    }
    replace(path, bytes).map_err(|error| {
        complain(format!("moonswap: {}", cannot("write", path, &error)));
        LUA_ERROR
    })
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    let mut beside = tempfile::Builder::new();
    beside.suffix(".part");
    // As any new file: what the process's mask leaves.
    #[cfg(unix)]
    beside.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = beside.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

fn show(path: &Path, old: Option<&Path>, trust: &Trust, json: bool) -> Result<(), u8> {
    let file = patch_file(path, json)?;
    let verdict = trust.check(&file, Timestamp::now()).err();
    let planned = match old {
        Some(old) => Some(plan_for(&file, old, json)?),
        None => None,
    };
    if json {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            file: Described<'a>,
            accepted: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            refusals: Option<&'a Refused>,
            #[serde(skip_serializing_if = "Option::is_none")]
            plan: Option<&'a Plan>,
            #[serde(skip_serializing_if = "Option::is_none")]
            base: Option<&'a Refused>,
        }
        say_json(&Told {
            file: described(&file),
            accepted: verdict.is_none(),
            refusals: verdict.as_ref(),
            plan: planned.as_ref().and_then(|planned| planned.as_ref().ok()),
            base: planned.as_ref().and_then(|planned| planned.as_ref().err()),
        });
    } else {
        say(text(path, &file));
        if let Some(Ok(plan)) = &planned {
            say(format!(
                "plan for {}\n",
                plan.to_string().replace('\n', "\n  ")
            ));
        }
        let bad_base = planned.as_ref().and_then(|p| p.as_ref().err());
        for refused in verdict.iter().chain(bad_base) {
            complain(refused.to_string());
        }
    }
    match (verdict, planned) {
        (Some(refused), _) | (None, Some(Err(refused))) => Err(crate::refusal_code(&refused)),
        (None, Some(Ok(plan))) if plan.is_refused() => Err(REFUSED),
        _ => Ok(()),
    }
}

/// The plan for the running texts, or that they are not those it was made for.
fn plan_for(file: &PatchFile, old: &Path, json: bool) -> Result<Result<Plan, Refused>, u8> {
    let mut sources = Sources::default();
    let mut refusals = Vec::new();
    for chunk in &file.chunks {
        let text = running_text(file, chunk, old)?;
        let base = base_refusals(&chunk.name, chunk.base, Some(&text), &chunk.source);
        refusals.extend(base);
        sources.add(&chunk.name, text, &chunk.source);
    }
    if !refusals.is_empty() {
        return Ok(Err(Refused::from(refusals)));
    }
    sources.plan(&file.policy, json).map(Ok)
}

/// The text of a chunk in the file `old`, or in the folder in which names of
/// chunks are paths.
fn running_text(file: &PatchFile, chunk: &FileChunk, old: &Path) -> Result<Vec<u8>, u8> {
    let usage = |message: String| {
        complain(format!("moonswap: {message}"));
        Err(USAGE)
    };
    let path = if old.is_dir() {
        let name = Path::new(chunk.name.trim_start_matches(['@', '=']));
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !name.components().all(inside) {
            return usage(format!("{}: no path in {}", chunk.name, old.display()));
        }
        old.join(name)
    } else if file.chunks.len() == 1 {
        old.to_owned()
    } else {
        return usage(format!(
            "{} is no folder: of a patch of several chunks --old is the folder that runs",
            old.display()
        ));
    };
    let (text, _) = check::source_of(&path).ok_or(LUA_ERROR)?;
    Ok(text)
}

/// A patch file without the sources.
#[derive(Serialize)]
struct Described<'a> {
    digest: TextDigest,
    sequence: Option<u64>,
    created: Option<Timestamp>,
    expires: Option<Timestamp>,
    policy: &'a Policy,
    chunks: Vec<DescribedChunk<'a>>,
    signed_by: Option<String>,
}

#[derive(Serialize)]
struct DescribedChunk<'a> {
    name: &'a str,
    base: Option<TextDigest>,
    new: TextDigest,
    bytes: usize,
    changes: &'a [String],
}

fn described(file: &PatchFile) -> Described<'_> {
    let chunks = file.chunks.iter().map(|chunk| DescribedChunk {
        name: &chunk.name,
        base: chunk.base,
        new: TextDigest::of(&chunk.source),
        bytes: chunk.source.len(),
        changes: &chunk.changes,
    });
    Described {
        digest: file.digest(),
        sequence: file.sequence,
        created: file.created,
        expires: file.expires,
        policy: &file.policy,
        chunks: chunks.collect(),
        signed_by: file.signature.map(|signature| to_hex(&signature.key)),
    }
}

fn headline(file: &PatchFile) -> String {
    let mut out = match file.chunks.len() {
        1 => "1 chunk".to_owned(),
        n => format!("{n} chunks"),
    };
    if let Some(sequence) = file.sequence {
        out.push_str(&format!(", sequence {sequence}"));
    }
    if let Some(time) = file.created {
        out.push_str(&format!(", made {time}"));
    }
    if let Some(time) = file.expires {
        let over = if time <= Timestamp::now() {
            "expired"
        } else {
            "expires"
        };
        out.push_str(&format!(", {over} {time}"));
    }
    out.push_str(if file.signature.is_some() {
        ", signed"
    } else {
        ", not signed"
    });
    out
}

fn text(path: &Path, file: &PatchFile) -> String {
    let mut out = format!("{}: {}\n", path.display(), headline(file));
    if let Some(signature) = &file.signature {
        out.push_str(&format!("  key {}\n", to_hex(&signature.key)));
    }
    for (name, value) in entries(&file.policy.to_json()) {
        out.push_str(&format!("  {name} = {value}\n"));
    }
    for chunk in &file.chunks {
        out.push_str(&format!("{}\n", chunk.name));
        match chunk.base {
            Some(base) => out.push_str(&format!("  for {base}\n")),
            None => out.push_str("  for any text\n"),
        }
        for change in &chunk.changes {
            out.push_str(&format!("  {change}\n"));
        }
    }
    out
}

#[cfg(feature = "sign")]
pub(crate) mod keys {
    //! Key files.

    use std::io::Write;
    use std::path::Path;

    use moonswap::{PublicKey, SecretKey, Trust};

    use crate::output::{cannot, complain, read_file, say, say_json};
    use crate::{LUA_ERROR, USAGE};

    fn told(message: impl std::fmt::Display) -> u8 {
        complain(format!("moonswap: {message}"));
        LUA_ERROR
    }

    pub(super) fn secret(path: &Path) -> Result<SecretKey, u8> {
        let bytes = read_file(path).map_err(told)?;
        SecretKey::from_text(&String::from_utf8_lossy(&bytes))
            .map_err(|error| told(format_args!("{}: {error}", path.display())))
    }

    /// Public keys, as text or in files.
    pub(crate) fn trust(keys: &[String]) -> Result<Trust, u8> {
        let mut trust = Trust::new();
        for key in keys {
            let parsed = key.parse::<PublicKey>().or_else(|error| {
                let bytes = std::fs::read(key).map_err(|_| error)?;
                String::from_utf8_lossy(&bytes).parse()
            });
            match parsed {
                Ok(key) => trust = trust.with_key(key),
                Err(error) => {
                    told(format_args!("{key}: {error}"));
                    return Err(USAGE);
                }
            }
        }
        Ok(trust)
    }

    pub(super) fn generate(path: &Path, json: bool) -> Result<(), u8> {
        let secret = SecretKey::generate().map_err(told)?;
        let mut public_path = path.as_os_str().to_owned();
        public_path.push(".pub");
        let public = secret.public().to_string();
        create(path, &secret.to_text(), 0o600)?;
        create(public_path.as_ref(), &format!("{public}\n"), 0o644)?;
        if json {
            #[derive(serde::Serialize)]
            struct Told<'a> {
                secret: std::borrow::Cow<'a, str>,
                public: &'a str,
            }
            say_json(&Told {
                secret: path.to_string_lossy(),
                public: &public,
            });
        } else {
            say(format!("{public}\n"));
        }
        Ok(())
    }

    /// Never over a file that is there: a lost key cannot be had again.
    fn create(path: &Path, text: &str, mode: u32) -> Result<(), u8> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
        #[cfg(not(unix))]
        let _ = mode;
        options
            .open(path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => told(format_args!(
                    "cannot write {}: it is there, and keys are not overwritten: choose another name",
                    path.display()
                )),
                _ => told(cannot("write", path, &error)),
            })
    }
}
