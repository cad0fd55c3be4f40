//! `Chunk`: source text on its way to a function.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use moonswap_vm::Keep;

use crate::value::handle::Handle;
use crate::value::raise::caught;
use crate::{
    Error, FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, LuaString, Result, Table, Value,
};

/// What can be loaded: texts, bytes, and paths of files.
///
/// ```
/// use moonswap::chunk::AsChunk;
/// use std::borrow::Cow;
/// struct Twice(&'static str);
/// impl AsChunk for Twice {
///     fn source<'a>(&self) -> std::io::Result<Cow<'a, [u8]>> {
///         Ok(Cow::Owned(self.0.repeat(2).into_bytes()))
///     }
/// }
/// let lua = moonswap::Lua::new();
/// lua.load(Twice("n = (n or 0) + 1 ")).exec()?;
/// assert_eq!(lua.globals().get::<i64>("n")?, 2);
/// # Ok::<(), moonswap::Error>(())
/// ```
pub trait AsChunk {
    /// A name, if it has one of its own.
    fn name(&self) -> Option<String> {
        None
    }

    /// Its environment, if it has one of its own.
    ///
    /// # Errors
    /// Of the conversions.
    fn environment(&self, lua: &Lua) -> Result<Option<Table>> {
        let _ = lua;
        Ok(None)
    }

    /// Text or binary, if it is known.
    fn mode(&self) -> Option<ChunkMode> {
        None
    }

    /// The text, or the binary chunk.
    ///
    /// # Errors
    /// Of reading it.
    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a;
}

macro_rules! chunks {
    ($($type:ty: |$it:ident| $bytes:expr;)*) => { $(
        impl AsChunk for $type {
            fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
            where
                Self: 'a,
            {
                let $it = self;
                Ok($bytes)
            }
        }
    )* };
}
chunks! {
    &str: |it| Cow::Borrowed(it.as_bytes());
    String: |it| Cow::Owned(it.as_bytes().to_vec());
    &String: |it| Cow::Borrowed(it.as_bytes());
    &[u8]: |it| Cow::Borrowed(it);
    Vec<u8>: |it| Cow::Owned(it.clone());
    &Vec<u8>: |it| Cow::Borrowed(it);
    Cow<'_, [u8]>: |it| Cow::Owned(it.to_vec());
    Cow<'_, str>: |it| Cow::Owned(it.as_bytes().to_vec());
    &LuaString: |it| Cow::Owned(it.to_bytes());
}

/// What can be the name of a chunk: texts and bytes.
pub trait ChunkName {
    /// The name.
    fn into_bytes(self) -> Vec<u8>;
}

macro_rules! names {
    ($($type:ty)*) => { $(
        impl ChunkName for $type {
            fn into_bytes(self) -> Vec<u8> {
                self.into()
            }
        }
    )* };
}
names! { &str String Vec<u8> &[u8] Box<[u8]> Cow<'_, [u8]> std::ffi::CString bstr::BString }

macro_rules! text_names {
    ($($type:ty)*) => { $(
        impl ChunkName for $type {
            fn into_bytes(self) -> Vec<u8> {
                String::from(self).into()
            }
        }
    )* };
}
text_names! { &String Cow<'_, str> Box<str> char }

impl<const N: usize> ChunkName for [u8; N] {
    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }
}
impl<const N: usize> ChunkName for &[u8; N] {
    fn into_bytes(self) -> Vec<u8> {
        self.into()
    }
}

impl<const N: usize> AsChunk for &[u8; N] {
    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        Ok(Cow::Borrowed(&self[..]))
    }
}

impl AsChunk for &Path {
    fn name(&self) -> Option<String> {
        Some(format!("@{}", self.display()))
    }

    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        std::fs::read(self).map(Cow::Owned)
    }
}

impl AsChunk for PathBuf {
    fn name(&self) -> Option<String> {
        self.as_path().name()
    }

    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        std::fs::read(self).map(Cow::Owned)
    }
}

impl<C: AsChunk + ?Sized> AsChunk for Box<C> {
    fn name(&self) -> Option<String> {
        (**self).name()
    }

    fn environment(&self, lua: &Lua) -> Result<Option<Table>> {
        (**self).environment(lua)
    }

    fn mode(&self) -> Option<ChunkMode> {
        (**self).mode()
    }

    fn source<'a>(&self) -> io::Result<Cow<'a, [u8]>>
    where
        Self: 'a,
    {
        (**self).source()
    }
}

/// Text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkMode {
    /// Source text.
    Text,
    /// A binary chunk, as [`Function::dump`] makes it.
    Binary,
}

/// Source text (or a binary chunk) that is about to be loaded; [`Lua::load`].
#[derive(Clone)]
#[must_use = "a chunk does nothing until it is run"]
pub struct Chunk<'a> {
    lua: Lua,
    source: Result<Cow<'a, [u8]>>,
    /// As it is known by; the text itself is the name otherwise.
    name: Option<Vec<u8>>,
    /// Where it was loaded from in the host's source, for [`Chunk::name`].
    location: String,
    environment: Result<Option<Table>>,
    mode: Option<ChunkMode>,
    keep: Keep,
}

impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.as_deref().map(String::from_utf8_lossy);
        let bytes = self.source.as_ref().map_or(0, |source| source.len());
        f.debug_struct("Chunk")
            .field("name", &name)
            .field("bytes", &bytes)
            .finish_non_exhaustive()
    }
}

impl Lua {
    /// Source text to be run, or a file by its path.
    ///
    /// ```
    /// # use moonswap::Lua;
    /// let lua = Lua::new();
    /// assert_eq!(lua.load("1 + 1").eval::<i64>()?, 2);
    /// lua.load("function f() return 3 end").set_name("@f.lua").exec()?;
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    #[track_caller]
    pub fn load<'a>(&self, chunk: impl AsChunk + 'a) -> Chunk<'a> {
        let name = chunk.name().map(String::into_bytes);
        Chunk {
            lua: self.clone(),
            location: location(),
            keep: match name {
                Some(_) => Keep::Module,
                None => Keep::Captured,
            },
            name,
            environment: chunk.environment(self),
            mode: chunk.mode(),
            source: chunk.source().map_err(Error::from),
        }
    }
}

#[track_caller]
fn location() -> String {
    format!("@{}", std::panic::Location::caller())
}

impl Chunk<'_> {
    /// Its name; where it was loaded in the host's source, if it was given none.
    pub fn name(&self) -> &str {
        match &self.name {
            Some(name) => std::str::from_utf8(name).unwrap_or(""),
            None => &self.location,
        }
    }

    /// Names it as Lua's `load` does: `@file`, `=shown as it is`, else the text
    /// itself. The name is how patches find it; all top-level locals of a named
    /// chunk can be used by later patches. The newest 1,024 names are known to
    /// patches even if no function of theirs is left; the others as long as one is.
    pub fn set_name(mut self, name: impl ChunkName) -> Self {
        self.name = Some(name.into_bytes());
        self.keep = Keep::Module;
        self
    }

    /// Keeps no record of its top-level locals, as `load` in Lua does: for text
    /// that has a name and runs once, e.g. a line at a prompt.
    pub fn transient(mut self) -> Self {
        self.keep = Keep::Captured;
        self
    }

    /// Its `_ENV`; the globals otherwise.
    pub fn set_environment(mut self, environment: Table) -> Self {
        self.environment = Ok(Some(environment));
        self
    }

    /// The environment that it was given.
    pub fn environment(&self) -> Option<&Table> {
        self.environment.as_ref().ok()?.as_ref()
    }

    /// Text or binary: as it was set, else as its first byte says.
    pub fn mode(&self) -> ChunkMode {
        let is_binary = || matches!(&self.source, Ok(source) if source.starts_with(b"\x1b"));
        self.mode.unwrap_or_else(|| match is_binary() {
            true => ChunkMode::Binary,
            false => ChunkMode::Text,
        })
    }

    /// Loads it only if it is of this mode.
    pub fn set_mode(mut self, mode: ChunkMode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Compiles it; the main chunk is the function's body.
    ///
    /// # Errors
    /// [`Error::SyntaxError`], and those of reading it.
    pub fn into_function(self) -> Result<Function> {
        let source = self.source.clone()?;
        self.compiled(&source, self.keep)
    }

    fn compiled(&self, source: &[u8], keep: Keep) -> Result<Function> {
        let lua = &self.lua;
        let whole = self.source.as_ref().map_err(Error::clone)?;
        let name = self.name.as_deref().unwrap_or(whole);
        let environment = self.environment.clone()?;
        let mode = match self.mode {
            None => "bt",
            Some(ChunkMode::Text) => "t",
            Some(ChunkMode::Binary) => "b",
        };
        lua.attempt(|cx| {
            let at = cx.height();
            if !cx.accepts_chunk(source, mode) {
                let plain = crate::value::raise::take_error(cx);
                return Err(Error::SyntaxError {
                    message: plain.to_string(),
                    incomplete_input: false,
                    details: None,
                });
            }
            match cx.load(source, name, mode, keep) {
                Ok(true) => {}
                Ok(false) => {
                    let plain = crate::value::raise::take_error(cx);
                    return Err(syntax_error(source, name, plain));
                }
                Err(raised) => return Err(caught(cx, raised)),
            }
            if let Some(environment) = &environment {
                environment.0.push(lua, cx)?;
                cx.set_first_upvalue(at);
            }
            Ok(Function(Handle::pop(lua, cx)))
        })
    }

    /// Runs it.
    ///
    /// # Errors
    /// Of compiling it, and what it raises.
    pub fn exec(self) -> Result<()> {
        self.call(())
    }

    /// Runs it, or evaluates it if it is an expression.
    ///
    /// # Errors
    /// Of compiling it, what it raises, the conversions.
    pub fn eval<R: FromLuaMulti>(self) -> Result<R> {
        self.evaluated()?.call(())
    }

    /// The function of it as an expression, or else as statements.
    pub(crate) fn evaluated(&self) -> Result<Function> {
        let source = self.source.as_ref().map_err(Error::clone)?;
        if self.mode() == ChunkMode::Binary {
            return self.compiled(source, self.keep);
        }
        let as_expression = [b"return ", &source[..]].concat();
        match self.compiled(&as_expression, Keep::Captured) {
            Ok(function) => Ok(function),
            Err(error) if error.is_limit() => Err(error),
            Err(_) => self.compiled(source, self.keep),
        }
    }

    /// Runs it with arguments (`...`).
    ///
    /// # Errors
    /// Of compiling it, what it raises, the conversions.
    pub fn call<R: FromLuaMulti>(self, arguments: impl IntoLuaMulti) -> Result<R> {
        self.into_function()?.call(arguments)
    }

    /// A chunk that becomes a function when it is given to Lua.
    ///
    /// ```
    /// use moonswap::{Lua, chunk::Chunk};
    /// let lua = Lua::new();
    /// lua.globals().set("seven", Chunk::wrap("return 7"))?;
    /// assert_eq!(lua.load("seven()").eval::<i64>()?, 7);
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    #[track_caller]
    pub fn wrap(chunk: impl AsChunk) -> impl IntoLua {
        Wrapped(chunk, location())
    }
}

struct Wrapped<C>(C, String);

impl<C: AsChunk> IntoLua for Wrapped<C> {
    fn into_lua(self, lua: &Lua) -> Result<Value> {
        let name = self.0.name().unwrap_or(self.1);
        let chunk = lua.load(self.0).set_name(name).transient();
        chunk.into_function().map(Value::Function)
    }
}

/// The compiler's own error with its span, which `load`'s message lacks.
fn syntax_error(source: &[u8], name: &[u8], plain: Error) -> Error {
    if source.starts_with(b"\x1b") {
        return plain;
    }
    match moonswap_compiler::compile(&String::from_utf8_lossy(name), source) {
        Err(error) => Error::compile(error, source),
        Ok(_) => plain,
    }
}
