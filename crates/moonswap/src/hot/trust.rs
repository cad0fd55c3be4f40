//! `Trust`: which patch files are believed.
//!
//! Asked before anything of a file is compiled. Without keys it accepts unsigned
//! files; with keys, only what one of them signed. Expiry and sequence numbers
//! count in both cases.

use std::collections::BTreeMap;

use moonswap_hotpatch::{Code, Patch, PatchFile, Policy, Refused, Timestamp, Uncompiled, refused};

use crate::Error;

/// The public key of a signed file, nothing for all unsigned ones.
type Signer = Option<[u8; 32]>;

/// Which patch files are believed; see [`Hot::set_trust`](crate::Hot::set_trust).
///
/// Holds for patch files only: code that runs in the VM, and the host, may patch
/// it by other ways as well.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    keys: Vec<[u8; 32]>,
    /// Of the last file applied from each signer.
    sequences: BTreeMap<Signer, u64>,
}

impl Trust {
    /// Believes unsigned files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Believes what this key signed; unsigned files no longer.
    #[cfg(feature = "sign")]
    #[must_use]
    pub fn with_key(mut self, key: crate::PublicKey) -> Self {
        self.keys.push(*key.as_bytes());
        self
    }

    /// Files of this signer (`None`: unsigned ones) must have a larger sequence
    /// number than this: what [`Trust::last_sequence`] said before a restart.
    #[must_use]
    pub fn with_last_sequence(mut self, signer: Option<[u8; 32]>, sequence: u64) -> Self {
        self.sequences.insert(signer, sequence);
        self
    }

    /// The sequence number of the last file applied of a signer (`None`:
    /// unsigned ones).
    pub fn last_sequence(&self, signer: Option<[u8; 32]>) -> Option<u64> {
        self.sequences.get(&signer).copied()
    }

    /// Whether a file may be applied now. Errors, by code: `S002` its signature
    /// is wrong, `S003` its key is not one of those pinned, `S004` it has none
    /// and must, `S005` expired, `S006` replayed.
    pub fn check(&self, file: &PatchFile, now: Timestamp) -> Result<(), Refused> {
        let signer = self.check_signature(file)?;
        if let Some(end) = file.expires
            && end <= now
        {
            return Err(refused(
                Code::Expired,
                format!("expired at {end}"),
                "have it signed again, with a later end",
            ));
        }
        let last = self.sequences.get(&signer);
        match (file.sequence, last) {
            (None, Some(_)) => Err(replayed("the file has no sequence number".to_owned())),
            (None, None) if !self.keys.is_empty() => {
                Err(replayed("the file has no sequence number".to_owned()))
            }
            (Some(number), Some(&last)) if number <= last => Err(replayed(format!(
                "sequence number {number}, but {last} was applied already"
            ))),
            _ => Ok(()),
        }
    }

    /// [`Trust::check`] now, and the file as a patch with its policy: for VMs on
    /// other threads ([`Patcher`](crate::Patcher), [`Pool`](crate::Pool)). Its
    /// chunks must have the names there that they have in the file. Tell
    /// [`Trust::applied`] when it was applied.
    pub fn open(&self, file: &PatchFile) -> Result<(Patch, Policy), Error> {
        self.check(file, Timestamp::now())?;
        let patch = compile(file, str::to_owned)?;
        Ok((patch, file.policy.clone()))
    }

    fn check_signature(&self, file: &PatchFile) -> Result<Signer, Refused> {
        let Some(signature) = &file.signature else {
            return if self.keys.is_empty() {
                Ok(None)
            } else {
                Err(refused(
                    Code::NotSigned,
                    "only signed patch files are accepted here",
                    "sign it with a trusted key",
                ))
            };
        };
        verify(file)?;
        if self.keys.is_empty() || self.keys.contains(&signature.key) {
            Ok(Some(signature.key))
        } else {
            Err(refused(
                Code::UnknownKey,
                "signed with a key that is not trusted here",
                "sign it with a trusted key, or trust this one",
            ))
        }
    }

    /// A file was applied: it and what came before it are replays from now on.
    pub fn applied(&mut self, file: &PatchFile) {
        if let Some(sequence) = file.sequence {
            let signer = file.signature.map(|signature| signature.key);
            let last = self.sequences.entry(signer).or_insert(sequence);
            *last = sequence.max(*last);
        }
    }
}

fn replayed(reason: String) -> Refused {
    refused(
        Code::Replayed,
        reason,
        "build the patch again for what runs now",
    )
}

#[cfg(feature = "sign")]
use crate::hot::sign::verify;

/// What cannot be checked is not believed.
#[cfg(not(feature = "sign"))]
fn verify(_: &PatchFile) -> Result<(), Refused> {
    Err(refused(
        Code::BadSignature,
        "this program was built without the feature `sign` and cannot check signatures",
        "build it with the feature `sign`",
    ))
}

/// Compiles a file whose provenance is known.
pub(crate) fn compile(file: &PatchFile, name_of: impl Fn(&str) -> String) -> Result<Patch, Error> {
    file.compile(name_of).map_err(|failure| match failure {
        Uncompiled::Text(error, chunk) => Error::compile(error, &chunk.source),
        Uncompiled::Refused(refused) => refused.into(),
    })
}
