//! `#[derive(UserData)]`: the fields of a struct.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Data, DeriveInput, Error, Field, Fields, Result};

use super::options::Options;
use super::under_its_conditions;
use crate::path::moonswap;

const ALLOWED: &[&str] = &["get", "set", "skip"];

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let moonswap = moonswap();
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "a type with parameters cannot be a userdata by derive; implement `UserData`, \
             or derive it for a newtype",
        ));
    }
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => fields.named.iter().collect(),
            Fields::Unnamed(_) | Fields::Unit => Vec::new(),
        },
        Data::Enum(_) => Vec::new(),
        Data::Union(_) => {
            let message = "a union cannot be a userdata by derive; implement `UserData`";
            return Err(Error::new_spanned(&input.ident, message));
        }
    };
    let name = &input.ident;
    let registry = Ident::new("registry", Span::mixed_site());
    let added: Result<Vec<_>> = fields.into_iter().map(|it| field(it, &registry)).collect();
    let added = added?;
    Ok(quote! {
        impl #moonswap::UserData for #name {
            fn register(#registry: &mut #moonswap::UserDataRegistry<Self>) {
                #[allow(unused_imports)]
                use #moonswap::UserDataFields as _;
                #(#added)*
                #moonswap::__private::register_items(#registry);
            }
        }
    })
}

/// The statements that add one field.
fn field(field: &Field, registry: &Ident) -> Result<TokenStream> {
    let options = Options::of(&field.attrs, "a field", ALLOWED)?;
    let Some(own) = field.ident.as_ref().filter(|_| !options.has("skip")) else {
        return Ok(TokenStream::new());
    };
    let name = options.name(own);
    let both = !options.has("get") && !options.has("set");
    let mut added = TokenStream::new();
    if both || options.has("get") {
        added.extend(quote! {
            #registry.add_field_method_get(#name, |_, this| {
                ::core::result::Result::Ok(::core::clone::Clone::clone(&this.#own))
            });
        });
    }
    if both || options.has("set") {
        added.extend(quote! {
            #registry.add_field_method_set(#name, |_, this, value| {
                this.#own = value;
                ::core::result::Result::Ok(())
            });
        });
    }
    Ok(under_its_conditions(&field.attrs, added))
}
