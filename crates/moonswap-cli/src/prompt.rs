//! The prompt: expressions are echoed, incomplete statements continue.

use std::io::{IsTerminal, stdin, stdout};

use moonswap::{Error, Function, Lua, MultiValue, Value};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;

use crate::output::{complain, report, say};
use crate::session::Session;

/// Where lines come from.
enum Lines {
    /// A terminal, with editing and history.
    Editor(Box<rustyline::Editor<(), MemHistory>>),
    /// Anything else.
    Plain,
}

impl Lines {
    fn open() -> Self {
        if stdin().is_terminal() && stdout().is_terminal() {
            let config = rustyline::Config::default();
            if let Ok(editor) = rustyline::Editor::with_history(config, MemHistory::new()) {
                return Self::Editor(Box::new(editor));
            }
        }
        Self::Plain
    }

    /// The next line without its newline; `None` at the end of input.
    fn next(&mut self, session: &Session, prompt: &[u8]) -> Option<Line> {
        match self {
            Self::Editor(editor) => match editor.readline(&String::from_utf8_lossy(prompt)) {
                Ok(line) => Some(Line::Text(line.into_bytes())),
                Err(ReadlineError::Interrupted) => Some(Line::Cancelled),
                Err(_) => None,
            },
            Self::Plain => {
                say(prompt);
                let mut line = session.read("L").ok().flatten()?;
                if line.last() == Some(&b'\n') {
                    line.pop();
                }
                // No terminal shows what was typed: as line editors do, so that
                // a transcript reads like a session.
                say([&line[..], b"\n"].concat());
                Some(Line::Text(line))
            }
        }
    }

    fn remember(&mut self, text: &[u8]) {
        if let Self::Editor(editor) = self {
            // A history that is full or refuses the line is no reason to stop.
            let _ = editor.add_history_entry(String::from_utf8_lossy(text).into_owned());
        }
    }
}

enum Line {
    Text(Vec<u8>),
    /// Ctrl-C: the statement typed so far is dropped.
    Cancelled,
}

/// Runs the prompt until the end of input. Ctrl-C breaks off what runs, not the
/// prompt; messages have no program's name before them. With `commands`, lines
/// that begin with a colon ask what runs.
pub(crate) fn run(session: &Session, commands: bool) {
    let lua = &session.lua;
    let mut lines = Lines::open();
    loop {
        lua.poll();
        lua.flush();
        let Some(line) = lines.next(session, &prompt_text(lua, "_PROMPT", b"> ")) else {
            break;
        };
        let Line::Text(line) = line else { continue };
        if commands && line.starts_with(b":") && !line.starts_with(b"::") {
            lines.remember(&line);
            say(crate::answers::answer(lua, &line));
            continue;
        }
        match read_statement(session, &mut lines, line) {
            Ok(Some(function)) => match session.call::<MultiValue>(&function, ()) {
                Ok(results) => print(session, results),
                Err(error) => {
                    lua.flush();
                    report(None, &error);
                }
            },
            Ok(None) => {}
            Err(error) => report(None, &error),
        }
    }
    lua.flush();
    say("\n");
}

/// The global of that name as text, as `tostring` gives it.
fn prompt_text(lua: &Lua, name: &str, default: &[u8]) -> Vec<u8> {
    match lua.globals().get::<Value>(name) {
        Ok(Value::Nil) | Err(_) => default.to_vec(),
        Ok(value) => lua.to_display(&value).unwrap_or_else(|_| default.to_vec()),
    }
}

/// A line as an expression, or as a statement with as many further lines as it
/// takes. `None` when the user gave it up.
fn read_statement(
    session: &Session,
    lines: &mut Lines,
    first: Vec<u8>,
) -> Result<Option<Function>, Error> {
    let lua = &session.lua;
    let compile = |text: &[u8]| {
        lua.load(text)
            .set_name("=stdin")
            .transient()
            .into_function()
    };
    let expression = match first.strip_prefix(b"=") {
        Some(rest) => [b"return ", rest].concat(),
        None => [b"return ", &first[..]].concat(),
    };
    if let Ok(function) = compile(&expression) {
        if !first.is_empty() {
            lines.remember(&first);
        }
        return Ok(Some(function));
    }
    let mut text = first;
    loop {
        match compile(&text) {
            Err(error) if error.is_incomplete() => {
                match lines.next(session, &prompt_text(lua, "_PROMPT2", b">> ")) {
                    Some(Line::Text(line)) => {
                        text.push(b'\n');
                        text.extend_from_slice(&line);
                    }
                    Some(Line::Cancelled) => return Ok(None),
                    // The end of input ends the statement: its error is the answer.
                    None => return Err(error),
                }
            }
            outcome => {
                lines.remember(&text);
                return outcome.map(Some);
            }
        }
    }
}

fn print(session: &Session, results: MultiValue) {
    if results.is_empty() {
        return;
    }
    let printed = session
        .global_function("print")
        .and_then(|print| session.call::<()>(&print, results));
    if let Err(error) = printed {
        let text = String::from_utf8_lossy(&error.message_bytes()).into_owned();
        complain(format!("error calling 'print' ({text})"));
    }
}
