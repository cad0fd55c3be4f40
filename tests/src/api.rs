//! The public items of a crate, read from its sources: types, methods, trait items,
//! variants, public fields, constants, aliases, macros. What implements a trait of the
//! standard library is not in it.

use std::collections::BTreeSet;
use std::path::Path;

use syn::{
    Attribute, Fields, ImplItem, Item, ItemImpl, ItemUse, Meta, TraitItem, Type, UseTree,
    Visibility,
};

/// Features that are on.
const FEATURES: [&str; 7] = [
    "lua54",
    "vendored",
    "async",
    "serde",
    "macros",
    "anyhow",
    "userdata-wrappers",
];

/// The names of the items: `Type`, `Type::item`, `macro!`. With `wide` also items that
/// are hidden from the documentation, and all names that stand where a macro of the crate
/// is used in or for a type: it may make items of them.
///
/// # Panics
/// If a source file cannot be read.
pub fn public_items(sources: &Path, wide: bool) -> BTreeSet<String> {
    let mut files = Vec::new();
    rust_files(sources, &mut files);
    let parsed: Vec<(String, syn::File)> = files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let name = path.strip_prefix(sources).expect("below").to_string_lossy();
            let file = syn::parse_file(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name.into_owned(), file)
        })
        .collect();
    let root = parsed
        .iter()
        .find(|(name, _)| name == "lib.rs")
        .expect("lib.rs");
    let mut names = BTreeSet::new();
    let mut modules = BTreeSet::new();
    exported(&root.1.items, &mut names, &mut modules);
    for (file, parsed) in &parsed {
        let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
        if modules.contains(module) && module != "prelude" {
            exported(&parsed.items, &mut names, &mut BTreeSet::new());
        }
    }
    let mut collector = Collector {
        names: &names,
        wide,
        found: BTreeSet::new(),
    };
    for (_, file) in &parsed {
        collector.collect(&file.items);
        if wide {
            collector.macros(&file.items);
        }
    }
    let mut items = collector.found;
    for (file, parsed) in &parsed {
        if file == "prelude.rs" {
            let mut prelude = BTreeSet::new();
            exported(&parsed.items, &mut prelude, &mut BTreeSet::new());
            items.extend(prelude.into_iter().map(|name| format!("prelude::{name}")));
        }
    }
    items.extend(names.into_iter().filter(|name| name.ends_with('!')));
    items
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    let entries = std::fs::read_dir(folder).expect("a folder");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// Whether a condition of `cfg` holds.
fn holds(condition: &Meta) -> bool {
    let parts = |list: &syn::MetaList| {
        list.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
            .map(|parts| parts.into_iter().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    match condition {
        Meta::List(list) if list.path.is_ident("not") => !parts(list).iter().any(holds),
        Meta::List(list) if list.path.is_ident("any") => parts(list).iter().any(holds),
        Meta::List(list) if list.path.is_ident("all") => parts(list).iter().all(holds),
        Meta::NameValue(pair) if pair.path.is_ident("feature") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(name),
                ..
            }) => FEATURES.contains(&name.value().as_str()),
            _ => false,
        },
        Meta::Path(path) => path.is_ident("unix"),
        _ => true,
    }
}

/// Whether it is there.
fn is_there(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|it| holds(&it))
        }
        _ => true,
    })
}

/// Whether the documentation leaves it out.
fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        _ => false,
    })
}

/// The names in tokens.
fn idents(tokens: proc_macro2::TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Group(group) => idents(group.stream(), found),
            proc_macro2::TokenTree::Ident(name) => {
                found.insert(name.to_string());
            }
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

/// The names that a module exports, and its public modules.
fn exported(items: &[Item], names: &mut BTreeSet<String>, modules: &mut BTreeSet<String>) {
    for item in items {
        let (attributes, visibility, name) = match item {
            Item::Use(ItemUse {
                attrs, vis, tree, ..
            }) => {
                if is_public(vis) && is_there(attrs) {
                    used(tree, names);
                }
                continue;
            }
            Item::Mod(it) => {
                if is_public(&it.vis) && is_there(&it.attrs) {
                    modules.insert(it.ident.to_string());
                    if let Some((_, inner)) = &it.content {
                        exported(inner, names, &mut BTreeSet::new());
                    }
                }
                continue;
            }
            Item::Struct(it) => (&it.attrs, &it.vis, &it.ident),
            Item::Enum(it) => (&it.attrs, &it.vis, &it.ident),
            Item::Trait(it) => (&it.attrs, &it.vis, &it.ident),
            Item::Type(it) => (&it.attrs, &it.vis, &it.ident),
            _ => continue,
        };
        if is_public(visibility) && is_there(attributes) {
            names.insert(name.to_string());
        }
    }
}

fn used(tree: &UseTree, names: &mut BTreeSet<String>) {
    match tree {
        UseTree::Path(path) if path.ident.to_string().ends_with("_derive") => {
            let mut macros = BTreeSet::new();
            used(&path.tree, &mut macros);
            names.extend(macros.into_iter().map(|name| format!("{name}!")));
        }
        UseTree::Path(path) => used(&path.tree, names),
        UseTree::Group(group) => group.items.iter().for_each(|tree| used(tree, names)),
        UseTree::Name(name) => {
            names.insert(name.ident.to_string());
        }
        UseTree::Rename(name) => {
            names.insert(name.rename.to_string());
        }
        UseTree::Glob(_) => {}
    }
}

/// Finds what the types among `names` have.
struct Collector<'n> {
    names: &'n BTreeSet<String>,
    wide: bool,
    found: BTreeSet<String>,
}

impl Collector<'_> {
    fn shows(&self, attributes: &[Attribute]) -> bool {
        is_there(attributes) && (self.wide || !is_hidden(attributes))
    }

    /// Adds a type, if it is one of the names.
    fn add(&mut self, attributes: &[Attribute], name: &syn::Ident) -> bool {
        let name = name.to_string();
        let wanted = self.shows(attributes) && self.names.contains(&name);
        if wanted {
            self.found.insert(name);
        }
        wanted
    }

    fn add_in(&mut self, type_: &syn::Ident, attributes: &[Attribute], name: &syn::Ident) {
        if self.shows(attributes) {
            self.found.insert(format!("{type_}::{name}"));
        }
    }

    fn collect(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Mod(it) if is_there(&it.attrs) => {
                    if let Some((_, inner)) = &it.content {
                        self.collect(inner);
                    }
                }
                Item::Struct(it) if self.add(&it.attrs, &it.ident) => {
                    let Fields::Named(fields) = &it.fields else {
                        continue;
                    };
                    for field in fields.named.iter().filter(|it| is_public(&it.vis)) {
                        if let Some(name) = &field.ident {
                            self.add_in(&it.ident, &field.attrs, name);
                        }
                    }
                }
                Item::Enum(it) if self.add(&it.attrs, &it.ident) => {
                    for variant in &it.variants {
                        self.add_in(&it.ident, &variant.attrs, &variant.ident);
                    }
                }
                Item::Type(it) => {
                    self.add(&it.attrs, &it.ident);
                }
                Item::Trait(it) if self.add(&it.attrs, &it.ident) => {
                    for item in &it.items {
                        match item {
                            TraitItem::Fn(f) => self.add_in(&it.ident, &f.attrs, &f.sig.ident),
                            TraitItem::Type(t) => self.add_in(&it.ident, &t.attrs, &t.ident),
                            TraitItem::Const(c) => self.add_in(&it.ident, &c.attrs, &c.ident),
                            _ => {}
                        }
                    }
                }
                Item::Impl(it) if it.trait_.is_none() && is_there(&it.attrs) => {
                    self.collect_impl(it);
                }
                _ => {}
            }
        }
    }

    fn collect_impl(&mut self, block: &ItemImpl) {
        let Some(type_) = named(&block.self_ty).filter(|it| self.names.contains(&it.to_string()))
        else {
            return;
        };
        for item in &block.items {
            match item {
                ImplItem::Fn(it) if is_public(&it.vis) => {
                    self.add_in(type_, &it.attrs, &it.sig.ident);
                }
                ImplItem::Const(it) if is_public(&it.vis) => {
                    self.add_in(type_, &it.attrs, &it.ident);
                }
                ImplItem::Macro(it) if self.wide => {
                    let mut made = BTreeSet::new();
                    idents(it.mac.tokens.clone(), &mut made);
                    let made = made.into_iter().map(|name| format!("{type_}::{name}"));
                    self.found.extend(made);
                }
                _ => {}
            }
        }
    }

    /// What the macros that a file uses may make for types that they name.
    fn macros(&mut self, items: &[Item]) {
        let (mut named, mut made) = (BTreeSet::new(), BTreeSet::new());
        for item in items {
            if let Item::Macro(it) = item {
                idents(it.mac.tokens.clone(), &mut named);
                idents(it.mac.tokens.clone(), &mut made);
            }
        }
        for type_ in named.iter().filter(|name| self.names.contains(*name)) {
            self.found.insert(type_.clone());
            let made = made.iter().map(|name| format!("{type_}::{name}"));
            self.found.extend(made);
        }
    }
}

/// The name of a type.
fn named(type_: &Type) -> Option<&syn::Ident> {
    let Type::Path(path) = type_ else {
        return None;
    };
    path.path.segments.last().map(|last| &last.ident)
}
