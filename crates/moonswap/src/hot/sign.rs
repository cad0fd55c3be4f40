//! Signatures of patch files: ed25519 over the file's canonical bytes.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use moonswap_hotpatch::{Code, FileSignature, PatchFile, Refused, from_hex, refused, to_hex};

use crate::{Error, Result};

const PUBLIC: &str = "moonswap-public-key ";
const SECRET: &str = "moonswap-secret-key ";

/// The key to check signatures with: 64 hexadecimal digits, as text after
/// `moonswap-public-key`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// The 32 bytes of RFC 8032.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", to_hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", to_hex(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    /// Reads what `Display` writes, or the digits alone. Errors: anything else,
    /// and what is no point of the curve or of too small an order.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let bytes = from_hex(text.strip_prefix(PUBLIC).unwrap_or(text));
        let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        match key {
            Some(key) if !key.is_weak() => Ok(Self(key.to_bytes())),
            _ => Err(Error::runtime("not a public key of moonswap")),
        }
    }
}

/// The key to sign with. Wiped from memory when dropped.
///
/// ```
/// use moonswap::{FileChunk, Lua, PatchFile, Policy, SecretKey, Trust};
///
/// # fn main() -> moonswap::Result<()> {
/// let key = SecretKey::generate()?;
/// let chunk = FileChunk {
///     name: "@shop.lua".into(),
///     base: None,
///     changes: vec![],
///     source: b"function price(x) return x * 1.5 end".to_vec(),
/// };
/// let mut file = PatchFile::new(vec![chunk], Policy::default());
///
/// let lua = Lua::new();
/// lua.load("function price(x) return x * 1.2 end").set_name("@shop.lua").exec()?;
/// lua.hot().set_trust(Trust::new().with_key(key.public()));
/// assert!(lua.hot().patch(&file).apply().is_err()); // not signed
/// key.sign(&mut file);
/// lua.hot().patch(&file).apply()?;
/// assert!(lua.hot().patch(&file).apply().is_err()); // a replay
/// # Ok(())
/// # }
/// ```
pub struct SecretKey(SigningKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {:?})", self.public())
    }
}

impl SecretKey {
    /// A new one. Errors: the system has no random numbers.
    pub fn generate() -> Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Error::runtime(format_args!("no random numbers: {error}")))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The text of a key file: who has it can sign.
    pub fn to_text(&self) -> String {
        format!("{SECRET}{}\n", to_hex(self.0.as_bytes()))
    }

    /// Reads what [`SecretKey::to_text`] gives. Errors: anything else.
    pub fn from_text(text: &str) -> Result<Self> {
        let digits = text.trim().strip_prefix(SECRET);
        let seed = digits.and_then(from_hex);
        let seed = seed.ok_or_else(|| Error::runtime("not a secret key of moonswap"))?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    /// The key that others check its signatures with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a file, in place of a signature it has. A file without a sequence
    /// number gets the milliseconds since 1970: who signs once a millisecond at
    /// most, on one clock, needs no other count.
    pub fn sign(&self, file: &mut PatchFile) {
        file.sequence.get_or_insert_with(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            since.map_or(0, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX))
        });
        file.signature = Some(FileSignature {
            key: self.public().0,
            signature: self.0.sign(&file.signed_bytes()).to_bytes(),
        });
    }
}

/// Whether a file's signature is one of the key it names; no signature is none.
pub(crate) fn verify(file: &PatchFile) -> std::result::Result<(), Refused> {
    let good = file.signature.is_some_and(|signature| {
        let given = Signature::from_bytes(&signature.signature);
        VerifyingKey::from_bytes(&signature.key)
            .is_ok_and(|key| key.verify_strict(&file.signed_bytes(), &given).is_ok())
    });
    if good {
        Ok(())
    } else {
        Err(refused(
            Code::BadSignature,
            "the signature does not fit the file",
            "fetch it again; do not apply it",
        ))
    }
}
