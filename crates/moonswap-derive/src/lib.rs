//! The macros of moonswap. Use them by way of the crate `moonswap`, feature `macros`.
#![forbid(unsafe_code)]

mod chunk;
mod from_lua;
mod path;
mod userdata;

use proc_macro::TokenStream;

/// What a macro becomes: code, or where it is wrong.
fn expand(result: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    result
        .unwrap_or_else(|error| error.to_compile_error())
        .into()
}

/// Lua code inside Rust, as something that [`Lua::load`] takes. `$name` is the Rust
/// variable of that name. The macro takes the variables that it uses.
///
/// The code has to be tokens of Rust: strings stand in double quotes or are raw
/// strings of Rust without `#`, `//` begins a comment of Rust, and comments of Lua have
/// balanced quotes and brackets. Lines are counted from the first token.
///
/// [`Lua::load`]: https://docs.rs/moonswap/latest/moonswap/struct.Lua.html#method.load
#[proc_macro]
pub fn chunk(input: TokenStream) -> TokenStream {
    expand(chunk::expand(input.into()))
}

/// A type that is `Clone` and a userdata, as an argument of functions and a result of
/// calls: it is cloned out of the userdata.
#[proc_macro_derive(FromLua)]
pub fn from_lua(input: TokenStream) -> TokenStream {
    expand(syn::parse(input).and_then(|input| from_lua::expand(&input)))
}

/// Makes a type a userdata, with its named fields as fields of Lua. Fields are `Clone`
/// and can be converted from and to Lua.
///
/// A field can have `#[lua(…)]` with
/// - `get`, `set`: it can only be read, only be written; with neither it can be both;
/// - `name = "…"`: its name in Lua;
/// - `skip`: Lua does not see it.
///
/// Methods are added by `#[userdata_impl]`.
#[proc_macro_derive(UserData, attributes(lua))]
pub fn user_data(input: TokenStream) -> TokenStream {
    expand(syn::parse(input).and_then(|input| userdata::fields::expand(&input)))
}

/// On an `impl` block of a type with `#[derive(UserData)]`: its functions and constants
/// are there in Lua. A type can have many such blocks, in any module of its crate.
///
/// What a function becomes depends on its receiver: `&self`, `&mut self` and `self` make
/// methods, no receiver makes a plain function. The first argument can be `&Lua`, in
/// `async` functions `Lua` as well. Arguments can be `&str`, `&[u8]`, `&T` and `&mut T`
/// of userdata, and `Option`s of those. A function answers a `moonswap::Result`.
///
/// An item can have `#[lua(…)]` with
/// - `infallible`: the function answers its result without `Result`;
/// - `name = "…"`: its name in Lua;
/// - `getter`, `setter`: reads or writes a field;
/// - `field`: a field whose value the function makes when the type is registered;
/// - `meta`: a metamethod, which has a name with `__` in front; with `field`, or on a
///   constant, a field of the metatable;
/// - `skip`: Lua does not see it.
#[proc_macro_attribute]
pub fn userdata_impl(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(userdata::items::expand(arguments.into(), item.into()))
}
