//! `check`: compile errors, and names that nobody defines, as people and tools
//! want to see them.

use std::path::{Path, PathBuf};

use moonswap::{render_diagnostic, render_warning};
use moonswap_compiler::CompileError;
use moonswap_hotpatch::{ChunkPatch, Globals, StandardGlobals, Undefined, undefined_in};
use serde::Serialize;

use crate::LUA_ERROR;
use crate::output::{complain, read_file, say_json, style};

/// The text of a Lua file and its chunk name; complains if it cannot be read.
pub(crate) fn source_of(file: &Path) -> Option<(Vec<u8>, String)> {
    match read_file(file) {
        Ok(bytes) => Some((
            moonswap_compiler::skip_shebang(&bytes).to_vec(),
            format!("@{}", file.display()),
        )),
        Err(message) => {
            complain(format!("moonswap: {message}"));
            None
        }
    }
}

/// The globals of the library, and those that the caller says the program has.
pub(crate) struct Known<'a>(pub(crate) &'a [String]);

impl Globals for Known<'_> {
    fn has(&self, name: &str) -> bool {
        StandardGlobals.has(name) || self.0.iter().any(|known| known == name)
    }

    fn each(&self, see: &mut dyn FnMut(&str)) {
        StandardGlobals.each(see);
        self.0.iter().for_each(|name| see(name));
    }
}

/// Compiles all files; returns the exit code. Names that none of them defines are
/// warned of.
pub(crate) fn check(json: bool, files: &[PathBuf], globals: &[String]) -> u8 {
    let mut code = 0;
    let mut texts = Vec::with_capacity(files.len());
    for file in files {
        let Some((source, name)) = source_of(file) else {
            code = LUA_ERROR;
            continue;
        };
        match ChunkPatch::compile(&name, &source) {
            Ok(text) => texts.push(text),
            Err(error) => {
                show(json, &error, &source);
                code = LUA_ERROR;
            }
        }
    }
    let found = undefined_in(&texts, &Known(globals));
    for (text, undefined) in texts.iter().zip(found) {
        for one in undefined {
            warn(json, text, &one);
        }
    }
    code
}

fn warn(json: bool, text: &ChunkPatch, undefined: &Undefined) {
    let chunk = moonswap_compiler::chunk_display(text.chunk().as_bytes());
    let chunk = String::from_utf8_lossy(&chunk);
    let (start, end) = undefined.span;
    if json {
        #[derive(Serialize)]
        struct Warning<'a> {
            file: &'a str,
            start: u32,
            end: u32,
            severity: &'static str,
            message: String,
            #[serde(flatten)]
            undefined: &'a Undefined,
        }
        say_json(&Warning {
            file: &chunk,
            start,
            end,
            severity: "warning",
            message: undefined.message(),
            undefined,
        });
    } else {
        complain(render_warning(
            style(),
            &chunk,
            text.source(),
            (start as usize, end as usize),
            &undefined.message(),
        ));
    }
}

/// Shows one error: JSON on standard output, or the source line on standard
/// error.
pub(crate) fn show(json: bool, error: &CompileError, source: &[u8]) {
    if json {
        say_json(&problem(error));
    } else {
        complain(render_diagnostic(
            style(),
            &error.chunk,
            source,
            (error.span.start as usize, error.span.end as usize),
            &error.message,
            None,
        ));
    }
}

/// A compile error, for people's editors.
#[derive(Serialize)]
pub(crate) struct Problem<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    start: u32,
    end: u32,
    severity: &'static str,
    message: &'a str,
}

pub(crate) fn problem(error: &CompileError) -> Problem<'_> {
    Problem {
        file: &error.chunk,
        line: error.span.line,
        column: error.span.column,
        start: error.span.start,
        end: error.span.end,
        severity: "error",
        message: &error.message,
    }
}
