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

use std::borrow::Cow;

use foldhash::HashSet;
use moonswap_compiler::CompileError;
use serde::{Deserialize, Serialize};

use crate::encoding::digest::Digest;
use crate::encoding::json::{Object, parsed, parsed_if_present, present, to_json_pretty};
use crate::encoding::timestamp::Timestamp;
use crate::encoding::{from_base64, to_base64, to_hex};
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
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSignature {
    /// Public key.
    #[serde(with = "hexadecimal")]
    pub key: [u8; 32],
    /// Signature of [`PatchFile::signed_bytes`].
    #[serde(with = "hexadecimal", rename = "ed25519")]
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
        let file = Self::of_text(text).map_err(malformed)?;
        if file.signature.is_some() && file.to_bytes() != bytes {
            return Err(malformed(
                "a signed file must be in the form it was signed in".to_owned(),
            ));
        }
        Ok(file)
    }

    fn of_text(text: &str) -> Result<Self, String> {
        // First: of another version nothing else may be expected.
        let Object(head) = serde_json::from_str::<Object<Head>>(text).map_err(|e| e.to_string())?;
        match head.format.as_deref() {
            Some(FORMAT) => {}
            Some(other) => return Err(format!("unknown format '{other}'")),
            None => return Err("not a patch file: it has no 'format'".to_owned()),
        }
        let Object(document) =
            serde_json::from_str::<Object<Document<'_>>>(text).map_err(|e| e.to_string())?;
        let chunks = document.chunks.into_iter();
        let file = Self {
            sequence: document.sequence,
            created: document.created,
            expires: document.expires,
            policy: document.policy.into_owned(),
            chunks: chunks
                .map(|Object(chunk)| chunk.read())
                .collect::<Result<_, _>>()?,
            signature: document.signature.map(|Object(signature)| signature),
        };
        if file.chunks.is_empty() {
            return Err("the file has no chunks".to_owned());
        }
        let mut names = HashSet::default();
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
        let document = Document {
            format: Cow::Borrowed(FORMAT),
            sequence: self.sequence,
            created: self.created,
            expires: self.expires,
            policy: Cow::Borrowed(&self.policy),
            chunks: self.chunks.iter().map(ChunkEntry::of).map(Object).collect(),
            signature: self.signature.filter(|_| with_signature).map(Object),
        };
        to_json_pretty(&document).into_bytes()
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

/// What every version of the format says.
#[derive(Deserialize)]
struct Head {
    #[serde(default, deserialize_with = "present")]
    format: Option<String>,
}

/// The document as it is written and read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    format: Cow<'a, str>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    sequence: Option<u64>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "parsed_if_present"
    )]
    created: Option<Timestamp>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "parsed_if_present"
    )]
    expires: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_plain")]
    policy: Cow<'a, Policy>,
    chunks: Vec<Object<ChunkEntry<'a>>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    signature: Option<Object<FileSignature>>,
}

fn is_plain(policy: &Policy) -> bool {
    // What is not written of a policy does not count.
    policy.to_json() == "{}"
}

/// A chunk as it is written and read.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChunkEntry<'a> {
    name: Cow<'a, str>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "parsed_if_present"
    )]
    base: Option<Digest>,
    #[serde(deserialize_with = "parsed")]
    new: Digest,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    changes: Cow<'a, [String]>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    source: Option<Cow<'a, str>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    source_base64: Option<String>,
}

impl<'a> ChunkEntry<'a> {
    fn of(chunk: &'a FileChunk) -> Self {
        let text = std::str::from_utf8(&chunk.source).ok();
        Self {
            name: Cow::Borrowed(&chunk.name),
            base: chunk.base,
            new: Digest::of(&chunk.source),
            changes: Cow::Borrowed(&chunk.changes),
            source: text.map(Cow::Borrowed),
            source_base64: text.is_none().then(|| to_base64(&chunk.source)),
        }
    }

    fn read(self) -> Result<FileChunk, String> {
        let name = self.name.into_owned();
        let source = match (self.source, self.source_base64) {
            (Some(source), None) => source.into_owned().into_bytes(),
            (None, Some(text)) => from_base64(&text)
                .filter(|bytes| std::str::from_utf8(bytes).is_err())
                .ok_or_else(|| {
                    format!("{name}: 'source_base64': Base64 of a text that is not UTF-8 expected")
                })?,
            _ => {
                return Err(format!(
                    "{name}: one of 'source' and 'source_base64' expected"
                ));
            }
        };
        if self.new != Digest::of(&source) {
            return Err(format!("{name}: the text is not the one 'new' names"));
        }
        Ok(FileChunk {
            name,
            base: self.base,
            changes: self.changes.into_owned(),
            source,
        })
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

/// Hexadecimal digits.
mod hexadecimal {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    use crate::encoding::{from_hex, to_hex};

    pub(super) fn serialize<S: Serializer, const N: usize>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&to_hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text).ok_or_else(|| D::Error::custom("hexadecimal digits expected"))
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
            let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            value.to_string().into_bytes()
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
            ("\"sequence\"", "\"sequenze\"", "unknown field `sequenze`"),
            ("\"sequence\": 7", "\"sequence\": -7", "expected u64"),
            ("2001-09-09", "2001-09-31", "a time such as"),
            ("\"author\"", "\"autor\"", "unknown field `autor`"),
            ("return 2", "return 3", "not the one 'new' names"),
            ("@bytes.lua", "@shop.lua", "two texts"),
            ("\"source\"", "\"source_base64\"", "Base64"),
            ("\"name\"", "\"nom\"", "unknown field"),
            ("sha256:", "sha1:", "sha256"),
            ("\"chunks\": [", "\"chunks\": [[],", "expected an object"),
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
