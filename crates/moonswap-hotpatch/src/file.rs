//! `PatchFile`: a patch as one JSON document: new texts, what they were made
//! for, how they want to be applied, by whom, and a place for a signature.
//!
//! ```json
//! {
//!   "format": "moonswap-patch 1",
//!   "sequence": 7,
//!   "created": "2031-05-04T12:30:00Z",
//!   "expires": "2031-05-11T12:30:00Z",
//!   "policy": { "author": "ann", "reason": "prices", "timing": "immediate" },
//!   "chunks": [
//!     {
//!       "name": "@shop.lua",
//!       "base": "sha256:…",
//!       "new": "sha256:…",
//!       "changes": ["swapped price"],
//!       "source": "…"
//!     }
//!   ],
//!   "signature": { "key": "…", "ed25519": "…" }
//! }
//! ```
//!
//! All entries but `format`, `chunks` and a chunk's `name`, `new` and source may
//! be missing. `base` is the hash of the text that must be running; `policy` has
//! the names of `opts`; sources that are not UTF-8 stand in `source_base64`.
//! `changes` is what the maker's plan said, for readers only.
//!
//! A signature covers the whole document without itself, in the one form that
//! [`PatchFile::to_bytes`] writes; a signed file in any other form is refused, so
//! that no byte of it can be changed unnoticed. Whether to believe a signature is
//! not decided here.

use std::collections::HashSet;

use moonswap_compiler::CompileError;

use crate::encoding::digest::Digest;
use crate::encoding::json::Json;
use crate::encoding::timestamp::Timestamp;
use crate::encoding::{from_base64, from_hex, to_base64, to_hex};
use crate::patch::{ChunkPatch, Patch};
use crate::policy::Policy;
use crate::refusal::{Code, Refusal, Refused};

const FORMAT: &str = "moonswap-patch 1";
/// What a signature is made over begins with this, so that it fits no other
/// kind of document.
const SIGNED_AS: &[u8] = b"moonswap-patch 1 signed document\n";

/// A patch as a file; see the head of this module for the format.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchFile {
    /// Must be larger than that of the last file applied from the same signer.
    pub sequence: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// From then on it is refused.
    pub expires: Option<Timestamp>,
    /// How to apply it; with author, reason and base generation.
    pub policy: Policy,
    /// The new texts, in the order in which their initialisers run.
    pub chunks: Vec<FileChunk>,
    /// By whom it is vouched for.
    pub signature: Option<FileSignature>,
}

/// The new text of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChunk {
    /// Chunk name as given to `load`, e.g. `@shop.lua`.
    pub name: String,
    /// The text that must be running, if that matters.
    pub base: Option<Digest>,
    /// What the maker's plan said, for readers: `swapped price`.
    pub changes: Vec<String>,
    /// The new text.
    pub source: Vec<u8>,
}

/// An ed25519 signature and the public key it claims to be from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileSignature {
    /// Public key.
    pub key: [u8; 32],
    /// Signature of [`PatchFile::signed_bytes`].
    pub signature: [u8; 64],
}

impl std::fmt::Debug for FileSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FileSignature({})", to_hex(&self.key))
    }
}

impl PatchFile {
    /// A file of new texts and a policy, unsigned, without sequence and dates.
    pub fn new(chunks: Vec<FileChunk>, policy: Policy) -> Self {
        Self {
            sequence: None,
            created: None,
            expires: None,
            policy,
            chunks,
            signature: None,
        }
    }

    /// Reads a file. Errors: anything that is not exactly such a document, with
    /// code `S001`; nothing of it is compiled.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let malformed = |reason: String| {
            refused(
                Code::MalformedFile,
                reason,
                "build the patch file again, or fetch it again",
            )
        };
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("not UTF-8".to_owned()))?;
        let json = Json::parse(text).map_err(|error| malformed(error.to_string()))?;
        let file = Self::of_json(&json).map_err(malformed)?;
        if file.signature.is_some() && file.to_bytes() != bytes {
            return Err(malformed(
                "a signed file must be in the form it was signed in".to_owned(),
            ));
        }
        Ok(file)
    }

    fn of_json(json: &Json) -> Result<Self, String> {
        let object = Reader::new("the file", json)?;
        // First: of another version nothing else may be expected.
        match object.get("format").and_then(Json::as_str) {
            Some(FORMAT) => {}
            Some(other) => return Err(format!("unknown format '{other}'")),
            None => return Err("not a patch file: it has no 'format'".to_owned()),
        }
        object.only(&[
            "format",
            "sequence",
            "created",
            "expires",
            "policy",
            "chunks",
            "signature",
        ])?;
        let file = Self {
            sequence: object.read("sequence", |v| v.as_u64().ok_or("natural number expected"))?,
            created: object.read("created", time)?,
            expires: object.read("expires", time)?,
            policy: match object.get("policy") {
                Some(policy) => Policy::from_json(policy)?,
                None => Policy::default(),
            },
            chunks: object
                .need("chunks", |v| v.as_array().ok_or("a list expected"))?
                .iter()
                .map(FileChunk::of_json)
                .collect::<Result<_, _>>()?,
            signature: match object.get("signature") {
                Some(signature) => Some(FileSignature::of_json(signature)?),
                None => None,
            },
        };
        if file.chunks.is_empty() {
            return Err("the file has no chunks".to_owned());
        }
        let mut names = HashSet::new();
        match file.chunks.iter().find(|c| !names.insert(&c.name)) {
            Some(twice) => Err(format!("the file has two texts for {}", twice.name)),
            None => Ok(file),
        }
    }

    /// The document. Equal files give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.document(true)
    }

    /// What a signature is made over: everything but the signature itself.
    pub fn signed_bytes(&self) -> Vec<u8> {
        [SIGNED_AS, &self.document(false)].concat()
    }

    fn document(&self, with_signature: bool) -> Vec<u8> {
        let mut out = vec![("format", Json::text(FORMAT))];
        if let Some(sequence) = self.sequence {
            out.push(("sequence", Json::number(sequence)));
        }
        for (name, time) in [("created", self.created), ("expires", self.expires)] {
            out.extend(time.map(|time| (name, Json::text(time.to_string()))));
        }
        match self.policy.to_json() {
            Json::Object(entries) if entries.is_empty() => {}
            policy => out.push(("policy", policy)),
        }
        let chunks = self.chunks.iter().map(FileChunk::to_json).collect();
        out.push(("chunks", Json::Array(chunks)));
        if let Some(signature) = self.signature.filter(|_| with_signature) {
            out.push(("signature", signature.to_json()));
        }
        Json::object(out).pretty().into_bytes()
    }

    /// Hash of the whole file, to name it in records.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Compiles the new texts. `name_of` says under which name a chunk of the
    /// file is loaded where it is going to be applied.
    pub fn compile(&self, name_of: impl Fn(&str) -> String) -> Result<Patch, Uncompiled<'_>> {
        let mut patches = Vec::with_capacity(self.chunks.len());
        for chunk in &self.chunks {
            let patch = match ChunkPatch::compile(&name_of(&chunk.name), &chunk.source) {
                Ok(patch) => patch,
                Err(error) => return Err(Uncompiled::Text(error, chunk)),
            };
            patches.push(Patch::from(match chunk.base {
                Some(base) => patch.with_base(base),
                None => patch,
            }));
        }
        Patch::transaction(patches).map_err(Uncompiled::Refused)
    }
}

/// Why a patch file does not make a patch.
#[derive(Clone, Debug)]
pub enum Uncompiled<'a> {
    /// A text of it is no Lua.
    Text(CompileError, &'a FileChunk),
    /// Several of its chunks are one where it is going to be applied.
    Refused(Refused),
}

impl FileChunk {
    fn of_json(json: &Json) -> Result<Self, String> {
        let object = Reader::new("a chunk", json)?;
        object.only(&["name", "base", "new", "changes", "source", "source_base64"])?;
        let name = object.need("name", text)?;
        let source = match (object.get("source"), object.get("source_base64")) {
            (Some(_), None) => object.need("source", text)?.into_bytes(),
            (None, Some(_)) => object.need("source_base64", |v| {
                let bytes = v.as_str().and_then(from_base64);
                let bytes = bytes.filter(|bytes| std::str::from_utf8(bytes).is_err());
                bytes.ok_or("Base64 of a text that is not UTF-8 expected")
            })?,
            _ => {
                return Err(format!(
                    "{name}: one of 'source' and 'source_base64' expected"
                ));
            }
        };
        let chunk = Self {
            base: object.read("base", digest)?,
            changes: object
                .read("changes", |v| {
                    let list = v.as_array().ok_or("a list expected")?;
                    list.iter().map(text).collect::<Result<Vec<_>, _>>()
                })?
                .unwrap_or_default(),
            source,
            name,
        };
        if object.need("new", digest)? != Digest::of(&chunk.source) {
            return Err(format!(
                "{}: the text is not the one 'new' names",
                chunk.name
            ));
        }
        Ok(chunk)
    }

    fn to_json(&self) -> Json {
        let mut out = vec![("name", Json::text(&self.name))];
        if let Some(base) = self.base {
            out.push(("base", Json::text(base.to_string())));
        }
        out.push(("new", Json::text(Digest::of(&self.source).to_string())));
        if !self.changes.is_empty() {
            out.push(("changes", Json::texts(&self.changes)));
        }
        out.push(match std::str::from_utf8(&self.source) {
            Ok(source) => ("source", Json::text(source)),
            Err(_) => ("source_base64", Json::text(to_base64(&self.source))),
        });
        Json::object(out)
    }
}

impl FileSignature {
    fn of_json(json: &Json) -> Result<Self, String> {
        let object = Reader::new("the signature", json)?;
        object.only(&["key", "ed25519"])?;
        Ok(Self {
            key: object.need("key", hexadecimal)?,
            signature: object.need("ed25519", hexadecimal)?,
        })
    }

    fn to_json(self) -> Json {
        Json::object([
            ("key", Json::text(to_hex(&self.key))),
            ("ed25519", Json::text(to_hex(&self.signature))),
        ])
    }
}

/// A refusal of a whole file.
pub fn refused(code: Code, reason: impl Into<String>, remedy: &str) -> Refused {
    Refused::from(vec![Refusal {
        code,
        chunk: "patch file".into(),
        line: 1,
        column: 1,
        function: "patch".into(),
        reason: reason.into(),
        remedy: remedy.into(),
    }])
}

type Checked<T> = Result<T, &'static str>;

fn text(value: &Json) -> Checked<String> {
    value.as_str().map(str::to_owned).ok_or("text expected")
}

fn time(value: &Json) -> Checked<Timestamp> {
    text(value)?.parse()
}

fn digest(value: &Json) -> Checked<Digest> {
    text(value)?.parse()
}

fn hexadecimal<const N: usize>(value: &Json) -> Checked<[u8; N]> {
    from_hex(&text(value)?).ok_or("hexadecimal digits expected")
}

/// Entries of an object, with errors that name them.
struct Reader<'a> {
    what: &'static str,
    json: &'a Json,
    keys: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    fn new(what: &'static str, json: &'a Json) -> Result<Self, String> {
        match json {
            Json::Object(entries) => Ok(Self {
                what,
                json,
                keys: entries.iter().map(|(key, _)| &**key).collect(),
            }),
            _ => Err(format!("{what} is no object")),
        }
    }

    /// An entry that nothing reads might have been meant to matter.
    fn only(&self, known: &[&str]) -> Result<(), String> {
        match self.keys.iter().find(|key| !known.contains(key)) {
            Some(key) => Err(format!("{} has an unknown entry '{key}'", self.what)),
            None => Ok(()),
        }
    }

    fn get(&self, key: &str) -> Option<&'a Json> {
        self.json.get(key)
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&'a Json) -> Checked<T>,
    ) -> Result<Option<T>, String> {
        let value = self.get(key).map(read).transpose();
        value.map_err(|message| format!("{}, '{key}': {message}", self.what))
    }

    fn need<T>(&self, key: &str, read: impl Fn(&'a Json) -> Checked<T>) -> Result<T, String> {
        self.read(key, read)?
            .ok_or_else(|| format!("{} has no '{key}'", self.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> PatchFile {
        let chunk = |name: &str, base: Option<&[u8]>, source: &[u8]| FileChunk {
            name: name.into(),
            base: base.map(Digest::of),
            changes: vec!["swapped price".into()],
            source: source.into(),
        };
        let chunks = vec![
            chunk("@shop.lua", Some(b"return 1"), b"return 2 -- \xc3\xa9\n"),
            chunk("@bytes.lua", None, b"return '\xff'"),
        ];
        let mut file = PatchFile::new(chunks, Policy::new().signed_off("ann", "prices"));
        file.sequence = Some(7);
        file.created = Some(Timestamp::from_secs(1_000_000_000));
        file.expires = Some(Timestamp::from_secs(2_000_000_000));
        file
    }

    #[test]
    fn there_and_back() {
        let mut file = example();
        let bytes = file.to_bytes();
        assert_eq!(PatchFile::parse(&bytes), Ok(file.clone()));
        file.signature = Some(FileSignature {
            key: [7; 32],
            signature: [9; 64],
        });
        let signed = file.to_bytes();
        assert_eq!(PatchFile::parse(&signed), Ok(file.clone()));
        assert!(
            file.signed_bytes().ends_with(&bytes),
            "signed is what is unsigned"
        );
        let patch = file.compile(str::to_owned).expect("compiles");
        assert_eq!(patch.chunks()[0].base(), Some(Digest::of(b"return 1")));
        assert_eq!(patch.chunks()[1].base(), None);
    }

    #[test]
    fn other_forms_are_read_only_when_unsigned() {
        let mut file = example();
        let compact = |file: &PatchFile| {
            let text = String::from_utf8(file.to_bytes()).expect("UTF-8");
            Json::parse(&text).expect("JSON").to_string().into_bytes()
        };
        assert_eq!(PatchFile::parse(&compact(&file)), Ok(file.clone()));
        file.signature = Some(FileSignature {
            key: [7; 32],
            signature: [9; 64],
        });
        assert!(PatchFile::parse(&compact(&file)).is_err());
    }

    #[test]
    fn what_is_no_patch_file() {
        let text = String::from_utf8(example().to_bytes()).expect("UTF-8");
        let cases = [
            ("moonswap-patch 1", "moonswap-patch 2", "unknown format"),
            ("\"format\"", "\"fromat\"", "no 'format'"),
            ("\"sequence\"", "\"sequenze\"", "unknown entry 'sequenze'"),
            ("\"sequence\": 7", "\"sequence\": -7", "natural number"),
            ("2001-09-09", "2001-09-31", "'created'"),
            ("\"author\"", "\"autor\"", "there is no such setting"),
            ("return 2", "return 3", "not the one 'new' names"),
            ("@bytes.lua", "@shop.lua", "two texts"),
            ("\"source\"", "\"source_base64\"", "Base64"),
            ("\"name\"", "\"nom\"", "unknown entry"),
            ("sha256:", "sha1:", "sha256"),
            ("\"chunks\": [", "\"chunks\": [[],", "no object"),
        ];
        for (from, to, message) in cases {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            let refused = PatchFile::parse(changed.as_bytes()).expect_err(to);
            assert_eq!(refused.refusals[0].code, Code::MalformedFile);
            assert!(refused.to_string().contains(message), "{to}: {refused}");
        }
        for bytes in [&b""[..], b"\xff", b"{}", b"[]", b"return 1"] {
            assert!(PatchFile::parse(bytes).is_err());
        }
    }
}
