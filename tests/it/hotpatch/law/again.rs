//! The law for chunks that are called again and again: `load` made a function, and the
//! program has called it more than once. Whatever a patch of it did and listed, the next
//! call is a call of the new text.
//!
//! The reference has lived the same life and calls a fresh load of the new text. Traces
//! are compared, then all that can be seen of what that call made and set, what its
//! functions return, and all of it again.

use moonswap_fuzz::data::Data;
use moonswap_vm::planning::Policy;

use super::case::{Case, Step, differences, drive, lines};
use crate::hotpatch::world::{CHUNK, World};

const OBSERVE: &str = include_str!("observe.lua");

/// Calls before the patch.
const CALLS: usize = 2;

/// What belongs to the program and not to the text under test, and a way to forget what
/// only earlier calls made.
const SETUP: &str = "
local known = { M = true, mod = true, loaded = true }
for name in next, _G do known[name] = true end
function package.preload.clean(names)
  for name in next, _G do
    if not known[name] and not names['_G.' .. name] then _G[name] = nil end
  end
  for i = 1, 40 do forget(i) end
end
function package.preload.call(chunk)
  local ok, value = pcall(chunk)
  loaded = ok and value or nil
  return ok and 'ok' or 'failed'
end";

/// A program that has called the old text.
fn lived(case: &Case, old: &str) -> Result<Option<World>, String> {
    let world = World::new();
    world.set_policy(Policy::default().remove(case.remove));
    world.run(OBSERVE)?;
    world.run(SETUP)?;
    world.run(&loading("chunk", old, CHUNK))?;
    for _ in 0..CALLS {
        if world.run("return package.preload.call(package.preload.chunk)")? != "ok" {
            return Ok(None);
        }
        world.run(&drive(&case.versions[0], &case.calls[0]))?;
    }
    world.run("return take_log()")?;
    Ok(Some(world))
}

/// Keeps a text as a function.
fn loading(name: &str, text: &str, chunk: &str) -> String {
    format!("package.preload.{name} = assert(load([==[\n{text}]==], {chunk:?}))")
}

pub(super) fn check(case: &Case) -> Result<Step, String> {
    let (old, new) = (case.versions[0].text(), case.versions[1].text());
    let Some(live) = lived(case, &old.plain())? else {
        return Ok(Step::Unusable);
    };
    let Some(reference) = lived(case, &old.plain())? else {
        return Ok(Step::Unusable);
    };
    let report = match live.patch(CHUNK, &new.plain()) {
        Ok(report) => report,
        Err(error) => return Ok(Step::Refused(error.to_string())),
    };
    live.run("take_log()")?;
    reference.run(&loading("next", &new.plain(), CHUNK))?;
    let call = |world: &World, name: &str| {
        let outcome = world.run(&format!(
            "return package.preload.call(package.preload.{name})"
        ))?;
        let log = world.run("return take_log()")?;
        world.run(&format!("package.preload.clean({})", new.paths()))?;
        Ok::<_, String>((outcome, log))
    };
    let (is, wanted) = (call(&live, "chunk")?, call(&reference, "next")?);
    let fail = |what: &str, why: &str| Err(format!("{what}: {why}\n-- report\n{report}"));
    if is != wanted {
        return fail("the next call", &format!("{is:?}, wanted {wanted:?}"));
    }
    if is.0 != "ok" {
        return Ok(Step::Unusable);
    }
    for what in ["dump()", "calls()", "dump()"] {
        let ask = |world: &World| Ok::<_, String>(lines(&world.run(&format!("return {what}"))?));
        let found = differences(&ask(&live)?, &ask(&reference)?);
        if !found.is_empty() {
            return fail(what, &found.join("\n"));
        }
    }
    Ok(Step::Full {
        ran: !is.1.is_empty(),
    })
}

/// A case with one patch.
pub(super) fn draw(seed: u64, number: u64) -> Case {
    let mut case = Case::draw(seed, number);
    case.versions.truncate(2);
    case.calls.truncate(1);
    // Which functions the program calls in between is drawn once more: often enough none.
    let bytes = super::edit::bytes(seed ^ 1, number);
    if Data::new(&bytes).below(3) == 0 {
        case.calls = vec![Vec::new()];
    }
    case
}
