//! The command line of `lua`: same options, order, messages and exit codes.

use std::ffi::OsString;
use std::io::{IsTerminal, stdin};
use std::path::Path;

use moonswap::state::{GcGenParams, GcMode};
use moonswap::{Lua, Result, Table, Value};

use crate::output::{VERSION, complain, report, say};
use crate::session::{self, Session};
use crate::{LUA_ERROR, prompt, words};

const OPTIONS: &str = "Available options are:
  -e stat   execute string 'stat'
  -i        enter interactive mode after executing 'script'
  -l mod    require library 'mod' into global 'mod'
  -l g=mod  require library 'mod' into global 'g'
  -v        show version information
  -E        ignore environment variables
  -W        turn warnings on
  --        stop handling options
  -         stop handling options and execute stdin
  --compat  add what Lua 5.1 to 5.3 had and 5.4 has not (moonswap only)
'moonswap --help' shows what else the program can do";

#[derive(Default)]
struct Options {
    interactive: bool,
    version: bool,
    execute: bool,
    no_environment: bool,
    compat: bool,
    /// Index of the script among the arguments.
    script: Option<usize>,
}

/// The options, or the index of the one that is wrong.
fn collect(arguments: &[Vec<u8>]) -> std::result::Result<Options, usize> {
    let mut options = Options::default();
    let mut i = 1;
    while let Some(argument) = arguments.get(i) {
        let (Some(b'-'), letter) = (argument.first(), argument.get(1)) else {
            options.script = Some(i);
            return Ok(options);
        };
        let alone = argument.len() == 2;
        match letter {
            None => {
                options.script = Some(i);
                return Ok(options);
            }
            Some(b'-') if alone => {
                // Nothing behind it means standard input.
                options.script = (i + 1 < arguments.len()).then_some(i + 1);
                return Ok(options);
            }
            Some(b'-') if argument == b"--compat" => options.compat = true,
            Some(b'E') if alone => options.no_environment = true,
            Some(b'W') if alone => {}
            Some(b'v') if alone => options.version = true,
            Some(b'i') if alone => {
                options.interactive = true;
                options.version = true;
            }
            Some(letter @ (b'e' | b'l')) => {
                options.execute |= *letter == b'e';
                if alone {
                    i += 1;
                    if arguments
                        .get(i)
                        .is_none_or(|value| value.first() == Some(&b'-'))
                    {
                        return Err(i - 1);
                    }
                }
            }
            _ => return Err(i),
        }
        i += 1;
    }
    Ok(options)
}

/// Runs the command line; returns the exit code.
pub(crate) fn main(arguments: &[OsString], show: fn(&Lua)) -> u8 {
    let program = match arguments.first() {
        Some(name) if !name.is_empty() => name.to_string_lossy().into_owned(),
        _ => "moonswap".to_owned(),
    };
    let texts: Vec<Vec<u8>> = arguments
        .iter()
        .map(|argument| session::bytes(argument))
        .collect();
    let options = match collect(&texts) {
        Ok(options) => options,
        Err(at) => {
            usage(&program, &texts[at]);
            return LUA_ERROR;
        }
    };
    if options.version {
        say(VERSION);
    }
    let lua = Lua::builder()
        .compat(options.compat)
        .error_texts(true)
        .build();
    // The stand-alone reference interpreter starts in this mode.
    lua.gc_set_mode(GcMode::Generational(GcGenParams::default()));
    let session = match Session::new(lua, show) {
        Ok(session) => session,
        Err(error) => {
            report(Some(&program), &error);
            return LUA_ERROR;
        }
    };
    let outcome = run(&session, &program, arguments, &texts, &options);
    let code = session.finish(outcome, |error| report(Some(&program), error));
    if let Some(1) = options.script
        && !Path::new(&arguments[1]).exists()
        && let Some(verb) = arguments[1].to_str().and_then(words::meant)
    {
        complain(format!("did you mean '{program} {verb}'?"));
    }
    code
}

fn usage(program: &str, option: &[u8]) {
    let shown = String::from_utf8_lossy(option);
    if matches!(option.get(1), Some(b'e' | b'l')) {
        complain(format!("{program}: '{shown}' needs argument"));
    } else {
        complain(format!("{program}: unrecognized option '{shown}'"));
    }
    complain(format!("usage: {program} [options] [script [args]]"));
    complain(OPTIONS);
}

fn run(
    session: &Session,
    program: &str,
    arguments: &[OsString],
    texts: &[Vec<u8>],
    options: &Options,
) -> Result<()> {
    session.set_arg(arguments, options.script.unwrap_or(0))?;
    if options.no_environment {
        ignore_environment(&session.lua)?;
    } else {
        run_init(session)?;
    }
    run_options(session, texts, options.script.unwrap_or(texts.len()))?;
    if let Some(at) = options.script {
        // `--` makes a file of what follows, even of `-`.
        let is_stdin = texts[at] == b"-" && texts[at - 1] != b"--";
        session.run_script((!is_stdin).then(|| Path::new(&arguments[at])))?;
    }
    if options.interactive {
        prompt::run(session, false);
    } else if options.script.is_none() && !options.execute && !options.version {
        if stdin().is_terminal() {
            say(VERSION);
            prompt::run(session, false);
        } else {
            // As in the reference, an error here is told and the exit code is 0.
            let outcome = session
                .load_file(None)
                .and_then(|main| session.call::<()>(&main, ()));
            if let Err(error) = outcome {
                session.lua.flush();
                report(Some(program), &error);
            }
        }
    }
    Ok(())
}

/// `-E`: module paths are what they are without environment variables.
fn ignore_environment(lua: &Lua) -> Result<()> {
    let given = |name: &str| std::env::var_os(name).is_some();
    if given("LUA_PATH_5_4") || given("LUA_PATH") {
        lua.globals()
            .get::<Table>("package")?
            .set("path", moonswap_stdlib::package::DEFAULT_PATH)?;
    }
    if given("LUA_CPATH_5_4") || given("LUA_CPATH") {
        lua.globals()
            .get::<Table>("package")?
            .set("cpath", moonswap_stdlib::package::DEFAULT_CPATH)?;
    }
    Ok(())
}

/// `LUA_INIT`
fn run_init(session: &Session) -> Result<()> {
    for name in ["LUA_INIT_5_4", "LUA_INIT"] {
        if let Some(text) = std::env::var_os(name) {
            let text = session::bytes(&text);
            let function = match text.strip_prefix(b"@") {
                Some(path) => session.load_file(Some(&session::path(path)))?,
                None => session
                    .lua
                    .load(text)
                    .set_name(format!("={name}"))
                    .transient()
                    .into_function()?,
            };
            return session.call(&function, ());
        }
    }
    Ok(())
}

/// `-e`, `-l`, `-W` in the order they stand in.
fn run_options(session: &Session, texts: &[Vec<u8>], end: usize) -> Result<()> {
    let mut i = 1;
    while i < end {
        match texts[i].get(1) {
            Some(letter @ (b'e' | b'l')) => {
                let mut value = &texts[i][2..];
                if value.is_empty() {
                    i += 1;
                    value = texts.get(i).map_or(b"", |text| &text[..]);
                }
                if *letter == b'e' {
                    let chunk = session.lua.load(value).set_name("=(command line)");
                    session.call::<()>(&chunk.transient().into_function()?, ())?;
                } else {
                    require(session, value)?;
                }
            }
            Some(b'W') => session.lua.set_warnings(true),
            _ => {}
        }
        i += 1;
    }
    Ok(())
}

/// `-l mod`, `-l global=mod`; a version suffix `-v2` is no part of the global.
fn require(session: &Session, text: &[u8]) -> Result<()> {
    let (global, module) = match text.iter().position(|&b| b == b'=') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text.split(|&b| b == b'-').next().unwrap_or(text), text),
    };
    let lua = &session.lua;
    let require = session.global_function("require")?;
    let value: Value = session.call::<Value>(&require, lua.create_string(module)?)?;
    lua.globals().set(lua.create_string(global)?, value)
}
