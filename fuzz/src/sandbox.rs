//! A VM for one execution: all libraries but what leaves the process, and limits.
//!
//! Fuel is counted in safe points, so that an execution ends at the same place
//! every time; the deadline is for what runs long without any.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use moonswap::{Function, Lua, MultiValue, Value};
use moonswap_bytecode::dump;

use crate::data::Data;

/// Memory of one execution, bytes.
const MEMORY: usize = 8 << 20;
/// Time of one execution, for loops inside natives.
const TIME: Duration = Duration::from_millis(400);

/// Test modes of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stress {
    /// A full collection at every safe point.
    pub(crate) collect: bool,
    /// A step of the collector at every safe point.
    pub(crate) step: bool,
    /// The stack moves whenever it may.
    pub(crate) stack: bool,
    /// Safe points between two checks of the heap; 0: never.
    pub(crate) verify: u32,
}

impl Stress {
    /// None, most of the time.
    pub(crate) fn draw(data: &mut Data<'_>) -> Self {
        match data.below(32) {
            20..=21 => Self {
                step: true,
                verify: 64,
                ..Self::default()
            },
            22..=24 => Self {
                stack: true,
                ..Self::default()
            },
            25..=27 => Self {
                step: true,
                stack: true,
                verify: 32,
                ..Self::default()
            },
            28..=29 => Self {
                collect: true,
                ..Self::default()
            },
            30..=31 => Self {
                collect: true,
                stack: true,
                verify: 16,
                ..Self::default()
            },
            _ => Self::default(),
        }
    }

    fn is_slow(self) -> bool {
        self.collect
    }
}

/// What no random program may have: it would leave the process, wait for input,
/// or write to the terminal.
const TAKEN_AWAY: &str = "
    for _, name in ipairs {'execute', 'exit', 'remove', 'rename', 'tmpname'} do os[name] = nil end
    for name in pairs(io) do if name ~= 'type' then io[name] = nil end end
    dofile, loadfile, debug.debug = nil, nil, nil
    package.path, package.cpath = '', ''
    local registry = debug.getregistry()
    for k, v in pairs(registry) do if io.type(v) then registry[k] = nil end end
    local hot = require 'moonswap'
    hot.sleep, hot.swapfile = nil, nil
    package.loaded._G = nil
    local tostring, select = tostring, select
    function print(...) for i = 1, select('#', ...) do tostring((select(i, ...))) end end
    function warn() end
";

/// A text of ours as a binary chunk: compiled once, not once an execution.
///
/// # Panics
/// If it does not compile.
pub(crate) fn prepared(name: &str, source: &str) -> Vec<u8> {
    let compiled = moonswap_compiler::compile(name, source.as_bytes());
    dump::dump(&compiled.expect("our own text compiles"), false)
}

/// A VM under limits.
#[derive(Debug)]
pub(crate) struct Sandbox {
    lua: Lua,
    used: Rc<Cell<u32>>,
    /// When time runs out.
    deadline: Cell<Instant>,
}

impl Sandbox {
    /// A fresh one; `fuel` is in safe points, of each run.
    ///
    /// # Panics
    /// If what takes the dangerous functions away fails.
    pub(crate) fn new(stress: Stress, fuel: u32) -> Self {
        static PREPARATION: OnceLock<Vec<u8>> = OnceLock::new();
        let preparation = PREPARATION.get_or_init(|| prepared("=sandbox", TAKEN_AWAY));
        let lua = Lua::new();
        lua.load(preparation)
            .set_name("=sandbox")
            .transient()
            .exec()
            .expect("the sandbox is prepared");
        let used = Rc::new(Cell::new(0));
        let machine = lua.machine();
        machine.set_memory_limit(Some(MEMORY));
        let deadline = Instant::now() + TIME;
        machine.set_deadline(Some(deadline));
        machine.set_stress(moonswap_vm::Stress::always(
            stress.collect,
            stress.step,
            stress.stack,
            stress.verify,
        ));
        let fuel = if stress.is_slow() { fuel / 8 } else { fuel };
        let (interrupter, count) = (machine.interrupter(), Rc::clone(&used));
        machine.set_safe_point_hook(Some(Box::new(move |_| {
            count.set(count.get() + 1);
            if count.get() > fuel {
                interrupter.interrupt();
            }
        })));
        Self {
            lua,
            used,
            deadline: Cell::new(deadline),
        }
    }

    /// The VM.
    pub(crate) fn lua(&self) -> &Lua {
        &self.lua
    }

    /// Gives it fuel and time anew. A new deadline wakes a thread: not for as
    /// long as most of the time is left.
    pub(crate) fn refill(&self) {
        self.used.set(0);
        let now = Instant::now();
        if self.deadline.get() < now + TIME * 3 / 4 {
            self.deadline.set(now + TIME);
            self.lua.machine().set_deadline(Some(now + TIME));
        }
    }

    /// Runs a chunk to its end, an error or a limit; the first result as text.
    pub(crate) fn run(&self, name: &str, source: &[u8], module: bool) -> Result<String, String> {
        let chunk = self.lua.load(source).set_name(name);
        let chunk = if module { chunk } else { chunk.transient() };
        let function = chunk.into_function().map_err(|e| e.to_string())?;
        self.call(&function)
    }

    /// Calls a function with a few values.
    pub(crate) fn call(&self, function: &Function) -> Result<String, String> {
        let arguments: Vec<Value> = vec![Value::Integer(3), Value::Number(0.5), Value::Nil];
        match function.call::<MultiValue>(MultiValue::from_iter(arguments)) {
            Ok(values) => Ok(values
                .iter()
                .next()
                .and_then(Value::as_text)
                .unwrap_or_default()),
            Err(error) => {
                // All of it is made: the message, the traceback.
                let _ = error.render();
                Err(error.to_string())
            }
        }
    }

    /// The end of a program: finalizers run, the heap is checked.
    pub(crate) fn end(self) {
        self.refill();
        let _ = self.lua.gc_collect();
        self.refill();
        self.lua.close();
    }
}
