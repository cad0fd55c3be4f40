//! All releases of a package, one after another, in one VM.

use std::collections::{BTreeMap, BTreeSet};

use moonswap::{Patch, Policy, Table};

use crate::corpus::Package;
use crate::step::{left_behind, pairs};
use crate::text::{Changes, Statement, Text};
use crate::verdict::{Account, Verdict, by_place};
use crate::world::{Difference, World};

/// One file that was loaded.
struct Live {
    world: Table,
    /// The text it runs now.
    text: Vec<u8>,
    current: Vec<Statement>,
    account: Account,
    /// Differences from a fresh load that the last patch left.
    carried: Vec<Difference>,
}

/// What a package's history has come to.
#[derive(Default)]
pub(crate) struct Ride {
    /// Releases.
    pub(crate) releases: usize,
    /// Patches that were tried: release, path, verdict.
    pub(crate) steps: Vec<(String, String, Verdict)>,
    /// Files that run the newest release's text in the end.
    pub(crate) arrived: usize,
    /// Files of the newest release that an earlier one had in the VM.
    pub(crate) files: usize,
    /// Files that were patched, of these.
    pub(crate) patched: usize,
    /// Files that run it and were patched.
    pub(crate) patched_arrived: usize,
}

impl Live {
    fn begin(world: &World, name: &str, path: &str, text: &[u8]) -> Option<Self> {
        let current = Text::parse(text)?.statements();
        Some(Self {
            world: world.load(name, path, text).ok()?,
            current,
            text: text.to_vec(),
            account: Account::default(),
            carried: Vec::new(),
        })
    }

    /// `None`: the new text does not run here.
    fn go_on(
        &mut self,
        world: &World,
        name: &str,
        path: &str,
        text: &[u8],
        policy: &Policy,
    ) -> Option<Verdict> {
        let statements = Text::parse(text)?.statements();
        let fresh = world.load(&format!("@fresh/{path}"), path, text).ok()?;
        let patch = Patch::compile(name, text).ok()?;
        let (count, unlike) = pairs(world, &patch, policy, &self.text);
        let earlier = world.compare(&self.world, &fresh).ok()?;
        let report = match world.lua.hot().patch(&patch).policy(policy).apply() {
            Ok(report) => report,
            Err(error) => {
                let after = world.compare(&self.world, &fresh).ok()?;
                let mut verdict = Verdict::refused(&error);
                if after.differences != earlier.differences {
                    verdict
                        .wrong
                        .push("a refused patch changed something".to_owned());
                }
                return Some(verdict);
            }
        };
        let mut verdict = Verdict::applied(&report, &statements);
        verdict.wrong = left_behind(world, &patch, policy);
        (verdict.pairs, verdict.unlike) = (count, unlike);
        world.next_call(&self.world).ok()?;
        world.next_call(&fresh).ok()?;
        self.account.has_rules = !policy.rerun.is_empty();
        self.account.note(&report, &self.current, &statements);
        let compared = world.compare(&self.world, &fresh).ok()?;
        let changes = Changes::between(&self.current, &statements);
        let earlier = by_place(&earlier.differences);
        verdict.judge(&compared, &earlier, &self.account, &changes, &self.carried);
        self.text = text.to_vec();
        self.current = statements;
        self.carried = compared.differences;
        Some(verdict)
    }
}

/// Rides through all releases.
pub(crate) fn ride(package: &Package, policy: &Policy) -> Option<Ride> {
    let world = World::new(package.per_call).ok()?;
    let mut live: BTreeMap<&str, Live> = BTreeMap::new();
    let mut patched = BTreeSet::new();
    let mut ride = Ride {
        releases: package.releases.len(),
        ..Ride::default()
    };
    for (version, texts) in &package.releases {
        for (path, text) in texts {
            let name = format!("@{path}");
            match live.get_mut(path.as_str()) {
                None => {
                    if let Some(begun) = Live::begin(&world, &name, path, text) {
                        live.insert(path, begun);
                    }
                }
                Some(file) if file.text == *text => {}
                Some(file) => {
                    if let Some(verdict) = file.go_on(&world, &name, path, text, policy) {
                        patched.insert(path.as_str());
                        ride.steps.push((version.clone(), path.clone(), verdict));
                    }
                }
            }
        }
    }
    for (path, text) in &package.releases.last()?.1 {
        if let Some(file) = live.get(path.as_str()) {
            let is_there = file.text == *text;
            ride.files += 1;
            ride.arrived += usize::from(is_there);
            if patched.contains(path.as_str()) {
                ride.patched += 1;
                ride.patched_arrived += usize::from(is_there);
            }
        }
    }
    Some(ride)
}
