//! What functions of Lua's libraries do with what they are given.

/// What such a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// It answers with a new value.
    Answers,
    /// It looks into the tables that it is given, and may answer with what is in them.
    LooksInto,
    /// It changes its first argument, and keeps the others in it.
    Changes,
    /// The same, and it calls the second.
    Sorts,
    /// It sets a metatable.
    SetsMetatable,
    /// It loads a module once: `require`.
    Loads,
    /// It calls what it is given.
    Calls,
}

/// Sorted by name. What is not here may do anything.
const FUNCTIONS: &[(&str, Library)] = &[
    ("assert", Library::LooksInto),
    ("coroutine.create", Library::LooksInto),
    ("coroutine.wrap", Library::LooksInto),
    ("getmetatable", Library::LooksInto),
    ("ipairs", Library::LooksInto),
    ("math.abs", Library::Answers),
    ("math.ceil", Library::Answers),
    ("math.floor", Library::Answers),
    ("math.fmod", Library::Answers),
    ("math.max", Library::Answers),
    ("math.min", Library::Answers),
    ("math.sqrt", Library::Answers),
    ("math.tointeger", Library::Answers),
    ("math.type", Library::Answers),
    ("next", Library::LooksInto),
    ("os.clock", Library::Answers),
    ("os.date", Library::Answers),
    ("os.getenv", Library::Answers),
    ("os.time", Library::LooksInto),
    ("pairs", Library::LooksInto),
    ("pcall", Library::Calls),
    ("rawequal", Library::Answers),
    ("rawget", Library::LooksInto),
    ("rawlen", Library::LooksInto),
    ("rawset", Library::Changes),
    ("require", Library::Loads),
    ("select", Library::LooksInto),
    ("setmetatable", Library::SetsMetatable),
    ("string.byte", Library::Answers),
    ("string.char", Library::Answers),
    ("string.find", Library::Answers),
    ("string.format", Library::Answers),
    ("string.gmatch", Library::Answers),
    ("string.gsub", Library::Calls),
    ("string.len", Library::Answers),
    ("string.lower", Library::Answers),
    ("string.match", Library::Answers),
    ("string.pack", Library::Answers),
    ("string.packsize", Library::Answers),
    ("string.rep", Library::Answers),
    ("string.reverse", Library::Answers),
    ("string.sub", Library::Answers),
    ("string.unpack", Library::Answers),
    ("string.upper", Library::Answers),
    ("table.concat", Library::LooksInto),
    ("table.insert", Library::Changes),
    ("table.pack", Library::LooksInto),
    ("table.remove", Library::Changes),
    ("table.sort", Library::Sorts),
    ("table.unpack", Library::LooksInto),
    ("tonumber", Library::Answers),
    ("tostring", Library::Answers),
    ("type", Library::Answers),
    ("unpack", Library::LooksInto),
    ("utf8.char", Library::Answers),
    ("utf8.codepoint", Library::Answers),
    ("utf8.len", Library::Answers),
    ("xpcall", Library::Calls),
];

/// What a function does, by its name as it is written.
pub(super) fn library(name: &str) -> Option<Library> {
    let at = FUNCTIONS.binary_search_by_key(&name, |(name, _)| name);
    at.ok().map(|at| FUNCTIONS[at].1)
}

#[cfg(test)]
mod tests {
    use super::FUNCTIONS;

    #[test]
    fn names_are_sorted() {
        assert!(FUNCTIONS.is_sorted_by_key(|(name, _)| name));
    }
}
