//! One VM with the observer `lua-tests/commits/observe.lua` in it: loads texts into
//! worlds of their own and compares these.

use std::fmt::Write;
use std::time::{Duration, Instant};

use moonswap::{Function, Lua, Result, Table, Value, Variadic};
use moonswap_bytecode::{Constant, OpCode, OperandKind, Prototype, dump};

const OBSERVER: &str = include_str!("../../../lua-tests/commits/observe.lua");
/// Fuel of one run of a text, in safe points.
const FUEL: u64 = 3_000_000;
/// Time of one run of a text.
const TIME: Duration = Duration::from_secs(10);

/// A difference between a live world and a fresh one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// `value`, `missing`, `extra`, `function`, `code`, `identity`, `call …`.
    pub(crate) kind: String,
    /// Names from a root to it.
    pub(crate) path: Vec<String>,
    /// What is there in the live world.
    pub(crate) live: String,
    /// What is there in the fresh one.
    pub(crate) fresh: String,
}

/// What two worlds have come to.
pub(crate) struct Compared {
    /// Where they differ.
    pub(crate) differences: Vec<Difference>,
    /// Pairs of functions that were compared.
    pub(crate) functions: u64,
    /// Pairs of tables.
    pub(crate) tables: u64,
}

/// A VM and its observer.
pub(crate) struct World {
    pub(crate) lua: Lua,
    new_world: Function,
    run: Function,
    again: Function,
    /// Texts are called again and again.
    per_call: bool,
    compare: Function,
}

impl World {
    /// With `per_call`, texts are called twice when they are loaded.
    pub(crate) fn new(per_call: bool) -> Result<Self> {
        let lua = Lua::builder().compat(true).build();
        lua.set_memory_limit(1 << 30).expect("limited");
        let string: Table = lua.globals().get("string")?;
        let dumper: Function = string.get("dump")?;
        let code = lua.create_function(move |lua, f: Function| {
            let _ = lua;
            fingerprint(&dumper, &f)
        })?;
        let observer: Table = lua.load(OBSERVER).transient().call(code)?;
        Ok(Self {
            new_world: observer.get("new_world")?,
            run: observer.get("run")?,
            again: observer.get("again")?,
            per_call,
            compare: observer.get("compare")?,
            lua,
        })
    }

    fn limited<R>(&self, work: impl FnOnce() -> R) -> R {
        self.lua.set_fuel(Some(FUEL));
        self.lua.set_deadline(Some(Instant::now() + TIME));
        let done = work();
        self.lua.set_fuel(None);
        self.lua.set_deadline(None);
        done
    }

    /// Loads a text into a new world and runs it; the message of its error otherwise.
    pub(crate) fn load(
        &self,
        chunk: &str,
        path: &str,
        text: &[u8],
    ) -> std::result::Result<Table, String> {
        let world: Table = self.new_world.call(()).map_err(|e| e.to_string())?;
        let environment: Table = world.get("env").map_err(|e| e.to_string())?;
        let loaded = self.lua.load(text).set_name(chunk);
        let main = loaded
            .set_environment(environment)
            .into_function()
            .map_err(|e| format!("syntax: {e}"))?;
        let module = path.trim_end_matches(".lua").replace('/', ".");
        let arguments = (world.clone(), main, module, path);
        let answer: Variadic<Value> = self
            .limited(|| self.run.call(arguments))
            .map_err(|e| e.to_string())?;
        match answer.first() {
            Some(Value::Boolean(true)) => {
                self.next_call(&world).map_err(|e| e.to_string())?;
                Ok(world)
            }
            _ => Err(answer.get(1).and_then(Value::as_text).unwrap_or_default()),
        }
    }

    /// Calls the main chunk of a world once more, if that is how its texts are used; only
    /// what it does then counts from now on.
    pub(crate) fn next_call(&self, world: &Table) -> Result<()> {
        match self.per_call {
            true => self.limited(|| self.again.call(world.clone())),
            false => Ok(()),
        }
    }

    /// Calls the probe that a patch has put into a world: its top-level locals.
    pub(crate) fn probe(&self, world: &Table) -> Result<()> {
        let environment: Table = world.get("env")?;
        let probe: Function = environment.raw_get("commits_probe")?;
        environment.raw_set("commits_probe", Value::Nil)?;
        let locals: Table = self.limited(|| probe.call(()))?;
        world.set("locals", locals)
    }

    /// Walks two worlds at once.
    pub(crate) fn compare(&self, live: &Table, fresh: &Table) -> Result<Compared> {
        let (found, functions, tables): (Table, i64, i64) =
            self.compare.call((live.clone(), fresh.clone()))?;
        let mut differences = Vec::new();
        for each in found.sequence_values::<Table>() {
            let each = each?;
            let path: Table = each.get("path")?;
            differences.push(Difference {
                kind: each.get("kind")?,
                path: path
                    .sequence_values::<moonswap::LuaString>()
                    .map(|name| name.map(|name| name.to_string_lossy()))
                    .collect::<Result<_>>()?,
                live: each.get::<moonswap::LuaString>("live")?.to_string_lossy(),
                fresh: each.get::<moonswap::LuaString>("fresh")?.to_string_lossy(),
            });
        }
        Ok(Compared {
            differences,
            functions: functions.unsigned_abs(),
            tables: tables.unsigned_abs(),
        })
    }
}

/// The code of a function for comparisons, exactly and (where it reads variables that
/// its closures lack, by other operations) by its constants only; and which counts.
fn fingerprint(dump_function: &Function, f: &Function) -> Result<(String, String, bool)> {
    let bytes: moonswap::LuaString = dump_function.call(f.clone())?;
    let prototype = dump::undump(&bytes.to_bytes()).map_err(moonswap::Error::external)?;
    let (mut exact, mut is_loose) = (String::new(), false);
    for instruction in &prototype.code {
        let Some(op) = instruction.opcode() else {
            continue;
        };
        is_loose |= matches!(
            op,
            OpCode::GetCell | OpCode::SetCell | OpCode::GetBackfilled | OpCode::SetBackfilled
        );
        one(&mut exact, &prototype, *instruction, op);
    }
    let mut constants: Vec<String> = prototype
        .constants
        .iter()
        .filter(|constant| !matches!(constant, Constant::Cell(_)))
        .map(|constant| format!("{constant:?}"))
        .collect();
    constants.sort();
    constants.dedup();
    Ok((exact, constants.join("\n"), is_loose))
}

fn one(
    out: &mut String,
    prototype: &Prototype,
    instruction: moonswap_bytecode::Instruction,
    op: OpCode,
) {
    let _ = write!(out, "{} {}", op.name(), instruction.x());
    let operands = [instruction.a(), instruction.b(), instruction.c()];
    let kinds = op.operands();
    for (value, kind) in operands.into_iter().zip(kinds) {
        match kind {
            OperandKind::Unused => {}
            OperandKind::Upvalue => {
                let variable = prototype.upvalues.get(usize::from(value));
                let name = variable.map_or("?", |variable| &variable.name);
                let _ = write!(out, " {name}");
            }
            kind if kind.is_wide_constant() => {
                let constant = prototype
                    .constants
                    .get(usize::try_from(instruction.bc()).unwrap_or(usize::MAX));
                let _ = write!(out, " {constant:?}");
            }
            kind if kind.is_constant() => {
                let constant = prototype.constants.get(usize::from(value));
                let _ = write!(out, " {constant:?}");
            }
            kind if kind.is_wide() => {
                let _ = write!(out, " {}", instruction.bc());
            }
            _ => {
                let _ = write!(out, " {value}");
            }
        }
    }
    out.push('\n');
}
