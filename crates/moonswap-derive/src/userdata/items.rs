//! `#[userdata_impl]`: the functions and constants of an `impl` block.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Error, ImplItem, ImplItemConst, ImplItemFn, ItemImpl, Result, Type};

use super::call::Call;
use super::options::Options;
use super::signature::{Takes, This};
use super::under_its_conditions;
use crate::path::moonswap;

const OF_CONSTANTS: &[&str] = &["meta", "skip"];
const OF_FUNCTIONS: &[&str] = &["infallible", "getter", "setter", "field", "meta", "skip"];

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    if !arguments.is_empty() {
        let message =
            "`userdata_impl` has no arguments; options stand on the items, in `#[lua(…)]`";
        return Err(Error::new_spanned(arguments, message));
    }
    let mut item: ItemImpl = syn::parse2(item)?;
    let has_generics = !item.generics.params.is_empty() || item.generics.where_clause.is_some();
    if has_generics || item.trait_.is_some() || !matches!(*item.self_ty, Type::Path(_)) {
        return Err(Error::new_spanned(
            &item.self_ty,
            "`userdata_impl` is for `impl` blocks of a type without parameters, not of a trait",
        ));
    }
    let moonswap = moonswap();
    let registry = Ident::new("registry", Span::mixed_site());
    let mut added = Vec::new();
    for item in &mut item.items {
        let (attributes, statements) = match item {
            ImplItem::Const(it) => {
                let statements = constant(it, &registry)?;
                (&mut it.attrs, statements)
            }
            ImplItem::Fn(it) => {
                let statements = function(it, &registry, &moonswap)?;
                (&mut it.attrs, statements)
            }
            _ => continue,
        };
        added.push(under_its_conditions(attributes, statements));
        attributes.retain(|it| !it.path().is_ident("lua"));
    }
    let type_ = &item.self_ty;
    // A trait, for in its functions `Self` is the type.
    Ok(quote! {
        #item
        const _: () = {
            trait __MoonswapItems: Sized {
                fn add_items(registry: &mut #moonswap::UserDataRegistry<Self>);
            }
            impl __MoonswapItems for #type_ {
                fn add_items(#registry: &mut #moonswap::UserDataRegistry<Self>) {
                    #[allow(unused_imports)]
                    use #moonswap::{UserDataFields as _, UserDataMethods as _};
                    #(#added)*
                }
            }
            #moonswap::__private::submit! {
                #moonswap::__private::Items(|registry| {
                    if let ::core::option::Option::Some(registry) = registry.downcast_mut() {
                        <#type_ as __MoonswapItems>::add_items(registry);
                    }
                })
            }
        };
    })
}

/// The statement that adds a constant.
fn constant(item: &ImplItemConst, registry: &Ident) -> Result<TokenStream> {
    let options = Options::of(&item.attrs, "a constant", OF_CONSTANTS)?;
    if options.has("skip") {
        return Ok(TokenStream::new());
    }
    let own = &item.ident;
    if options.has("meta") {
        let name = options.meta_name(own)?;
        return Ok(quote!(#registry.add_meta_field(#name, Self::#own);));
    }
    let name = options.name(own);
    Ok(quote!(#registry.add_field(#name, Self::#own);))
}

/// What a function is for Lua.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Method,
    Meta,
    Getter,
    Setter,
    Field,
    MetaField,
}

impl Role {
    fn of(options: &Options) -> Result<Self> {
        let roles: Vec<&str> = ["getter", "setter", "field", "meta"]
            .into_iter()
            .filter(|role| options.has(role))
            .collect();
        match roles[..] {
            [] => Ok(Self::Method),
            ["meta"] => Ok(Self::Meta),
            ["getter"] => Ok(Self::Getter),
            ["setter"] => Ok(Self::Setter),
            ["field"] => Ok(Self::Field),
            ["field", "meta"] => Ok(Self::MetaField),
            [first, second, ..] => {
                let span = options.span(second).unwrap_or_else(Span::call_site);
                let message = format!(
                    "a function is not both `{first}` and `{second}`; only `field` and `meta` go together"
                );
                Err(Error::new(span, message))
            }
            [_] => Ok(Self::Method),
        }
    }

    /// What is wrong with a function that has this role.
    fn complaint(self, takes: &Takes, is_async: bool) -> Option<&'static str> {
        let n_arguments = takes.arguments.len();
        match self {
            Self::Method => None,
            Self::Meta if takes.this == This::Owned => {
                Some("a metamethod takes `&self` or `&mut self`, or no object")
            }
            Self::Meta => None,
            _ if is_async => Some("a field cannot wait: the function must not be async"),
            Self::Getter if takes.this != This::Ref => Some("a getter takes `&self`"),
            Self::Getter if n_arguments > 0 => {
                Some("a getter takes nothing but the object and `&Lua`")
            }
            Self::Setter if !matches!(takes.this, This::Ref | This::Mut) => {
                Some("a setter takes `&mut self` or `&self`")
            }
            Self::Setter if n_arguments != 1 => Some("a setter takes one value"),
            Self::Field | Self::MetaField if takes.this != This::None => {
                Some("the value of a field is the same for all objects: take no object")
            }
            Self::Field | Self::MetaField if !takes.is_bare() => {
                Some("the function that makes a field takes nothing")
            }
            Self::Getter | Self::Setter | Self::Field | Self::MetaField => None,
        }
    }
}

/// The statement that adds a function.
fn function(item: &ImplItemFn, registry: &Ident, moonswap: &TokenStream) -> Result<TokenStream> {
    let options = Options::of(&item.attrs, "a function", OF_FUNCTIONS)?;
    if options.has("skip") {
        return Ok(TokenStream::new());
    }
    let role = Role::of(&options)?;
    let takes = Takes::of(&item.sig, moonswap)?;
    let is_async = item.sig.asyncness.is_some();
    if let Some(complaint) = role.complaint(&takes, is_async) {
        return Err(Error::new_spanned(&item.sig, complaint));
    }
    let own = &item.sig.ident;
    let name = match role {
        Role::Meta | Role::MetaField => options.meta_name(own)?,
        _ => options.name(own),
    };
    let call = Call {
        function: own,
        takes: &takes,
        is_async,
        infallible: options.has("infallible"),
    };
    let closure = call.closure(role == Role::Getter);
    let add = match (role, takes.this, is_async) {
        (Role::Field, ..) => return Ok(quote!(#registry.add_field(#name, Self::#own());)),
        (Role::MetaField, ..) => {
            return Ok(quote!(#registry.add_meta_field(#name, Self::#own());));
        }
        (Role::Getter, ..) => "add_field_method_get",
        (Role::Setter, ..) => "add_field_method_set",
        (Role::Method, This::None, false) => "add_function",
        (Role::Method, This::Ref, false) => "add_method",
        (Role::Method, This::Mut, false) => "add_method_mut",
        (Role::Method, This::Owned, false) => "add_method_once",
        (Role::Method, This::None, true) => "add_async_function",
        (Role::Method, This::Ref, true) => "add_async_method",
        (Role::Method, This::Mut, true) => "add_async_method_mut",
        (Role::Method, This::Owned, true) => "add_async_method_once",
        (Role::Meta, This::None, false) => "add_meta_function",
        (Role::Meta, This::Mut, false) => "add_meta_method_mut",
        (Role::Meta, _, false) => "add_meta_method",
        (Role::Meta, This::None, true) => "add_async_meta_function",
        (Role::Meta, This::Mut, true) => "add_async_meta_method_mut",
        (Role::Meta, _, true) => "add_async_meta_method",
    };
    let add = Ident::new(add, Span::call_site());
    Ok(quote!(#registry.#add(#name, #closure);))
}
