//! Scenario files `lua-tests/hotpatch/*.scn`: one behaviour per file, told in
//! sections that are carried out in order.
//!
//! | section | meaning |
//! | --- | --- |
//! | text before the first | what is shown |
//! | `--- load [NAME]` | loads a module (default `m.lua`) and runs it |
//! | `--- string NAME` | the same as a `load`ed string |
//! | `--- source NAME` | text for `patch("NAME")` and `submit("NAME")` |
//! | `--- policy` | `key = value` lines, in force until the next one |
//! | `--- with NAME` | new text of a chunk that the next patch changes as well |
//! | `--- patch [NAME]` | new text of a chunk; has to be applied |
//! | `--- submit [NAME]` | the same, queued |
//! | `--- poll` | the host polls |
//! | `--- outcome` | lines that tell what became of the last patch queued |
//! | `--- report` | lines that the last report or its plan must contain |
//! | `--- refuse` | after a patch: lines its error must contain; nothing changed |
//! | `--- error` | after `load` or `run`: lines the error must contain |
//! | `--- run` | runs a script |
//! | `--- rollback [ID]` | restores the code from before a patch |
//! | `--- migrate [NAME]` | asks activations (of a chunk) to move to the current code |
//! | `--- expect` | exactly what was printed since the last one |
//! | `--- legal` | words (`BEGINNING*`) that the next run may print as well if the patch comes in its middle (`modes.rs`) |
//! | `--- not MODE: WHY` | is not carried out in that mode (`modes.rs`) |

use std::time::Duration;

use moonswap_vm::HotError;
use moonswap_vm::planning::{
    Captures, DataPolicy, Migrated, Patch, Policy, Report, RunSelector, StalePolicy,
    SuspendedPolicy, Timing, WhenRefused,
};

use crate::world::{World, compile};

/// A section of a scenario file.
#[derive(Debug)]
pub struct Section {
    /// The line of its head.
    pub line: usize,
    /// The first word of its head.
    pub kind: String,
    /// The rest of its head.
    pub argument: String,
    /// The lines up to the next head.
    pub body: String,
}

/// What is said of a scenario, or a part of one, without checks.
pub const NOTHING: &str = "checks nothing";

/// How a `patch` section is carried out.
pub type Apply<'a> = &'a dyn Fn(&World, Patch, Policy) -> Result<Report, HotError>;

/// On the machine's own thread, now or never.
fn here(world: &World, patch: Patch, policy: Policy) -> Result<Report, HotError> {
    world.machine.with(|cx| cx.hot_apply(&patch, &policy))
}

/// Splits a scenario file into its sections.
pub fn sections(text: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if let Some(head) = line.strip_prefix("--- ") {
            let (kind, argument) = head.trim().split_once(' ').unwrap_or((head.trim(), ""));
            found.push(Section {
                line: i + 1,
                kind: kind.to_owned(),
                argument: argument.to_owned(),
                body: String::new(),
            });
        } else if let Some(section) = found.last_mut() {
            section.body.push_str(line);
            section.body.push('\n');
        }
    }
    found
}

/// Reads the body of a `policy` section.
pub fn policy(body: &str) -> Policy {
    let mut policy = Policy::default();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let (key, value) = line.split_once('=').expect("key = value");
        let value = value.trim();
        policy = match key.trim() {
            "config" => policy.config(value == "true"),
            "reset" => policy.reset(value),
            "run" if value == "listed" => policy.run_new(false),
            "run" => policy.run(RunSelector::Text(value.to_owned())),
            "rerun" => policy.rerun(value),
            "data" => policy.data(DataPolicy::of_word(value).expect("a rule")),
            key if key.starts_with("data.") => {
                let path = key["data.".len()..].to_owned();
                let rule = DataPolicy::of_word(value).expect("a rule");
                policy.data.by_path.insert(path, rule);
                policy
            }
            "run-line" => policy.run(RunSelector::Line(value.parse().expect("a line"))),
            "base" => policy.base(value.parse().expect("a generation")),
            "dry" => policy.dry(value == "true"),
            "captures" => policy.captures(captures(value)),
            key if key.starts_with("captures.") => {
                let name = key["captures.".len()..].to_owned();
                policy.captures.by_name.insert(name, captures(value));
                policy
            }
            "refused" => policy.refused(when_refused(value)),
            key if key.starts_with("refused.") => {
                let name = key["refused.".len()..].to_owned();
                let by_function = &mut policy.refused.by_function;
                by_function.insert(name, when_refused(value));
                policy
            }
            "remove" => policy.remove(value == "true"),
            "guard" => {
                let (errors, times) = value.split_once(" in ").expect("ERRORS in SECONDS");
                let (within, slow) = match times.split_once(" slow ") {
                    Some((within, slow)) => (within, Some(slow)),
                    None => (times, None),
                };
                let time = |text: &str| Duration::from_secs_f64(text.parse().expect("seconds"));
                let policy = policy.guard(errors.parse().expect("a number"), time(within));
                match slow {
                    Some(slow) => policy.slow(time(slow)),
                    None => policy,
                }
            }
            "timing" => policy.timing(match value {
                "immediate" => Timing::Immediate,
                "deferred-native" => Timing::DeferredNative,
                "quiescent" => Timing::Quiescent,
                "checkpoint" => Timing::Checkpoint,
                other => panic!("no timing {other}"),
            }),
            "suspended" => policy.suspended(match value {
                "finish" => SuspendedPolicy::Finish,
                "refuse" => SuspendedPolicy::Refuse,
                "close" => SuspendedPolicy::Close,
                other => panic!("no rule {other}"),
            }),
            "stale" => policy.stale(match value {
                "finish" => StalePolicy::Finish,
                "migrate" => StalePolicy::Migrate,
                other => panic!("no rule {other}"),
            }),
            "deadline" => policy.deadline(Duration::from_secs_f64(value.parse().expect("seconds"))),
            "rename" => {
                let (old, new) = value.split_once(" to ").expect("OLD to NEW");
                policy.rename(old, new)
            }
            other => panic!("no policy {other} = {value}"),
        };
    }
    policy
}

fn when_refused(value: &str) -> WhenRefused {
    WhenRefused::of_word(value).expect("a rule")
}

fn captures(value: &str) -> Captures {
    match value {
        "keep-old" => Captures::KeepOld,
        "nil" => Captures::Nil,
        "refuse" => Captures::Refuse,
        _ => Captures::Expression(value.strip_prefix("expr: ").expect("a rule").to_owned()),
    }
}

/// The name of the chunk that an argument stands for.
pub fn chunk(argument: &str) -> String {
    if argument.starts_with('=') {
        return argument.to_owned();
    }
    format!(
        "@{}",
        if argument.is_empty() {
            "m.lua"
        } else {
            argument
        }
    )
}

fn contains_all(what: &str, text: &str, wanted: &str) -> Result<(), String> {
    match wanted
        .lines()
        .map(str::trim)
        .find(|line| !text.contains(line))
    {
        None => Ok(()),
        Some(line) => Err(format!("{what} lacks {line:?}:\n{text}")),
    }
}

fn lines(migrated: &[Migrated]) -> String {
    migrated.iter().map(|one| format!("{one}\n")).collect()
}

/// Carries a scenario out in a world that something is special about.
pub fn carry_out_in(world: &World, text: &str) -> Result<(), String> {
    carry_out_by(world, &sections(text), &here)
}

/// Carries sections out, with patches applied in some way.
pub fn carry_out_by(world: &World, sections: &[Section], apply: Apply<'_>) -> Result<(), String> {
    carry_out_around(world, sections, apply, &|_, _| {})
}

/// The same; `around` is called before (true) and after each section that runs
/// something, with its index.
pub fn carry_out_around(
    world: &World,
    sections: &[Section],
    apply: Apply<'_>,
    around: &dyn Fn(usize, bool),
) -> Result<(), String> {
    let mut policy_now = Policy::default();
    let mut report = String::new();
    let mut n_checks = 0;
    let mut parts: Vec<(String, &str)> = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        let fail = |why: String| Err(format!("line {}, {}: {why}", section.line, section.kind));
        let next = sections.get(i + 1);
        let followed_by = |kind: &str| next.filter(|next| next.kind == kind);
        match section.kind.as_str() {
            "load" | "string" | "run" => {
                around(i, true);
                let outcome = match section.kind.as_str() {
                    "run" => world.run(&section.body),
                    kind => world.load(&chunk(&section.argument), &section.body, kind == "load"),
                };
                around(i, false);
                match (outcome, followed_by("error")) {
                    (Ok(_), None) => {}
                    (Ok(_), Some(_)) => return fail("no error".to_owned()),
                    (Err(e), None) => return fail(e),
                    (Err(e), Some(wanted)) => contains_all("the error", &e, &wanted.body)?,
                }
            }
            "with" => parts.push((chunk(&section.argument), section.body.as_str())),
            "source" => world.source(&section.argument, &section.body),
            "policy" => {
                policy_now = world.stretched(policy(&section.body));
                world.set_policy(policy_now.clone());
            }
            "patch" => {
                let chunk = chunk(&section.argument);
                let refused = followed_by("refuse");
                report.clear();
                let texts: Vec<(String, &str)> = parts
                    .drain(..)
                    .chain([(chunk, section.body.as_str())])
                    .collect();
                if let Ok(patch) = compile(&texts)
                    && let Ok(plan) = world.machine.with(|cx| cx.hot_plan(&patch, &policy_now))
                {
                    report = plan.to_string();
                }
                // The first one makes what is made on first use.
                world.fingerprint();
                let before = world.fingerprint();
                let outcome =
                    compile(&texts).and_then(|patch| apply(world, patch, policy_now.clone()));
                match (outcome, refused) {
                    (Ok(done), None) => {
                        report.push_str(&format!("\n{done}\n"));
                        report.push_str(&lines(&done.migrated));
                        for merged in &done.data {
                            report.push_str(&format!("{merged}\n"));
                        }
                        for statement in &done.not_run {
                            report.push_str(&format!("not run: {statement}\n"));
                        }
                        for warning in &done.warnings {
                            report.push_str(&format!("warning: {warning}\n"));
                        }
                    }
                    (Ok(done), Some(_)) => return fail(format!("applied: {done}\n{report}")),
                    (Err(e), None) => return fail(e.to_string()),
                    (Err(e), Some(wanted)) => {
                        contains_all("the refusal", &format!("{}: {e}", e.kind()), &wanted.body)?;
                        let after = world.fingerprint();
                        if before != after {
                            let lost: Vec<&str> =
                                before.lines().filter(|l| !after.contains(l)).collect();
                            let come: Vec<&str> =
                                after.lines().filter(|l| !before.contains(l)).collect();
                            return fail(format!(
                                "something changed:\n- {}\n+ {}",
                                lost.join("\n- "),
                                come.join("\n+ ")
                            ));
                        }
                        n_checks += 1;
                    }
                }
            }
            "submit" => {
                let texts: Vec<(String, &str)> = parts
                    .drain(..)
                    .chain([(chunk(&section.argument), section.body.as_str())])
                    .collect();
                if let Err(e) = world.submit_all(&texts) {
                    return fail(e.to_string());
                }
            }
            "poll" => world.machine.poll(),
            "outcome" => {
                contains_all("the outcome", &world.outcome(), &section.body)?;
                n_checks += 1;
            }
            "report" => {
                contains_all("the report", &report, &section.body)?;
                n_checks += 1;
            }
            "rollback" => {
                let id = section.argument.trim().parse().ok();
                match world.machine.with(|cx| cx.hot_rollback(id)) {
                    Ok(done) => {
                        report = format!("{done}\n{}\n", done.warnings.join("\n"));
                        report.push_str(&lines(&done.migrated));
                    }
                    Err(e) => return fail(e.to_string()),
                }
            }
            "migrate" => {
                let chosen =
                    Some(chunk(&section.argument)).filter(|_| !section.argument.is_empty());
                match world.machine.with(|cx| cx.hot_migrate(chosen.as_deref())) {
                    Ok(done) => report = format!("{done}\n{}", lines(&done.activations)),
                    Err(e) => return fail(e.to_string()),
                }
            }
            "expect" => {
                let printed = world.printed();
                if printed.trim_end() != section.body.trim_end() {
                    return fail(format!("printed\n{printed}\nexpected\n{}", section.body));
                }
                n_checks += 1;
            }
            "refuse" | "error" | "not" | "legal" => {}
            other => return fail(format!("no section {other}")),
        }
    }
    if n_checks == 0 {
        Err(NOTHING.to_owned())
    } else {
        Ok(())
    }
}
