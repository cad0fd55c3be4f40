//! What `#[lua(…)]` says.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Ident, LitStr, Meta, Result};

/// The options of one field, function or constant.
#[derive(Default)]
pub(crate) struct Options {
    name: Option<String>,
    flags: Vec<(String, Span)>,
}

impl Options {
    /// What the attributes say, if that is allowed for `what`.
    pub(crate) fn of(attributes: &[Attribute], what: &str, allowed: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|it| it.path().is_ident("lua")) {
            match &attribute.meta {
                Meta::Path(_) => {}
                Meta::List(_) => options.read(attribute, what, allowed)?,
                Meta::NameValue(_) => {
                    let message = "write the options in parentheses: `#[lua(name = \"…\")]`";
                    return Err(Error::new(attribute.span(), message));
                }
            }
        }
        Ok(options)
    }

    fn read(&mut self, attribute: &Attribute, what: &str, allowed: &[&str]) -> Result<()> {
        attribute.parse_nested_meta(|option| {
            if option.path.is_ident("name") {
                self.name = Some(option.value()?.parse::<LitStr>()?.value());
                return Ok(());
            }
            let Some(flag) = option.path.get_ident().map(ToString::to_string) else {
                return Err(option.error("an option is one word"));
            };
            if !allowed.contains(&flag.as_str()) {
                let allowed = allowed.join("`, `");
                let message = format!("{what} cannot be `{flag}`; it can be `{allowed}`, `name`");
                return Err(option.error(message));
            }
            self.flags.push((flag, option.path.span()));
            Ok(())
        })
    }

    pub(crate) fn has(&self, flag: &str) -> bool {
        self.span(flag).is_some()
    }

    pub(crate) fn span(&self, flag: &str) -> Option<Span> {
        let found = self.flags.iter().find(|(name, _)| name == flag);
        found.map(|(_, span)| *span)
    }

    /// Its name in Lua.
    pub(crate) fn name(&self, own: &Ident) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None => own.unraw().to_string(),
        }
    }

    /// Its name as a metamethod.
    pub(crate) fn meta_name(&self, own: &Ident) -> Result<String> {
        let name = self.name(own);
        if self.name.is_none() && !name.starts_with("__") {
            let message = format!(
                "`{name}` is not the name of a metamethod; \
                 say which it is by `name = \"__…\"`, or call the function so"
            );
            return Err(Error::new(own.span(), message));
        }
        Ok(name)
    }
}
