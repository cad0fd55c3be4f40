//! `check`: compile errors as people and tools want to see them.

use std::path::{Path, PathBuf};

use moonswap::render_diagnostic;
use moonswap_compiler::CompileError;
use moonswap_hotpatch::Json;

use crate::LUA_ERROR;
use crate::output::{complain, read_file, say, style};

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

/// Compiles all files; returns the exit code.
pub(crate) fn check(json: bool, files: &[PathBuf]) -> u8 {
    let mut code = 0;
    for file in files {
        let Some((source, name)) = source_of(file) else {
            code = LUA_ERROR;
            continue;
        };
        if let Err(error) = moonswap_compiler::compile(&name, &source) {
            show(json, &error, &source);
            code = LUA_ERROR;
        }
    }
    code
}

/// Shows one error: JSON on standard output, or the source line on standard
/// error.
pub(crate) fn show(json: bool, error: &CompileError, source: &[u8]) {
    if json {
        say(format!("{}\n", problem(error)));
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

/// A compile error as one JSON object.
pub(crate) fn problem(error: &CompileError) -> Json {
    Json::object([
        ("file", Json::text(&error.chunk)),
        ("line", Json::number(error.span.line)),
        ("column", Json::number(error.span.column)),
        ("start", Json::number(error.span.start)),
        ("end", Json::number(error.span.end)),
        ("message", Json::text(&error.message)),
    ])
}
