//! The operating system library. Dates are in `date` (the library's side)
//! and `calendar` (the arithmetic).

mod calendar;
mod date;

use moonswap_vm::context::{Context, NativeFn, Outcome, View};

use crate::failure;

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("clock", |cx| cx.ret_num(cpu_seconds())),
    ("date", date::date),
    ("difftime", |cx| {
        cx.ret_num((cx.check_int(0)? as f64) - (cx.check_int(1)? as f64))
    }),
    ("execute", execute),
    ("exit", exit),
    ("getenv", getenv),
    ("remove", remove),
    ("rename", rename),
    ("setlocale", setlocale),
    ("time", date::time),
    ("tmpname", tmpname),
];

/// Opens the library as the global `os`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    crate::library::register(cx, "os", FUNCTIONS)?;
    cx.pop(1);
    Ok(())
}

/// CPU time the process has used.
#[cfg(unix)]
pub(crate) fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // whole microseconds, the resolution of the reference
    time.tv_sec as f64 + (time.tv_nsec / 1000) as f64 / 1e6
}

/// Time since the first call, where the CPU time cannot be had.
#[cfg(not(unix))]
pub(crate) fn cpu_seconds() -> f64 {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64()
}

fn execute(cx: &mut Context<'_>) -> Outcome<usize> {
    let Some(command) = cx.opt_str(0)? else {
        let shell = cfg!(unix) || cfg!(windows);
        return cx.ret_bool(shell);
    };
    let command = failure::path(command.as_bytes());
    match std::process::Command::new("sh")
        .arg("-c")
        .arg(command)
        .status()
    {
        Ok(status) => failure::exit_status(cx, status),
        Err(error) => failure::fail(cx, &error, None),
    }
}

fn exit(cx: &mut Context<'_>) -> Outcome<usize> {
    let code = match cx.at(0) {
        View::Boolean(true) => 0,
        View::Boolean(false) => 1,
        _ => cx.opt_int(0, 0)? as i32,
    };
    if cx.at(1).truthy() {
        // variables are closed and all finalizers run, as when a state is closed
        if let Some(machine) = cx.machine() {
            cx.close_pending();
            cx.suspended(|| machine.close());
        }
    }
    crate::io::flush_all(cx);
    std::process::exit(code)
}

fn getenv(cx: &mut Context<'_>) -> Outcome<usize> {
    match failure::environment(cx.check_str(0)?.as_bytes()) {
        Some(value) => cx.push_bytes(&value),
        None => cx.push_nil(),
    }
    Ok(1)
}

fn remove(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes();
    let path = failure::path(name);
    // C's remove takes files and empty directories alike
    let is_directory = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
    let result = if is_directory {
        std::fs::remove_dir(&path)
    } else {
        std::fs::remove_file(&path)
    };
    failure::result(cx, result, Some(name))
}

fn rename(cx: &mut Context<'_>) -> Outcome<usize> {
    let from = failure::path(cx.check_str(0)?.as_bytes());
    let to = failure::path(cx.check_str(1)?.as_bytes());
    failure::result(cx, std::fs::rename(from, to), None)
}

fn tmpname(cx: &mut Context<'_>) -> Outcome<usize> {
    match crate::io::new_temporary_file() {
        Ok((path, _)) => cx.ret_bytes(&failure::bytes_of(path.into_os_string())),
        Err(_) => Err(cx.error("unable to generate a unique filename")),
    }
}

/// There is only the C locale, which is also what the environment's is taken
/// to be.
fn setlocale(cx: &mut Context<'_>) -> Outcome<usize> {
    const CATEGORIES: &[&str] = &["all", "collate", "ctype", "monetary", "numeric", "time"];
    let wanted = cx.opt_str(0)?.map(|s| s.as_bytes());
    cx.check_option(1, Some("all"), CATEGORIES)?;
    match wanted {
        None | Some(b"" | b"C" | b"POSIX") => cx.push_bytes(b"C"),
        Some(_) => cx.push_nil(),
    }
    Ok(1)
}
