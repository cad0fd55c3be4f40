//! Chunk names as messages show them, and the prefix of a file that is not
//! Lua: a byte-order mark and a `#` line. Pure text, no file is opened here.

/// Room for a displayed name, with the terminating NUL of the C
/// implementation: its `LUA_IDSIZE`. Scripts see the truncation.
const ID_SIZE: usize = 60;

const DOTS: &[u8] = b"...";
const STRING_OPEN: &[u8] = b"[string \"";
const STRING_CLOSE: &[u8] = b"\"]";

/// The form of a chunk name that error messages and tracebacks show, as
/// `luaO_chunkid` makes it: `=name` is shown as it is (cut at the end),
/// `@file` without the `@` (cut at the start, behind `...`), and anything else
/// is the text of the chunk, of which the first line is shown as
/// `[string "..."]`. At most 59 bytes.
///
/// A NUL ends the name: for standard Lua chunk names are C strings.
pub fn chunk_display(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_chunk_display(name, |piece| out.extend_from_slice(piece));
    out
}

/// The same in up to four pieces, for texts that are made without allocating.
pub fn put_chunk_display(name: &[u8], mut put: impl FnMut(&[u8])) {
    let name = match memchr::memchr(0, name) {
        Some(end) => &name[..end],
        None => name,
    };
    match name.split_first() {
        Some((b'=', name)) => put(&name[..name.len().min(ID_SIZE - 1)]),
        Some((b'@', name)) if name.len() < ID_SIZE => put(name),
        Some((b'@', name)) => {
            let kept = ID_SIZE - 1 - DOTS.len();
            put(DOTS);
            put(&name[name.len() - kept..]);
        }
        _ => {
            let room = ID_SIZE - STRING_OPEN.len() - DOTS.len() - STRING_CLOSE.len() - 1;
            let line_end = memchr::memchr(b'\n', name);
            put(STRING_OPEN);
            if line_end.is_none() && name.len() < room {
                put(name);
            } else {
                let line = &name[..line_end.unwrap_or(name.len())];
                put(&line[..line.len().min(room)]);
                put(DOTS);
            }
            put(STRING_CLOSE);
        }
    }
}

/// The text of a *file* without what `loadfile` skips: a UTF-8 byte-order mark
/// and a first line that starts with `#` (for scripts that name their
/// interpreter). The newline of that line stays, so that lines keep their
/// numbers; before a binary chunk it has to go.
pub fn skip_shebang(source: &[u8]) -> &[u8] {
    let source = source.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(source);
    if source.first() != Some(&b'#') {
        return source;
    }
    match memchr::memchr(b'\n', source) {
        Some(newline) if source.get(newline + 1) == Some(&0x1B) => &source[newline + 1..],
        Some(newline) => &source[newline..],
        None => &[],
    }
}
