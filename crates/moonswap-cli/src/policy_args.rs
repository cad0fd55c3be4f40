//! The settings of a patch as options of the command line, by the names that
//! `opts` has in Lua.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use moonswap::Policy;
use moonswap_hotpatch::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, RefusedPolicy, Rerun, RunSelector,
    StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "How to apply the patch")]
pub(crate) struct PolicyArgs {
    /// A function or top-level local that has another name now
    #[arg(long, value_name = "OLD=NEW", value_parser = pair)]
    rename: Vec<(String, String)>,
    /// Run the initialiser of this top-level local again
    #[arg(long, value_name = "NAME")]
    reset: Vec<String>,
    /// Run this top-level statement of the new text; `listed`: only those named,
    /// `new`: also added ones that change only what is new (the default)
    #[arg(long, value_name = "LINE|TEXT", value_parser = selector)]
    run: Vec<RunSelector>,
    /// Run added and changed calls of this function, e.g. 'core.register_*';
    /// `added:…` or `changed:…` for those only
    #[arg(long, value_name = "CALLEE")]
    rerun: Vec<String>,
    /// Data that the text gives as constants: merge (the default), list, replace
    #[arg(long, value_name = "[PATH=]RULE", value_parser = data)]
    data: Vec<(String, DataPolicy)>,
    /// Clear fields of removed functions
    #[arg(long)]
    remove: bool,
    /// Whether to update configuration constants
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    config: bool,
    /// New captures of old closures: keep-old, nil, refuse or "expr: …"
    #[arg(long, value_name = "[NAME=]RULE", value_parser = captures)]
    captures: Vec<(Option<String>, Captures)>,
    /// A refused function refuses the patch (refuse), or stays on its code while
    /// the rest is applied (keep-old)
    #[arg(long, value_name = "[FUNCTION=]RULE", value_parser = refused)]
    refused: Vec<(Option<String>, WhenRefused)>,
    /// When to commit
    #[arg(long, value_name = "WHEN", value_parser = one_of(Timing::WORDS, Timing::of_word))]
    timing: Option<Timing>,
    /// Coroutines suspended in changed code
    #[arg(long, value_name = "WHAT", value_parser = one_of(SuspendedPolicy::WORDS, SuspendedPolicy::of_word))]
    suspended: Option<SuspendedPolicy>,
    /// Activations of changed code
    #[arg(long, value_name = "WHAT", value_parser = one_of(StalePolicy::WORDS, StalePolicy::of_word))]
    stale: Option<StalePolicy>,
    /// How long to wait for a moment to commit, e.g. 2s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    deadline: Option<Duration>,
    /// The generation the patch is made for
    #[arg(long, value_name = "GENERATION")]
    pub(crate) base: Option<u64>,
    /// Roll back after more errors than this within a time, or when a call of new
    /// code takes longer than SLOW
    #[arg(long, value_name = "N/TIME[/SLOW]", value_parser = guard)]
    guard: Option<Guard>,
    /// Who
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl PolicyArgs {
    pub(crate) fn policy(self) -> Policy {
        let mut captures = CapturePolicy::default();
        for (name, rule) in self.captures {
            match name {
                Some(name) => _ = captures.by_name.insert(name, rule),
                None => captures.all = rule,
            }
        }
        let mut refused = RefusedPolicy::default();
        for (name, rule) in self.refused {
            match name {
                Some(name) => _ = refused.by_function.insert(name, rule),
                None => refused.all = rule,
            }
        }
        let mut by_path: BTreeMap<String, DataPolicy> = self.data.into_iter().collect();
        let all = by_path.remove("").unwrap_or_default();
        let mut policy = Policy {
            rename: self.rename.into_iter().collect(),
            reset: self.reset,
            rerun: self.rerun.iter().map(|rule| Rerun::parse(rule)).collect(),
            data: DataPolicies { all, by_path },
            remove: self.remove,
            config: self.config,
            captures,
            refused,
            timing: self.timing.unwrap_or_default(),
            suspended: self.suspended.unwrap_or_default(),
            stale: self.stale.unwrap_or_default(),
            deadline: self.deadline,
            base: self.base,
            guard: self.guard,
            author: self.author,
            reason: self.reason,
            ..Policy::default()
        };
        policy.set_run(self.run);
        policy
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => {
            Ok((old.to_owned(), new.to_owned()))
        }
        _ => Err("OLD=NEW expected".to_owned()),
    }
}

#[allow(clippy::unnecessary_wraps, reason = "the shape clap asks for")]
fn selector(text: &str) -> Result<RunSelector, String> {
    Ok(match text.parse() {
        Ok(line) => RunSelector::Line(line),
        Err(_) => RunSelector::Text(text.to_owned()),
    })
}

fn data(text: &str) -> Result<(String, DataPolicy), String> {
    let (path, rule) = text.rsplit_once('=').unwrap_or(("", text));
    Ok((path.to_owned(), DataPolicy::of_word(rule)?))
}

fn captures(text: &str) -> Result<(Option<String>, Captures), String> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let (name, rule) = match text.split_once('=') {
        Some((name, rule)) if is_name(name) => (Some(name.to_owned()), rule),
        _ => (None, text),
    };
    Ok((name, Captures::of_word(rule)?))
}

fn refused(text: &str) -> Result<(Option<String>, WhenRefused), String> {
    let (name, rule) = match text.rsplit_once('=') {
        Some((name, rule)) if !name.is_empty() => (Some(name.to_owned()), rule),
        _ => (None, text),
    };
    Ok((name, WhenRefused::of_word(rule)?))
}

/// A word of a table: the help lists them all.
fn one_of<T: Copy + Send + Sync + 'static>(
    words: &'static [(&'static str, T)],
    of_word: fn(&str) -> Result<T, &'static str>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words.iter().map(|(word, _)| *word))
        .try_map(move |word| of_word(&word))
}

fn guard(text: &str) -> Result<Guard, String> {
    let expected = "a number and a time such as 3/10s, or 3/10s/500ms, expected";
    let (errors, within) = text.split_once('/').ok_or(expected)?;
    let (within, slow) = match within.split_once('/') {
        Some((within, slow)) => (within, Some(duration(slow)?)),
        None => (within, None),
    };
    if slow.is_some_and(|slow| slow.is_zero()) {
        return Err(Guard::SLOW_EXPECTED.to_owned());
    }
    Ok(Guard {
        errors: errors.parse().map_err(|_| expected)?,
        within: duration(within)?,
        slow,
    })
}

/// `2s`, `500ms`, `1m`, `36h`, `7d`; a number alone is of seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a time such as 2s, 500ms or 1m expected".to_owned();
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len()),
    );
    let factor = match unit {
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(expected()),
    };
    let number: f64 = digits.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    #[test]
    fn every_option_means_what_it_does_in_lua() {
        use clap::Parser;
        let words = "x --rename a=b --reset c --run 3 --run f() --rerun on_* --data M.a=list --remove --config false \
                     --captures nil --captures y=keep-old --refused keep-old --refused M.f=refuse --timing immediate --suspended close \
                     --stale migrate --deadline 1.5 --base 7 --guard 3/10s/500ms --author ann --reason why";
        let line = Line::try_parse_from(words.split_whitespace()).expect("valid");
        let json = line.policy.policy().to_json();
        assert_eq!(
            json,
            r#"{"author":"ann","reason":"why","base":7,"rename":{"a":"b"},"reset":["c"],"run":[3,"f()"],"rerun":["on_*"],"data":{"M.a":"list"},"remove":true,"config":false,"captures":{"":"nil","y":"keep-old"},"refused":{"":"keep-old","M.f":"refuse"},"timing":"immediate","suspended":"close","stale":"migrate","deadline":1.5,"guard":{"errors":3,"within":10,"slow":0.5}}"#
        );
        let plain = Line::try_parse_from(["x"]).expect("nothing is needed");
        assert_eq!(plain.policy.policy(), Policy::default());
        for wrong in [
            "--timing soon",
            "--guard 3",
            "--guard 3/10s/0",
            "--guard 3/10s/",
            "--guard 3/10s/1s/1s",
            "--rename a",
            "--captures x=",
            "--refused nil",
            "--config perhaps",
        ] {
            assert!(Line::try_parse_from(format!("x {wrong}").split_whitespace()).is_err());
        }
    }

    #[test]
    fn times() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86400)));
        assert!(duration("x").is_err() && duration("1.1.1s").is_err());
    }
}
