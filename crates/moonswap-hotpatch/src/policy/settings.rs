//! The settings of a [`Policy`] as JSON, by the names of `opts` in Lua: those that
//! differ from the defaults are written. Read are also the short forms of `opts`:
//! one name instead of a list, one rule for all.
//!
//! Author and reason are among them; `dry` is not: it is asked for when a patch is
//! applied, not when it is made.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::text::LISTED;
use super::{
    CapturePolicy, Captures, DataPolicies, DataPolicy, Guard, Policy, RefusedPolicy, Rerun,
    RunSelector, StalePolicy, SuspendedPolicy, Timing, WhenRefused,
};
use crate::encoding::json::{Object, Seconds, entries, present, to_json, unique};

/// What is written and read, in this order.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    author: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    base: Option<u64>,
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique"
    )]
    rename: BTreeMap<String, String>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    reset: Vec<String>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    run: Vec<RunSelector>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "one_or_many"
    )]
    rerun: Vec<Rerun>,
    #[serde(skip_serializing_if = "is_default")]
    data: Rules<DataPolicy>,
    #[serde(skip_serializing_if = "is_default")]
    remove: bool,
    #[serde(skip_serializing_if = "Clone::clone")]
    config: bool,
    #[serde(skip_serializing_if = "is_default")]
    captures: Rules<Captures>,
    #[serde(skip_serializing_if = "is_default")]
    refused: Rules<WhenRefused>,
    #[serde(skip_serializing_if = "is_default")]
    timing: Timing,
    #[serde(skip_serializing_if = "is_default")]
    suspended: SuspendedPolicy,
    #[serde(skip_serializing_if = "is_default")]
    stale: StalePolicy,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    deadline: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "guard")]
    guard: Option<GuardSettings>,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardSettings {
    errors: u32,
    within: Seconds,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    slow: Option<Seconds>,
}

/// A rule for all, and rules by name.
#[derive(Clone, Default, PartialEq)]
struct Rules<T> {
    all: T,
    by_name: BTreeMap<String, T>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for Settings {
    fn default() -> Self {
        Policy::default().into()
    }
}

impl Policy {
    /// The settings that differ from the defaults, as one JSON object.
    pub fn to_json(&self) -> String {
        to_json(self)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Settings::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Object(settings) = Object::<Settings>::deserialize(deserializer)?;
        Ok(settings.into())
    }
}

impl From<Policy> for Settings {
    fn from(policy: Policy) -> Self {
        let mut run = policy.run;
        if !policy.run_new {
            run.insert(0, RunSelector::Text(LISTED.to_owned()));
        }
        Self {
            author: policy.author,
            reason: policy.reason,
            base: policy.base,
            rename: policy.rename,
            reset: policy.reset,
            run,
            rerun: policy.rerun,
            data: Rules {
                all: policy.data.all,
                by_name: policy.data.by_path,
            },
            remove: policy.remove,
            config: policy.config,
            captures: Rules {
                all: policy.captures.all,
                by_name: policy.captures.by_name,
            },
            refused: Rules {
                all: policy.refused.all,
                by_name: policy.refused.by_function,
            },
            timing: policy.timing,
            suspended: policy.suspended,
            stale: policy.stale,
            deadline: policy.deadline.map(Seconds),
            guard: policy.guard.map(|guard| GuardSettings {
                errors: guard.errors,
                within: Seconds(guard.within),
                slow: guard.slow.map(Seconds),
            }),
        }
    }
}

impl From<Settings> for Policy {
    fn from(settings: Settings) -> Self {
        let mut policy = Self {
            author: settings.author,
            reason: settings.reason,
            base: settings.base,
            rename: settings.rename,
            reset: settings.reset,
            rerun: settings.rerun,
            data: DataPolicies {
                all: settings.data.all,
                by_path: settings.data.by_name,
            },
            remove: settings.remove,
            config: settings.config,
            captures: CapturePolicy {
                all: settings.captures.all,
                by_name: settings.captures.by_name,
            },
            refused: RefusedPolicy {
                all: settings.refused.all,
                by_function: settings.refused.by_name,
            },
            timing: settings.timing,
            suspended: settings.suspended,
            stale: settings.stale,
            deadline: settings.deadline.map(|Seconds(time)| time),
            guard: settings.guard.map(|guard| Guard {
                errors: guard.errors,
                within: guard.within.0,
                slow: guard.slow.map(|Seconds(time)| time),
            }),
            ..Self::default()
        };
        policy.set_run(settings.run);
        policy
    }
}

fn guard<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<GuardSettings>, D::Error> {
    let Object(guard) = Object::<GuardSettings>::deserialize(deserializer)?;
    match guard.slow {
        Some(Seconds(Duration::ZERO)) => Err(D::Error::custom(Guard::SLOW_EXPECTED)),
        _ => Ok(Some(guard)),
    }
}

/// A list, or one element alone.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "a value or a list of values expected")]
    enum OneOrMany<T> {
        Many(Vec<T>),
        One(T),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::Many(list) => list,
        OneOrMany::One(alone) => vec![alone],
    })
}

/// "" is no name: it stands for all others.
impl<T: Serialize + Default + PartialEq> Serialize for Rules<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !is_default(&self.all) {
            map.serialize_entry("", &self.all)?;
        }
        for (name, rule) in &self.by_name {
            map.serialize_entry(name, rule)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Rules<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Forms<T> {
            type Value = Rules<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule, or an object of rules")
            }

            fn visit_str<E: serde::de::Error>(self, rule: &str) -> Result<Self::Value, E> {
                let rule = serde::de::value::StrDeserializer::new(rule);
                Ok(Rules {
                    all: T::deserialize(rule)?,
                    by_name: BTreeMap::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let mut by_name = entries(map)?;
                let all = by_name.remove("").unwrap_or_default();
                Ok(Rules { all, by_name })
            }
        }
        deserializer.deserialize_any(Forms(PhantomData))
    }
}

macro_rules! by_words {
    ($($type:ident),*) => { $(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.word())
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = String::deserialize(deserializer)?;
                Self::of_word(&word).map_err(D::Error::custom)
            }
        }
    )* };
}

by_words!(
    Timing,
    SuspendedPolicy,
    StalePolicy,
    DataPolicy,
    WhenRefused,
    Captures
);

impl Serialize for Rerun {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rule())
    }
}

impl<'de> Deserialize<'de> for Rerun {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|rule| Self::parse(&rule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_there_and_back() {
        assert_eq!(Policy::default().to_json(), "{}");
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
        let text = policy.to_json();
        let read: Policy = serde_json::from_str(&text).expect("settings");
        assert_eq!(read, policy, "{text}");
    }

    #[test]
    fn short_forms_and_mistakes() {
        let read = serde_json::from_str::<Policy>;
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
            r#"{"base":null}"#,
            r#"{"author":null}"#,
            r#"{"author":"a","author":"a"}"#,
            r#"{"rename":{"a":"b","a":"c"}}"#,
            r#"{"rename":["a","b"]}"#,
            r#"{"captures":{"x":"nil","x":"refuse"}}"#,
            r#"{"captures":["nil"]}"#,
            r#"{"guard":[1,1]}"#,
            r#"{"reset":[1]}"#,
            r#"{"reset":["a",null]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
