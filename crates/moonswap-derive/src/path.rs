//! What the crate `moonswap` is called where a macro is used.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

/// The path of the crate. Programs that came from mlua call it `mlua`.
pub(crate) fn moonswap() -> TokenStream {
    let name = match crate_name("moonswap") {
        Ok(FoundCrate::Name(name)) => name,
        // Its own tests and examples, and what no manifest tells.
        Ok(FoundCrate::Itself) | Err(_) => "moonswap".to_owned(),
    };
    let name = Ident::new(&name, Span::call_site());
    quote!(::#name)
}
