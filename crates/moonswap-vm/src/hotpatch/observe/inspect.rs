//! Who runs what: versions of functions, stale activations.
//!
//! Invariants: HP2, F1.

use moonswap_hotpatch::Refusal;

use crate::hotpatch::AtSafePoint;
use crate::hotpatch::osr::migrate;
use crate::hotpatch::registry::frames;
use crate::hotpatch::registry::frames::each_frame;
use crate::hotpatch::registry::manifest::registry;
use crate::hotpatch::registry::stale::StaleVersions;
use crate::object::{Instance, PrototypeSlot, Version};
use crate::vm::Vm;

/// Version of one literal.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionInfo {
    /// `chunk / path`.
    pub id: String,
    /// Its version, from 1.
    pub version: u32,
    /// Running or suspended activations of it, any version.
    pub frames: usize,
    /// Of these, on an older version.
    pub stale: usize,
    /// Why it does not run what the text says, if it does not.
    pub diverged: Option<Refusal>,
}

/// An activation that runs an older version of its function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StaleFrame {
    /// `chunk / path`.
    pub id: String,
    /// The version it runs.
    pub version: u32,
    /// The current version.
    pub current: u32,
    /// Line it is at, in its own version's text.
    pub line: Option<u32>,
    /// "main" or the address of the coroutine.
    pub thread: String,
    /// Traceback of that coroutine.
    pub stack: String,
    /// The patch that replaced the version gave it a time to finish, which has
    /// passed.
    pub overdue: bool,
    /// Its activations were asked to move: when it does, or why it does not.
    pub migration: Option<String>,
}

/// Version that the activation at a level runs, if its function was patched.
///
/// # Safety
/// VM3.
pub(crate) unsafe fn version_at(vm: &Vm, level: usize) -> Option<u32> {
    let (frame, _) = crate::debug::walk::levels(vm, None).nth(level)?;
    // SAFETY: F1, F2.
    unsafe {
        let version = frame.version();
        let patched = !version.is_null() && PrototypeSlot::number((*version).slot) > 1;
        patched.then(|| Version::number(version))
    }
}

/// Versions of all literals of a chunk (`None`: of all chunks).
pub(crate) fn versions(vm: &mut AtSafePoint, chunk: Option<&str>) -> Vec<VersionInfo> {
    // SAFETY: HP2.
    unsafe {
        let mut counts = foldhash::HashMap::default();
        let mut stale = StaleVersions::default();
        each_frame(vm, &mut |_, _, _, version| {
            let entry = counts.entry((*version).slot).or_insert((0usize, 0usize));
            entry.0 += 1;
            if stale.has(version) {
                entry.1 += 1;
            }
        });
        let mut found = Vec::new();
        let instances = vm.hot.instances.borrow().all().to_vec();
        for instance in instances {
            if chunk.is_some_and(|c| {
                c != &*(*instance).chunk && Some(c) != (*instance).chunk.strip_prefix(['@', '='])
            }) {
                continue;
            }
            for (id, slot) in registry(vm, instance).iter() {
                let (frames, stale) = counts.get(&slot).copied().unwrap_or_default();
                found.push(VersionInfo {
                    id: id.to_string(),
                    version: PrototypeSlot::number(slot),
                    frames,
                    stale,
                    diverged: Instance::diverged(instance)
                        .and_then(|diverged| diverged.of(id))
                        .cloned(),
                });
            }
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        found
    }
}

/// What of the texts of a chunk (`None`: of all chunks) does not run, with the
/// reasons: instances of one text are told of once.
pub(crate) fn diverged(vm: &Vm, chunk: Option<&str>) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = Vec::new();
    for &instance in vm.hot.instances.borrow().all() {
        // SAFETY: HP2.
        let (name, diverged) = unsafe { (&(*instance).chunk, Instance::diverged(instance)) };
        let is_it = |c: &str| c == &**name || Some(c) == name.strip_prefix(['@', '=']);
        let all = diverged.iter().flat_map(|diverged| &diverged.functions);
        for one in all.filter(|_| chunk.is_none_or(is_it)) {
            if !found.contains(&one.refusal) {
                found.push(one.refusal.clone());
            }
        }
    }
    found
}

/// Stale activations of a chunk (`None`: of all chunks).
pub(crate) fn stale_frames(vm: &mut AtSafePoint, chunk: Option<&str>) -> Vec<StaleFrame> {
    // SAFETY: HP2.
    unsafe {
        let mut found = Vec::new();
        let now = std::time::Instant::now();
        let mut stale = StaleVersions::default();
        each_frame(vm, &mut |vm, co, frame, version| {
            let slot = (*version).slot;
            if !stale.has(version) {
                return;
            }
            let name = &*(*(*slot).instance).chunk;
            if chunk.is_some_and(|c| c != name && Some(c) != name.strip_prefix(['@', '='])) {
                return;
            }
            let line = if frame.pc.is_null() {
                None
            } else {
                Version::record(version).line_at(frame.pc_index())
            };
            let of = if std::ptr::eq(co, vm.current) {
                None
            } else {
                Some(co)
            };
            found.push(StaleFrame {
                id: Version::id(version).to_string(),
                version: Version::number(version),
                current: PrototypeSlot::number(slot),
                line,
                thread: frames::thread_name(vm, co),
                stack: String::from_utf8_lossy(&crate::debug::traceback::traceback(
                    vm, of, None, 0,
                ))
                .into_owned(),
                migration: migrate::why_stale(version, frame),
                overdue: Version::finish_by(version).is_some_and(|by| by <= now),
            });
        });
        found
    }
}
