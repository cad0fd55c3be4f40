//! The words of the settings of a [`Policy`]: those of `opts` in Lua, of patch files
//! and of the command line, in one table each.

use super::{
    Captures, DataPolicy, Policy, RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};

macro_rules! words {
    ($($type:ident { $first:ident = $first_word:literal $(, $variant:ident = $word:literal)* })*) => { $(
        impl $type {
            /// All words of this setting with what they mean.
            pub const WORDS: &'static [(&'static str, Self)] =
                &[($first_word, Self::$first) $(, ($word, Self::$variant))*];
            /// What to say to whoever gave another word.
            pub const EXPECTED: &'static str = concat!("one of ", $first_word $(, ", ", $word)*, " expected");

            /// The word for it.
            pub fn word(self) -> &'static str {
                match self { Self::$first => $first_word $(, Self::$variant => $word)* }
            }

            /// What a word means; [`Self::EXPECTED`] if it is none of them.
            pub fn of_word(word: &str) -> Result<Self, &'static str> {
                let found = Self::WORDS.iter().find(|(known, _)| *known == word);
                found.map(|&(_, meant)| meant).ok_or(Self::EXPECTED)
            }
        }
    )* };
}

words! {
    Timing {
        DeferredNative = "deferred-native", Immediate = "immediate",
        Quiescent = "quiescent", Checkpoint = "checkpoint"
    }
    SuspendedPolicy { Finish = "finish", Refuse = "refuse", Close = "close" }
    StalePolicy { Finish = "finish", Migrate = "migrate" }
    DataPolicy { Merge = "merge", List = "list", Replace = "replace" }
    WhenRefused { Refuse = "refuse", KeepOld = "keep-old" }
}

/// The word in `run` for added statements that change only what is new.
const NEW: &str = "new";
/// The word in `run` for none but the statements that are named.
pub(super) const LISTED: &str = "listed";

impl Captures {
    /// What to say to whoever gave another word.
    pub const EXPECTED: &'static str = "keep-old, nil, refuse or \"expr: …\" expected";

    /// `keep-old`, `nil`, `refuse` or `expr: …`; [`Self::EXPECTED`] for anything else.
    pub fn of_word(word: &str) -> Result<Self, &'static str> {
        match word {
            "keep-old" => Ok(Self::KeepOld),
            "nil" => Ok(Self::Nil),
            "refuse" => Ok(Self::Refuse),
            _ => word
                .strip_prefix("expr:")
                .map(|expression| Self::Expression(expression.trim().to_owned()))
                .ok_or(Self::EXPECTED),
        }
    }

    /// The reverse of [`Self::of_word`].
    pub fn word(&self) -> String {
        match self {
            Self::KeepOld => "keep-old".to_owned(),
            Self::Nil => "nil".to_owned(),
            Self::Refuse => "refuse".to_owned(),
            Self::Expression(expression) => format!("expr: {expression}"),
        }
    }
}

impl Policy {
    /// What `run` says: statements, and the words `new` (also added statements that
    /// change only what is new; the default) or `listed`.
    pub fn set_run(&mut self, mut list: Vec<RunSelector>) {
        let is_word = |which: &RunSelector, word: &str| matches!(which, RunSelector::Text(text) if text == word);
        self.run_new = !list.iter().any(|which| is_word(which, LISTED));
        list.retain(|which| !is_word(which, NEW) && !is_word(which, LISTED));
        self.run = list;
    }
}
