//! `#[derive(FromLua)]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{DeriveInput, Result, parse_quote};

use crate::path::moonswap;

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let moonswap = moonswap();
    let (name, mut generics) = (&input.ident, input.generics.clone());
    let shown = name.unraw().to_string();
    let needed = parse_quote!(Self: ::core::clone::Clone + 'static);
    generics.make_where_clause().predicates.push(needed);
    let (of_impl, of_type, conditions) = generics.split_for_impl();
    Ok(quote! {
        impl #of_impl #moonswap::FromLua for #name #of_type #conditions {
            fn from_lua(
                value: #moonswap::Value,
                _: &#moonswap::Lua,
            ) -> #moonswap::Result<Self> {
                #moonswap::__private::clone_of(&value, #shown)
            }
        }
    })
}
