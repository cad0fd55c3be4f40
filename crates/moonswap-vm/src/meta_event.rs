//! Names of the metamethod events.

macro_rules! events {
    ($($name:ident = $text:literal),* $(,)?) => {
        /// A metamethod event. The first eight are cached as absent in
        /// `header.flags` of tables used as metatables (bit = number).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        // Some are only met by name, in libraries.
        #[allow(dead_code)]
        pub(crate) enum Event { $($name),* }
        impl Event {
            pub(crate) const NAMES: &'static [&'static str] = &[$($text),*];
            pub(crate) const COUNT: usize = Self::NAMES.len();
        }
    };
}

events! {
    Index = "__index", NewIndex = "__newindex", Gc = "__gc", Mode = "__mode",
    Len = "__len", Eq = "__eq", Call = "__call", Close = "__close",
    Add = "__add", Sub = "__sub", Mul = "__mul", Mod = "__mod", Pow = "__pow",
    Div = "__div", IntDiv = "__idiv", BitAnd = "__band", BitOr = "__bor",
    BitXor = "__bxor", ShiftLeft = "__shl", ShiftRight = "__shr",
    Negate = "__unm", BitNot = "__bnot", Lt = "__lt", Le = "__le",
    Concat = "__concat", Name = "__name", ToString = "__tostring",
    Metatable = "__metatable", Pairs = "__pairs",
}
