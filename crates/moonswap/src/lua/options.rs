//! Which libraries a VM has, and options of programs written for mlua.

use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, BitXor, BitXorAssign, Not};

/// Libraries beside the base library, as a set.
///
/// ```
/// use moonswap::StdLib;
/// let some = StdLib::STRING | StdLib::TABLE;
/// assert!(some.contains(StdLib::TABLE) && !some.contains(StdLib::IO));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StdLib(u32);

impl StdLib {
    /// `coroutine`
    pub const COROUTINE: Self = Self(1);
    /// `table`
    pub const TABLE: Self = Self(1 << 1);
    /// `io`
    pub const IO: Self = Self(1 << 2);
    /// `os`
    pub const OS: Self = Self(1 << 3);
    /// `string`
    pub const STRING: Self = Self(1 << 4);
    /// `utf8`
    pub const UTF8: Self = Self(1 << 5);
    /// `math`
    pub const MATH: Self = Self(1 << 7);
    /// `package`, with `require` and the `moonswap` module
    pub const PACKAGE: Self = Self(1 << 8);
    /// `debug`
    pub const DEBUG: Self = Self(1 << 31);
    /// none
    pub const NONE: Self = Self(0);
    /// all of them
    pub const ALL: Self = Self(u32::MAX);
    /// all but `debug`
    pub const ALL_SAFE: Self = Self((1 << 30) - 1);

    /// Whether all of `library` is in it.
    pub fn contains(self, library: Self) -> bool {
        self & library == library
    }

    pub(crate) fn has(self, name: &str) -> bool {
        let library = match name {
            "coroutine" => Self::COROUTINE,
            "table" => Self::TABLE,
            "io" => Self::IO,
            "os" => Self::OS,
            "string" => Self::STRING,
            "utf8" => Self::UTF8,
            "math" => Self::MATH,
            "package" => Self::PACKAGE,
            "debug" => Self::DEBUG,
            _ => return false,
        };
        self.contains(library)
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident $assign:ident $assign_method:ident $op:tt;)*) => { $(
        impl $trait for StdLib {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
        impl $assign for StdLib {
            fn $assign_method(&mut self, other: Self) {
                *self = Self(self.0 $op other.0);
            }
        }
    )* };
}
operators! {
    BitAnd bitand BitAndAssign bitand_assign &;
    BitOr bitor BitOrAssign bitor_assign |;
    BitXor bitxor BitXorAssign bitxor_assign ^;
}

impl Not for StdLib {
    type Output = Self;
    fn not(self) -> Self {
        Self(!self.0)
    }
}

/// Options of a VM that programs written for mlua give.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LuaOptions {
    /// Whether `pcall` catches panics of Rust functions. If not, they pass it, and
    /// variables that were to be closed are not.
    pub catch_rust_panics: bool,
    /// How many coroutines are kept for later use. Here the VM decides.
    pub thread_pool_size: usize,
}

impl Default for LuaOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LuaOptions {
    /// The usual ones.
    pub const fn new() -> Self {
        Self {
            catch_rust_panics: true,
            thread_pool_size: 0,
        }
    }

    /// Sets [`LuaOptions::catch_rust_panics`].
    #[must_use]
    pub const fn catch_rust_panics(mut self, on: bool) -> Self {
        self.catch_rust_panics = on;
        self
    }

    /// Sets [`LuaOptions::thread_pool_size`].
    #[must_use]
    pub const fn thread_pool_size(mut self, size: usize) -> Self {
        self.thread_pool_size = size;
        self
    }
}
