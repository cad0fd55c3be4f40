//! Which module imports which: no cycles within a crate, and no arrow against the
//! order of its folders.
//!
//! The graph is made of `use` and of paths that begin with `crate`, `super`, `self`
//! or the name of a child module. Modules of tests are left out. What a module
//! re-exports counts as an import of the place where it is defined; names that the
//! root of a crate re-exports are its public face and count for nothing.
//!
//! `cargo test -p moonswap-tests --test it -- imports --nocapture` prints the folders
//! of each crate with what they import.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::{files, root};

/// The folders and top-level files of each crate, lowest first: each may import
/// only what stands before it. Those on one line import each other's modules, which
/// have an order of their own or are listed below.
const FLOORS: &[(&str, &[&str])] = &[
    ("moonswap-number", &["arith", "parse", "write", "format"]),
    (
        "moonswap-bytecode",
        &[
            "form",
            "function_id",
            "positions",
            "varint",
            "watch",
            "opcode",
            "instruction",
            "effects",
            "prototype",
            "literal",
            "recent",
            "code_hash",
            "listing",
            "records",
            "registers",
            "verify",
            "dump",
        ],
    ),
    (
        "moonswap-compiler",
        &[
            "error",
            "chunk_name",
            "syntax",
            "lexer",
            "resolve",
            "parser",
            "codegen",
            "compile",
        ],
    ),
    (
        "moonswap-hotpatch",
        &[
            "encoding", "policy", "refusal", "patch", "manifest", "osr", "model", "compare",
            "build", "plan", "report", "file",
        ],
    ),
    (
        "moonswap-stdlib",
        &[
            "failure",
            "library",
            "string",
            "io",
            "base",
            "coroutine",
            "debug",
            "math",
            "os",
            "package",
            "table",
            "utf8",
            "bit32",
            "compat",
            "harmless",
            "profile",
        ],
    ),
    (
        "moonswap-vm",
        &[
            "sync",
            "contained",
            "error",
            "value",
            "object",
            "callee",
            "frame",
            "meta_event",
            "safepoint",
            "stress",
            "gc_stats",
            "type_map",
            "string heap table",
            "entry",
            "host_cell",
            "threads",
            "timer",
            "undo",
            "limits vm",
            "debug",
            "raise",
            "loader",
            "meta",
            "root",
            "host_data",
            "coroutine hook host interp unwind",
            "hotpatch",
            "machine",
            "text",
            "context",
        ],
    ),
    (
        "moonswap",
        &[
            "sealed",
            "error",
            "loader",
            "hot",
            "asynchronous debug_api lua lua_module scope serde user_data value",
            "macros",
            "watch",
            "worker",
            "prelude",
        ],
    ),
    (
        "moonswap-cli",
        &[
            "interrupt",
            "output",
            "answers",
            "policy_args",
            "words",
            "sandbox",
            "audit_verb",
            "check",
            "session",
            "prompt",
            "sources",
            "release",
            "tell",
            "lua_style",
            "patch_verb",
            "verbs",
        ],
    ),
];

/// Modules through which lower ones call those above them, and why.
const SEAMS: &[(&str, &str, &str)] = &[(
    "moonswap-vm",
    "hotpatch::seam",
    "running code tells hot patching of polls, calls of the host, errors and traps",
)];

/// How many modules of a crate import each other, and why. The number may only
/// become smaller.
const MUTUAL: &[(&str, usize, &str)] = &[(
    "moonswap-vm",
    26,
    "operations call functions, errors unwind them, coroutines switch between them; \
     requests, tickets and what waits for its safe point know each other",
)];

/// A place in the module tree of a crate: names from its root.
type Module = Vec<String>;

/// What one token is, groups taken apart.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Sign(char),
}

/// The modules of a crate, and what each one imports.
struct Graph {
    modules: BTreeMap<Module, Vec<Token>>,
    /// A name that a module re-exports, and its path there.
    exports: HashMap<(Module, String), Vec<String>>,
    edges: BTreeMap<Module, BTreeSet<Module>>,
}

/// The tokens of a source without its modules of tests.
fn tokens(stream: TokenStream, out: &mut Vec<Token>) {
    let mut is_test = false;
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(sign) if sign.as_char() == '#' => {
                if let Some(TokenTree::Group(group)) = trees.peek() {
                    is_test |= group.stream().to_string().replace(' ', "") == "cfg(test)";
                    trees.next();
                }
            }
            TokenTree::Ident(name) if is_test => {
                // `mod tests { … }`, or the item that follows.
                is_test = false;
                if name == "mod" {
                    trees.next();
                    trees.next();
                }
            }
            TokenTree::Ident(name) => out.push(Token::Name(name.to_string())),
            TokenTree::Punct(sign) => out.push(Token::Sign(sign.as_char())),
            TokenTree::Literal(_) => out.push(Token::Sign('"')),
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ('{', '}'),
                    _ => ('(', ')'),
                };
                out.push(Token::Sign(open));
                tokens(group.stream(), out);
                out.push(Token::Sign(close));
            }
        }
    }
}

fn is_sign(token: Option<&Token>, sign: char) -> bool {
    token == Some(&Token::Sign(sign))
}

/// Whether `::` stands at a place.
fn is_path(tokens: &[Token], at: usize) -> bool {
    is_sign(tokens.get(at), ':') && is_sign(tokens.get(at + 1), ':')
}

/// The paths of the tree of a `use` that begins at a place; answers its end.
fn use_tree(
    tokens: &[Token],
    mut at: usize,
    prefix: &[String],
    paths: &mut Vec<Vec<String>>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(at) {
            Some(Token::Name(name)) if name == "as" => {
                at += 2;
                continue;
            }
            Some(Token::Name(name)) => path.push(name.clone()),
            Some(Token::Sign('*')) => path.push("*".to_owned()),
            Some(Token::Sign(':')) => {}
            Some(Token::Sign('{')) => {
                at += 1;
                while !is_sign(tokens.get(at), '}') && at < tokens.len() {
                    at = use_tree(tokens, at, &path, paths);
                    if is_sign(tokens.get(at), ',') {
                        at += 1;
                    }
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
    }
    if path.last().is_some_and(|name| name == "self") && path.len() > 1 {
        path.pop();
    }
    paths.push(path);
    at
}

impl Graph {
    fn of(source: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for file in files(source, "rs") {
            let text = std::fs::read_to_string(&file).expect("readable");
            let relative = file.strip_prefix(source).expect("below").with_extension("");
            let mut module: Module = relative
                .iter()
                .map(|part| part.to_string_lossy().into_owned())
                .collect();
            if matches!(
                module.last().map(String::as_str),
                Some("mod" | "lib" | "main")
            ) {
                module.pop();
            }
            let mut found = Vec::new();
            let stream = TokenStream::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            tokens(stream, &mut found);
            modules.entry(module).or_insert(found);
        }
        let mut graph = Self {
            modules,
            exports: HashMap::new(),
            edges: BTreeMap::new(),
        };
        let all: Vec<Module> = graph.modules.keys().cloned().collect();
        for module in &all {
            for (is_public, path) in graph.uses(module) {
                if is_public && let Some(name) = path.last() {
                    let key = (module.clone(), name.clone());
                    graph.exports.insert(key, path);
                }
            }
        }
        for module in &all {
            let edges = graph.imports(module);
            graph.edges.insert(module.clone(), edges);
        }
        graph
    }

    /// The paths of all `use`, and whether they re-export.
    fn uses(&self, module: &Module) -> Vec<(bool, Vec<String>)> {
        let tokens = &self.modules[module];
        let mut found = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            if *token == Token::Name("use".to_owned()) {
                let is_public = at > 0
                    && (tokens[at - 1] == Token::Name("pub".to_owned())
                        || is_sign(tokens.get(at - 1), ')'));
                let mut paths = Vec::new();
                use_tree(tokens, at + 1, &[], &mut paths);
                found.extend(paths.into_iter().map(|path| (is_public, path)));
            }
        }
        found
    }

    /// The module that a path leads to.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut rest = path;
        let mut full = match path.first()?.as_str() {
            "crate" => {
                rest = &rest[1..];
                Module::new()
            }
            "super" | "self" => {
                let mut base = from.clone();
                while let Some((first, others)) = rest.split_first() {
                    match first.as_str() {
                        "super" => {
                            base.pop()?;
                        }
                        "self" => {}
                        _ => break,
                    }
                    rest = others;
                }
                base
            }
            child => {
                let mut module = from.clone();
                module.push(child.to_owned());
                self.modules.contains_key(&module).then(|| from.clone())?
            }
        };
        full.extend(rest.iter().cloned());
        let n = (0..=full.len())
            .rev()
            .find(|n| self.modules.contains_key(&full[..*n]))?;
        let module = full[..n].to_vec();
        let Some(name) = full.get(n) else {
            return Some(module);
        };
        match self.exports.get(&(module.clone(), name.clone())) {
            Some(_) if module.is_empty() => None,
            Some(path) if depth < 8 => self.resolve(&module, path, depth + 1),
            _ if module.is_empty() => None,
            _ => Some(module),
        }
    }

    fn imports(&self, module: &Module) -> BTreeSet<Module> {
        let mut paths: Vec<Vec<String>> = Vec::new();
        for (is_public, path) in self.uses(module) {
            let target = self.resolve(module, &path, 0);
            let is_child = target.is_some_and(|target| target.starts_with(module));
            if !(is_public && is_child) {
                paths.push(path);
            }
        }
        let tokens = &self.modules[module];
        let mut at = 0;
        while at < tokens.len() {
            let begins = at < 2 || !is_path(tokens, at - 2);
            if tokens[at] == Token::Name("use".to_owned()) {
                at = use_tree(tokens, at + 1, &[], &mut Vec::new());
                continue;
            }
            if let Token::Name(first) = &tokens[at]
                && begins
                && is_path(tokens, at + 1)
            {
                let mut path = vec![first.clone()];
                while is_path(tokens, at + 1)
                    && let Some(Token::Name(name)) = tokens.get(at + 3)
                {
                    path.push(name.clone());
                    at += 3;
                }
                paths.push(path);
            }
            at += 1;
        }
        let targets = paths
            .iter()
            .filter_map(|path| self.resolve(module, path, 0));
        targets.filter(|target| target != module).collect()
    }

    /// Imports of a seam by what is not in its folder count for nothing.
    fn leave_out(&mut self, seam: &str) {
        let seam: Module = seam.split("::").map(str::to_owned).collect();
        assert!(self.modules.contains_key(&seam), "there is no {seam:?}");
        for (module, targets) in &mut self.edges {
            if module.first() != seam.first() {
                targets.remove(&seam);
            }
        }
    }

    /// Groups of modules that import each other.
    fn cycles(&self) -> Vec<BTreeSet<String>> {
        let reach = |from: &Module| -> BTreeSet<&Module> {
            let mut seen = BTreeSet::new();
            let mut todo: Vec<&Module> = self.edges[from].iter().collect();
            while let Some(next) = todo.pop() {
                if seen.insert(next) {
                    todo.extend(&self.edges[next]);
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            self.edges.keys().map(|m| (m, reach(m))).collect();
        let mut groups = BTreeSet::new();
        for (module, seen) in &reached {
            if seen.contains(module) {
                let others = seen
                    .iter()
                    .filter(|other| reached[**other].contains(module));
                groups.insert(others.map(|other| other.join("::")).collect());
            }
        }
        groups.into_iter().collect()
    }

    /// What each folder imports of others.
    fn folders(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (module, targets) in &self.edges {
            let Some(folder) = module.first().filter(|folder| *folder != "tests") else {
                continue;
            };
            let entry = folders.entry(folder).or_default();
            let others = targets.iter().filter_map(|target| target.first());
            entry.extend(others.filter(|other| *other != folder).map(String::as_str));
        }
        folders
    }
}

fn crates() -> Vec<(String, Graph)> {
    let folder = root().join("crates");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .expect("crates")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into())
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
        .into_iter()
        .map(|name| {
            let mut graph = Graph::of(&folder.join(&name).join("src"));
            assert!(!graph.modules.is_empty(), "{name}");
            for (_, seam, reason) in SEAMS.iter().filter(|(of, ..)| *of == name) {
                assert!(reason.len() > 20, "{name}: a seam without a reason");
                graph.leave_out(seam);
            }
            (name, graph)
        })
        .collect()
}

#[test]
fn no_module_cycles() {
    let mut wrong = String::new();
    for (name, graph) in crates() {
        let known = MUTUAL.iter().find(|(of, ..)| *of == name);
        let allowed = known.map_or(0, |(_, n, reason)| {
            assert!(reason.len() > 20, "{name}: a number without a reason");
            *n
        });
        let groups = graph.cycles();
        let n: usize = groups.iter().map(BTreeSet::len).sum();
        if n == allowed {
            continue;
        }
        let _ = writeln!(
            wrong,
            "{name}: {n} modules import each other, {allowed} are known:"
        );
        for group in groups {
            let group: Vec<&str> = group.iter().map(String::as_str).collect();
            let _ = writeln!(wrong, "  {}", group.join(", "));
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn folders_import_only_lower_ones() {
    let all = crates();
    let mut wrong = String::new();
    for (name, floors) in FLOORS {
        let (_, graph) = all.iter().find(|(of, _)| of == name).expect("a crate");
        let folders = graph.folders();
        println!("{name}");
        for folder in floors.iter().flat_map(|floor| floor.split(' ')) {
            let Some(targets) = folders.get(folder) else {
                let _ = writeln!(wrong, "{name}: there is no {folder}");
                continue;
            };
            let targets: Vec<&str> = targets.iter().copied().collect();
            println!("  {folder} <- {}", targets.join(", "));
            let rank = |folder: &str| {
                let on = |floor: &&str| floor.split(' ').any(|name| name == folder);
                floors.iter().position(on)
            };
            for target in targets {
                let is_beside = floors.iter().any(|floor| {
                    let has = |name: &str| floor.split(' ').any(|other| other == name);
                    has(folder) && has(target)
                });
                if rank(target) >= rank(folder) && !is_beside {
                    let _ = writeln!(
                        wrong,
                        "{name}: {folder} imports {target}, which is above it"
                    );
                }
            }
        }
        for folder in folders.keys().filter(|folder| {
            !floors
                .iter()
                .any(|floor| floor.split(' ').any(|name| name == **folder))
        }) {
            let _ = writeln!(wrong, "{name}: {folder} has no place in the order");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn cycles_are_found() {
    let folder = std::env::temp_dir().join(format!("moonswap-imports-{}", std::process::id()));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("lib.rs", "mod a; mod b; mod c; pub use a::A;");
    write(
        "a.rs",
        "use crate::b::{self, c::D}; pub struct A; fn f() { b::g() }",
    );
    write(
        "b/mod.rs",
        "pub mod c; use super::a::A; #[cfg(test)] mod tests { use crate::c::C; }",
    );
    write("b/c.rs", "pub struct D;");
    write(
        "c.rs",
        "use crate::A; fn f() -> crate::b::c::D { loop {} } pub struct C;",
    );
    let graph = Graph::of(&folder);
    std::fs::remove_dir_all(&folder).expect("removed");
    let names = |module: &str| -> Vec<String> {
        let module: Module = module.split("::").map(str::to_owned).collect();
        graph.edges[&module]
            .iter()
            .map(|to| to.join("::"))
            .collect()
    };
    assert_eq!(names("a"), ["b", "b::c"]);
    assert_eq!(names("b"), ["a"]);
    assert_eq!(names("c"), ["b::c"]);
    let cycle = ["a".to_owned(), "b".to_owned()].into();
    assert_eq!(graph.cycles(), [cycle]);
}
