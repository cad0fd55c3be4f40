//! (old, new) → plan: the text of every plan in `tests/plans/*.txt`, and laws
//! over all of them. `UPDATE=1` rewrites the expected plans.
//!
//! A file has the sections `--- old`, `--- new`, `--- policy` (may be absent)
//! and `--- plan`. Policy lines: `rename a b`, `reset x`, `run 3`, `run text …`,
//! `config off`, `captures keep-old`, `refused keep-old`, `refused f keep-old`,
//! `via refused` (the intermediate version is applied with `refused keep-old`), `base 7`, … and `chunk …` settings
//! `runs 2`, `lost x` (the cell of x is not there), `stripped`, `via` + text of
//! an intermediate version in a `--- via` section.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use moonswap_bytecode::prototype::{Capture, Constant, Prototype};
use moonswap_bytecode::{OpCode, OperandKind};
use moonswap_harness::{Cases, snapshot};
use moonswap_hotpatch::*;

const CHUNK: &str = "@shop.lua";

#[derive(Default)]
struct Case {
    old: String,
    via: Option<String>,
    new: String,
    policy: String,
    plan: String,
}

fn parse(text: &str) -> Case {
    let mut case = Case::default();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("--- ") {
            section = name.trim().to_owned();
            if section == "via" {
                case.via = Some(String::new());
            }
            continue;
        }
        let target = match section.as_str() {
            "old" => &mut case.old,
            "via" => case.via.get_or_insert_default(),
            "new" => &mut case.new,
            "policy" => &mut case.policy,
            "plan" => &mut case.plan,
            other => panic!("unknown section {other}"),
        };
        target.push_str(line);
        target.push('\n');
    }
    case
}

fn compile(source: &str) -> ChunkPatch {
    ChunkPatch::compile(CHUNK, source.as_bytes()).expect("compiles")
}

fn manifest(source: &str) -> ChunkManifest {
    let patch = compile(source);
    ChunkManifest::fresh(patch.main().clone(), Some(patch.source().clone()))
}

fn plan(manifest: &ChunkManifest, patch: &ChunkPatch, policy: &Policy) -> Plan {
    let mut plan = plan_chunk(manifest, patch, policy);
    settle(&mut [&mut plan], &[], |_, _| StandardGlobals);
    Plan::of(vec![plan])
}

/// What a VM does with a plan, as far as the manifest shows it.
fn commit(manifest: &mut ChunkManifest, plan: &Plan) {
    assert!(!plan.is_refused(), "{plan}");
    let plan = &plan.chunks[0];
    let mut slots = std::collections::HashMap::new();
    for change in &plan.changes {
        let Some(id) = change.new.clone() else {
            continue;
        };
        let prototype = change.new_prototype.clone().expect("a prototype");
        let mut slot = match change.old.as_ref().and_then(|old| manifest.slots.get(old)) {
            Some(slot) => slot.clone(),
            None => SlotInfo {
                protected: false,
                is_first: true,
                is_unmade: false,
                version: 1,
                layout: prototype.upvalues.to_vec(),
                n_fixed: prototype.upvalues.len(),
                current: prototype.clone(),
            },
        };
        slot.version = change.new_version().expect("a version");
        slot.is_first &= change.class != ChangeClass::Swapped;
        if !change.stays() {
            slot.current = prototype;
        }
        let layout = slot.current.upvalues.to_vec();
        let n_before = slot.layout.len();
        assert!(layout.len() >= n_before, "{id}: a slot's layout shrank");
        let is_fixed = layout.len() == n_before || slot.n_fixed < layout.len();
        assert!(is_fixed, "{id}: closures would lack a variable");
        slot.layout = layout;
        slots.insert(id, slot);
    }
    manifest.slots = slots.into_iter().collect();
    manifest.main = plan.main.clone();
    manifest.source = Some(plan.source.clone());
    manifest.diverged = plan.diverged.clone();
    let n_old = manifest.cells.len();
    for (i, (name, declaration)) in plan.cell_labels.iter().enumerate() {
        if i < n_old {
            (manifest.cells[i].name, manifest.cells[i].declaration) = (name.clone(), *declaration);
        } else {
            manifest.cells.push(CellInfo {
                name: name.clone(),
                declaration: *declaration,
                present: true,
            });
        }
    }
    manifest.generation += 1;
}

fn expression(line: &str, head: &str) -> Captures {
    Captures::Expression(line[head.len()..].trim().to_owned())
}

fn set_up(case: &Case) -> (ChunkManifest, Policy) {
    let mut manifest = manifest(&case.old);
    let (mut policy, mut via) = (Policy::default(), Policy::default());
    for line in case.policy.lines().filter(|l| !l.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["rename", from, to] => {
                policy = policy.rename(from.replace('>', " / "), to.replace('>', " / "))
            }
            ["reset", name] => policy = policy.reset(name),
            ["run", "text", ..] => {
                policy = policy.run(RunSelector::Text(line["run text".len()..].trim().into()))
            }
            ["run", n] => policy = policy.run(RunSelector::Line(n.parse().expect("a line"))),
            ["config", "off"] => policy = policy.config(false),
            ["captures", "keep-old"] => policy = policy.captures(Captures::KeepOld),
            ["captures", "nil"] => policy = policy.captures(Captures::Nil),
            ["captures", "expr:", ..] => {
                policy = policy.captures(expression(line, "captures expr:"))
            }
            ["capture", name, "expr:", ..] => {
                let rule = expression(line, &format!("capture {name} expr:"));
                policy.captures.by_name.insert(name.to_owned(), rule);
            }
            ["capture", name, "nil"] => {
                policy
                    .captures
                    .by_name
                    .insert(name.to_owned(), Captures::Nil);
            }
            ["refused", "keep-old"] => policy = policy.refused(WhenRefused::KeepOld),
            ["refused", .., rule] => {
                let name = line["refused".len()..line.len() - rule.len()].trim();
                let rule = WhenRefused::of_word(rule).expect("a rule");
                policy.refused.by_function.insert(name.to_owned(), rule);
            }
            ["via", "refused"] => via = via.refused(WhenRefused::KeepOld),
            ["base", n] => policy = policy.base(n.parse().expect("a number")),
            ["stale", "migrate"] => policy.stale = StalePolicy::Migrate,
            ["runs", n] => manifest.n_runs = n.parse().expect("a number"),
            ["lost", name] => manifest
                .cells
                .iter_mut()
                .filter(|c| &*c.name == name)
                .for_each(|c| c.present = false),
            ["remove"] => policy = policy.remove(true),
            ["stripped"] => manifest.source = None,
            _ => panic!("unknown policy {line}"),
        }
    }
    if let Some(text) = &case.via {
        let first = plan(&manifest, &compile(text), &via);
        commit(&mut manifest, &first);
    }
    (manifest, policy)
}

fn cases() -> Vec<(PathBuf, Case)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir)
        .expect("the folder")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.sort();
    files
        .into_iter()
        .map(|p| {
            (
                p.clone(),
                parse(&std::fs::read_to_string(&p).expect("readable")),
            )
        })
        .collect()
}

/// Plans that were tried there and back.
static N_BOTH: AtomicUsize = AtomicUsize::new(0);

fn main() -> ExitCode {
    let mut tests = Cases::default();
    let all = cases();
    assert!(all.len() >= 113, "{} cases", all.len());
    for (path, case) in all {
        let (name, case) = (name_of(&path), Arc::new(case));
        let same = Arc::clone(&case);
        tests.add(format!("itself/{name}"), move || itself(&same));
        let same = Arc::clone(&case);
        tests.add(format!("there-and-back/{name}"), move || {
            there_and_back(&same)
        });
        tests.add(format!("plans/{name}"), move || as_expected(&path, &case));
    }
    tests.add("random-edits-never-panic", || {
        random_edits_never_panic();
        Ok(())
    });
    tests.add("delta-chunks", delta_chunks);
    tests.at_end(|| match N_BOTH.load(Relaxed) {
        n @ ..15 => Err(format!("only {n} plans went there and back")),
        _ => Ok(()),
    });
    tests.run()
}

fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

fn as_expected(path: &Path, case: &Case) -> Result<(), String> {
    let (manifest, policy) = set_up(case);
    let plan = plan(&manifest, &compile(&case.new), &policy);
    check(&manifest, &plan, &name_of(path));
    let mut text = format!("--- old\n{}", case.old);
    if let Some(via) = &case.via {
        text += &format!("--- via\n{via}");
    }
    text += &format!("--- new\n{}", case.new);
    if !case.policy.is_empty() {
        text += &format!("--- policy\n{}", case.policy);
    }
    text += &format!("--- plan\n{plan}\n");
    snapshot(path, &text)
}

/// What every plan must satisfy for the VM to be able to trust it.
fn check(manifest: &ChunkManifest, plan: &Plan, what: &str) {
    let is_refused = plan.is_refused();
    let plan = &plan.chunks[0];
    let n_new = plan.changes.iter().filter(|c| c.new.is_some()).count();
    let n_old = plan.changes.iter().filter(|c| c.old.is_some()).count();
    assert_eq!(n_new, count(&plan.main), "{what}: each new literal once");
    assert_eq!(
        n_old,
        count(&manifest.main),
        "{what}: each old literal once"
    );
    if is_refused {
        return;
    }
    for change in &plan.changes {
        let (Some(old), Some(prototype)) = (&change.old, &change.new_prototype) else {
            continue;
        };
        let slot = &manifest.slots[old];
        if change.stays() {
            continue;
        }
        assert!(
            prototype.upvalues.len() >= slot.layout.len(),
            "{what}: {}: layout",
            change.name()
        );
        fits(prototype, slot.n_fixed, what);
    }
    let deltas = plan.deltas.iter().map(|delta| &delta.code);
    for root in std::iter::once(&plan.main).chain(deltas) {
        well_formed(root, plan.cell_labels.len(), what);
    }
}

/// Only what every closure has is used as if it were there.
fn fits(prototype: &Prototype, n_fixed: usize, what: &str) {
    use OpCode as O;
    for word in &prototype.code {
        let looks = [O::GetBackfilled, O::SetBackfilled, O::JumpIfBackfilled].map(Some);
        if looks.contains(&word.opcode()) {
            continue;
        }
        let kinds = word.opcode().unwrap_or(OpCode::Halt).operands();
        if kinds[1] == OperandKind::Upvalue {
            let id = &prototype.id;
            assert!(usize::from(word.b()) < n_fixed, "{what}: {id}: {word:?}");
        }
    }
    for capture in prototype.sites.iter().flat_map(|site| &site.captures) {
        if let Capture::Upvalue(i) = capture {
            assert!(usize::from(*i) < n_fixed, "{what}: {}", prototype.id);
        }
    }
}

fn count(prototype: &Prototype) -> usize {
    1 + prototype.children.iter().map(|c| count(c)).sum::<usize>()
}

fn well_formed(prototype: &Arc<Prototype>, n_cells: usize, what: &str) {
    moonswap_bytecode::verify::verify(prototype)
        .unwrap_or_else(|e| panic!("{what}: {}: {e:?}", prototype.id));
    for word in &prototype.code {
        let op = word.opcode().unwrap_or(OpCode::Halt);
        for (kind, value) in op
            .operands()
            .into_iter()
            .zip([word.a(), word.b(), word.c()])
        {
            if kind == OperandKind::Upvalue {
                assert!(
                    usize::from(value) < prototype.upvalues.len(),
                    "{what}: {}: upvalue {value}",
                    prototype.id
                );
            }
        }
    }
    for constant in &prototype.constants {
        if let Constant::Cell(cell) = constant {
            assert!((*cell as usize) < n_cells, "{what}: cell {cell}");
        }
    }
    for site in &prototype.sites {
        let child = &prototype.children[site.child as usize];
        assert_eq!(
            site.captures.len(),
            child.upvalues.len(),
            "{what}: captures of {}",
            child.id
        );
        for capture in &site.captures {
            match capture {
                Capture::Upvalue(i) | Capture::Late(i) => assert!(
                    usize::from(*i) < prototype.upvalues.len(),
                    "{what}: {}",
                    prototype.id
                ),
                Capture::Cell(i) => assert!((*i as usize) < n_cells, "{what}: {}", prototype.id),
                Capture::Register(i) => {
                    assert!(*i < prototype.frame_size, "{what}: {}", prototype.id)
                }
                Capture::Vacant => {}
            }
        }
    }
    for child in &prototype.children {
        well_formed(child, n_cells, what);
    }
}

/// A patch of a text with itself changes nothing.
fn itself(case: &Case) -> Result<(), String> {
    for source in [&case.old, &case.new] {
        let plan = plan(&manifest(source), &compile(source), &Policy::default());
        // A text with one id twice is refused whatever it is compared with.
        let mut codes = plan.refusals.iter().map(|r| r.code);
        if codes.any(|code| code == Code::DuplicateStableId) {
            continue;
        }
        let is_silent = plan.warnings().is_empty() && plan.not_run().is_empty();
        if !plan.is_empty() || !is_silent {
            return Err(plan.to_string());
        }
    }
    Ok(())
}

/// The new text and then the old one again: the hashes are those from before.
fn there_and_back(case: &Case) -> Result<(), String> {
    let mut m = manifest(&case.old);
    let there = plan(&m, &compile(&case.new), &Policy::default());
    if there.is_refused() {
        return Ok(());
    }
    commit(&mut m, &there);
    let again = plan(&m, &compile(&case.new), &Policy::default());
    assert!(again.is_empty(), "{again}");
    let back = plan(&m, &compile(&case.old), &Policy::default());
    check(&m, &back, "back");
    if back.is_refused() {
        return Ok(());
    }
    commit(&mut m, &back);
    N_BOTH.fetch_add(1, Relaxed);
    let fresh = manifest(&case.old);
    for (id, slot) in &fresh.slots {
        let current = &m.slots[id].current;
        assert_eq!(current.own_hash, slot.current.own_hash, "{id}");
        assert_eq!(current.deep_hash, slot.current.deep_hash, "{id}");
    }
    Ok(())
}

fn random_edits_never_panic() {
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let mut random = move |n: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % n.max(1) as u64) as usize
    };
    let all = cases();
    let lines: Vec<&str> = all
        .iter()
        .flat_map(|(_, c)| c.old.lines().chain(c.new.lines()))
        .collect();
    let (mut n_planned, mut n_committed) = (0, 0);
    for round in 0..3000 {
        let (path, case) = &all[random(all.len())];
        let mut m = manifest(&case.old);
        let mut text: Vec<&str> = case.old.lines().collect();
        for step in 0..4 {
            for _ in 0..=random(3) {
                let at = random(text.len() + 1);
                match random(4) {
                    0 if at < text.len() => _ = text.remove(at),
                    1 if at < text.len() => text[at] = lines[random(lines.len())],
                    2 if at + 1 < text.len() => text.swap(at, at + 1),
                    _ => text.insert(at, lines[random(lines.len())]),
                }
            }
            let Ok(patch) = ChunkPatch::compile(CHUNK, (text.join("\n") + "\n").as_bytes()) else {
                break;
            };
            let plan = plan(&m, &patch, &Policy::default());
            n_planned += 1;
            let _ = (plan.to_string(), plan.summary());
            check(
                &m,
                &plan,
                &format!(
                    "round {round} step {step} {}: {plan}\n{}",
                    path.display(),
                    text.join("\n")
                ),
            );
            if plan.is_refused() {
                break;
            }
            commit(&mut m, &plan);
            n_committed += 1;
        }
    }
    assert!(
        n_planned > 200 && n_committed > 100,
        "{n_planned} {n_committed}"
    );
}

/// What the delta chunks of a patch do, as a listing.
fn delta_chunks() -> Result<(), String> {
    let old = "local MAX = 10\nlocal M = {}\nfunction M.f() return MAX end\nreturn M\n";
    let new = "local MAX = 20\nlocal M = {}\nlocal print = print\nlocal function twice(x) return x * 2 end\n\
               function M.f() return twice(MAX) end\nlocal C = {}\nC.limit = twice(2)\n\
               C.max = MAX\nfunction M.g() print(M.f(), C) end\nreturn M\n";
    let plan = plan(&manifest(old), &compile(new), &Policy::default());
    assert!(!plan.is_refused(), "{plan}");
    let mut text = String::new();
    let deltas = &plan.chunks[0].deltas;
    assert_eq!(
        deltas.len(),
        3,
        "one that runs, one that is tried, one that runs"
    );
    for delta in deltas {
        let how = match delta.tried {
            Some(_) => "tried",
            None => "runs",
        };
        let listing = moonswap_bytecode::listing::listing(&delta.code);
        text += &format!("--- {how}\n{listing}");
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/delta.listing");
    snapshot(&path, &text)
}
