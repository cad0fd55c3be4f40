//! What was saved and is not running yet.
//!
//! Files saved together are one group and become one transaction: all of them
//! run or none. A group that does not compile, or is refused, stays; when one of
//! its files is saved again the whole group is tried again. Groups that share a
//! file are one. Other groups go their own way meanwhile. What the VM undoes is a
//! group again, and older texts run.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A file that Lua loaded.
struct File {
    /// The content seen last.
    seen: Vec<u8>,
    /// The content that runs; `None`: another one, from elsewhere.
    running: Option<Vec<u8>>,
    /// Since when it is empty on disk, and was not before.
    empty_since: Option<Instant>,
}

impl File {
    /// Whether what was seen last is known to run.
    fn is_running(&self) -> bool {
        self.running.as_ref() == Some(&self.seen)
    }
}

/// A file that is being replaced is empty for less than this.
const EMPTY: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct Queue {
    /// By path as Lua loaded it.
    files: HashMap<PathBuf, File>,
    /// Saved and not running.
    groups: Vec<BTreeSet<PathBuf>>,
    /// What patches and rollbacks replaced, oldest first.
    steps: VecDeque<Step>,
}

/// A commit: its number in the VM's history, and what ran before.
struct Step {
    id: u64,
    before: Vec<(PathBuf, Option<Vec<u8>>)>,
}

/// Commits that are remembered: as many as the VM's history has entries.
const MAX_STEPS: usize = 32;

impl Queue {
    /// Lua loads a file with this content: that runs now.
    pub(super) fn loaded(&mut self, path: PathBuf, content: Vec<u8>) {
        self.leave(&path);
        let file = File {
            seen: content.clone(),
            running: Some(content),
            empty_since: None,
        };
        self.files.insert(path, file);
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.keys()
    }

    /// The content of a file seen last.
    pub(super) fn content(&self, path: &Path) -> &[u8] {
        self.files.get(path).map_or(&[], |file| &file.seen)
    }

    /// Files as they are on disk now. What changed becomes a group with all that
    /// waits for one of them; it is what should be tried, in the order of its
    /// paths. `None`: nothing changed. An empty group: what was waiting has been
    /// taken back.
    /// Those of `again` are tried even if they are as they were.
    pub(super) fn saved(
        &mut self,
        contents: impl IntoIterator<Item = (PathBuf, Vec<u8>)>,
        again: &[PathBuf],
        now: Instant,
    ) -> Option<Vec<PathBuf>> {
        let mut group = BTreeSet::new();
        for (path, content) in contents {
            let Some(file) = self.files.get_mut(&path) else {
                continue;
            };
            // A file that is just being replaced may be empty: the event that
            // completes it is still to come.
            if content.is_empty() && !file.seen.is_empty() {
                let since = *file.empty_since.get_or_insert(now);
                if now.duration_since(since) < EMPTY {
                    continue;
                }
            }
            file.empty_since = None;
            let is_known = file.seen == content && file.running.is_some();
            if is_known && !again.contains(&path) {
                continue;
            }
            file.seen = content;
            group.insert(path);
        }
        if group.is_empty() {
            return None;
        }
        self.groups.retain(|waiting| {
            let shared = !waiting.is_disjoint(&group);
            if shared {
                group.extend(waiting.iter().cloned());
            }
            !shared
        });
        let files = &self.files;
        group.retain(|path| files.get(path).is_some_and(|f| !f.is_running()));
        let members = group.iter().cloned().collect();
        if !group.is_empty() {
            self.groups.push(group);
        }
        Some(members)
    }

    /// Files that are empty for some time: to be looked at again, whatever happens.
    pub(super) fn emptied(&self) -> impl Iterator<Item = &PathBuf> {
        let empty = self.files.iter();
        let empty = empty.filter(|(_, file)| file.empty_since.is_some());
        empty.map(|(path, _)| path)
    }

    /// Whether a file was saved and does not run yet.
    pub(super) fn waits(&self, path: &Path) -> bool {
        self.groups.iter().any(|group| group.contains(path))
    }

    /// What was tried runs now, by patch `id`.
    pub(super) fn committed(&mut self, id: u64, group: &[PathBuf]) {
        let running = |path: &PathBuf| Some((path.clone(), self.files.get(path)?.running.clone()));
        let before = group.iter().filter_map(running).collect();
        self.push(Step { id, before });
        self.runs(group);
    }

    /// Patch `id` was not a save: other texts of these files run now.
    pub(super) fn patched(&mut self, id: u64, files: &[PathBuf]) {
        let running = |path: &PathBuf| Some((path.clone(), self.files.get(path)?.running.clone()));
        let before = files.iter().filter_map(running).collect();
        self.push(Step { id, before });
        for path in files {
            if let Some(file) = self.files.get_mut(path) {
                file.running = None;
            }
        }
    }

    fn push(&mut self, step: Step) {
        self.steps.push_back(step);
        while self.steps.len() > MAX_STEPS {
            self.steps.pop_front();
        }
    }

    /// Rollback `id` has restored what was before entry `undone` of the history.
    /// Answers the files of which another text runs now.
    pub(super) fn rolled_back(&mut self, id: u64, undone: u64) -> Vec<PathBuf> {
        let mut restored: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
        for step in self.steps.iter().rev().take_while(|step| step.id >= undone) {
            restored.extend(step.before.iter().cloned());
        }
        let mut before = Vec::new();
        let mut group = BTreeSet::new();
        for (path, running) in restored {
            let Some(file) = self.files.get_mut(&path) else {
                continue;
            };
            let replaced = std::mem::replace(&mut file.running, running);
            if !file.is_running() {
                group.insert(path.clone());
            }
            before.push((path, replaced));
        }
        let paths: Vec<PathBuf> = before.iter().map(|(path, _)| path.clone()).collect();
        self.push(Step { id, before });
        paths.iter().for_each(|path| self.leave(path));
        if !group.is_empty() {
            self.groups.push(group);
        }
        paths
    }

    /// Files that are saved and do not run so, in order.
    pub(super) fn differing(&self) -> Vec<PathBuf> {
        let differs = self
            .files
            .iter()
            .filter(|(_, file)| file.running.is_some() && !file.is_running());
        let mut paths: Vec<PathBuf> = differs.map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }

    /// What waits together with a file.
    pub(super) fn group_of(&self, path: &Path) -> Vec<PathBuf> {
        let found = self.groups.iter().find(|group| group.contains(path));
        found.map_or_else(Vec::new, |group| group.iter().cloned().collect())
    }

    /// What was tried runs now.
    pub(super) fn runs(&mut self, group: &[PathBuf]) {
        for path in group {
            self.leave(path);
            if let Some(file) = self.files.get_mut(path) {
                file.running = Some(file.seen.clone());
            }
        }
    }

    fn leave(&mut self, path: &Path) {
        for group in &mut self.groups {
            group.remove(path);
        }
        self.groups.retain(|group| !group.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn save(queue: &mut Queue, files: &[(&str, &str)]) -> Option<String> {
        let contents = files
            .iter()
            .map(|(path, text)| (path.into(), text.as_bytes().to_vec()));
        let group = queue.saved(contents.collect::<Vec<_>>(), &[], Instant::now())?;
        Some(
            group
                .iter()
                .map(|path| path.display().to_string())
                .collect::<Vec<_>>()
                .join(" "),
        )
    }

    fn running(queue: &mut Queue, group: &str) {
        queue.runs(&group.split(' ').map(PathBuf::from).collect::<Vec<_>>());
    }

    #[test]
    fn what_others_patch_is_compared_with_the_next_save() {
        let mut queue = Queue::default();
        queue.loaded("a".into(), b"1".to_vec());
        assert_eq!(save(&mut queue, &[("a", "1")]), None);
        queue.patched(1, &["a".into()]);
        assert_eq!(save(&mut queue, &[("a", "1")]), Some("a".into()));
        running(&mut queue, "a");
        assert_eq!(save(&mut queue, &[("a", "1")]), None);
        // Undone: the text of before runs again.
        queue.patched(2, &["a".into()]);
        assert_eq!(queue.rolled_back(3, 2), [PathBuf::from("a")]);
        assert_eq!(save(&mut queue, &[("a", "1")]), None);
    }

    #[test]
    fn groups_wait_merge_and_are_taken_back() {
        let mut queue = Queue::default();
        for name in ["a", "b", "c", "d"] {
            queue.loaded(name.into(), b"1".to_vec());
        }
        assert_eq!(save(&mut queue, &[("a", "1"), ("nobody", "2")]), None);
        assert_eq!(save(&mut queue, &[("a", "")]), None, "being replaced");
        // a and b together do not work; c goes its own way.
        assert_eq!(
            save(&mut queue, &[("b", "2"), ("a", "2")]).as_deref(),
            Some("a b")
        );
        assert_eq!(save(&mut queue, &[("c", "2")]).as_deref(), Some("c"));
        running(&mut queue, "c");
        assert_eq!(save(&mut queue, &[("c", "2")]), None, "it runs");
        // A better b comes with a; so does d, which was saved with it.
        assert_eq!(
            save(&mut queue, &[("b", "3"), ("d", "2")]).as_deref(),
            Some("a b d")
        );
        // b as it runs: the others are tried without it.
        assert_eq!(save(&mut queue, &[("b", "1")]).as_deref(), Some("a d"));
        assert_eq!(
            save(&mut queue, &[("a", "1"), ("d", "1")]).as_deref(),
            Some("")
        );
        assert!(queue.groups.is_empty());
    }

    #[test]
    fn a_file_that_stays_empty_is_saved() {
        let mut queue = Queue::default();
        queue.loaded("a".into(), b"1".to_vec());
        let start = Instant::now();
        let mut save = |text: &[u8], after| {
            let now = start + Duration::from_millis(after);
            queue.saved([("a".into(), text.to_vec())], &[], now)
        };
        assert_eq!(save(b"", 0), None);
        assert_eq!(save(b"", 400), None, "not long enough");
        assert_eq!(save(b"1", 450), None, "it runs");
        assert_eq!(save(b"", 600), None, "empty anew");
        assert_eq!(save(b"", 1100), Some(vec!["a".into()]));
        assert_eq!(save(b"", 1700), None, "known");
        assert_eq!(queue.emptied().count(), 0);
    }

    #[test]
    fn what_is_undone_waits_again() {
        let mut queue = Queue::default();
        for name in ["a", "b", "c"] {
            queue.loaded(name.into(), b"1".to_vec());
        }
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        save(&mut queue, &[("a", "2"), ("b", "2")]);
        queue.committed(1, &paths(&["a", "b"]));
        save(&mut queue, &[("c", "2")]);
        queue.committed(2, &paths(&["c"]));
        save(&mut queue, &[("a", "3")]);
        queue.committed(3, &paths(&["a"]));
        assert_eq!(queue.rolled_back(4, 3), paths(&["a"]));
        assert_eq!(queue.differing(), paths(&["a"]));
        // As it was saved: nothing new, unless it is asked for.
        assert_eq!(save(&mut queue, &[("a", "3")]), None);
        let again = queue.saved(
            [("a".into(), b"3".to_vec())],
            &paths(&["a"]),
            Instant::now(),
        );
        assert_eq!(again, Some(paths(&["a"])));
        assert_eq!(save(&mut queue, &[("a", "2")]).as_deref(), Some(""));
        // All of it: what was saved together is mended together.
        assert_eq!(queue.rolled_back(5, 1), paths(&["a", "b", "c"]));
        assert_eq!(queue.group_of(Path::new("c")), paths(&["a", "b", "c"]));
        assert_eq!(save(&mut queue, &[("b", "4")]).as_deref(), Some("a b c"));
        // What a rollback undid comes back.
        queue.rolled_back(6, 5);
        assert_eq!(queue.differing(), paths(&["b"]));
    }

    #[test]
    fn what_is_loaded_again_does_not_wait() {
        let mut queue = Queue::default();
        queue.loaded("a".into(), b"1".to_vec());
        queue.loaded("b".into(), b"1".to_vec());
        assert_eq!(
            save(&mut queue, &[("a", "2"), ("b", "2")]).as_deref(),
            Some("a b")
        );
        queue.loaded("a".into(), b"2".to_vec());
        assert_eq!(save(&mut queue, &[("b", "3")]).as_deref(), Some("b"));
        running(&mut queue, "b");
        assert!(queue.groups.is_empty());
        assert_eq!(queue.content(Path::new("b")), b"3");
    }
}
