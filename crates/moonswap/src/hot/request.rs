//! `PatchRequest`: one way to plan, apply and queue a patch, whatever it comes from.

use std::borrow::Borrow;
use std::path::{Path, PathBuf};

use moonswap_hotpatch::{Patch, PatchFile, Plan, Policy, Report};

use super::patch_file;
use super::resolve::loaded_name;
use crate::{Applied, Error, HotError, Lua, Result, Ticket};

/// What a [`PatchRequest`] is made of; see [`Hot::patch`](crate::Hot::patch).
#[derive(Clone, Debug)]
pub struct PatchInput(Input);

#[derive(Clone, Debug)]
enum Input {
    Patch(Patch),
    Text { name: String, text: Vec<u8> },
    Module(String),
    File(PathBuf),
    Parsed(Box<PatchFile>),
}

impl PatchInput {
    /// A module as it is now where `require` finds it: in the host's
    /// [loader](crate::loader), or in a file along `package.path`.
    ///
    /// ```
    /// use moonswap::{Lua, PatchInput, loader::Memory};
    /// let texts = Memory::new();
    /// texts.set("m", "local M = {} function M.f() return 1 end return M");
    /// let lua = Lua::new();
    /// lua.set_loader(texts.clone())?;
    /// lua.load("m = require 'm'").exec()?;
    /// texts.set("m", "local M = {} function M.f() return 2 end return M");
    /// let report = lua.hot().patch(PatchInput::module("m")).apply()?;
    /// assert_eq!((lua.load("m.f()").eval::<i64>()?, report.functions.len()), (2, 1));
    /// # Ok::<(), moonswap::Error>(())
    /// ```
    pub fn module(name: impl Into<String>) -> Self {
        Self(Input::Module(name.into()))
    }
}

impl From<&Patch> for PatchInput {
    fn from(patch: &Patch) -> Self {
        Self(Input::Patch(patch.clone()))
    }
}

impl From<Patch> for PatchInput {
    fn from(patch: Patch) -> Self {
        Self(Input::Patch(patch))
    }
}

/// The name of a chunk and its new text.
impl<N: AsRef<str>, T: AsRef<[u8]>> From<(N, T)> for PatchInput {
    fn from((name, text): (N, T)) -> Self {
        Self(Input::Text {
            name: name.as_ref().to_owned(),
            text: text.as_ref().to_vec(),
        })
    }
}

/// A patch file.
impl From<&Path> for PatchInput {
    fn from(path: &Path) -> Self {
        Self(Input::File(path.to_owned()))
    }
}

/// A patch file.
impl From<PathBuf> for PatchInput {
    fn from(path: PathBuf) -> Self {
        Self(Input::File(path))
    }
}

/// A patch file.
impl From<&PathBuf> for PatchInput {
    fn from(path: &PathBuf) -> Self {
        Self(Input::File(path.clone()))
    }
}

/// A patch file that was read already.
impl From<&PatchFile> for PatchInput {
    fn from(file: &PatchFile) -> Self {
        Self(Input::Parsed(Box::new(file.clone())))
    }
}

/// A patch and how it is to be applied; made by [`Hot::patch`](crate::Hot::patch).
///
/// Nothing happens before one of [`plan`](Self::plan), [`apply`](Self::apply),
/// [`queue`](Self::queue) and [`submit`](Self::submit).
#[derive(Clone, Debug)]
#[must_use = "`plan`, `apply`, `queue` or `submit` do something with it"]
pub struct PatchRequest {
    lua: Lua,
    input: Input,
    policy: Option<Policy>,
    author: Option<(String, String)>,
}

impl PatchRequest {
    pub(super) fn new(lua: &Lua, input: PatchInput) -> Self {
        Self {
            lua: lua.clone(),
            input: input.0,
            policy: None,
            author: None,
        }
    }

    /// How it is to be applied. Patch files carry a policy of their own: for them this
    /// is an error of the call that ends the request.
    pub fn policy(mut self, policy: impl Borrow<Policy>) -> Self {
        self.policy = Some(policy.borrow().clone());
        self
    }

    /// Who asks for it and why, for events and the audit record
    /// ([`Policy::signed_off`]). Patch files say so themselves: for them this is an
    /// error of the call that ends the request.
    pub fn by(mut self, author: impl Into<String>, reason: impl Into<String>) -> Self {
        self.author = Some((author.into(), reason.into()));
        self
    }

    /// What it would do, literal by literal; changes nothing.
    ///
    /// # Errors
    /// The text does not compile, the file cannot be read or is not to be trusted
    /// here, or no chunk of that name is loaded. What the plan refuses stands in
    /// the plan.
    pub fn plan(self) -> Result<Plan> {
        let lua = self.lua.clone();
        match self.open()? {
            Opened::Patch(patch, policy) => Ok(lua.with(|cx| cx.hot_plan(&patch, &policy))?),
            Opened::File(file) => lua.with(|cx| patch_file::plan(cx, lua.trust(), &file)),
        }
    }

    /// Applies it, now or never: if its policy would have to wait here, it is refused
    /// and the refusal lists what stands in the way.
    ///
    /// # Errors
    /// As [`plan`](Self::plan); and every refusal, with its stable code
    /// ([`Error::refused`]). Nothing has changed then.
    pub fn apply(self) -> Result<Report> {
        let lua = self.lua.clone();
        match self.open()? {
            Opened::Patch(patch, policy) => Ok(lua.with(|cx| cx.hot_apply(&patch, &policy))?),
            Opened::File(file) => lua.with(|cx| patch_file::apply(cx, lua.trust(), &file)),
        }
    }

    /// Applies it, or queues it if it has to wait: by its policy, or because this is
    /// called from a callback of `table.sort`, a hook, a finalizer, a metamethod, or
    /// while another patch is being prepared.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), for what cannot be applied later either.
    pub fn queue(self) -> Result<Applied> {
        let lua = self.lua.clone();
        match self.open()? {
            Opened::Patch(patch, policy) => {
                Ok(lua.with(|cx| cx.hot_apply_or_queue(&patch, &policy))?)
            }
            Opened::File(file) => lua.with(|cx| {
                let queued = patch_file::apply_or_queue(cx, lua.trust(), &file);
                queued.map(|(_, applied)| applied)
            }),
        }
    }

    /// Queues it for the next safe point that its policy allows, even if it could be
    /// applied here and now: code that is being patched asks for it this way.
    ///
    /// # Errors
    /// As [`plan`](Self::plan). What is refused later is the outcome of the ticket.
    /// Patch files are compared with what runs at once, so they cannot be submitted:
    /// use [`queue`](Self::queue).
    pub fn submit(self) -> Result<Ticket> {
        let lua = self.lua.clone();
        match self.open()? {
            Opened::Patch(patch, policy) => Ok(lua.with(|cx| cx.hot_submit(patch, *policy))),
            Opened::File(_) => Err(Error::runtime(
                "a patch file cannot be submitted for later; use queue()",
            )),
        }
    }

    /// Reads and compiles. A failure is an attempt as well: listeners hear of it.
    fn open(self) -> Result<Opened> {
        let has_settings = self.policy.is_some() || self.author.is_some();
        let mut policy = self.policy.unwrap_or_default();
        if let Some((author, reason)) = self.author {
            policy = policy.signed_off(author, reason);
        }
        let file = match self.input {
            Input::Patch(patch) => return Ok(Opened::Patch(patch, Box::new(policy))),
            Input::Text { name, text } => {
                return compile(&self.lua, &name, &text, policy);
            }
            Input::Module(name) => {
                return match self.lua.module(&name)? {
                    Ok(found) => compile(&self.lua, &found.chunk, &found.text, policy),
                    Err(message) => {
                        let error = HotError::Other(message);
                        self.lua
                            .with(|cx| cx.hot_note(&[&name], &policy, error.clone()));
                        Err(error.into())
                    }
                };
            }
            Input::File(path) => self
                .lua
                .with(|cx| patch_file::read_to_apply(cx, &path))
                .map(Box::new)?,
            Input::Parsed(file) => file,
        };
        match has_settings {
            false => Ok(Opened::File(file)),
            true => Err(Error::runtime(
                "a patch file carries its policy, author and reason; build it with the ones you want",
            )),
        }
    }
}

enum Opened {
    Patch(Patch, Box<Policy>),
    File(Box<PatchFile>),
}

/// Compiles the text under the name of the loaded chunk that is meant.
fn compile(lua: &Lua, name: &str, text: &[u8], policy: Policy) -> Result<Opened> {
    let name = lua.with(|cx| loaded_name(&cx.hot_chunks(), name));
    match Patch::compile(&name, text) {
        Ok(patch) => Ok(Opened::Patch(patch, Box::new(policy))),
        Err(error) => {
            lua.with(|cx| cx.hot_note(&[&name], &policy, error.clone().into()));
            Err(Error::compile(error, text))
        }
    }
}
