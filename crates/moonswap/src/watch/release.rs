//! How the release of a text is asked for.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file by which anybody asks a watcher to try a text again that the VM undid and
/// refuses since (`P040`): an empty one beside it. The watcher removes it when it has
/// answered.
///
/// ```
/// use std::path::Path;
/// let request = moonswap::watch::release_request(Path::new("shop.lua"));
/// assert_eq!(request, Path::new("shop.lua.release"));
/// ```
pub fn release_request(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".release");
    PathBuf::from(name)
}
