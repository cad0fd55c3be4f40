//! Bytes → undump, verify, run: damaged binary chunks.
//!
//! Nothing that the verifier lets through may harm the machine, whatever the
//! debug library does to it meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use moonswap_bytecode::{Prototype, dump};

use crate::corpus;
use crate::data::Data;
use crate::mutate::mutate;
use crate::sandbox::{Sandbox, Stress, prepared};

/// Damaged chunks that passed the verifier and ran.
pub static ACCEPTED: AtomicU64 = AtomicU64::new(0);

/// Most instructions of a function that is taken from a real script.
const SMALL: usize = 60;

/// Small functions that together use every operation.
const SNIPPETS: [&str; 22] = [
    "local a, b = ... return a, b, 1, 2.5, 'k', nil, true, false",
    "local t = {1, 2, ..., x = 1, [2] = 3} return #t, t.x, t[1], t",
    "local function f(a, b, ...) local x = a return function() x = x + 1 return x, b end, ... end return f(1, 2, 3)",
    "for i = 1, 10 do local j = i * 2 if j == 6 then break end z = function() j = j + i return j end end return z and z()",
    "for i = 10.5, 1, -1.5 do x = i end for i = 3, 1 do y = i end",
    "for k, v in pairs({1, 2, x = 3}) do local f = function() return k, v end if k == 2 then return f() end end",
    "local n = 0 for x in function(s, c) n = n + 1 return n < 4 and n or nil end do y = x end",
    "local x <close> = setmetatable({}, {__close = function() y = 1 end}) local z <close> = nil return x, y",
    "do local c <close> = setmetatable({}, {__close = function(...) z = ... end}) g = function() return c end end return g()",
    "local i = 0 while i < 5 do i = i + 1 local k = i g = function() k = k + 1 return k end end repeat local u = i i = i - 1 until u < 2",
    "local i = 0 ::top:: local a = i g = function() return a end i = i + 1 if i < 3 then goto top end return a",
    "local a, b = 7, 2 return a + b, a - b, a * b, a / b, a // b, a % b, a ^ b, a & b, a | b, a ~ b, a << b, a >> b, -a, ~a, not a, a .. b",
    "local a = 3 return a + 1, a - 1, a << 1, a >> 1, a * 2.5, a & 7, 7 | a, a ~ 1, a // 3, a % 3, a ^ 2, a / 4, a + 1.5, a - 1.5",
    "local a, b = 1, 'x' if a < 2 and a <= 1 and not (a > 5) or a >= 9 then b = a == 1 end if b == 'x' or b ~= nil then return a < 3, b == a end",
    "local a, b = ... return a and b or (b or a), a and 1, not b",
    "local s = 'a' return s:upper():rep(2) .. s .. 1 .. 2.5 .. s:len()",
    "local t = setmetatable({}, {__index = function(t, k) return k end, __add = function() return 1, 2 end, __call = function(self, ...) return ... end, __concat = function() return 'c' end, __lt = function() return true end, __eq = function() return true end, __len = function() return 3 end}) return t.x, t[1], t + 1, t(1, 2), t .. 'x', 1 .. t .. 2, t < t, t == {}, #t",
    "local function fact(n) if n <= 1 then return 1 end return n * fact(n - 1) end local function loop(n, ...) if n > 0 then return loop(n - 1, ...) end return ... end return fact(5), loop(3, 1, 2)",
    "local co = coroutine.wrap(function(a, ...) local b <close> = setmetatable({}, {__close = print}) local c = coroutine.yield(a, ...) return c, b end) return co(1, 2), co(3)",
    "return pcall(function(...) local a <close> = setmetatable({}, {__close = function() error('x') end}) error(...) end, 'e')",
    "local a, b, c, d = (...), select(2, ...) t = {f = function(self, x) self.n = (self.n or 0) + x return self end} return t:f(1):f(2).n, a, b, c, d, table.unpack({1, 2, 3})",
    "local a <const>, b = 5, 6 local function r(n) local v = n if n > 0 then r(n - 1) end b = b + v return b end return r(4), a",
];

/// How a chunk that passed is treated: called, resumed, watched by hooks that
/// change its variables, dumped again.
const DRIVER: &str = "
    local f, n = ...
    local values = {1, 'a', {1, 2, 3}, print, 0.5, false}
    local function use(ok, r, ...)
        if type(r) == 'function' then pcall(r, 1, {}) pcall(r) end
        return tostring(r)
    end
    use(pcall(f, 1, 'a', {1, 2, 3}, print))
    use(pcall(f))
    local co = coroutine.create(f)
    for i = 1, 3 do use(coroutine.resume(co, values[i], i)) end
    pcall(debug.traceback, co)
    coroutine.close(co)
    if n % 2 == 1 then
        local at = n
        debug.sethook(function(event)
            for i = 1, 12 do
                at = at + 1
                pcall(debug.getlocal, 2, i)
                pcall(debug.getinfo, 2, 'nSltufrL')
                if n % 4 == 3 then pcall(debug.setlocal, 2, i, values[at % 7]) end
                if n % 8 == 7 then pcall(debug.setlocal, 2, -i, values[at % 7]) end
            end
        end, 'crl', n % 3)
        pcall(f, {1, 2}, 2)
        debug.sethook()
    end
    if n % 5 == 1 then
        for i = 1, 4 do pcall(debug.setupvalue, f, i, values[i]) pcall(debug.upvaluejoin, f, i, f, 1) end
        use(pcall(f, f, f))
    end
    collectgarbage()
    use(pcall(load, string.dump(f)))
";

fn pool() -> &'static [Arc<Prototype>] {
    static POOL: OnceLock<Vec<Arc<Prototype>>> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut pool = Vec::new();
        for snippet in SNIPPETS {
            let compiled = moonswap_compiler::compile("@s.lua", snippet.as_bytes());
            pool.push(compiled.expect("a snippet compiles"));
            let source = format!("local up, x, y = 1 return function(...) up = up {snippet} end");
            let compiled = moonswap_compiler::compile("@s.lua", source.as_bytes());
            pool.push(compiled.expect("a snippet compiles"));
        }
        // Twice, so that they are as likely as the small ones of the scripts.
        pool.extend_from_within(..);
        for source in corpus::sources() {
            let Ok(main) = moonswap_compiler::compile("@c.lua", source) else {
                continue;
            };
            let mut pending = vec![main];
            while let Some(function) = pending.pop() {
                pending.extend(function.children.iter().cloned());
                if function.code.len() <= SMALL {
                    pool.push(function);
                }
            }
        }
        pool
    })
}

/// Safe points of one run.
const FUEL: u32 = 400;

/// One execution.
///
/// # Panics
/// When the machine does.
pub fn run(bytes: &[u8]) {
    let mut data = Data::new(bytes);
    let n = data.byte();
    let stress = Stress::draw(&mut data);
    let chunk = chunk(&mut data);
    let prototype = match dump::undump(&chunk) {
        Ok(prototype) => prototype,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    ACCEPTED.fetch_add(1, Ordering::Relaxed);
    assert!(!moonswap_bytecode::listing(&prototype).is_empty());
    let again = dump::undump(&dump::dump(&prototype, false));
    let again = again.expect("what was read can be written and read");
    assert_eq!(again.deep_hash, prototype.deep_hash);
    let sandbox = Sandbox::new(stress, FUEL);
    let lua = sandbox.lua();
    let Ok(function) = lua.load(&chunk).set_name("=chunk").into_function() else {
        // For want of memory.
        return;
    };
    static PREPARED: OnceLock<Vec<u8>> = OnceLock::new();
    let driver = PREPARED.get_or_init(|| prepared("=driver", DRIVER));
    let driver = lua.load(driver).set_name("=driver").transient();
    let _ = driver.call::<()>((function, i64::from(n)));
    sandbox.end();
}

/// A damaged binary chunk.
fn chunk(data: &mut Data<'_>) -> Vec<u8> {
    let pool = pool();
    let mut prototype = Prototype::clone(&pool[data.below(pool.len())]);
    let kind = data.below(16);
    if kind < 14 {
        for _ in 0..1 + data.below(3) {
            mutate(data, &mut prototype);
        }
    }
    let mut bytes = dump::dump(&prototype, kind % 4 == 3);
    if kind >= 13 {
        for _ in 0..1 + data.below(4) {
            let at = data.below(bytes.len().max(1));
            let length = data.below(16).min(bytes.len() - at);
            match data.below(5) {
                0 => drop(bytes.drain(at..at + length)),
                1 => {
                    let copy = bytes[at..at + length].to_vec();
                    let to = data.below(bytes.len() + 1);
                    bytes.splice(to..to, copy);
                }
                2 => bytes.truncate(at),
                _ if at < bytes.len() => bytes[at] ^= 1 << data.below(8),
                _ => {}
            }
        }
    }
    bytes
}

/// What an execution runs, to be read by people.
pub fn show(bytes: &[u8]) -> String {
    let mut data = Data::new(bytes);
    let n = data.byte();
    let stress = Stress::draw(&mut data);
    let chunk = chunk(&mut data);
    let what = match dump::undump(&chunk) {
        Ok(prototype) => moonswap_bytecode::listing(&prototype),
        Err(error) => format!("{error}\n{chunk:?}"),
    };
    format!("-- {n} {stress:?}\n{what}")
}
