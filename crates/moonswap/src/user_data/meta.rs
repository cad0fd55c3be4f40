//! `MetaMethod`: the names of metamethods.

use std::fmt;

use crate::{Error, Result};

macro_rules! metamethods {
    ($($(#[$doc:meta])* $variant:ident $name:literal)*) => {
        /// The metamethods of Lua 5.4. Wherever one is wanted its name will do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum MetaMethod {
            $( $(#[$doc])* $variant, )*
        }

        impl MetaMethod {
            /// Its name in metatables.
            ///
            /// ```
            /// assert_eq!(moonswap::MetaMethod::Add.name(), "__add");
            /// ```
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }
        }
    };
}
metamethods! {
    /// `a + b`
    Add "__add"
    /// `a - b`
    Sub "__sub"
    /// `a * b`
    Mul "__mul"
    /// `a / b`
    Div "__div"
    /// `a % b`
    Mod "__mod"
    /// `a ^ b`
    Pow "__pow"
    /// `-a`
    Unm "__unm"
    /// `a // b`
    IDiv "__idiv"
    /// `a & b`
    BAnd "__band"
    /// `a | b`
    BOr "__bor"
    /// `a ~ b`
    BXor "__bxor"
    /// `~a`
    BNot "__bnot"
    /// `a << b`
    Shl "__shl"
    /// `a >> b`
    Shr "__shr"
    /// `a .. b`
    Concat "__concat"
    /// `#a`
    Len "__len"
    /// `a == b`
    Eq "__eq"
    /// `a < b`
    Lt "__lt"
    /// `a <= b`
    Le "__le"
    /// `a[key]`
    Index "__index"
    /// `a[key] = value`
    NewIndex "__newindex"
    /// `a(…)`
    Call "__call"
    /// `tostring(a)`
    ToString "__tostring"
    /// `{:#?}` of the handle in Rust
    ToDebugString "__todebugstring"
    /// `pairs(a)`
    Pairs "__pairs"
    /// the end of a variable with the attribute `close`
    Close "__close"
    /// the name of the type in messages
    #[doc(hidden)]
    Type "__name"
}

impl MetaMethod {
    /// Metamethods that are not the host's to set.
    pub(crate) fn check(name: &str) -> Result<&str> {
        match name {
            "__gc" | "__metatable" => Err(Error::MetaMethodRestricted(name.to_owned())),
            name => Ok(name),
        }
    }
}

impl PartialEq<MetaMethod> for &str {
    fn eq(&self, other: &MetaMethod) -> bool {
        *self == other.name()
    }
}
impl PartialEq<MetaMethod> for String {
    fn eq(&self, other: &MetaMethod) -> bool {
        self == other.name()
    }
}
impl fmt::Display for MetaMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
impl AsRef<str> for MetaMethod {
    fn as_ref(&self) -> &str {
        self.name()
    }
}
impl From<MetaMethod> for String {
    fn from(method: MetaMethod) -> Self {
        method.name().to_owned()
    }
}
