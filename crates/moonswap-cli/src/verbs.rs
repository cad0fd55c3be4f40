//! The verbs: `run`, `repl`, `check`, `list`, `plan`, `patch`, `release`, `audit`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use moonswap::watch::Watcher;
use moonswap::{Lua, Policy};
use moonswap_hotpatch::{Plan, RunSelector, to_json};
use serde::Serialize;

use crate::audit_verb::{self, AuditVerb};
use crate::output::{VERSION, complain, report, say, say_json};
use crate::patch_verb::{self, PatchVerb};
use crate::policy_args::{PolicyArgs, duration};
use crate::sandbox::{self, Limits};
use crate::session::Session;
use crate::sources::{GlobalArgs, NameArgs, Sources};
use crate::words::{VERBS, meant};
use crate::{LUA_ERROR, REFUSED, USAGE, check, prompt, release, tell};

#[derive(Parser)]
#[command(
    name = "moonswap",
    version,
    about = "Lua 5.4 whose functions are swapped while it runs",
    after_help = "Without a verb it takes the arguments of `lua`: moonswap [-e stat] [-l mod] [-i] [-v] [-E] [-W] [--compat] [script [args]]\n\
                  Exit codes: 0 success, 1 Lua error, 2 usage, 3 refused, 5 wrong signature or base."
)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run a script
    Run {
        /// Swap functions when a loaded file is saved
        #[arg(long)]
        watch: bool,
        /// Keep the script inside: no files, processes, modules, bytecode; needs
        /// --mem, and --timeout or --fuel
        #[arg(long)]
        sandbox: bool,
        /// Memory limit, e.g. 64M
        #[arg(long, value_parser = parse_size)]
        mem: Option<usize>,
        /// Time limit, e.g. 2s or 500ms
        #[arg(long, value_parser = duration)]
        timeout: Option<Duration>,
        /// Add what Lua 5.1 to 5.3 had and 5.4 has not
        #[arg(long)]
        compat: bool,
        /// How many calls and iterations of loops the script may make
        #[arg(long)]
        fuel: Option<u64>,
        /// Append a record of every attempt to change code to this file
        #[arg(long, value_name = "FILE")]
        audit: Option<PathBuf>,
        /// What the watcher tells, and the script's error, as JSON on standard
        /// error: one object per line
        #[arg(long)]
        json: bool,
        /// The script
        file: PathBuf,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
        // Last: its heading in the help holds for what follows.
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Interactive prompt
    Repl {
        /// Add what Lua 5.1 to 5.3 had and 5.4 has not
        #[arg(long)]
        compat: bool,
    },
    /// Compile files and show what is wrong with them, also globals that neither
    /// they nor Lua's libraries define
    Check {
        /// One JSON object per problem
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        globals: GlobalArgs,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show the bytecode of a file
    List {
        /// Functions inside functions as well
        #[arg(short)]
        long: bool,
        /// As one JSON object
        #[arg(long)]
        json: bool,
        /// The file
        file: PathBuf,
    },
    /// Show what patching OLD with NEW would do
    Plan {
        /// The file or folder that runs
        old: PathBuf,
        /// The file or folder to patch it with
        new: PathBuf,
        /// The plan as one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        names: NameArgs,
        #[command(flatten)]
        globals: GlobalArgs,
        #[command(flatten)]
        policy: PolicyArgs,
    },
    /// Build, show and sign patch files
    Patch {
        #[command(subcommand)]
        verb: PatchVerb,
    },
    /// Let a watcher try a text again that was undone
    Release {
        /// The file, which `run --watch` has loaded
        file: PathBuf,
    },
    /// Check records of attempts
    Audit {
        #[command(subcommand)]
        verb: AuditVerb,
    },
}

/// Runs a verb; returns the exit code. `show` sees the VMs it makes.
pub(crate) fn main(arguments: Vec<OsString>, show: fn(&Lua)) -> u8 {
    if let (Some("help"), Some(topic)) = (
        arguments.get(1).and_then(|first| first.to_str()),
        arguments.get(2).map(|topic| topic.to_string_lossy()),
    ) && !VERBS.contains(&&*topic)
    {
        let hint = match meant(&topic) {
            Some(verb) => format!("did you mean '{verb}'?"),
            None => format!("the verbs are {}", VERBS.join(", ")),
        };
        complain(format!("moonswap: no help on '{topic}': {hint}"));
        return USAGE;
    }
    let command = match Command::try_parse_from(arguments) {
        Ok(command) => command,
        Err(error) => {
            // Help and version are no errors: clap knows the stream and the code.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    match command.verb {
        Verb::Run {
            watch,
            sandbox,
            mem,
            timeout,
            compat,
            fuel,
            audit,
            json,
            policy,
            file,
            arguments,
        } => {
            if policy.base.is_some() {
                complain("moonswap: --base is for one patch, not for every save");
                return USAGE;
            }
            let policy = policy.policy();
            let is_line = |which: &RunSelector| matches!(which, RunSelector::Line(_));
            if watch && policy.run.iter().any(is_line) {
                complain(
                    "moonswap: with --watch, --run would run that line of every file that is \
                     saved; give the text of the statement",
                );
                return USAGE;
            }
            if !watch && policy != Policy::default() {
                complain(
                    "moonswap: without --watch nothing is patched that settings could hold for",
                );
                return USAGE;
            }
            let limits = Limits { mem, timeout, fuel };
            let made = match (sandbox, limits.missing()) {
                (false, _) => Ok(Lua::builder().compat(compat).build()),
                (true, None) => sandbox::make(compat, &limits),
                (true, Some(missing)) => {
                    complain(format!("moonswap: --sandbox needs {missing}"));
                    return USAGE;
                }
            };
            let lua = match made {
                Ok(lua) => lua,
                Err(error) => {
                    report(Some("moonswap"), &error);
                    return USAGE;
                }
            };
            if let Some(audit) = &audit
                && let Err(code) = audit_verb::keep(&lua, audit)
            {
                return code;
            }
            if !sandbox {
                limits.set(&lua);
            }
            let watch = watch.then_some(policy);
            let outcome = |session: &Session| run(session, watch, json, &file, &arguments);
            started(lua, show, json, outcome)
        }
        Verb::Repl { compat } => {
            say(VERSION);
            started(
                Lua::builder().compat(compat).build(),
                show,
                false,
                |session| {
                    prompt::run(session, true);
                    Ok(())
                },
            )
        }
        Verb::Check {
            json,
            globals,
            files,
        } => check::check(json, &files, &globals.globals),
        Verb::List { long, json, file } => list(long, json, &file),
        Verb::Plan {
            old,
            new,
            json,
            names,
            globals,
            policy,
        } => plan(&old, &new, json, &names, &globals, policy).unwrap_or_else(|code| code),
        Verb::Patch { verb } => patch_verb::main(verb),
        Verb::Release { file } => release::main(&file),
        Verb::Audit { verb } => audit_verb::main(verb),
    }
}

/// Runs a script; with a policy, what is saved is swapped under it.
fn run(
    session: &Session,
    watch: Option<Policy>,
    json: bool,
    file: &Path,
    arguments: &[OsString],
) -> moonswap::Result<()> {
    let mut all = vec![file.as_os_str().to_owned()];
    all.extend_from_slice(arguments);
    session.set_arg(&all, 0)?;
    // `-` is standard input: nothing that could be watched.
    let path = (file != Path::new("-")).then_some(file);
    // What cannot be read is an error of the run, in `lua`'s words.
    let watched = path.filter(|path| std::fs::File::open(path).is_ok());
    let _watcher = match (watch, watched) {
        (Some(policy), Some(path)) => Some(
            Watcher::builder(&session.lua)
                .policy(policy)
                .file(path)
                .on_event(move |event| tell::tell(event, json))
                .start()?,
        ),
        _ => None,
    };
    session.run_script(path)
}

/// Does `work` in a session; syntax errors are shown with their source line.
fn started(
    lua: Lua,
    show: fn(&Lua),
    json: bool,
    work: impl FnOnce(&Session) -> moonswap::Result<()>,
) -> u8 {
    let tell = |error: &moonswap::Error| {
        if json {
            complain(error_event(error));
        } else if error.compile_error().is_some() {
            complain(error.render_as(crate::output::style()));
        } else {
            report(Some("moonswap"), error);
        }
    };
    match Session::new(lua, show) {
        Ok(session) => {
            let outcome = work(&session);
            session.finish(outcome, tell)
        }
        Err(error) => {
            tell(&error);
            LUA_ERROR
        }
    }
}

/// The error that ended a script.
fn error_event(error: &moonswap::Error) -> String {
    #[derive(Serialize)]
    struct Told<'a> {
        event: &'static str,
        message: std::borrow::Cow<'a, str>,
        problem: Option<check::Problem<'a>>,
        traceback: Option<String>,
    }
    let message = error.message_bytes();
    to_json(&Told {
        event: "error",
        message: String::from_utf8_lossy(&message),
        problem: error.compile_error().map(check::problem),
        traceback: error.traceback().map(|t| t.text),
    })
}

fn list(long: bool, json: bool, file: &Path) -> u8 {
    let Some((source, name)) = check::source_of(file) else {
        return LUA_ERROR;
    };
    match moonswap_compiler::compile(&name, &source) {
        Ok(main) => {
            let text = moonswap_bytecode::listing::listing(&main);
            // Functions are separated by an empty line; the main chunk is first.
            let shown = if long {
                &text[..]
            } else {
                text.split("\n\n").next().unwrap_or(&text)
            };
            if json {
                #[derive(Serialize)]
                struct Told<'a> {
                    chunk: &'a str,
                    functions: Vec<&'a str>,
                }
                say_json(&Told {
                    chunk: &name,
                    functions: shown.trim_end().split("\n\n").collect(),
                });
            } else {
                say(shown.trim_end());
                say("\n");
            }
            0
        }
        Err(error) => {
            check::show(json, &error, &source);
            LUA_ERROR
        }
    }
}

fn plan(
    old: &Path,
    new: &Path,
    json: bool,
    names: &NameArgs,
    globals: &GlobalArgs,
    policy: PolicyArgs,
) -> Result<u8, u8> {
    let mut sources = Sources::read(old, new, names)?;
    sources.globals.clone_from(&globals.globals);
    let plan = sources.plan(&policy.policy(), json)?;
    if json {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            plan: &'a Plan,
            notes: &'a [String],
        }
        say_json(&Told {
            plan: &plan,
            notes: &sources.notes,
        });
    } else {
        match plan.to_string().trim_end() {
            "" => say("nothing changed\n"),
            text => say(format!("{text}\n")),
        }
        for note in &sources.notes {
            say(format!("note: {note}\n"));
        }
    }
    Ok(if plan.is_refused() { REFUSED } else { 0 })
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let factor: usize = match unit.trim_end_matches(['B', 'b', 'i']) {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err("a number with K, M or G expected".into()),
    };
    let number: usize = digits
        .parse()
        .map_err(|_| "a number with K, M or G expected".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too large".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("10"), Ok(10));
        assert_eq!(parse_size("2KiB"), Ok(2048));
        assert!(parse_size("M").is_err() && parse_size("99999999999999999999").is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Command::command().debug_assert();
    }
}
