//! Running scripts: files, the `arg` table, arguments.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::Path;

use moonswap::{Error, Function, Lua, MultiValue, Result, Value};

use crate::output::read_file;

/// Bytes of a command-line argument.
#[cfg(unix)]
pub(crate) fn bytes(text: &OsStr) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(text).to_vec()
}

/// Bytes of a command-line argument.
#[cfg(not(unix))]
pub(crate) fn bytes(text: &OsStr) -> Vec<u8> {
    text.to_string_lossy().into_owned().into_bytes()
}

/// Sets the global `arg`: the script has index 0, what is before it negative
/// indices.
pub(crate) fn set_arg(lua: &Lua, arguments: &[OsString], script: usize) -> Result<()> {
    let table = lua.create_table()?;
    for (at, argument) in arguments.iter().enumerate() {
        table.raw_set(
            at as i64 - script as i64,
            lua.create_string(bytes(argument))?,
        )?;
    }
    lua.globals().raw_set("arg", table)
}

/// The script's arguments: `arg[1]`, `arg[2]` …, which `-e` may have changed.
pub(crate) fn arguments(lua: &Lua) -> Result<MultiValue> {
    match lua.globals().get::<Value>("arg")? {
        Value::Table(table) => table.sequence_values().collect(),
        _ => Err(Error::runtime("'arg' is not a table")),
    }
}

/// Loads a file as a main script; `None` is standard input.
pub(crate) fn load_file(lua: &Lua, path: Option<&Path>) -> Result<Function> {
    let (source, name) = match path {
        Some(path) => {
            let source = read_file(path).map_err(plain)?;
            (source, [b"@", &bytes(path.as_os_str())[..]].concat())
        }
        None => {
            let mut source = Vec::new();
            std::io::stdin()
                .lock()
                .read_to_end(&mut source)
                .map_err(|error| plain(format!("cannot read stdin: {error}")))?;
            (source, b"=stdin".to_vec())
        }
    };
    lua.load(moonswap_compiler::skip_shebang(&source))
        .set_name(name)
        .into_function()
}

fn plain(text: String) -> Error {
    Error::runtime(text)
}
