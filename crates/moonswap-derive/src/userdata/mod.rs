//! `#[derive(UserData)]` and `#[userdata_impl]`.

mod call;
pub(crate) mod fields;
pub(crate) mod items;
mod options;
mod signature;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;

/// What is there under a condition is registered under the same.
fn under_its_conditions(attributes: &[Attribute], tokens: TokenStream) -> TokenStream {
    let conditions = attributes.iter().filter(|it| it.path().is_ident("cfg"));
    quote!(#(#conditions)* { #tokens })
}
