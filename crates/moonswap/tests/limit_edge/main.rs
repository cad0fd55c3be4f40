//! Every public method of the facade where there is next to no memory left: it does
//! what it does elsewhere, or fails with an error of memory, and what the VM and the
//! process have stays within 5 % and a MiB of the limit.

mod chunks;
mod handles;
mod hot;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use moonswap::{Error, ErrorKind, Function, Lua, LuaString, Patch, Result, Table};

const LIMIT: usize = 4 << 20;
const LARGE: usize = 400_000;

/// What the entry points work on, made while there is room.
struct World {
    table: Table,
    list: Table,
    filled: Table,
    grow: Function,
    echo: Function,
    large: LuaString,
    patch: Patch,
    /// A patch file.
    path: PathBuf,
}

/// The name of a module of fifty functions.
const MODULE: &str = "@edge.lua";

/// Its text; another number is another code of all its functions.
fn module(n: usize) -> String {
    let mut text = String::from("local M = {}\n");
    for i in 0..50 {
        text += &format!("function M.f{i}(a, b) local t = {{ a, b, x = a }} return #t + {n} end\n");
    }
    text + "return M"
}

fn world(lua: &Lua) -> Result<World> {
    let loaded: Table = lua.load(module(1)).set_name(MODULE).eval()?;
    lua.globals().set("module", loaded)?;
    Ok(World {
        table: lua.load("return setmetatable({}, { __index = function(_, k) return k .. ('x'):rep(1000) end })").eval()?,
        list: lua.load("local t = {} for i = 1, 5000 do t[i] = 'item ' .. i end return t").eval()?,
        filled: lua.load("return { one = 1, two = { 2 }, text = 'text' }").eval()?,
        grow: lua.load("return function(n) local t = {} for i = 1, n do t[i] = { i } end return #t end").eval()?,
        echo: lua.load("return function(...) return ... end").eval()?,
        large: lua.create_string("y".repeat(LARGE))?,
        patch: Patch::compile(MODULE, module(2).as_bytes()).expect("it is Lua"),
        path: std::env::temp_dir().join(format!("moonswap-edge-{}.moonpatch", std::process::id())),
    })
}

/// A entry point: its name, and what it does, with an answer that is the same every time.
type EntryPoint = (&'static str, fn(&Lua, &World) -> Result<String>);

fn said(value: impl std::fmt::Debug) -> Result<String> {
    let mut text = format!("{value:?}");
    text.truncate(200);
    Ok(text)
}

/// Public methods that ask the VM for no memory of program-chosen size, or only read.
const OTHERS: &[&str] = &[
    "PatchRequest::by Lua::new Lua::builder Lua::is_same Lua::used_memory Lua::hot Lua::interrupter Lua::poll Lua::flush",
    "Lua::set_memory_limit Lua::set_deadline Lua::set_fuel Lua::fuel Lua::close Lua::set_warnings",
    "Lua::machine Lua::set_app_data Lua::try_set_app_data Lua::app_data_ref Lua::try_app_data_ref",
    "Lua::app_data_mut Lua::try_app_data_mut Lua::remove_app_data Lua::new_with Lua::unsafe_new",
    "Lua::unsafe_new_with Lua::load_std_libs Lua::weak WeakLua::upgrade WeakLua::try_upgrade",
    "StdLib::contains Lua::set_globals Lua::current_thread Lua::gc_step Lua::gc_is_running",
    "Lua::gc_stop Lua::gc_restart Lua::gc_set_mode GcIncParams::pause GcIncParams::step_multiplier",
    "GcIncParams::step_size GcGenParams::minor_multiplier GcGenParams::minor_to_major",
    "GcGenParams::major_to_minor Lua::type_metatable Lua::set_type_metatable",
    "Lua::remove_registry_value Lua::owns_registry_value Lua::expire_registry_values",
    "Lua::registry_value Lua::replace_registry_value Lua::named_registry_value",
    "Lua::unset_named_registry_value Lua::coerce_integer Lua::coerce_number Lua::pack Lua::unpack",
    "Lua::convert Lua::pack_multi Lua::unpack_multi Lua::create_external_string Lua::poll_pending",
    "Lua::set_thread_event_callback Lua::remove_thread_event_callback Lua::register_module",
    "Lua::preload_module Lua::unload_module Lua::set_hook Lua::remove_hook Lua::set_global_hook",
    "Lua::remove_global_hook Lua::inspect_stack Lua::set_warning_function Lua::warning",
    "Lua::catch_panics RegistryKey::id Panicked::text Panicked::take_payload Result::new",
    "Lua::remove_warning_function Thread::set_hook Thread::remove_hook Debug::event",
    "Debug::function Debug::names Debug::source Debug::current_line Debug::is_tail_call",
    "Debug::stack Lua::create_async_function Lua::create_ser_userdata",
    "Lua::create_ser_any_userdata Serializer::new Serializer::new_with_options",
    "Deserializer::new Deserializer::new_with_options Value::to_serializable",
    "Scope::create_function Scope::create_function_mut Scope::create_userdata_ref",
    "Scope::create_userdata_ref_mut Scope::create_any_userdata_ref Scope::add_destructor",
    "Scope::create_any_userdata_ref_mut Scope::create_userdata Scope::create_any_userdata",
    "Table::raw_len Table::is_empty Table::metatable Table::has_metatable Table::to_pointer",
    "Table::weak_lua Table::for_each Table::for_each_value Table::equals Table::pop",
    "Table::raw_pop Table::clear Table::remove Table::raw_remove",
    "Function::to_pointer Function::weak_lua Function::environment Function::wrap",
    "Function::wrap_mut Function::wrap_raw Function::wrap_raw_mut Function::wrap_async",
    "Function::wrap_raw_async Function::call_async Thread::into_async Thread::status",
    "Thread::is_resumable Thread::is_running Thread::is_normal Thread::is_finished",
    "Thread::is_error Thread::reset Thread::to_pointer Thread::weak_lua",
    "Value::type_name Value::is_nil Value::as_text Value::is_null Value::is_boolean",
    "Value::as_boolean Value::is_light_userdata Value::as_light_userdata Value::is_integer",
    "Value::as_integer Value::is_number Value::as_number Value::as_f32 Value::as_f64",
    "Value::is_error Value::as_error Value::to_pointer Value::weak_lua Value::equals",
    "Chunk::set_name Chunk::transient Chunk::name Chunk::environment Chunk::mode",
    "Chunk::set_mode Chunk::wrap",
    "LuaString::as_bytes LuaString::with_bytes LuaString::to_bytes LuaString::to_str",
    "LuaString::to_string_lossy LuaString::len LuaString::is_empty LuaString::display",
    "LuaString::as_bytes_with_nul LuaString::to_pointer LuaString::weak_lua",
    "AnyUserData::is AnyUserData::is_proxy AnyUserData::type_id AnyUserData::borrow",
    "AnyUserData::borrow_mut AnyUserData::borrow_scoped AnyUserData::borrow_mut_scoped",
    "AnyUserData::take AnyUserData::destroy AnyUserData::user_value AnyUserData::set_user_value",
    "AnyUserData::nth_user_value AnyUserData::set_nth_user_value AnyUserData::set_named_user_value AnyUserData::weak_lua",
    "AnyUserData::named_user_value AnyUserData::metatable AnyUserData::type_name",
    "AnyUserData::to_pointer AnyUserData::wrap AnyUserData::wrap_ser UserDataMetatable::get",
    "UserDataMetatable::set UserDataMetatable::contains UserDataMetatable::pairs",
    "MultiValue::with_capacity MultiValue::from_vec Variadic::with_capacity",
    "Hot::queued Hot::set_trust Hot::trust Hot::off Hot::probation Hot::quarantine Hot::release",
    "Hot::release_patch Hot::history Hot::diverged Hot::generation Hot::patcher",
    // `Hot::rollback_last` ends most entry points.
    "Hot::rollback_last Patcher::generation Patcher::is_gone",
    "LuaBuilder::compat LuaBuilder::error_texts LuaBuilder::build LuaBuilder::profile",
    "WatcherBuilder::policy WatcherBuilder::file WatcherBuilder::on_event WatcherBuilder::start Watcher::builder",
    "Lua::set_loader PatchInput::module Directory::new Embedded::new Memory::new Memory::set Memory::remove",
    "ProfileBuilder::memory_limit ProfileBuilder::fuel ProfileBuilder::deadline ProfileBuilder::build",
    "Pool::new Pool::add Pool::sweep MultiValue::new MultiValue::into_vec Variadic::new",
    "Trust::new Trust::with_key Trust::with_last_sequence Trust::last_sequence Trust::check",
    "Trust::open Trust::applied",
];

/// Fills the VM up to its limit but for about `leave` bytes; the handle keeps it.
fn fill(lua: &Lua, leave: usize) -> Vec<LuaString> {
    let mut kept = Vec::new();
    while let Ok(text) = lua.create_string(format!("{:3000}", kept.len())) {
        kept.push(text);
    }
    kept.truncate(kept.len() - leave / 3000);
    kept
}

fn is_memory(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Memory) || error.to_string().contains("not enough memory")
}

/// A number of `/proc/self/status`, in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
    kib.unwrap_or(0) << 10
}

/// The process's peak counts from here on, where the system can do that; what the
/// process has now.
fn reset_peak() -> usize {
    // 5 resets the peak, see proc(5).
    match std::fs::write("/proc/self/clear_refs", "5") {
        Ok(()) => status("VmRSS:"),
        Err(_) => usize::MAX,
    }
}

/// What a entry point's own side has besides: a large text, and the text it is made of.
const OWN: usize = 2 * LARGE;

#[test]
fn every_door_holds_at_the_edge_of_the_limit() {
    let mut failed = 0;
    let mut wrong = Vec::new();
    let entry_points: Vec<&EntryPoint> = handles::ENTRY_POINTS
        .iter()
        .chain(hot::ENTRY_POINTS)
        .collect();
    for (name, entry_point) in &entry_points {
        let (mut most, mut n_failed) = (0, 0);
        for leave in [0, 20_000, 300_000, 1_000_000] {
            let lua = Lua::new();
            let world = world(&lua).expect("there is room");
            hot::write_file(&world.path).expect("a folder for temporary files");
            let usual = entry_point(&lua, &world).unwrap_or_else(|error| panic!("{name}: {error}"));
            lua.gc_collect().expect("no finalizers");
            lua.set_memory_limit(LIMIT).expect("limited");
            let kept = fill(&lua, leave);
            let account = lua.machine().system_memory();
            let resident = reset_peak();
            let found = entry_point(&lua, &world);
            let grown = status("VmHWM:").saturating_sub(resident);
            match found {
                Ok(found) if found == usual => {}
                Ok(found) => wrong.push(format!("{name}, {leave} left: {found} for {usual}")),
                Err(error) if is_memory(&error) => n_failed += 1,
                Err(error) => wrong.push(format!("{name}, {leave} left: {error:?}")),
            }
            let has = lua.machine().system_memory();
            if has > LIMIT + LIMIT / 20 + (1 << 20) {
                wrong.push(format!("{name}, {leave} left: has {has} bytes"));
            }
            if account + grown > LIMIT + LIMIT / 20 + (1 << 20) + OWN {
                wrong.push(format!(
                    "{name}, {leave} left: grew by {grown} from {account}"
                ));
            }
            most = most.max(grown);
            // As good as new.
            drop(kept);
            lua.gc_collect().expect("no finalizers");
            match entry_point(&lua, &world) {
                Ok(found) if found == usual => {}
                after => wrong.push(format!("{name}, afterwards: {after:?}")),
            }
        }
        println!(
            "{name}: {n_failed} of 4 without memory, {} KiB more",
            most >> 10
        );
        failed += n_failed;
    }
    println!(
        "{} entry_points, {} calls, {failed} of them without memory",
        entry_points.len(),
        4 * entry_points.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        failed > entry_points.len(),
        "{failed} of {}",
        4 * entry_points.len()
    );
    // Not beside it: what counts is the peak of the process.
    chunks::hostile_chunks_take_no_more_than_there_is();
}

/// The Rust files below a folder.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// A method that is added gets a entry point, or a reason not to have one.
#[test]
fn every_public_method_is_listed() {
    let listed: HashSet<&str> = handles::ENTRY_POINTS
        .iter()
        .chain(hot::ENTRY_POINTS)
        .map(|(name, _)| *name)
        .chain(OTHERS.iter().flat_map(|line| line.split_whitespace()))
        .collect();
    let mut missing = Vec::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![crates.join("moonswap-vm/src/hotpatch/request/mailbox.rs")];
    sources(&crates.join("moonswap/src"), &mut files);
    assert!(files.len() > 20, "{files:?}");
    for path in files {
        let file = path.display();
        let text = std::fs::read_to_string(&path).expect("readable");
        // Data of the host: rollouts, reports, errors, keys, logs.
        let others = [
            "Rollout",
            "PoolReport",
            "MemberReport",
            "MemberOutcome",
            "Error",
            "Status",
            "AuditLog",
            "PublicKey",
            "SecretKey",
            // What workers do with their VMs goes through the methods listed here.
            "Worker",
            "WorkerBuilder",
            "WorkerPool",
            "Call",
            "Shutdown",
        ];
        let mut of = String::new();
        for line in text.lines() {
            let name_in = |text: &str| -> String {
                let word = text
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_');
                word.collect()
            };
            if let Some(rest) = line.strip_prefix("impl") {
                // Parameters have bounds, with spaces.
                let rest = match rest.strip_prefix('<') {
                    Some(rest) => rest.split_once("> ").map_or(rest, |(_, rest)| rest),
                    None => rest.trim_start(),
                };
                of = name_in(rest.rsplit(" for ").next().unwrap_or(rest));
            }
            if let Some(rest) = line.strip_prefix("    pub fn ") {
                let method = format!("{of}::{}", name_in(rest));
                if !listed.contains(&*method) && !others.contains(&&*of) {
                    missing.push(format!("{file}: {method}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
