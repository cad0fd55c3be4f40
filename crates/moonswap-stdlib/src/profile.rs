//! Profiles: what a program in a VM can reach. The lists of names are complete, so
//! that a function added to a library is not handed out before somebody decides.

use moonswap_vm::context::{Context, Outcome, View};

/// What the program in a VM can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// All libraries.
    #[default]
    Full,
    /// All libraries, but neither the process nor bytecode: no `os.execute`,
    /// `os.exit`, `os.getenv`, `io.popen`, `package.loadlib`, `string.dump`, and no
    /// binary chunks. Files stay.
    Game,
    /// Nothing outside of the VM: no `io`, `package`, `require`, `debug`, `dofile`,
    /// `loadfile`, `print`, `warn`, `collectgarbage` and no binary chunks; of `os`
    /// only `clock`, `date`, `difftime` and `time`.
    Untrusted,
    /// As `Untrusted`, without clock and chance: no `os`, no `math.random`, no
    /// `math.randomseed`.
    Pure,
}

/// What [`Profile::Game`] lacks.
const NOT_IN_GAME: &[(&str, &[&str])] = &[
    ("os", &["execute", "exit", "getenv"]),
    ("io", &["popen"]),
    ("package", &["loadlib"]),
    ("string", &["dump"]),
];

/// Globals of [`Profile::Untrusted`] that are not libraries.
const BASE: &[&str] = &[
    "_G",
    "_VERSION",
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "load",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "xpcall",
];

/// Libraries of [`Profile::Untrusted`], with all that is kept of them.
const LIBRARIES: &[(&str, &[&str])] = &[
    (
        "coroutine",
        &[
            "close",
            "create",
            "isyieldable",
            "resume",
            "running",
            "status",
            "wrap",
            "yield",
        ],
    ),
    (
        "table",
        &[
            "concat", "insert", "move", "pack", "remove", "sort", "unpack",
        ],
    ),
    ("os", &["clock", "date", "difftime", "time"]),
    (
        "string",
        &[
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack",
            "packsize", "rep", "reverse", "sub", "unpack", "upper",
        ],
    ),
    (
        "math",
        &[
            "abs",
            "acos",
            "asin",
            "atan",
            "ceil",
            "cos",
            "deg",
            "exp",
            "floor",
            "fmod",
            "huge",
            "log",
            "max",
            "maxinteger",
            "min",
            "mininteger",
            "modf",
            "pi",
            "rad",
            "random",
            "randomseed",
            "sin",
            "sqrt",
            "tan",
            "tointeger",
            "type",
            "ult",
        ],
    ),
    (
        "utf8",
        &["char", "charpattern", "codepoint", "codes", "len", "offset"],
    ),
];

/// What [`Profile::Pure`] lacks of that.
const NOT_IN_PURE: &[(&str, &[&str])] = &[("math", &["random", "randomseed"])];

impl Profile {
    /// Whether a program of this profile may run only under limits of memory and of
    /// time (a deadline or fuel).
    pub fn needs_limits(self) -> bool {
        matches!(self, Self::Untrusted | Self::Pure)
    }

    fn has(self, library: &str) -> bool {
        match self {
            Self::Full | Self::Game => true,
            Self::Untrusted => LIBRARIES.iter().any(|(name, _)| *name == library),
            Self::Pure => library != "os" && Self::Untrusted.has(library),
        }
    }
}

/// Opens the libraries of a profile in a new VM.
pub fn open(cx: &mut Context<'_>, profile: Profile) -> Outcome<()> {
    crate::base::open(cx)?;
    crate::open_some(cx, |library| profile.has(library))?;
    if profile == Profile::Full {
        return Ok(());
    }
    cx.refuse_binary_chunks();
    let globals = cx.height();
    cx.push_globals();
    if profile == Profile::Game {
        forget_in(cx, globals, NOT_IN_GAME)?;
    } else {
        keep_only(cx, globals, |name| {
            BASE.contains(&name) || profile.has(name)
        })?;
        for (library, names) in LIBRARIES {
            let at = cx.height();
            cx.push(cx.raw_get_field(globals, library));
            if matches!(cx.at(at), View::Table(_)) {
                keep_only(cx, at, |name| names.contains(&name))?;
            }
            cx.set_height(at);
        }
        if profile == Profile::Pure {
            forget_in(cx, globals, NOT_IN_PURE)?;
        }
        protect_strings(cx)?;
    }
    cx.set_height(globals);
    Ok(())
}

/// Removes fields of libraries in the table of globals.
fn forget_in(cx: &Context<'_>, globals: usize, lists: &[(&str, &[&str])]) -> Outcome<()> {
    for (library, names) in lists {
        let at = cx.height();
        cx.push(cx.raw_get_field(globals, library));
        for name in *names {
            cx.push_nil();
            cx.raw_set_field(at, name)?;
        }
        cx.set_height(at);
    }
    Ok(())
}

/// Removes all fields of a table whose names are not wanted.
fn keep_only(cx: &Context<'_>, table: usize, is_wanted: impl Fn(&str) -> bool) -> Outcome<()> {
    let key = cx.height();
    cx.push_nil();
    while cx.next(table)? {
        let is_kept = match cx.at(key) {
            View::String(name) => std::str::from_utf8(name.as_bytes()).is_ok_and(&is_wanted),
            _ => false,
        };
        cx.set_height(key + 1);
        if !is_kept {
            cx.push_at(key);
            cx.push_nil();
            cx.raw_set(table)?;
        }
    }
    cx.set_height(key);
    Ok(())
}

/// Hides the metatable of strings, which all code of the VM shares.
fn protect_strings(cx: &Context<'_>) -> Outcome<()> {
    let string = cx.height();
    cx.push_bytes(b"");
    if cx.push_metatable(string) {
        cx.push_bool(false);
        cx.raw_set_field(string + 1, "__metatable")?;
    }
    cx.set_height(string);
    Ok(())
}
