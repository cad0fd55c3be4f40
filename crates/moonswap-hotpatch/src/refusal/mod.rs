//! Why a patch can not be applied: stable codes, places, remedies.

pub(crate) mod activation;

use std::fmt;
use std::sync::Arc;

use activation::Activation;

macro_rules! codes {
    ($( $(#[doc = $doc:literal])* $name:ident = $text:literal; )*) => {
        /// The stable code of a refusal. This table is the reference.
        ///
        /// | code | meaning |
        /// | --- | --- |
        $( #[doc = concat!("| ", $text, " |", $($doc),*, " |")] )*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $( $(#[doc = $doc])* $name ),* }

        impl Code {
            /// All codes with their texts and meanings, in order.
            pub const ALL: &'static [(Code, &'static str, &'static str)] =
                &[ $( (Code::$name, $text, concat!($($doc),*)) ),* ];

            /// The stable text, e.g. `P003`.
            pub const fn text(self) -> &'static str {
                match self { $( Code::$name => $text ),* }
            }
        }
    };
}

codes! {
    /// several literals of equal role could be the older version of this one
    AmbiguousMatch = "P001";
    /// the same code is found at several places: where it moved to is not decidable
    AmbiguousMove = "P002";
    /// captures a local of an enclosing function that existing closures do not have
    NewEnclosingCapture = "P003";
    /// a captured variable is declared in another scope now
    ScopeChanged = "P004";
    /// the number of declarations of a captured variable's name changed: which one is meant is not decidable
    AmbiguousVariable = "P005";
    /// the main chunk ran more than once: the instance has several variables of this name
    SeveralRuns = "P006";
    /// the value of a top-level local was not kept
    CellMissing = "P007";
    /// a new top-level local cannot be initialised apart from existing ones
    MixedDeclaration = "P008";
    /// a new top-level `<close>` local
    NewToBeClosed = "P009";
    /// a name in `rename` fits no or several literals or variables
    RenameNotFound = "P010";
    /// a name in `reset` fits no top-level local that can be reset
    ResetNotFound = "P011";
    /// an entry of `run` fits no or several top-level statements that can run alone
    RunNotFound = "P012";
    /// the patch was made for another generation
    BaseMismatch = "P013";
    /// the patch is for another chunk
    OtherChunk = "P014";
    /// the delta chunk cannot be compiled
    DeltaFailed = "P016";
    /// a function is too large to be fitted to its older version's captures
    TooLarge = "P017";
    /// two literals have the same `--@id`
    DuplicateStableId = "P018";
    /// the patch has two texts for one chunk
    DuplicateChunk = "P019";
    /// the expression for a new captured variable cannot be used
    CaptureExpression = "P020";
    /// top-level code of the patch uses `...`, and the main chunk's arguments were not kept
    ArgumentsGone = "P021";
    /// top-level code of the patch raised an error
    InitialiserFailed = "P022";
    /// a function is added to a table that is not there
    TableMissing = "P023";
    /// a new top-level local reads a global that the text itself sets: a fresh load would read what was there before
    ReadsOwnGlobal = "P024";
    /// a function the patch changes was active, and no moment without came in time
    Active = "P030";
    /// a coroutine is suspended in a function the patch changes
    Suspended = "P031";
    /// a native function that must not see a commit was calling back
    InsideNative = "P032";
    /// the host did not poll in time
    NoPoll = "P033";
    /// a later patch of the same chunk was committed while this one waited
    Superseded = "P034";
    /// the patch is in quarantine: it used up its error budget, or hung, before
    Quarantined = "P040";
    /// the function is protected: no patch may change its code
    Protected = "P041";
    /// several functions could be the module's `migrate` or `on_swap`
    AmbiguousHook = "P042";
    /// needs what another refusal holds back, and stays on its code with it
    HeldBack = "P050";
    /// a patch file is damaged, or of an unknown format
    MalformedFile = "S001";
    /// the signature of a patch file does not fit its content
    BadSignature = "S002";
    /// a patch file is signed with a key that is not trusted here
    UnknownKey = "S003";
    /// only signed patch files are accepted here
    NotSigned = "S004";
    /// the time until which a patch file may be applied is over
    Expired = "S005";
    /// a patch file with this or a later sequence number was applied before
    Replayed = "S006";
}

/// The remedy for a top-level local whose value was not kept.
pub(crate) const NOT_KEPT: &str = "load the chunk as a module or give it a name when it is loaded, or capture the variable in a function from the start";

impl Code {
    /// The patch is not the one that was meant, or not meant for this program:
    /// wrong signature, file or base, whatever its code would do.
    pub fn is_provenance(self) -> bool {
        match self {
            Self::BaseMismatch => true,
            other => other.text().starts_with('S'),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// By its stable text.
#[cfg(feature = "json")]
impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

/// One reason why a patch can not be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Refusal {
    /// Stable code.
    pub code: Code,
    /// Chunk as shown to people, e.g. `shop.lua`.
    pub chunk: Arc<str>,
    /// Line in the new source (in the old one for what is gone).
    pub line: u32,
    /// Column, from 1, in bytes.
    pub column: u32,
    /// Function concerned, by path, or `patch`.
    pub function: String,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {} {}: {}; {}",
            self.chunk, self.line, self.code, self.function, self.reason, self.remedy
        )
    }
}

impl std::error::Error for Refusal {}

/// The activation as the reason why a patch was not committed.
impl From<&Activation> for Refusal {
    fn from(activation: &Activation) -> Self {
        let Activation {
            version, thread, ..
        } = activation;
        let (code, reason, remedy) = if activation.suspended {
            (
                Code::Suspended,
                format!("coroutine {thread} is suspended in version {version}"),
                "let the coroutine finish, give a longer deadline, or choose suspended = \"finish\" or \"close\"",
            )
        } else {
            (
                Code::Active,
                format!("version {version} is active in {thread}"),
                "give a longer deadline, or choose another timing",
            )
        };
        Refusal {
            code,
            chunk: Arc::clone(&activation.chunk),
            line: activation.line.unwrap_or(1),
            column: 1,
            function: activation.function.clone(),
            reason,
            remedy: remedy.to_owned(),
        }
    }
}

/// A name in the policy that fits nothing in one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmatchedSetting {
    /// Setting and name, e.g. `reset cache`.
    pub name: String,
    /// What to do if it fits nowhere else either.
    pub effect: Unmatched,
}

/// What becomes of a patch with an [`UnmatchedSetting`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// It is refused.
    Refuses(Refusal),
    /// It is applied, with this warning.
    Warns(String),
}

impl UnmatchedSetting {
    /// Those of one chunk that fit in none of the others.
    pub(crate) fn nowhere<'a>(
        chunks: impl Iterator<Item = &'a [UnmatchedSetting]> + Clone,
    ) -> impl Iterator<Item = &'a UnmatchedSetting> {
        let has = |chunk: &[UnmatchedSetting], name: &str| chunk.iter().any(|u| u.name == name);
        let all = chunks.clone().flatten();
        all.filter(move |one| chunks.clone().all(|chunk| has(chunk, &one.name)))
    }
}

/// A refused patch, with every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// All reasons, in source order.
    pub refusals: Vec<Refusal>,
    /// The activations that some of the reasons are about.
    pub activations: Vec<Activation>,
}

/// All refusals as a list.
#[cfg(feature = "json")]
impl serde::Serialize for Refused {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.refusals.serialize(serializer)
    }
}

impl Refused {
    /// Whether the reason is what the patch is or was made for, not what its
    /// code would do: exit code 5 of the command line.
    pub fn is_provenance(&self) -> bool {
        self.refusals.iter().any(|r| r.code.is_provenance())
    }

    /// Refused because these stand in the way.
    pub fn by_activations(activations: Vec<Activation>) -> Self {
        Self {
            refusals: activations.iter().map(Refusal::from).collect(),
            activations,
        }
    }
}

impl From<Vec<Refusal>> for Refused {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self {
            refusals,
            activations: Vec::new(),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, refusal) in self.refusals.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            refusal.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refused {}
