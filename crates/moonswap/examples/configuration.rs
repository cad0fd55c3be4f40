//! A configuration file in Lua, read into a struct by serde.
//!
//! `cargo run -p moonswap --example configuration --features serde`

use std::collections::BTreeMap;

use moonswap::{Lua, LuaOptions, LuaSerdeExt, Result, StdLib, Value};
use serde::{Deserialize, Serialize};

const FILE: &str = "
local function port(n) return 8000 + n end

return {
    name = 'shop',
    workers = math.max(2, threads // 2),
    listen = { port(0), port(1) },
    routes = {
        ['/'] = { file = 'index.html' },
        ['/api'] = { handler = 'api', timeout = 2.5 },
    },
}";

/// What the file says.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// What the server is called.
    pub(crate) name: String,
    /// How many threads it has.
    pub(crate) workers: u32,
    /// Its ports.
    pub(crate) listen: Vec<u16>,
    /// Where requests go, by paths.
    pub(crate) routes: BTreeMap<String, Route>,
    /// How much it tells.
    pub(crate) level: Option<u8>,
}

/// Where a request goes.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase", untagged)]
pub(crate) enum Route {
    /// To a file.
    File {
        /// Its name.
        file: String,
    },
    /// To a function.
    Handler {
        /// Its name.
        handler: String,
        /// Seconds it may take.
        timeout: f64,
    },
}

/// Reads a configuration. The file can compute, and reach nothing outside.
///
/// # Errors
/// Of the file, and where it has not what the struct needs.
pub(crate) fn read(text: &str) -> Result<Configuration> {
    let lua = Lua::new_with(StdLib::MATH | StdLib::STRING, LuaOptions::new())?;
    lua.globals().set("threads", 8)?;
    let value: Value = lua.load(text).set_name("@configuration.lua").eval()?;
    lua.from_value(value)
}

/// Reads the file above, and writes it as a table again.
///
/// # Errors
/// None: the file is right.
pub(crate) fn run() -> Result<Configuration> {
    let read_in = read(FILE)?;
    println!("{read_in:#?}");
    let lua = Lua::new();
    lua.globals().set("c", lua.to_value(&read_in)?)?;
    lua.load("assert(c.routes['/api'].timeout == 2.5 and c.listen[2] == 8001)")
        .exec()?;
    for wrong in [
        "return { name = 1 }",
        "return { name = 'x', workers = 'many' }",
    ] {
        println!("{}", read(wrong).unwrap_err());
    }
    Ok(read_in)
}

#[allow(dead_code)]
fn main() -> Result<()> {
    run().map(drop)
}
