//! One VM on a command line: the `arg` table, scripts, calls that Ctrl-C breaks
//! off, and the end with its exit code.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use moonswap::{
    AnyUserData, Error, FromLuaMulti, Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result,
    Table, Value,
};

use crate::LUA_ERROR;
use crate::interrupt::Signals;
use crate::output::read_file;

/// Most arguments that `arg` can hand to a script: what fits on Lua's stack.
const MAX_ARGUMENTS: i64 = 999_000;

/// A VM, its standard input, and what signals do to it.
pub(crate) struct Session {
    pub(crate) lua: Lua,
    signals: Signals,
    /// Lua's own standard input and its `read`: scripts and prompts take their
    /// text from the buffer that `io.read` goes on with. None in a VM without `io`.
    stdin: Option<(AnyUserData, Function)>,
}

impl Session {
    /// `show` sees the VM before anything runs in it.
    pub(crate) fn new(lua: Lua, show: fn(&Lua)) -> Result<Self> {
        let signals = Signals::of(&lua);
        let stdin = match lua.globals().get::<Option<Table>>("io")? {
            Some(io) => Some(stdin_of(&lua, &io)?),
            None => None,
        };
        show(&lua);
        Ok(Self {
            lua,
            signals,
            stdin,
        })
    }

    /// Calls a function; Ctrl-C ends it with an error.
    pub(crate) fn call<R: FromLuaMulti>(
        &self,
        function: &Function,
        arguments: impl IntoLuaMulti,
    ) -> Result<R> {
        self.signals.during(|| function.call(arguments))
    }

    /// The function in a global. Errors: as a call of it, if it is none.
    pub(crate) fn global_function(&self, name: &str) -> Result<Function> {
        match self.lua.globals().get::<Value>(name)? {
            Value::Function(function) => Ok(function),
            other => {
                let kind = other.type_name();
                Err(Error::runtime(format_args!(
                    "attempt to call a {kind} value"
                )))
            }
        }
    }

    /// Reads from standard input as `io.read` does; `None` at its end. Errors:
    /// the system's message.
    pub(crate) fn read(&self, format: &str) -> Result<Option<Vec<u8>>, String> {
        let Some((stdin, read)) = &self.stdin else {
            return Err("no standard input here; give a file".to_owned());
        };
        let (text, problem): (Option<LuaString>, Option<String>) = read
            .call((stdin.clone(), format))
            .map_err(|error| error.to_string())?;
        match (text, problem) {
            (Some(text), _) => Ok(Some(text.to_bytes())),
            (None, None) => Ok(None),
            (None, Some(problem)) => Err(problem),
        }
    }

    /// Sets the global `arg`: the script has index 0, what is before it negative
    /// indices.
    pub(crate) fn set_arg(&self, arguments: &[OsString], script: usize) -> Result<()> {
        let table = self.lua.create_table()?;
        for (at, argument) in arguments.iter().enumerate() {
            table.raw_set(
                at as i64 - script as i64,
                self.lua.create_string(bytes(argument))?,
            )?;
        }
        self.lua.globals().raw_set("arg", table)
    }

    /// Loads a file as a main script; `None` is standard input.
    pub(crate) fn load_file(&self, path: Option<&Path>) -> Result<Function> {
        let (source, name) = match path {
            Some(path) => {
                let source = read_file(path).map_err(Error::runtime)?;
                (source, [b"@", &bytes(path.as_os_str())[..]].concat())
            }
            None => {
                let source = self.read("a").map_err(|problem| {
                    Error::runtime(format_args!("cannot read stdin: {problem}"))
                })?;
                (source.unwrap_or_default(), b"=stdin".to_vec())
            }
        };
        self.lua
            .load(moonswap_compiler::skip_shebang(&source))
            .set_name(name)
            .into_function()
    }

    /// Runs a main script with `arg[1]`, `arg[2]` …, which code before it may
    /// have changed.
    pub(crate) fn run_script(&self, path: Option<&Path>) -> Result<()> {
        let main = self.load_file(path)?;
        let arguments = match self.lua.globals().get::<Value>("arg")? {
            Value::Table(table) => script_arguments(&table)?,
            _ => return Err(Error::runtime("'arg' is not a table")),
        };
        self.call(&main, arguments)
    }

    /// Tells of an error, closes the state; the exit code.
    pub(crate) fn finish(self, outcome: Result<()>, complain: impl FnOnce(&Error)) -> u8 {
        let code = match outcome {
            Ok(()) => 0,
            Err(error) => {
                self.lua.flush();
                complain(&error);
                LUA_ERROR
            }
        };
        self.lua.close();
        if code != 0 {
            self.signals.end_if_terminated();
        }
        code
    }
}

/// Standard input and its `read`. Not by a chunk, which would be among those that
/// `versions` lists.
fn stdin_of(lua: &Lua, io: &Table) -> Result<(AnyUserData, Function)> {
    let stdin: AnyUserData = io.get("stdin")?;
    let of: Function = lua.globals().get("getmetatable")?;
    let methods: Table = of.call::<Table>(&stdin)?.get("__index")?;
    Ok((stdin, methods.get("read")?))
}

fn script_arguments(table: &Table) -> Result<MultiValue> {
    let n = table.len()?;
    if n > MAX_ARGUMENTS {
        return Err(Error::runtime(
            "stack overflow (too many arguments to script)",
        ));
    }
    (1..=n).map(|at| table.raw_get::<Value>(at)).collect()
}

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

/// A path out of bytes, the reverse of [`bytes`].
#[cfg(unix)]
pub(crate) fn path(bytes: &[u8]) -> std::path::PathBuf {
    <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(bytes).into()
}

/// A path out of bytes, the reverse of [`bytes`].
#[cfg(not(unix))]
pub(crate) fn path(bytes: &[u8]) -> std::path::PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}
