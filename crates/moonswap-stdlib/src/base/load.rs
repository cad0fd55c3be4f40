//! Functions that compile code: `load`, `loadfile`, `dofile`.

use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use moonswap_vm::context::{Buffer, Context, Keep, Outcome, View};

use crate::failure;

/// `load (chunk [, chunkname [, mode [, env]]])`
pub(super) fn load(cx: &mut Context<'_>) -> Outcome<usize> {
    let mode = mode_argument(cx, 2)?;
    let has_env = cx.has(3);
    let height = cx.height();
    let loaded = load_value(cx, &mode);
    let ok = or_message(cx, height, loaded)?;
    Ok(finish(cx, ok, has_env.then_some(3)))
}

/// Memory that does not suffice to load something is told like an error in it.
fn or_message(cx: &Context<'_>, height: usize, loaded: Outcome<bool>) -> Outcome<bool> {
    match loaded {
        Err(error) if cx.is_memory_error(&error) => {
            cx.set_height(height);
            cx.push_bytes(b"not enough memory");
            Ok(false)
        }
        loaded => loaded,
    }
}

/// `load` without its environment: pushes the function, or the message and
/// answers false.
fn load_value(cx: &mut Context<'_>, mode: &str) -> Outcome<bool> {
    match cx.at(0) {
        View::String(text) => {
            let text = text.as_bytes();
            let name = cx.opt_str(1)?.map(|name| name.as_bytes());
            let keep = keep_of(name.filter(|name| *name != text));
            let name = name.map(|name| cx.copy_of(name)).transpose()?;
            cx.load_at(0, name.as_ref().map(|name| &name[..]), mode, keep)
        }
        View::Integer(_) | View::Float(_) => {
            let text = cx.check_str(0)?.as_bytes();
            let source = cx.copy_of(text)?;
            let name = cx.opt_str(1)?.map(|name| name.as_bytes());
            let keep = keep_of(name.filter(|name| *name != text));
            let name = cx.copy_of(name.unwrap_or(text))?;
            cx.load(&source, &name, mode, keep)
        }
        _ => {
            let name = cx.opt_str(1)?.map(|name| name.as_bytes());
            let keep = keep_of(name);
            let name = cx.copy_of(name.unwrap_or(b"=(load)"))?;
            cx.check_function(0)?;
            match read_pieces(cx, mode)? {
                Some(source) => cx.load(&source, &name, mode, keep),
                None => Ok(false),
            }
        }
    }
}

/// What is named is meant to be found again.
fn keep_of(name: Option<&[u8]>) -> Keep {
    match name {
        Some(_) => Keep::Locals,
        None => Keep::Captured,
    }
}

/// Bytes that are looked through anew after each piece, so that no piece is read
/// behind an error; behind them each look covers twice as much as the one before.
const LOOK_CLOSELY: usize = 64 << 10;

/// Joins what the reader function returns, up to an error in it. On failure the error value is on top
/// of the stack.
fn read_pieces(cx: &mut Context<'_>, mode: &str) -> Outcome<Option<Buffer>> {
    let base = cx.height();
    let mut source = cx.new_buffer(0)?;
    let mut is_first = true;
    // Bytes that were looked through, counted each time.
    let mut looked = 0;
    loop {
        cx.push_at(0);
        if cx.pcall_seen(0, Some(1))?.is_err() {
            return Ok(None);
        }
        match cx.at(base) {
            View::Nil => break,
            View::String(s) => {
                let piece = s.as_bytes();
                if piece.is_empty() {
                    break;
                }
                let more = piece.len();
                cx.grow_buffer_collecting(&mut source, more)?;
                if let View::String(s) = cx.at(base) {
                    source.extend_from_slice(s.as_bytes());
                }
            }
            View::Integer(_) | View::Float(_) => {
                cx.push_tostring(base)?;
                if let View::String(s) = cx.at(base + 1) {
                    source.extend_from_slice(s.as_bytes());
                }
            }
            _ => {
                let mut message = cx.where_(1);
                message.extend_from_slice(b"reader function must return a string");
                cx.push_bytes(&message);
                return Ok(None);
            }
        }
        cx.set_height(base);
        // What may not be loaded is not read.
        if is_first && !cx.accepts_chunk(&source, mode) {
            return Ok(None);
        }
        is_first = false;
        cx.charge(1)?;
        if looked <= LOOK_CLOSELY + source.len() {
            looked += source.len();
            if cx.has_read_enough(&source)? {
                break;
            }
        }
    }
    cx.set_height(base);
    Ok(Some(source))
}

/// `loadfile ([filename [, mode [, env]]])`
pub(super) fn loadfile(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = name_argument(cx)?;
    let mode = mode_argument(cx, 1)?;
    let env = cx.has(2).then_some(2);
    let height = cx.height();
    let loaded = load_file(cx, name.as_deref(), &mode, Keep::Locals);
    let ok = or_message(cx, height, loaded)?;
    Ok(finish(cx, ok, env))
}

/// `dofile ([filename])`
pub(super) fn dofile(cx: &mut Context<'_>) -> Outcome<usize> {
    let name = name_argument(cx)?;
    cx.set_height(1);
    if !load_file(cx, name.as_deref(), "bt", Keep::Module)? {
        return Err(cx.raise_top());
    }
    cx.tail_call(0, false)
}

fn name_argument(cx: &Context<'_>) -> Outcome<Option<Vec<u8>>> {
    Ok(cx.opt_str(0)?.map(|s| s.as_bytes().to_vec()))
}

/// Bytes of a mode that are looked at and shown. A longer one would be a copy that
/// no limit counts.
const LONGEST_MODE: usize = 64;

fn mode_argument(cx: &Context<'_>, i: usize) -> Outcome<String> {
    Ok(match cx.opt_str(i)? {
        Some(mode) => {
            let mode = mode.as_bytes();
            let (shown, rest) = mode.split_at(mode.len().min(LONGEST_MODE));
            let mut text = String::from_utf8_lossy(shown).into_owned();
            for kind in ['b', 't'] {
                if rest.contains(&(kind as u8)) {
                    text.push(kind);
                }
            }
            text
        }
        None => "bt".to_owned(),
    })
}

/// Results of the loading functions: the function on top of the stack, with
/// its environment set, or `nil` and the message on top.
fn finish(cx: &Context<'_>, ok: bool, env: Option<usize>) -> usize {
    if !ok {
        cx.push_nil();
        cx.insert(cx.height() - 2);
        return 2;
    }
    if let Some(env) = env {
        let function = cx.height() - 1;
        cx.push_at(env);
        cx.set_first_upvalue(function);
    }
    1
}

/// Where a text was loaded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadedFrom {
    /// A file, whose path stands in the chunk's name behind `@`.
    File,
    /// The host's loader, which alone knows what the chunk's name means.
    Loader,
}

/// Who hears of the texts that are loaded from files and by the host's loader: whence,
/// name of the chunk, and the text.
type LoadListener = Rc<dyn Fn(LoadedFrom, &[u8], &[u8])>;

#[derive(Default)]
struct Listener(Option<LoadListener>);

/// From now on `listener` hears of every chunk that `require`, `dofile` and `loadfile`
/// load from a file or from the host's loader, right before it is compiled. It must
/// not use the VM.
pub fn listen_to_loads(cx: &Context<'_>, listener: Option<LoadListener>) {
    cx.host_state::<Listener>().borrow_mut().0 = listener;
}

/// Tells the listener, if there is one.
pub fn note_loaded(cx: &Context<'_>, from: LoadedFrom, chunk_name: &[u8], source: &[u8]) {
    let listener = cx.host_state::<Listener>().borrow().0.clone();
    if let Some(listener) = listener {
        listener(from, chunk_name, source);
    }
}

/// Compiles a file, or standard input without a name. Pushes the function, or
/// the message and answers false.
pub(crate) fn load_file(
    cx: &mut Context<'_>,
    name: Option<&[u8]>,
    mode: &str,
    keep: Keep,
) -> Outcome<bool> {
    let (source, chunk_name) = match name {
        None => (crate::io::read_stdin(cx)?, b"=stdin".to_vec()),
        Some(name) => {
            let mut source = cx.new_buffer(0)?;
            let problem = match File::open(failure::path(name)) {
                Err(error) => Some(("open", error)),
                Ok(mut file) => read_all(cx, &mut file, &mut source)?.map(|e| ("read", e)),
            };
            if let Some((what, error)) = problem {
                let mut message = format!("cannot {what} ").into_bytes();
                message.extend_from_slice(name);
                message.extend_from_slice(b": ");
                message.extend_from_slice(failure::text(&error).as_bytes());
                cx.push_bytes(&message);
                return Ok(false);
            }
            (source, [b"@", name].concat())
        }
    };
    if name.is_some() {
        note_loaded(cx, LoadedFrom::File, &chunk_name, &source);
    }
    cx.load(
        moonswap_compiler::skip_shebang(&source),
        &chunk_name,
        mode,
        keep,
    )
}

/// Reads a file to its end; answers why that was not possible.
fn read_all(
    cx: &mut Context<'_>,
    file: &mut File,
    source: &mut Buffer,
) -> Outcome<Option<std::io::Error>> {
    // Its size spares growing; one of unknown or huge size is read all the same.
    let size = file.metadata().map_or(0, |m| m.len()).min(1 << 20);
    cx.grow_buffer_collecting(source, size as usize + 1)?;
    let mut piece = [0; 8192];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(n) => {
                cx.grow_buffer_collecting(source, n)?;
                source.extend_from_slice(&piece[..n]);
                cx.charge(n)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Ok(Some(e)),
        }
    }
}
