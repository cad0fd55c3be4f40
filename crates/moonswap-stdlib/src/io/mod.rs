//! The input and output library: functions of the table `io`. File handles and
//! their methods are in `file`, reading by formats in `read`, buffering in
//! `stream`.

mod file;
mod handle;
mod read;
mod stream;

use std::fs::{File, OpenOptions};
use std::io::Error;
use std::process::{Command, Stdio};

use moonswap_vm::context::{Buffer, Context, NativeFn, Outcome, View};

use crate::failure;
use file::LuaFile;
use stream::{Access, Device, Stream};

/// Names in the registry of the default files; messages use what follows the
/// prefix.
const INPUT: &str = "_IO_input";
const OUTPUT: &str = "_IO_output";
const PREFIX: usize = "_IO_".len();

const FUNCTIONS: &[(&str, NativeFn)] = &[
    ("close", close),
    ("flush", flush),
    ("input", |cx| default_file(cx, INPUT, "r")),
    ("lines", lines),
    ("open", open_),
    ("output", |cx| default_file(cx, OUTPUT, "w")),
    ("popen", popen),
    ("read", read_),
    ("tmpfile", tmpfile),
    ("type", type_),
    ("write", write),
];

/// Opens the library as the global `io`.
pub fn open(cx: &mut Context<'_>) -> Outcome<()> {
    file::create_metatable(cx)?;
    crate::library::register(cx, "io", FUNCTIONS)?;
    let table = cx.height() - 1;
    cx.push_registry();
    let registry = table + 1;
    file::push_handle(cx, file::stdin(cx));
    cx.push_at(registry + 1);
    cx.raw_set_field(registry, INPUT)?;
    cx.raw_set_field(table, "stdin")?;
    file::push_handle(cx, file::stdout(cx));
    cx.push_at(registry + 1);
    cx.raw_set_field(registry, OUTPUT)?;
    cx.raw_set_field(table, "stdout")?;
    file::push_handle(cx, file::stderr(cx));
    cx.raw_set_field(table, "stderr")?;
    cx.set_height(table);
    Ok(())
}

/// Writes to standard output, as `print` does: failures are ignored.
pub(crate) fn print(cx: &Context<'_>, bytes: &[u8]) {
    if let Some(stream) = file::stdout(cx).stream.borrow_mut().as_mut() {
        let _ = stream.write(bytes);
    }
}

/// Ends a line of `print`, which whoever reads from us sees at once.
pub(crate) fn print_line(cx: &Context<'_>) {
    if let Some(stream) = file::stdout(cx).stream.borrow_mut().as_mut() {
        let _ = stream.write(b"\n").and_then(|_| stream.flush());
    }
}

/// Flushes every open file.
pub(crate) fn flush_all(cx: &Context<'_>) {
    file::flush_all(cx);
}

/// All of standard input that is left.
pub(crate) fn read_stdin(cx: &Context<'_>) -> Outcome<Buffer> {
    let handle = file::stdin(cx);
    let mut guard = handle.stream.borrow_mut();
    match guard.as_mut() {
        Some(stream) => read::read_rest(cx, stream),
        None => cx.new_buffer(0),
    }
}

/// A line of standard input with its end, for `debug.debug`; empty at the end.
pub(crate) fn read_stdin_line(cx: &Context<'_>) -> Vec<u8> {
    let handle = file::stdin(cx);
    let mut line = Vec::new();
    if let Some(stream) = handle.stream.borrow_mut().as_mut() {
        while let Ok(Some(c)) = stream.peek() {
            line.push(c);
            if stream.advance().is_err() || c == b'\n' {
                break;
            }
        }
    }
    line
}

/// Writes to standard error.
pub(crate) fn print_error(bytes: &[u8]) {
    use std::io::Write;
    let _ = std::io::stderr().lock().write_all(bytes);
}

/// Pushes a default file; an error if it was closed.
fn push_default(cx: &Context<'_>, which: &str) -> Outcome<std::rc::Rc<handle::Handle>> {
    let registry = cx.height();
    cx.push_registry();
    cx.push(cx.raw_get_field(registry, which));
    cx.remove(registry);
    if let View::UserData(data) = cx.at(registry)
        && let Some(LuaFile(handle)) = data.downcast()
        && !handle.is_closed()
    {
        return Ok(std::rc::Rc::clone(handle));
    }
    Err(cx.error(format!("default {} file is closed", &which[PREFIX..])))
}

/// Opens a file in a mode such as "r+b".
fn open_file(name: &[u8], mode: &[u8]) -> Result<Stream, Error> {
    let update = mode.contains(&b'+');
    let mut options = OpenOptions::new();
    match mode.first() {
        Some(b'w') => options.write(true).create(true).truncate(true).read(update),
        Some(b'a') => options.append(true).create(true).read(update),
        _ => options.read(true).write(update),
    };
    let access = Access {
        read: update || mode.first() == Some(&b'r'),
        write: update || mode.first() != Some(&b'r'),
    };
    let file = options.open(failure::path(name))?;
    Ok(Stream::new(Device::File(file), access))
}

/// Whether the system refuses because the process, or all of them, have too many
/// files.
fn has_too_many(error: &Error) -> bool {
    cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24))
}

/// `[rwa]`, then `+` and `b`, each at most once.
fn is_mode(mode: &[u8]) -> bool {
    let Some((b'r' | b'w' | b'a', rest)) = mode.split_first() else {
        return false;
    };
    let rest = rest.strip_prefix(b"+").unwrap_or(rest);
    matches!(rest, b"" | b"b")
}

fn open_(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = cx.check_str(0)?.as_bytes();
    let mode = cx.opt_str(1)?.map_or(&b"r"[..], |s| s.as_bytes());
    if !is_mode(mode) {
        return Err(cx.arg_error(1, "invalid mode"));
    }
    let opened = match open_file(name, mode) {
        // Files that nothing refers to any more are closed by the collector.
        Err(error) if has_too_many(&error) => {
            cx.gc_collect()?;
            let mode = cx.opt_str(1)?.map_or(&b"r"[..], |s| s.as_bytes());
            open_file(cx.check_str(0)?.as_bytes(), mode)
        }
        opened => opened,
    };
    let name = cx.check_str(0)?.as_bytes();
    match opened {
        Ok(stream) => {
            file::push_stream(cx, stream);
            Ok(1)
        }
        Err(error) => failure::fail(cx, &error, Some(name)),
    }
}

/// Opens a file for a function that raises an error if it cannot.
fn push_open(cx: &Context<'_>, name: &[u8], mode: &[u8]) -> Outcome<()> {
    match open_file(name, mode) {
        Ok(stream) => {
            file::push_stream(cx, stream);
            Ok(())
        }
        Err(error) => {
            let mut message = b"cannot open file '".to_vec();
            message.extend_from_slice(name);
            message.extend_from_slice(format!("' ({})", failure::text(&error)).as_bytes());
            Err(cx.error(message))
        }
    }
}

fn default_file(cx: &mut Context<'_>, which: &str, mode: &str) -> Outcome<usize> {
    let given = !cx.at(0).is_nil();
    let registry = cx.height();
    cx.push_registry();
    if given {
        match cx.at(0) {
            View::String(_) | View::Integer(_) | View::Float(_) => {
                let name = cx.check_str(0)?;
                push_open(cx, name.as_bytes(), mode.as_bytes())?;
            }
            _ => {
                file::open_handle(cx, 0)?;
                cx.push_at(0);
            }
        }
        cx.raw_set_field(registry, which)?;
    }
    cx.ret(cx.raw_get_field(registry, which))
}

fn close(cx: &mut Context<'_>) -> Outcome<usize> {
    let (handle, at) = if cx.has(0) {
        (file::open_handle(cx, 0)?, 0)
    } else {
        // "default output file is closed" is the message of writing only
        let registry = cx.height();
        cx.push_registry();
        let handle = match cx.raw_get_field(registry, OUTPUT) {
            View::UserData(data) => data.downcast::<LuaFile>().map(|f| std::rc::Rc::clone(&f.0)),
            _ => None,
        };
        match handle.filter(|h| !h.is_closed()) {
            Some(handle) => {
                cx.push(cx.raw_get_field(registry, OUTPUT));
                (handle, registry + 1)
            }
            None => return Err(cx.error("attempt to use a closed file")),
        }
    };
    file::close_handle(cx, &handle, at)
}

fn flush(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = push_default(cx, OUTPUT)?;
    file::flush(cx, &handle)
}

fn read_(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = push_default(cx, INPUT)?;
    cx.pop(1);
    file::prepare_read(cx, &handle);
    read::read_formats(cx, &handle, 0)
}

fn write(cx: &mut Context<'_>) -> Outcome<usize> {
    let n = cx.n_args();
    let handle = push_default(cx, OUTPUT)?;
    file::write_arguments(cx, &handle, 0, n)
}

fn lines(cx: &mut Context<'_>) -> Outcome<usize> {
    if cx.at(0).is_nil() {
        if cx.n_args() == 0 {
            cx.push_nil();
        }
        let registry = cx.height();
        cx.push_registry();
        cx.push(cx.raw_get_field(registry, INPUT));
        cx.replace(0);
        cx.pop(1);
        file::open_handle(cx, 0)?;
        return file::push_lines(cx, false);
    }
    let name = cx.check_str(0)?;
    push_open(cx, name.as_bytes(), b"r")?;
    cx.replace(0);
    file::push_lines(cx, true)?;
    // state, control and the value that a `for` loop closes
    cx.push_nil();
    cx.push_nil();
    cx.push_at(0);
    Ok(4)
}

fn type_(cx: &mut Context<'_>) -> Outcome<usize> {
    cx.check_any(0)?;
    let handle = match cx.at(0) {
        View::UserData(data) => data.downcast::<LuaFile>(),
        _ => None,
    };
    match handle {
        None => {
            cx.push_nil();
            Ok(1)
        }
        Some(file) if file.0.is_closed() => cx.ret_bytes(b"closed file"),
        Some(_) => cx.ret_bytes(b"file"),
    }
}

fn popen(cx: &mut Context<'_>) -> Outcome<usize> {
    let command = cx.check_str(0)?.as_bytes();
    let mode = cx.opt_str(1)?.map_or(&b"r"[..], |s| s.as_bytes());
    let read = match mode {
        b"r" => true,
        b"w" => false,
        _ => return Err(cx.arg_error(1, "invalid mode")),
    };
    // the process may write to the same places
    file::flush_all(cx);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(failure::path(command));
    if read {
        shell.stdout(Stdio::piped());
    } else {
        shell.stdin(Stdio::piped());
    }
    match shell.spawn() {
        Ok(child) => {
            let access = Access { read, write: !read };
            file::push_stream(cx, Stream::new(Device::Child(Box::new(child)), access));
            Ok(1)
        }
        Err(error) => failure::fail(cx, &error, Some(command)),
    }
}

fn tmpfile(cx: &mut Context<'_>) -> Outcome<usize> {
    match anonymous_file() {
        Ok(file) => {
            let access = Access {
                read: true,
                write: true,
            };
            file::push_stream(cx, Stream::new(Device::File(file), access));
            Ok(1)
        }
        Err(error) => failure::fail(cx, &error, None),
    }
}

/// A new file whose name is removed at once where the system allows it.
fn anonymous_file() -> Result<File, Error> {
    let (path, file) = new_temporary_file()?;
    let _ = std::fs::remove_file(path);
    Ok(file)
}

/// Creates a file with a new name in the directory for temporary files.
pub(crate) fn new_temporary_file() -> Result<(std::path::PathBuf, File), Error> {
    let directory = std::env::temp_dir();
    let mut last = None;
    for _ in 0..100 {
        let path = directory.join(format!("lua_{}", failure::unique_suffix()));
        match OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
        {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::from_raw_os_error(17)))
}
