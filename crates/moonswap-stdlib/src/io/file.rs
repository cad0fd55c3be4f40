//! File handles as Lua values: the userdata, its methods and metamethods, and
//! the list of open files that have to be flushed at exit.

use std::cell::RefCell;
use std::io::{self, SeekFrom};
use std::rc::{Rc, Weak};

use moonswap_number::{Number, write_number};
use moonswap_vm::context::{Context, NativeFn, NativeKind, Outcome, View};

use super::handle::Handle;
use super::read::read_formats;
use super::stream::{Access, Buffering, Device, Stream};
use crate::failure;

/// Name of the handles' metatable in the registry.
pub(super) const METATABLE: &str = "FILE*";

/// Bytes of an open file beside its buffers, roughly.
const HANDLE: usize = size_of::<Handle>() + 64;

/// Payload of the userdata.
#[derive(Debug)]
pub(super) struct LuaFile(pub(super) Rc<Handle>);

/// What the library keeps in the VM.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// All files that were opened; closed ones are swept now and then.
    open: Vec<Weak<Handle>>,
    sweep_at: usize,
    stdout: Option<Rc<Handle>>,
    stdin: Option<Rc<Handle>>,
}

impl Files {
    fn add(&mut self, handle: &Rc<Handle>) {
        if self.open.len() >= self.sweep_at {
            self.open
                .retain(|h| h.upgrade().is_some_and(|handle| !handle.is_closed()));
            self.sweep_at = (self.open.len() * 2).max(16);
        }
        self.open.push(Rc::downgrade(handle));
    }
}

/// The handle of a standard stream, made on first use.
fn standard(cx: &Context<'_>, device: Device, access: Access) -> Rc<Handle> {
    let handle = Rc::new(Handle {
        stream: RefCell::new(Some(Stream::new(device, access))),
        standard: true,
    });
    cx.host_state::<Files>().borrow_mut().add(&handle);
    handle
}

pub(super) fn stdout(cx: &Context<'_>) -> Rc<Handle> {
    if let Some(handle) = &cx.host_state::<Files>().borrow().stdout {
        return Rc::clone(handle);
    }
    let handle = standard(
        cx,
        Device::Stdout,
        Access {
            read: false,
            write: true,
        },
    );
    cx.host_state::<Files>().borrow_mut().stdout = Some(Rc::clone(&handle));
    handle
}

pub(super) fn stdin(cx: &Context<'_>) -> Rc<Handle> {
    if let Some(handle) = &cx.host_state::<Files>().borrow().stdin {
        return Rc::clone(handle);
    }
    let handle = standard(
        cx,
        Device::Stdin,
        Access {
            read: true,
            write: false,
        },
    );
    cx.host_state::<Files>().borrow_mut().stdin = Some(Rc::clone(&handle));
    handle
}

pub(super) fn stderr(cx: &Context<'_>) -> Rc<Handle> {
    standard(
        cx,
        Device::Stderr,
        Access {
            read: false,
            write: true,
        },
    )
}

/// Flushes every open file.
pub(super) fn flush_all(cx: &Context<'_>) {
    let handles: Vec<_> = {
        let files = cx.host_state::<Files>().borrow();
        files.open.iter().filter_map(Weak::upgrade).collect()
    };
    for handle in handles {
        if let Ok(mut guard) = handle.stream.try_borrow_mut()
            && let Some(stream) = guard.as_mut()
        {
            // as at exit in C: failures have nowhere to go
            let _ = stream.flush();
        }
    }
}

/// Pushes a new userdata for an open stream.
pub(super) fn push_stream(cx: &Context<'_>, stream: Stream) {
    let owned = HANDLE + stream.room();
    let handle = Rc::new(Handle {
        stream: RefCell::new(Some(stream)),
        standard: false,
    });
    cx.host_state::<Files>().borrow_mut().add(&handle);
    let file = cx.height();
    push_handle(cx, handle);
    cx.set_userdata_bytes(file, owned);
}

/// Pushes a new userdata for a handle.
pub(super) fn push_handle(cx: &Context<'_>, handle: Rc<Handle>) {
    let file = cx.height();
    cx.push_userdata(Box::new(LuaFile(handle)));
    cx.new_metatable(METATABLE);
    cx.set_metatable(file);
}

/// The handle in argument `i`, which must be a file, open or closed.
pub(super) fn any_handle(cx: &Context<'_>, i: usize) -> Outcome<Rc<Handle>> {
    Ok(Rc::clone(&cx.check_userdata::<LuaFile>(i, METATABLE)?.0))
}

/// The handle in argument `i`, which must be an open file.
pub(super) fn open_handle(cx: &Context<'_>, i: usize) -> Outcome<Rc<Handle>> {
    let handle = any_handle(cx, i)?;
    if handle.is_closed() {
        return Err(cx.error("attempt to use a closed file"));
    }
    Ok(handle)
}

/// Closes the file at index `at` and pushes the results of `close`.
pub(super) fn close_handle(cx: &Context<'_>, handle: &Handle, at: usize) -> Outcome<usize> {
    if handle.standard {
        cx.push_nil();
        cx.push_bytes(b"cannot close standard file");
        return Ok(2);
    }
    // Device and buffers go now; what is left is collected some time.
    let stream = handle.stream.borrow_mut().take();
    cx.set_userdata_bytes(at, HANDLE);
    match stream.map(Stream::close) {
        Some(Ok(Some(status))) => failure::exit_status(cx, status),
        Some(Err(error)) => failure::fail(cx, &error, None),
        _ => cx.ret_bool(true),
    }
}

const METHODS: &[(&str, NativeFn)] = &[
    ("close", |cx| {
        let handle = open_handle(cx, 0)?;
        close_handle(cx, &handle, 0)
    }),
    ("flush", |cx| {
        let handle = open_handle(cx, 0)?;
        flush(cx, &handle)
    }),
    ("lines", lines),
    ("read", |cx| {
        let handle = open_handle(cx, 0)?;
        prepare_read(cx, &handle);
        read_formats(cx, &handle, 1)
    }),
    ("seek", seek),
    ("setvbuf", setvbuf),
    ("write", |cx| {
        let handle = open_handle(cx, 0)?;
        let n = cx.n_args();
        cx.push_at(0);
        write_arguments(cx, &handle, 1, n)
    }),
];

const METAMETHODS: &[(&str, NativeFn)] = &[
    ("__close", finalize),
    ("__gc", finalize),
    ("__tostring", tostring),
];

/// Creates the metatable of file handles.
pub(super) fn create_metatable(cx: &Context<'_>) -> Outcome<()> {
    let metatable = cx.height();
    cx.new_metatable(METATABLE);
    crate::library::set_functions(cx, metatable, METAMETHODS)?;
    let methods = cx.height();
    cx.push_table(0, METHODS.len());
    crate::library::set_functions(cx, methods, METHODS)?;
    cx.raw_set_field(metatable, "__index")?;
    cx.set_height(metatable);
    Ok(())
}

fn finalize(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = any_handle(cx, 0)?;
    if !handle.is_closed() && !handle.standard {
        close_handle(cx, &handle, 0)?;
    }
    Ok(0)
}

fn tostring(cx: &mut Context<'_>) -> Outcome<usize> {
    if any_handle(cx, 0)?.is_closed() {
        return cx.ret_bytes(b"file (closed)");
    }
    let text = format!("file ({:#x})", cx.at(0).address());
    cx.ret_bytes(text.as_bytes())
}

/// Prompts written without a newline have to be seen before input is awaited.
pub(super) fn prepare_read(cx: &Context<'_>, handle: &Handle) {
    let interactive = handle.standard
        && handle
            .stream
            .borrow()
            .as_ref()
            .is_some_and(Stream::is_interactive);
    if interactive {
        let _ = stdout(cx).with(Stream::flush);
    }
}

pub(super) fn flush(cx: &Context<'_>, handle: &Handle) -> Outcome<usize> {
    failure::result(cx, handle.with(Stream::flush), None)
}

/// Writes arguments `first..end`. The handle's own value is on top of the
/// stack, to be returned.
pub(super) fn write_arguments(
    cx: &Context<'_>,
    handle: &Handle,
    first: usize,
    end: usize,
) -> Outcome<usize> {
    let mut outcome = Ok(());
    let mut digits = Vec::new();
    for i in first..end {
        let bytes = match cx.at(i) {
            View::String(s) => s.as_bytes(),
            View::Integer(n) => {
                digits.clear();
                write_number(Number::Int(n), &mut digits);
                &digits
            }
            View::Float(n) => {
                digits.clear();
                write_number(Number::Float(n), &mut digits);
                // as `%.14g` has it: here a float may look like an integer
                digits.strip_suffix(b".0").unwrap_or(&digits)
            }
            _ => cx.check_str(i)?.as_bytes(),
        };
        // after a failure the rest is still checked, not written
        if outcome.is_ok() {
            outcome = handle.with(|stream| stream.write(bytes));
        }
    }
    match outcome {
        Ok(()) => Ok(1),
        Err(error) => failure::fail(cx, &error, None),
    }
}

fn seek(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = open_handle(cx, 0)?;
    let whence = cx.check_option(1, Some("cur"), &["set", "cur", "end"])?;
    let offset = cx.opt_int(2, 0)?;
    let to = match whence {
        0 => match u64::try_from(offset) {
            Ok(offset) => SeekFrom::Start(offset),
            // "Invalid argument"
            Err(_) => return failure::fail(cx, &io::Error::from_raw_os_error(22), None),
        },
        1 => SeekFrom::Current(offset),
        _ => SeekFrom::End(offset),
    };
    match handle.with(|stream| stream.seek(to)) {
        Ok(position) => cx.ret_int(position as i64),
        Err(error) => failure::fail(cx, &error, None),
    }
}

fn setvbuf(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = open_handle(cx, 0)?;
    let mode = match cx.check_option(1, None, &["no", "full", "line"])? {
        0 => Buffering::No,
        1 => Buffering::Full,
        _ => Buffering::Line,
    };
    let size = usize::try_from(cx.opt_int(2, 1024)?).unwrap_or(usize::MAX);
    let set = handle.with(|stream| stream.set_buffering(mode, size));
    if let (false, Some(stream)) = (handle.standard, &*handle.stream.borrow()) {
        cx.set_userdata_bytes(0, HANDLE + stream.room());
    }
    failure::result(cx, set, None)
}

/// Formats that an iterator can hold (it has three more upvalues).
const MAX_FORMATS: usize = 250;

fn lines(cx: &mut Context<'_>) -> Outcome<usize> {
    open_handle(cx, 0)?;
    push_lines(cx, false)
}

/// Makes an iterator from the file at index 0 and the formats after it, up to
/// the top of the stack. Its upvalues: file, whether to close it, formats.
pub(super) fn push_lines(cx: &Context<'_>, close_at_end: bool) -> Outcome<usize> {
    let top = cx.height();
    let formats = top.saturating_sub(1);
    if formats > MAX_FORMATS {
        return Err(cx.arg_error(MAX_FORMATS + 1, "too many arguments"));
    }
    cx.ensure_stack(formats + 3, "too many arguments")?;
    cx.push_at(0);
    cx.push_int(formats as i64);
    cx.push_bool(close_at_end);
    for i in 1..top {
        cx.push_at(i);
    }
    cx.push_native_with("lines", NativeKind::Plain, next_line, formats + 3);
    Ok(1)
}

fn next_line(cx: &mut Context<'_>) -> Outcome<usize> {
    let handle = match cx.upvalue(0) {
        View::UserData(data) => data.downcast::<LuaFile>().map(|file| Rc::clone(&file.0)),
        _ => None,
    };
    let Some(handle) = handle.filter(|h| !h.is_closed()) else {
        return Err(cx.error("file is already closed"));
    };
    let formats = cx.upvalue(1).to_integer().unwrap_or(0) as usize;
    // index 0 stands for the file, so that errors count formats as `read` does
    cx.set_height(1);
    cx.ensure_stack(formats, "too many arguments")?;
    for i in 0..formats {
        cx.push(cx.upvalue(3 + i));
    }
    prepare_read(cx, &handle);
    let results = read_formats(cx, &handle, 1)?;
    let first = cx.height() - results;
    if cx.at(first).truthy() {
        return Ok(results);
    }
    if results > 1
        && let View::String(message) = cx.at(first + 1)
    {
        return Err(cx.error(message.as_bytes()));
    }
    if cx.upvalue(2).truthy() {
        let file = cx.height();
        cx.push(cx.upvalue(0));
        close_handle(cx, &handle, file)?;
    }
    Ok(0)
}
