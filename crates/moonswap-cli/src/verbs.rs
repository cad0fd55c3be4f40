//! The verbs: `run`, `repl`, `check`, `list`, `plan`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use moonswap::Lua;
use moonswap_hotpatch::{ChunkManifest, ChunkPatch, Plan, Policy, plan_chunk};

use crate::output::{complain, report, say};
use crate::{LUA_ERROR, REFUSED, check, lua_style, prompt, script, watch};

const VERBS: &[&str] = &[
    "run",
    "repl",
    "check",
    "list",
    "plan",
    "help",
    "--help",
    "-h",
    "--version",
];

/// Whether the first argument makes the call one of ours.
pub(crate) fn is_verb(first: &str) -> bool {
    VERBS.contains(&first)
}

#[derive(Parser)]
#[command(
    name = "moonswap",
    version,
    about = "Lua 5.4 whose functions are swapped while it runs",
    after_help = "Without a verb it takes the arguments of `lua`: moonswap [-e stat] [-l mod] [-i] [-v] [-E] [-W] [script [args]]\n\
                  Exit codes: 0 success, 1 Lua error, 2 usage, 3 refused."
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
        /// Memory limit, e.g. 64M
        #[arg(long, value_parser = parse_size)]
        mem: Option<usize>,
        /// Time limit, e.g. 2s or 500ms
        #[arg(long, value_parser = parse_duration)]
        timeout: Option<Duration>,
        /// The script
        file: PathBuf,
        /// Its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Interactive prompt
    Repl,
    /// Compile files and show what is wrong with them
    Check {
        /// One JSON object per problem
        #[arg(long)]
        json: bool,
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Show the bytecode of a file
    List {
        /// Functions inside functions as well
        #[arg(short)]
        long: bool,
        /// The file
        file: PathBuf,
    },
    /// Show what patching OLD with NEW would do
    Plan {
        /// The text that runs
        old: PathBuf,
        /// The text to patch it with
        new: PathBuf,
    },
}

/// Runs a verb; returns the exit code.
pub(crate) fn main(arguments: Vec<OsString>) -> u8 {
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
            mem,
            timeout,
            file,
            arguments,
        } => run(watch, mem, timeout, &file, &arguments),
        Verb::Repl => {
            say(lua_style::VERSION);
            let lua = Lua::new();
            prompt::run(&lua, None);
            lua.close();
            0
        }
        Verb::Check { json, files } => check::check(json, &files),
        Verb::List { long, file } => list(long, &file),
        Verb::Plan { old, new } => plan(&old, &new),
    }
}

fn run(
    watched: bool,
    mem: Option<usize>,
    timeout: Option<Duration>,
    file: &Path,
    arguments: &[OsString],
) -> u8 {
    let lua = Lua::new();
    lua.set_memory_limit(mem);
    if let Some(timeout) = timeout {
        // The script may be in a loop that never looks at a clock.
        let interrupter = lua.interrupter();
        std::thread::spawn(move || {
            std::thread::sleep(timeout);
            interrupter.interrupt();
        });
    }
    let outcome = (|| {
        let mut all = vec![file.as_os_str().to_owned()];
        all.extend_from_slice(arguments);
        script::set_arg(&lua, &all, 0)?;
        // `-` is standard input: nothing that could be watched.
        let path = (file != Path::new("-")).then_some(file);
        if let (true, Some(path)) = (watched, path) {
            watch::start(&lua, path)?;
        }
        let main = script::load_file(&lua, path)?;
        main.call::<()>(script::arguments(&lua)?)
    })();
    let code = match outcome {
        Ok(()) => 0,
        Err(error) => {
            lua.flush();
            if error.compile_error().is_some() {
                complain(error.render_as(crate::output::style()));
            } else {
                report(Some("moonswap"), &error);
            }
            LUA_ERROR
        }
    };
    lua.close();
    code
}

fn list(long: bool, file: &Path) -> u8 {
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
            say(shown.trim_end());
            say("\n");
            0
        }
        Err(error) => {
            check::show(false, &error, &source);
            LUA_ERROR
        }
    }
}

fn plan(old: &Path, new: &Path) -> u8 {
    let Some((old_source, name)) = check::source_of(old) else {
        return LUA_ERROR;
    };
    let Some((new_source, new_name)) = check::source_of(new) else {
        return LUA_ERROR;
    };
    let main = match moonswap_compiler::compile(&name, &old_source) {
        Ok(main) => main,
        Err(error) => {
            check::show(false, &error, &old_source);
            return LUA_ERROR;
        }
    };
    // Errors are shown under the new file's name, the plan is for the old chunk.
    if let Err(error) = moonswap_compiler::compile(&new_name, &new_source) {
        check::show(false, &error, &new_source);
        return LUA_ERROR;
    }
    let patch = match ChunkPatch::compile(&name, &new_source) {
        Ok(patch) => patch,
        Err(error) => {
            check::show(false, &error, &new_source);
            return LUA_ERROR;
        }
    };
    let manifest = ChunkManifest::fresh(main, Some(old_source.into()));
    let planned = plan_chunk(&manifest, &patch, &Policy::default());
    let plan = Plan::of(vec![planned]);
    say(plan.to_string().trim_end());
    say("\n");
    if plan.refusals.is_empty() { 0 } else { REFUSED }
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

fn parse_duration(text: &str) -> Result<Duration, String> {
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
        _ => return Err(expected()),
    };
    let number: f64 = digits.parse().map_err(|_| expected())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| expected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("10"), Ok(10));
        assert_eq!(parse_size("2KiB"), Ok(2048));
        assert!(parse_size("M").is_err() && parse_size("99999999999999999999").is_err());
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1500)));
        assert!(parse_duration("x").is_err() && parse_duration("1.1.1s").is_err());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Command::command().debug_assert();
    }
}
