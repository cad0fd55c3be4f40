//! What a function of an `impl` block takes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Error, FnArg, GenericArgument, PathArguments, Receiver, Result, Signature, Type, TypeReference,
};

/// How a function takes its object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum This {
    None,
    Ref,
    Mut,
    Owned,
}

/// How a function takes the VM.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TakesLua {
    No,
    Ref,
    Owned,
}

/// How an argument goes from what Lua gives to what the function takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passing {
    AsIs,
    Ref,
    Mut,
    OptionRef,
    OptionMut,
}

/// An argument: the type that is converted from Lua, and how it is passed.
pub(crate) struct Argument {
    pub(crate) converted: TokenStream,
    pub(crate) passing: Passing,
}

/// What a function takes.
pub(crate) struct Takes {
    pub(crate) this: This,
    pub(crate) lua: TakesLua,
    pub(crate) arguments: Vec<Argument>,
}

impl Takes {
    pub(crate) fn of(signature: &Signature, moonswap: &TokenStream) -> Result<Self> {
        let generics = &signature.generics;
        if generics.type_params().next().is_some() || generics.const_params().next().is_some() {
            return Err(Error::new_spanned(
                generics,
                "a function with type parameters cannot be called from Lua; \
                 leave it out by `#[lua(skip)]`",
            ));
        }
        let mut takes = Self {
            this: This::None,
            lua: TakesLua::No,
            arguments: Vec::new(),
        };
        let mut is_first = true;
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(receiver) => takes.this = this(receiver)?,
                FnArg::Typed(typed) => {
                    let lua = std::mem::take(&mut is_first).then(|| takes_lua(&typed.ty));
                    match lua.unwrap_or(TakesLua::No) {
                        TakesLua::No => takes.arguments.push(argument(&typed.ty, moonswap)?),
                        found => takes.lua = found,
                    }
                }
            }
        }
        if takes.lua == TakesLua::Owned && signature.asyncness.is_none() {
            return Err(Error::new_spanned(
                &signature.inputs,
                "only an async function takes `Lua`; take `&Lua`",
            ));
        }
        Ok(takes)
    }

    /// Whether it takes nothing at all.
    pub(crate) fn is_bare(&self) -> bool {
        self.this == This::None && self.lua == TakesLua::No && self.arguments.is_empty()
    }
}

fn this(receiver: &Receiver) -> Result<This> {
    match &*receiver.ty {
        Type::Reference(reference) if reference.mutability.is_some() => Ok(This::Mut),
        Type::Reference(_) => Ok(This::Ref),
        Type::Path(path) if path.path.is_ident("Self") => Ok(This::Owned),
        other => Err(Error::new_spanned(
            other,
            "a method of Lua takes `&self`, `&mut self` or `self`",
        )),
    }
}

fn takes_lua(argument: &Type) -> TakesLua {
    match argument {
        Type::Reference(reference) if reference.mutability.is_none() && is_lua(&reference.elem) => {
            TakesLua::Ref
        }
        other if is_lua(other) => TakesLua::Owned,
        _ => TakesLua::No,
    }
}

/// `Lua`, `moonswap::Lua` and its like.
fn is_lua(argument: &Type) -> bool {
    let Type::Path(path) = argument else {
        return false;
    };
    let segments = &path.path.segments;
    segments.len() <= 2 && segments.last().is_some_and(|last| last.ident == "Lua")
}

/// The `T` of an `Option<T>`.
fn in_option(argument: &Type) -> Option<&Type> {
    let Type::Path(path) = argument else {
        return None;
    };
    let last = path
        .path
        .segments
        .last()
        .filter(|it| it.ident == "Option")?;
    let PathArguments::AngleBracketed(inner) = &last.arguments else {
        return None;
    };
    match inner.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

fn argument(argument: &Type, moonswap: &TokenStream) -> Result<Argument> {
    if let Type::Reference(reference) = argument {
        let (converted, is_mut) = borrowed(reference, moonswap)?;
        let passing = if is_mut { Passing::Mut } else { Passing::Ref };
        return Ok(Argument { converted, passing });
    }
    if let Some(Type::Reference(reference)) = in_option(argument) {
        let (converted, is_mut) = borrowed(reference, moonswap)?;
        return Ok(Argument {
            converted: quote!(::core::option::Option<#converted>),
            passing: if is_mut {
                Passing::OptionMut
            } else {
                Passing::OptionRef
            },
        });
    }
    Ok(Argument {
        converted: quote!(#argument),
        passing: Passing::AsIs,
    })
}

/// What keeps the value that a reference points to, and whether it may be changed.
fn borrowed(reference: &TypeReference, moonswap: &TokenStream) -> Result<(TokenStream, bool)> {
    let (inner, is_mut) = (&*reference.elem, reference.mutability.is_some());
    let is = |type_: &Type, name: &str| matches!(type_, Type::Path(it) if it.path.is_ident(name));
    let converted = match inner {
        text if is(text, "str") && !is_mut => quote!(#moonswap::BorrowedStr),
        Type::Slice(slice) if is(&slice.elem, "u8") && !is_mut => {
            quote!(#moonswap::BorrowedBytes)
        }
        text if is(text, "str") => return Err(no_reference(reference)),
        Type::Slice(_) => return Err(no_reference(reference)),
        _ if is_mut => quote!(#moonswap::UserDataRefMut<#inner>),
        _ => quote!(#moonswap::UserDataRef<#inner>),
    };
    Ok((converted, is_mut))
}

fn no_reference(reference: &TypeReference) -> Error {
    Error::new_spanned(
        reference,
        "Lua has no such reference; take `&str`, `&[u8]`, a reference to a userdata, \
         or a value (`Vec<T>`)",
    )
}
