//! What becomes of activations of replaced versions: who moves, who stays and why;
//! how many a patch leaves behind.

use std::collections::BTreeSet;
use std::fmt;

use crate::refusal::activation::Activation;

/// A running activation of a replaced version, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Migrated {
    /// As it was at the commit.
    #[cfg_attr(feature = "json", serde(flatten))]
    pub activation: Activation,
    /// Line of the loop at whose next turn it goes on in the new code; `None`: it
    /// finishes on its version.
    pub turn: Option<u32>,
    /// Why it stays.
    pub reason: Option<String>,
}

impl Migrated {
    /// It moves at the next iteration of the loop at this line of the old text.
    pub fn moves(activation: Activation, line: u32) -> Self {
        Self {
            activation,
            turn: Some(line),
            reason: None,
        }
    }

    /// It stays.
    pub fn stays(activation: Activation, why: impl Into<String>) -> Self {
        Self {
            activation,
            turn: None,
            reason: Some(why.into()),
        }
    }

    /// Whether it goes on in the new code.
    pub fn is_moving(&self) -> bool {
        self.turn.is_some()
    }
}

impl fmt::Display for Migrated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Activation {
            function,
            thread,
            version,
            ..
        } = &self.activation;
        let thread = if thread == "main" {
            "main"
        } else {
            "a coroutine"
        };
        write!(f, "{function} v{version} in {thread} ")?;
        match (self.turn, &self.reason) {
            (Some(line), _) => write!(f, "moves at the next iteration of the loop at line {line}"),
            (None, Some(why)) => write!(f, "stays: {why}"),
            (None, None) => f.write_str("stays"),
        }
    }
}

/// How many activations stay on older code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "json", derive(serde::Serialize))]
pub struct Staying {
    /// Activations.
    pub activations: usize,
    /// Coroutines that they are in, besides the main one.
    pub coroutines: usize,
    /// Some are in the main one.
    pub in_main: bool,
    /// Functions without their chunks, with their activations.
    #[cfg_attr(feature = "json", serde(skip))]
    pub functions: Vec<(String, usize)>,
    /// How many coroutines were looked at, and how many there are, if not all were:
    /// the numbers above are lower bounds then.
    #[cfg_attr(
        feature = "json",
        serde(rename = "at_least", serialize_with = "is_some")
    )]
    pub looked_at: Option<(usize, usize)>,
}

#[cfg(feature = "json")]
fn is_some<S: serde::Serializer>(
    looked_at: &Option<(usize, usize)>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(looked_at.is_some())
}

impl Staying {
    /// Those of a list that do not move.
    pub fn of(activations: &[Migrated]) -> Self {
        let mut staying = Self::default();
        let mut coroutines = BTreeSet::new();
        for one in activations.iter().filter(|m| !m.is_moving()) {
            match &*one.activation.thread {
                "main" => staying.in_main = true,
                coroutine => {
                    coroutines.insert(coroutine);
                }
            }
            staying.add(&one.activation.function);
        }
        staying.coroutines = coroutines.len();
        staying
    }

    /// One activation more; whose thread it is in is counted by the caller.
    pub fn add(&mut self, function: &str) {
        self.activations += 1;
        match self.functions.iter_mut().find(|(f, _)| f == function) {
            Some((_, n)) => *n += 1,
            None => self.functions.push((function.to_owned(), 1)),
        }
    }

    /// Whether none stays.
    pub fn is_empty(&self) -> bool {
        self.activations == 0 && self.looked_at.is_none()
    }

    /// `3 activations in main and 2 coroutines stay on old code`: for one line of a
    /// report.
    pub fn line(&self) -> String {
        let some = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let place = match (self.in_main, self.coroutines) {
            (true, 0) => "main".to_owned(),
            (false, n) => some(n, "coroutine"),
            (true, n) => format!("main and {}", some(n, "coroutine")),
        };
        let bound = if self.looked_at.is_some() {
            "at least "
        } else {
            ""
        };
        format!(
            "{bound}{} in {place} {} on old code",
            some(self.activations, "activation"),
            if self.activations == 1 {
                "stays"
            } else {
                "stay"
            }
        )
    }

    /// The functions, the first few of them.
    fn which(&self) -> String {
        const NAMED: usize = 4;
        let named = self.functions.iter().take(NAMED);
        let mut named: Vec<String> = named.map(|(name, n)| format!("{name} {n}")).collect();
        if self.functions.len() > NAMED {
            named.push("…".to_owned());
        }
        named.join(", ")
    }

    /// What to do about those that a patch did not try to move.
    pub fn warning(&self) -> String {
        let which = match self.which() {
            none if none.is_empty() => none,
            some => format!(" ({some})"),
        };
        let looked_at = match self.looked_at {
            Some((n, all)) => {
                format!("; {n} of {all} coroutines were looked at, hot.frames() looks at all")
            }
            None => String::new(),
        };
        format!(
            "{}{which}: stale = \"migrate\", or hot.migrate() afterwards, moves those that can \
             be moved{looked_at}",
            self.line()
        )
    }
}

/// What asking for activations to be moved to current code comes to: nothing else
/// changes. Those that move do so when they next come to the place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationReport {
    /// The VM's generation: the code that they move to.
    pub generation: u64,
    /// All activations that were on older code.
    pub activations: Vec<Migrated>,
}

impl MigrationReport {
    /// Those that move.
    pub fn moving(&self) -> impl Iterator<Item = &Migrated> {
        self.activations.iter().filter(|m| m.is_moving())
    }

    /// Those that stay, each with its reason.
    pub fn staying(&self) -> impl Iterator<Item = &Migrated> {
        self.activations.iter().filter(|m| !m.is_moving())
    }

    /// `generation`, `line` and `activations`, as one JSON object.
    #[cfg(feature = "json")]
    pub fn to_json(&self) -> String {
        crate::encoding::json::to_json(self)
    }
}

impl fmt::Display for MigrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.activations.is_empty() {
            return f.write_str("nothing runs old code");
        }
        write_moving(f, &self.activations)?;
        let staying = Staying::of(&self.activations);
        if staying.is_empty() {
            return Ok(());
        }
        write!(f, ", {}", staying.line())
    }
}

/// `2 of 3 activations move`
pub(crate) fn write_moving(f: &mut impl fmt::Write, all: &[Migrated]) -> fmt::Result {
    let n = all.iter().filter(|m| m.is_moving()).count();
    write!(f, "{n} of {} activations move", all.len())
}

/// Why some do not move, each reason once.
pub(crate) fn reasons(all: &[Migrated]) -> Vec<String> {
    let mut found: Vec<(String, usize)> = Vec::new();
    for one in all {
        let Some(why) = &one.reason else { continue };
        let text = format!("{} stays on old code: {why}", one.activation.function);
        match found.iter_mut().find(|(known, _)| *known == text) {
            Some((_, n)) => *n += 1,
            None => found.push((text, 1)),
        }
    }
    let line = |(text, n): (String, usize)| match n {
        1 => text,
        n => format!("{text} ({n} activations)"),
    };
    found.into_iter().map(line).collect()
}

#[cfg(feature = "json")]
impl serde::Serialize for MigrationReport {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct View<'a> {
            generation: u64,
            line: String,
            activations: &'a [Migrated],
        }
        let view = View {
            generation: self.generation,
            line: self.to_string(),
            activations: &self.activations,
        };
        view.serialize(serializer)
    }
}
