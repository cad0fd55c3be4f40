//! The soak: a server that uses strings, tables, closures, files, finalizers,
//! coroutines and patches. Its memory must stay what it is when it is warm.

use moonswap::{Function, Lua, ObjectLike, Result, Table, Value};

use crate::status;

/// The server of the soak: a request of each kind by turns.
const SERVER: &str = r#"
local M, sessions, finalised = {}, {}, 0
local class = { __gc = function(o) finalised = finalised + 1 end }
local name = os.tmpname()
do local f = assert(io.open(name, "w")) f:write "a line\n" f:close() end
function M.strings(i) return ("request %d"):format(i) .. ("x"):rep(i % 60) end
function M.tables(i) local t = { id = i, list = { i, i + 1 } } sessions[i % 1000 + 1] = t return #t.list end
function M.closures(i) local n = i return (function() n = n + 1 return n end)() end
function M.files(i) if i % 64 == 0 then local f <close> = assert(io.open(name)) return f:read "l" end return "" end
function M.finalizers(i) return setmetatable({ i }, class)[1] end
function M.coroutines(i) local co = coroutine.wrap(function(a) coroutine.yield(a + 1) end) return co(i) end
function M.parse(i) local n = 0 for w in ("a=1,b=2,c=" .. i):gmatch "%w+" do n = n + #w end return n end
function M.stop() os.remove(name) return finalised end
return M
"#;

/// Makes so many calls. False: the memory has grown.
///
/// # Errors
/// Of the server.
pub(crate) fn soak(calls: usize) -> Result<bool> {
    let lua = Lua::new();
    let server: Table = lua.load(SERVER).set_name("@server.lua").eval()?;
    let names = [
        "strings",
        "tables",
        "closures",
        "files",
        "finalizers",
        "coroutines",
        "parse",
    ];
    let handlers = names
        .iter()
        .map(|name| server.get::<Function>(*name))
        .collect::<Result<Vec<_>>>()?;
    let swap: Function = lua.load("return require 'moonswap'.swapstring").eval()?;
    let (mut warm, mut most) = (0, 0);
    let part = (calls / 100).max(1);
    for i in 0..calls {
        handlers[i % handlers.len()].call::<Value>(i)?;
        if i % 100_000 == 99_999 {
            let text = SERVER.replace("a + 1", &format!("a + {}", 1 + i / 100_000 % 7));
            swap.call::<Value>(("@server.lua", text))?;
        }
        if i % part == 0 {
            let resident = status("VmRSS");
            if i <= calls / 10 {
                warm = warm.max(resident);
            }
            most = most.max(resident);
            if i % (10 * part) == 0 {
                println!(
                    "{i:>10} calls: {resident} KiB resident, {} KiB on the account",
                    lua.machine().system_memory() >> 10
                );
            }
        }
    }
    let finalised: usize = server.call_function("stop", ())?;
    let is_flat = most <= warm + warm / 20 + 1024;
    println!(
        "{calls} calls, {finalised} finalizers: {warm} KiB when warm, {most} KiB at most: {}",
        if is_flat { "flat" } else { "GROWN" }
    );
    Ok(is_flat)
}
