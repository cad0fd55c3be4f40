//! `chunk!`: tokens of Rust back to a text of Lua, and the variables in it.

use proc_macro2::{Delimiter, Group, Ident, LineColumn, Literal, Span, TokenStream, TokenTree};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Lit, Result};

use crate::path::moonswap;

/// A text that grows token by token, with the lines and the blanks of the source.
#[derive(Default)]
struct Text {
    lua: String,
    /// Where the last token ended.
    end: Option<LineColumn>,
    captured: Vec<Ident>,
}

impl Text {
    fn add(&mut self, text: &str, start: LineColumn, end: LineColumn) {
        if let Some(last) = self.end {
            if (start.line, start.column) < (last.line, last.column) {
                // Of another place, by way of a macro: no distance, but another token.
                self.lua.push(' ');
            }
            let lines = start.line.saturating_sub(last.line);
            let from = if lines == 0 { last.column } else { 0 };
            self.lua.extend(std::iter::repeat_n('\n', lines));
            let blanks = start.column.saturating_sub(from);
            self.lua.extend(std::iter::repeat_n(' ', blanks));
        }
        self.lua.push_str(text);
        self.end = Some(end);
    }

    fn add_group(&mut self, group: &Group) -> Result<()> {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => return self.add_tokens(group.stream()),
        };
        self.add_spanned(open, group.span_open());
        self.add_tokens(group.stream())?;
        self.add_spanned(close, group.span_close());
        Ok(())
    }

    fn add_spanned(&mut self, text: &str, span: Span) {
        self.add(text, span.start(), span.end());
    }

    fn add_tokens(&mut self, tokens: TokenStream) -> Result<()> {
        let mut tokens = tokens.into_iter();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Group(group) => self.add_group(&group)?,
                TokenTree::Punct(sign) if sign.as_char() == '$' => {
                    let Some(TokenTree::Ident(name)) = tokens.next() else {
                        return Err(Error::new(
                            sign.span(),
                            "`$` needs the name of a Rust variable behind it",
                        ));
                    };
                    let span = name.span();
                    self.add(&name.unraw().to_string(), sign.span().start(), span.end());
                    if !self.captured.contains(&name) {
                        self.captured.push(name);
                    }
                }
                other => {
                    let span = other.span();
                    // As it is written: `to_string` may write a literal anew.
                    let text = span.source_text().unwrap_or_else(|| other.to_string());
                    let text = match (&other, text.starts_with('r')) {
                        (TokenTree::Literal(literal), true) => raw_string(literal),
                        _ => text,
                    };
                    self.add_spanned(&text, span);
                }
            }
        }
        Ok(())
    }
}

/// A raw string of Rust, which Lua has in another form.
fn raw_string(literal: &Literal) -> String {
    let Lit::Str(text) = Lit::new(literal.clone()) else {
        return literal.to_string();
    };
    let mut lua = String::from('"');
    for byte in text.value().bytes() {
        match byte {
            b'"' | b'\\' => lua.extend(['\\', char::from(byte)]),
            b'\n' => lua.push_str("\\\n"),
            b' '..=b'~' => lua.push(char::from(byte)),
            _ => lua.push_str(&format!("\\{byte:03}")),
        }
    }
    lua.push('"');
    lua
}

pub(crate) fn expand(tokens: TokenStream) -> Result<TokenStream> {
    let moonswap = moonswap();
    let mut text = Text::default();
    text.add_tokens(tokens)?;
    let (lua, variables) = (text.lua, text.captured);
    let names: Vec<String> = variables
        .iter()
        .map(|name| name.unraw().to_string())
        .collect();
    if names.is_empty() {
        return Ok(quote!(#moonswap::__private::TextChunk(#lua)));
    }
    let environment = Ident::new("environment", Span::mixed_site());
    Ok(quote! {
        #moonswap::__private::CapturingChunk::new(
            #lua,
            move |#environment: &#moonswap::Table| -> #moonswap::Result<()> {
                #(#environment.raw_set(#names, #variables)?;)*
                ::core::result::Result::Ok(())
            },
        )
    })
}
