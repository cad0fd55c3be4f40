//! Who asks for a patch, by which way, and which patch it is: what events and
//! audit records say besides the report.

use std::fmt;

use moonswap_bytecode::CodeHash;

/// The way by which a patch or rollback was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PatchSource {
    /// The host, on the VM's thread.
    #[default]
    Rust,
    /// The Lua module `moonswap`.
    Lua,
    /// Another thread, through a patcher.
    Thread,
    /// A patch file.
    File,
    /// A watcher of files.
    Watch,
    /// The VM itself: a patch on probation used up its error budget.
    Guard,
}

impl PatchSource {
    /// The word in events and audit records.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Lua => "lua",
            Self::Thread => "thread",
            Self::File => "file",
            Self::Watch => "watch",
            Self::Guard => "guard",
        }
    }
}

impl fmt::Display for PatchSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What a patch means, as a number: that of its chunks' names and code. Lines,
/// comments and names of locals do not count, so a patch that failed is known
/// again however it is formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PatchHash(pub CodeHash);

impl fmt::Display for PatchHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for PatchHash {
    type Err = &'static str;

    /// Reads what it prints.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = (text.len() == 32).then_some(text);
        let digits = digits.filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|text| u128::from_str_radix(text, 16).ok());
        number
            .map(|number| Self(CodeHash(number)))
            .ok_or("32 hexadecimal digits expected")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_there_and_back() {
        let hash = PatchHash(CodeHash(0x12ab));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for wrong in ["", "12ab", "+2345678901234567890123456789012", "g"] {
            assert!(wrong.parse::<PatchHash>().is_err(), "{wrong}");
        }
    }
}
