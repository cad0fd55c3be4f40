//! `opts` tables: the settings of one patch, by the names of [`Policy`].

use std::collections::BTreeMap;
use std::time::Duration;

use moonswap_hotpatch::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, PatchSource, Policy, RefusedPolicy,
    Rerun, RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};
use moonswap_vm::{Context, Outcome, View};

/// Reads the optional `opts` argument `i`. A name that is not known is an
/// error: a misspelt `dry` must not patch.
pub(super) fn read(cx: &mut Context<'_>, i: usize) -> Outcome<Policy> {
    let mut policy = Policy::default().source(PatchSource::Lua);
    if cx.at(i).is_nil() {
        return Ok(policy);
    }
    cx.check_table(i)?;
    let base = cx.height();
    cx.push_nil();
    while cx.next(i)? {
        let name = match cx.at(base) {
            View::String(name) => String::from_utf8_lossy(name.as_bytes()).into_owned(),
            _ => return Err(cx.arg_error(i, "option names must be strings")),
        };
        if let Err(message) = set(cx, &mut policy, &name, base + 1)? {
            return Err(cx.arg_error(i, format!("option '{name}': {message}")));
        }
        cx.set_height(base + 1);
    }
    cx.set_height(base);
    Ok(policy)
}

type Checked<T> = Result<T, &'static str>;

const GUARD_EXPECTED: &str = "{ errors = n, within = seconds [, slow = seconds] } expected";

fn set(cx: &Context<'_>, policy: &mut Policy, name: &str, at: usize) -> Outcome<Checked<()>> {
    let value = cx.at(at);
    let done = match name {
        "dry" => store(&mut policy.dry, boolean(value)),
        "remove" => store(&mut policy.remove, boolean(value)),
        "config" => store(&mut policy.config, boolean(value)),
        "author" => store(&mut policy.author, text(value).map(Some)),
        "reason" => store(&mut policy.reason, text(value).map(Some)),
        "base" => store(&mut policy.base, natural(value).map(Some)),
        "deadline" => store(&mut policy.deadline, seconds(value).map(Some)),
        "timing" => store(&mut policy.timing, choice(value, Timing::of_word)),
        "suspended" => store(
            &mut policy.suspended,
            choice(value, SuspendedPolicy::of_word),
        ),
        "stale" => store(&mut policy.stale, choice(value, StalePolicy::of_word)),
        "rename" => match entries(cx, at, &text)? {
            Ok(map) => store(&mut policy.rename, Ok(map)),
            Err(message) => Err(message),
        },
        "captures" => match value {
            View::Table(_) => match entries(cx, at, &captures)? {
                Ok(by_name) => store(
                    &mut policy.captures,
                    Ok(CapturePolicy {
                        all: Captures::Refuse,
                        by_name,
                    }),
                ),
                Err(message) => Err(message),
            },
            value => store(&mut policy.captures.all, captures(value)),
        },
        "refused" => match value {
            View::Table(_) => match entries(cx, at, &refused)? {
                Ok(mut by_function) => {
                    // "" is no path of a function: it stands for all others.
                    let all = by_function.remove("").unwrap_or_default();
                    store(&mut policy.refused, Ok(RefusedPolicy { all, by_function }))
                }
                Err(message) => Err(message),
            },
            value => store(&mut policy.refused.all, refused(value)),
        },
        "reset" => store(&mut policy.reset, list(value, text)),
        "run" => list(value, selector).map(|list| policy.set_run(list)),
        "rerun" => store(
            &mut policy.rerun,
            list(value, |rule| text(rule).map(|rule| Rerun::parse(&rule))),
        ),
        "data" => match value {
            View::Table(_) => match entries(cx, at, &|rule| choice(rule, DataPolicy::of_word))? {
                Ok(mut by_path) => {
                    let all = by_path.remove("").unwrap_or_default();
                    store(&mut policy.data, Ok(DataPolicies { all, by_path }))
                }
                Err(message) => Err(message),
            },
            value => store(&mut policy.data.all, choice(value, DataPolicy::of_word)),
        },
        "guard" => match value {
            View::Table(_) => {
                let errors = natural(cx.raw_get_field(at, "errors"));
                let within = seconds(cx.raw_get_field(at, "within"));
                let slow = match cx.raw_get_field(at, "slow") {
                    View::Nil => Ok(None),
                    slow => seconds(slow).map(Some),
                };
                match (errors.map(u32::try_from), within, slow) {
                    (_, _, Ok(Some(Duration::ZERO))) => Err(Guard::SLOW_EXPECTED),
                    (Ok(Ok(errors)), Ok(within), Ok(slow)) => store(
                        &mut policy.guard,
                        Ok(Some(Guard {
                            errors,
                            within,
                            slow,
                        })),
                    ),
                    _ => Err(GUARD_EXPECTED),
                }
            }
            _ => Err(GUARD_EXPECTED),
        },
        _ => Err("there is no such option"),
    };
    Ok(done)
}

fn store<T>(place: &mut T, value: Checked<T>) -> Checked<()> {
    *place = value?;
    Ok(())
}

fn boolean(value: View<'_>) -> Checked<bool> {
    match value {
        View::Boolean(b) => Ok(b),
        _ => Err("boolean expected"),
    }
}

fn text(value: View<'_>) -> Checked<String> {
    crate::value::convert::text_of(value).ok_or("string expected")
}

fn natural(value: View<'_>) -> Checked<u64> {
    value
        .to_integer()
        .and_then(|i| u64::try_from(i).ok())
        .ok_or("natural number expected")
}

fn seconds(value: View<'_>) -> Checked<Duration> {
    let seconds = value.to_number().ok_or("number of seconds expected")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "number of seconds expected")
}

fn choice<T>(value: View<'_>, of_word: impl Fn(&str) -> Checked<T>) -> Checked<T> {
    of_word(&text(value)?)
}

fn captures(value: View<'_>) -> Checked<Captures> {
    Captures::of_word(&text(value)?)
}

fn refused(value: View<'_>) -> Checked<WhenRefused> {
    choice(value, WhenRefused::of_word)
}

fn selector(value: View<'_>) -> Checked<RunSelector> {
    match value {
        View::String(_) => text(value).map(RunSelector::Text),
        value => {
            let line = natural(value).map_err(|_| "line numbers or texts expected")?;
            u32::try_from(line)
                .map(RunSelector::Line)
                .map_err(|_| "line number out of range")
        }
    }
}

/// A list, or one element alone.
fn list<T>(value: View<'_>, element: impl Fn(View<'_>) -> Checked<T>) -> Checked<Vec<T>> {
    match value {
        View::Table(table) => (1..=table.len())
            .map(|k| element(table.get_int(k)))
            .collect(),
        alone => Ok(vec![element(alone)?]),
    }
}

/// The entries of the table at `at`.
fn entries<T>(
    cx: &Context<'_>,
    at: usize,
    element: &dyn Fn(View<'_>) -> Checked<T>,
) -> Outcome<Checked<BTreeMap<String, T>>> {
    if !matches!(cx.at(at), View::Table(_)) {
        return Ok(Err("table expected"));
    }
    let base = cx.height();
    let mut map = BTreeMap::new();
    cx.push_nil();
    while cx.next(at)? {
        match (text(cx.at(base)), element(cx.at(base + 1))) {
            (Ok(name), Ok(value)) => _ = map.insert(name, value),
            (Err(message), _) | (_, Err(message)) => {
                cx.set_height(base);
                return Ok(Err(message));
            }
        }
        cx.set_height(base + 1);
    }
    cx.set_height(base);
    Ok(Ok(map))
}
