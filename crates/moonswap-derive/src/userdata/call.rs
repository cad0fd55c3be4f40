//! Closures that call a function of an `impl` block.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use super::signature::{Passing, Takes, TakesLua, This};

/// A function of an `impl` block, and how it is called.
pub(crate) struct Call<'i> {
    pub(crate) function: &'i Ident,
    pub(crate) takes: &'i Takes,
    pub(crate) is_async: bool,
    /// It answers no `Result`.
    pub(crate) infallible: bool,
}

fn own(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

impl Call<'_> {
    fn names(&self) -> Vec<Ident> {
        let n_arguments = self.takes.arguments.len();
        let name = |i| format_ident!("argument{i}", span = Span::mixed_site());
        (0..n_arguments).map(name).collect()
    }

    /// The arguments as a pattern with its type.
    fn pattern(&self) -> TokenStream {
        let arguments = self.takes.arguments.iter().zip(self.names());
        let patterns: Vec<_> = arguments
            .clone()
            .map(|(argument, name)| match argument.passing {
                Passing::Mut | Passing::OptionMut => quote!(mut #name),
                _ => quote!(#name),
            })
            .collect();
        let types: Vec<_> = arguments.map(|(argument, _)| &argument.converted).collect();
        quote!((#(#patterns),*): (#(#types),*))
    }

    /// What the function is called with.
    fn passed(&self) -> TokenStream {
        let mut passed = Vec::new();
        let (this, lua) = (own("this"), own("lua"));
        match self.takes.this {
            This::None => {}
            This::Ref if self.is_async => passed.push(quote!(&*#this)),
            This::Mut if self.is_async => passed.push(quote!(&mut *#this)),
            _ => passed.push(quote!(#this)),
        }
        match self.takes.lua {
            TakesLua::No => {}
            TakesLua::Ref if self.is_async => passed.push(quote!(&#lua)),
            _ => passed.push(quote!(#lua)),
        }
        for (argument, name) in self.takes.arguments.iter().zip(self.names()) {
            passed.push(match argument.passing {
                Passing::AsIs => quote!(#name),
                Passing::Ref => quote!(&*#name),
                Passing::Mut => quote!(&mut *#name),
                Passing::OptionRef => quote!(#name.as_deref()),
                Passing::OptionMut => quote!(#name.as_deref_mut()),
            });
        }
        quote!(#(#passed),*)
    }

    /// The closure. A getter has no arguments, not even none of them.
    pub(crate) fn closure(&self, is_getter: bool) -> TokenStream {
        let (this, lua) = (own("this"), own("lua"));
        let mut parameters = vec![match self.takes.lua {
            TakesLua::No => quote!(_),
            TakesLua::Ref | TakesLua::Owned => quote!(#lua),
        }];
        match self.takes.this {
            This::None => {}
            This::Mut if self.is_async => parameters.push(quote!(mut #this)),
            This::Ref | This::Mut | This::Owned => parameters.push(quote!(#this)),
        }
        if !is_getter {
            parameters.push(self.pattern());
        }
        let (function, passed) = (self.function, self.passed());
        let mut body = quote!(Self::#function(#passed));
        if self.is_async {
            body = quote!(#body.await);
        }
        if self.infallible {
            body = quote!(::core::result::Result::Ok(#body));
        }
        if self.is_async {
            body = quote!(async move { #body });
        }
        quote!(|#(#parameters),*| #body)
    }
}
