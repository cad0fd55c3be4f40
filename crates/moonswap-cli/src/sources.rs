//! OLD and NEW of `plan` and `patch build`: two files, or two folders whose Lua
//! files go together by their paths.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use moonswap_hotpatch::{ChunkManifest, ChunkPatch, ChunkPlan, Plan, Policy, plan_chunk, settle};

use crate::check;
use crate::output::{cannot, complain, read_file};
use crate::{LUA_ERROR, USAGE};

/// Two texts of one chunk.
pub(crate) struct Pair {
    /// Chunk name as given to `load`.
    pub(crate) name: String,
    pub(crate) old: Vec<u8>,
    pub(crate) new: Vec<u8>,
    /// For messages: chunk name of the new file.
    new_name: String,
}

/// How chunks are called where they run.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct NameArgs {
    /// Name of the chunk where it runs (of two files), e.g. @scripts/shop.lua
    #[arg(long, value_name = "CHUNK")]
    name: Option<String>,
    /// Folder before the names of files (of two folders), e.g. scripts/
    #[arg(long, value_name = "PATH")]
    prefix: Option<String>,
}

/// What the program has that the texts do not say.
#[derive(clap::Args, Clone, Debug, Default)]
pub(crate) struct GlobalArgs {
    /// Globals that the program defines elsewhere, e.g. ngx,spawn: they are not
    /// warned of
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) globals: Vec<String>,
}

/// The pairs that differ, by name; for folders also what is only on one side.
#[derive(Default)]
pub(crate) struct Sources {
    pub(crate) pairs: Vec<Pair>,
    pub(crate) notes: Vec<String>,
    /// Files of the new folder that are as they were, or new: what they define is
    /// known to the others.
    beside: Vec<(String, Vec<u8>)>,
    /// Globals that the program has.
    pub(crate) globals: Vec<String>,
}

impl Sources {
    /// Errors: the exit code, when people have been told.
    pub(crate) fn read(old: &Path, new: &Path, names: &NameArgs) -> Result<Self, u8> {
        match (old.is_dir(), new.is_dir()) {
            (false, false) if names.prefix.is_some() => Err(usage("--prefix is for folders")),
            (true, true) if names.name.is_some() => Err(usage("--name is for single files")),
            (false, false) => {
                let (old, name) = check::source_of(old).ok_or(LUA_ERROR)?;
                let (new, new_name) = check::source_of(new).ok_or(LUA_ERROR)?;
                let name = names.name.clone().unwrap_or(name);
                let pair = Pair {
                    name,
                    old,
                    new,
                    new_name,
                };
                Ok(Self {
                    pairs: vec![pair],
                    ..Self::default()
                })
            }
            (true, true) => {
                let mut prefix = names.prefix.clone().unwrap_or_default();
                if !prefix.is_empty() && !prefix.ends_with('/') {
                    prefix.push('/');
                }
                Self::of_folders(old, new, &prefix)
            }
            (old_is_folder, _) => {
                for path in [old, new] {
                    if let Err(error) = std::fs::metadata(path) {
                        complain(format!("moonswap: {}", cannot("open", path, &error)));
                        return Err(LUA_ERROR);
                    }
                }
                let (folder, file) = if old_is_folder {
                    (old, new)
                } else {
                    (new, old)
                };
                Err(usage(&format!(
                    "{} is a folder and {} is not: both must be files or both be folders",
                    folder.display(),
                    file.display()
                )))
            }
        }
    }

    /// Adds a pair of texts that are at hand.
    pub(crate) fn add(&mut self, name: &str, old: Vec<u8>, new: &[u8]) {
        self.pairs.push(Pair {
            name: name.to_owned(),
            old,
            new: new.to_vec(),
            new_name: name.to_owned(),
        });
    }

    fn of_folders(old: &Path, new: &Path, prefix: &str) -> Result<Self, u8> {
        let mut olds = lua_files(old)?;
        let mut sources = Self::default();
        for (relative, path) in lua_files(new)? {
            let (new, new_name) = check::source_of(&path).ok_or(LUA_ERROR)?;
            let Some(old) = olds.remove(&relative) else {
                sources
                    .notes
                    .push(format!("{relative} is new: loaded when it is required"));
                sources.beside.push((new_name, new));
                continue;
            };
            let (old, _) = check::source_of(&old).ok_or(LUA_ERROR)?;
            if old != new {
                sources.pairs.push(Pair {
                    name: format!("@{prefix}{relative}"),
                    old,
                    new,
                    new_name,
                });
            } else {
                sources.beside.push((new_name, new));
            }
        }
        let gone = olds.keys();
        let gone = gone.map(|name| format!("{name} is gone: its functions stay as they are"));
        sources.notes.extend(gone);
        Ok(sources)
    }

    /// What patching freshly loaded OLDs would do. Errors: the exit code, when
    /// the errors have been shown.
    pub(crate) fn plan(&self, policy: &Policy, json: bool) -> Result<Plan, u8> {
        // Freshly loaded code has no generation that could be compared.
        let policy = Policy {
            base: None,
            ..policy.clone()
        };
        let mut plans = Vec::new();
        let mut failed = false;
        for pair in &self.pairs {
            let main = moonswap_compiler::compile(&pair.name, &pair.old)
                .map_err(|error| check::show(json, &error, &pair.old));
            // Errors are shown under the new file's name, the plan is for the
            // old chunk.
            let patch = moonswap_compiler::compile(&pair.new_name, &pair.new)
                .and_then(|_| ChunkPatch::compile(&pair.name, &pair.new))
                .map_err(|error| check::show(json, &error, &pair.new));
            if let (Ok(main), Ok(patch)) = (main, patch) {
                let manifest = ChunkManifest::fresh(main, Some((&pair.old[..]).into()));
                plans.push(plan_chunk(&manifest, &patch, &policy));
            } else {
                failed = true;
            }
        }
        if failed {
            return Err(LUA_ERROR);
        }
        let beside = self.beside.iter();
        let beside = beside.filter_map(|(name, text)| ChunkPatch::compile(name, text).ok());
        let beside: Vec<ChunkPatch> = beside.collect();
        let mut asked: Vec<&mut ChunkPlan> = plans.iter_mut().collect();
        settle(&mut asked, &beside, |_, _| check::Known(&self.globals));
        Ok(Plan::of(plans))
    }
}

fn usage(message: &str) -> u8 {
    complain(format!("moonswap: {message}"));
    USAGE
}

/// Lua files below a folder, by their path in it with `/` between names.
/// Links to folders are not followed: they may lead in a circle.
fn lua_files(folder: &Path) -> Result<BTreeMap<String, PathBuf>, u8> {
    let mut found = BTreeMap::new();
    let mut todo = vec![(folder.to_owned(), String::new())];
    while let Some((folder, relative)) = todo.pop() {
        let failed = |error: std::io::Error| {
            complain(format!("moonswap: {}", cannot("read", &folder, &error)));
            LUA_ERROR
        };
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = format!("{relative}{name}");
            if entry.file_type().map_err(failed)?.is_dir() {
                todo.push((entry.path(), format!("{relative}/")));
            } else if name.ends_with(".lua") {
                found.insert(relative, entry.path());
            }
        }
    }
    Ok(found)
}

/// Reads a patch file. Errors: the exit code, when people have been told.
pub(crate) fn patch_file(path: &Path, json: bool) -> Result<moonswap::PatchFile, u8> {
    let bytes = read_file(path).map_err(|message| {
        complain(format!("moonswap: {message}"));
        LUA_ERROR
    })?;
    moonswap::PatchFile::parse(&bytes).map_err(|refused| crate::output::refused(&refused, json))
}
