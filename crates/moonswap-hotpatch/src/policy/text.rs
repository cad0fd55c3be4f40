//! The settings of a [`Policy`] as text: the words of `opts` in Lua, of patch
//! files and of the command line, in one table each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, Policy, RefusedPolicy, Rerun,
    RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};
use crate::encoding::json::Json;

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
const LISTED: &str = "listed";

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

type Checked<T> = Result<T, &'static str>;

impl Policy {
    /// The settings that differ from the defaults, by their names. Author and
    /// reason are among them; `dry` is not: it is asked for when a patch is
    /// applied, not when it is made.
    pub fn to_json(&self) -> Json {
        let mut out: Vec<(String, Json)> = Vec::new();
        let mut put = |name: &str, value: Json| out.push((name.to_owned(), value));
        if let Some(author) = &self.author {
            put("author", Json::text(author));
        }
        if let Some(reason) = &self.reason {
            put("reason", Json::text(reason));
        }
        if let Some(base) = self.base {
            put("base", Json::number(base));
        }
        if !self.rename.is_empty() {
            let pairs = self.rename.iter().map(|(old, new)| (old, Json::text(new)));
            put("rename", Json::object(pairs));
        }
        if !self.reset.is_empty() {
            put("reset", Json::texts(&self.reset));
        }
        if !self.run.is_empty() || !self.run_new {
            let mode = (!self.run_new).then(|| Json::text(LISTED));
            let list = self.run.iter().map(|which| match which {
                RunSelector::Line(line) => Json::number(*line),
                RunSelector::Text(text) => Json::text(text),
            });
            put("run", Json::Array(mode.into_iter().chain(list).collect()));
        }
        if !self.rerun.is_empty() {
            let rules = self.rerun.iter().map(|rule| Json::text(rule.rule()));
            put("rerun", Json::Array(rules.collect()));
        }
        if self.data != DataPolicies::default() {
            // "" is no path: it stands for all others.
            let all = (self.data.all != DataPolicy::default())
                .then(|| (String::new(), Json::text(self.data.all.word())));
            let by_path = self.data.by_path.iter();
            let by_path = by_path.map(|(path, rule)| (path.clone(), Json::text(rule.word())));
            put("data", Json::object(all.into_iter().chain(by_path)));
        }
        if self.remove {
            put("remove", Json::Bool(true));
        }
        if !self.config {
            put("config", Json::Bool(false));
        }
        if self.captures != CapturePolicy::default() {
            // "" is no name of a variable: it stands for all others.
            let all = (self.captures.all != Captures::default())
                .then(|| (String::new(), Json::text(self.captures.all.word())));
            let by_name = self.captures.by_name.iter();
            let by_name = by_name.map(|(name, rule)| (name.clone(), Json::text(rule.word())));
            put("captures", Json::object(all.into_iter().chain(by_name)));
        }
        if self.refused != RefusedPolicy::default() {
            let all = (self.refused.all != WhenRefused::default())
                .then(|| (String::new(), Json::text(self.refused.all.word())));
            let by_name = self.refused.by_function.iter();
            let by_name = by_name.map(|(name, rule)| (name.clone(), Json::text(rule.word())));
            put("refused", Json::object(all.into_iter().chain(by_name)));
        }
        if self.timing != Timing::default() {
            put("timing", Json::text(self.timing.word()));
        }
        if self.suspended != SuspendedPolicy::default() {
            put("suspended", Json::text(self.suspended.word()));
        }
        if self.stale != StalePolicy::default() {
            put("stale", Json::text(self.stale.word()));
        }
        if let Some(deadline) = self.deadline {
            put("deadline", Json::Float(deadline.as_secs_f64()));
        }
        if let Some(guard) = self.guard {
            let mut entries = vec![
                ("errors", Json::number(guard.errors)),
                ("within", Json::Float(guard.within.as_secs_f64())),
            ];
            if let Some(slow) = guard.slow {
                entries.push(("slow", Json::Float(slow.as_secs_f64())));
            }
            put("guard", Json::object(entries));
        }
        Json::Object(out)
    }

    /// Reads what [`Policy::to_json`] writes, and the short forms of `opts`
    /// (one name instead of a list, one rule for all captures). Errors: names
    /// and values that there are not, each with its setting.
    pub fn from_json(json: &Json) -> Result<Self, String> {
        let Json::Object(entries) = json else {
            return Err("an object of settings expected".to_owned());
        };
        let mut policy = Self::default();
        for (name, value) in entries {
            policy
                .set(name, value)
                .map_err(|message| format!("setting '{name}': {message}"))?;
        }
        Ok(policy)
    }

    /// What `run` says: statements, and the words `new` (also added statements that
    /// change only what is new; the default) or `listed`.
    pub fn set_run(&mut self, mut list: Vec<RunSelector>) {
        let is_word = |which: &RunSelector, word: &str| matches!(which, RunSelector::Text(text) if text == word);
        self.run_new = !list.iter().any(|which| is_word(which, LISTED));
        list.retain(|which| !is_word(which, NEW) && !is_word(which, LISTED));
        self.run = list;
    }

    fn set(&mut self, name: &str, value: &Json) -> Checked<()> {
        match name {
            "author" => self.author = Some(text(value)?),
            "reason" => self.reason = Some(text(value)?),
            "base" => self.base = Some(value.as_u64().ok_or("natural number expected")?),
            "rename" => self.rename = entries(value, text)?,
            "reset" => self.reset = list(value, text)?,
            "run" => {
                self.set_run(list(value, selector)?);
            }
            "rerun" => self.rerun = list(value, |rule| text(rule).map(|rule| Rerun::parse(&rule)))?,
            "data" => {
                let rule = |value: &Json| choice(value, DataPolicy::of_word);
                self.data = match value {
                    Json::Object(_) => {
                        let mut by_path = entries(value, rule)?;
                        let all = by_path.remove("").unwrap_or_default();
                        DataPolicies { all, by_path }
                    }
                    all => DataPolicies {
                        all: rule(all)?,
                        by_path: BTreeMap::new(),
                    },
                };
            }
            "remove" => self.remove = boolean(value)?,
            "config" => self.config = boolean(value)?,
            "captures" => {
                self.captures = match value {
                    Json::Object(_) => {
                        let mut by_name = entries(value, captures)?;
                        let all = by_name.remove("").unwrap_or_default();
                        CapturePolicy { all, by_name }
                    }
                    rule => CapturePolicy {
                        all: captures(rule)?,
                        by_name: BTreeMap::new(),
                    },
                };
            }
            "refused" => {
                let rule = |value: &Json| choice(value, WhenRefused::of_word);
                self.refused = match value {
                    Json::Object(_) => {
                        let mut by_function = entries(value, rule)?;
                        let all = by_function.remove("").unwrap_or_default();
                        RefusedPolicy { all, by_function }
                    }
                    all => RefusedPolicy {
                        all: rule(all)?,
                        by_function: BTreeMap::new(),
                    },
                };
            }
            "timing" => self.timing = choice(value, Timing::of_word)?,
            "suspended" => self.suspended = choice(value, SuspendedPolicy::of_word)?,
            "stale" => self.stale = choice(value, StalePolicy::of_word)?,
            "deadline" => self.deadline = Some(seconds(Some(value))?),
            "guard" => {
                let expected = "{\"errors\": n, \"within\": seconds[, \"slow\": seconds]} expected";
                let Json::Object(entries) = value else {
                    return Err(expected);
                };
                let errors = value.get("errors").and_then(Json::as_u64);
                let errors = errors.and_then(|n| u32::try_from(n).ok()).ok_or(expected)?;
                let within = seconds(value.get("within"))?;
                let slow = match value.get("slow") {
                    Some(time) => Some(seconds(Some(time))?),
                    None => None,
                };
                if entries.len() != 2 + usize::from(slow.is_some()) {
                    return Err(expected);
                }
                if slow.is_some_and(|slow| slow.is_zero()) {
                    return Err(Guard::SLOW_EXPECTED);
                }
                self.guard = Some(Guard {
                    errors,
                    within,
                    slow,
                });
            }
            _ => return Err("there is no such setting"),
        }
        Ok(())
    }
}

fn text(value: &Json) -> Checked<String> {
    value.as_str().map(str::to_owned).ok_or("text expected")
}

fn boolean(value: &Json) -> Checked<bool> {
    match value {
        Json::Bool(b) => Ok(*b),
        _ => Err("true or false expected"),
    }
}

fn seconds(value: Option<&Json>) -> Checked<Duration> {
    value
        .and_then(Json::as_f64)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or("number of seconds expected")
}

fn choice<T>(value: &Json, of_word: impl Fn(&str) -> Checked<T>) -> Checked<T> {
    of_word(&text(value)?)
}

fn captures(value: &Json) -> Checked<Captures> {
    Captures::of_word(&text(value)?)
}

fn selector(value: &Json) -> Checked<RunSelector> {
    match value {
        Json::String(text) => Ok(RunSelector::Text(text.clone())),
        line => line
            .as_u64()
            .and_then(|line| u32::try_from(line).ok())
            .map(RunSelector::Line)
            .ok_or("line numbers or texts expected"),
    }
}

/// A list, or one element alone.
fn list<T>(value: &Json, element: impl Fn(&Json) -> Checked<T>) -> Checked<Vec<T>> {
    match value {
        Json::Array(list) => list.iter().map(element).collect(),
        alone => Ok(vec![element(alone)?]),
    }
}

fn entries<T>(value: &Json, element: impl Fn(&Json) -> Checked<T>) -> Checked<BTreeMap<String, T>> {
    match value {
        Json::Object(entries) => entries
            .iter()
            .map(|(name, value)| Ok((name.clone(), element(value)?)))
            .collect(),
        _ => Err("an object expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_there_and_back() {
        assert_eq!(Policy::default().to_json(), Json::Object(vec![]));
        let mut policy = Policy::new()
            .rename("a", "b")
            .reset("cache")
            .run(RunSelector::Line(3))
            .run(RunSelector::Text("f()".into()))
            .config(false)
            .run_new(false)
            .rerun("core.register_*")
            .rerun("changed:on:add")
            .data(DataPolicy::List)
            .captures(Captures::Expression("x + 1".into()))
            .timing(Timing::Immediate)
            .base(7)
            .signed_off("ann", "why \"not\"");
        policy.remove = true;
        policy.captures.by_name.insert("y".into(), Captures::Nil);
        policy
            .data
            .by_path
            .insert("M.max".into(), DataPolicy::Replace);
        policy.refused.all = WhenRefused::KeepOld;
        let by_function = &mut policy.refused.by_function;
        by_function.insert("M.f / return 1".into(), WhenRefused::Refuse);
        policy.suspended = SuspendedPolicy::Close;
        policy.stale = StalePolicy::Migrate;
        policy.deadline = Some(Duration::from_millis(1500));
        policy.guard =
            Some(Guard::new(3, Duration::from_secs(10)).slow(Duration::from_millis(250)));
        let text = policy.to_json().to_string();
        let read = Json::parse(&text).expect("JSON");
        assert_eq!(Policy::from_json(&read), Ok(policy), "{text}");
    }

    #[test]
    fn short_forms_and_mistakes() {
        let read = |text: &str| Policy::from_json(&Json::parse(text).expect("JSON"));
        let policy = read(r#"{"reset":"cache","captures":"nil","run":4}"#).expect("short forms");
        assert_eq!(policy.reset, ["cache"]);
        assert_eq!(policy.captures.all, Captures::Nil);
        assert_eq!(policy.run, [RunSelector::Line(4)]);
        for bad in [
            "[]",
            r#"{"timng":"immediate"}"#,
            r#"{"timing":"soon"}"#,
            r#"{"dry":true}"#,
            r#"{"deadline":-1}"#,
            r#"{"guard":{"errors":1}}"#,
            r#"{"remove":"yes"}"#,
            r#"{"guard":{"errors":1,"within":1,"or":2}}"#,
            r#"{"guard":{"errors":1,"within":1,"slow":0}}"#,
            r#"{"guard":{"errors":1,"within":1,"slow":null}}"#,
            r#"{"guard":{"slow":1}}"#,
            r#"{"captures":"guess"}"#,
            r#"{"refused":"nil"}"#,
            r#"{"run":-1}"#,
            r#"{"base":1.5}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
