//! The prose of the documents: sentences and paragraphs are short, links lead
//! somewhere, source files that are named exist.
//!
//! Prose is what is left without fenced and indented code, tables and headings. A
//! list item is a paragraph. A code span counts as one word, a link by its text.
//! CHANGELOG.md and the README files of folders are not checked.

use std::path::{Path, PathBuf};

use crate::support::{files, root};

const MEDIAN_SENTENCE: usize = 16;
const LONGEST_SENTENCE: usize = 35;
const LONGEST_PARAGRAPH: usize = 90;

/// Takes the place of a space inside a code span, so that the span is one word.
const GLUE: char = '\u{a0}';

struct Document {
    /// As a path below the top folder.
    name: String,
    text: String,
}

struct Paragraph {
    line: usize,
    text: String,
}

fn documents() -> Vec<Document> {
    let mut names: Vec<String> = ["README", "ARCHITECTURE", "CONTRIBUTING", "SECURITY"]
        .iter()
        .map(|name| format!("{name}.md"))
        .collect();
    for path in files(&root().join("docs"), "md") {
        let below = path.strip_prefix(root()).expect("below the top");
        names.push(below.to_string_lossy().replace('\\', "/"));
    }
    assert!(names.len() > 4, "no documents in docs/");
    let document = |name: String| {
        let text = std::fs::read_to_string(root().join(&name))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        Document { name, text }
    };
    names.into_iter().map(document).collect()
}

fn report(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n{}", offenders.join("\n"));
}

/// The lines outside fenced code, with their numbers.
fn unfenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    })
}

/// What follows the mark of a list item.
fn list_item(line: &str) -> Option<&str> {
    let rest = match line.strip_prefix(['-', '*', '+']) {
        Some(rest) => rest,
        None => line
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix('.')
            .filter(|_| line.starts_with(|c: char| c.is_ascii_digit()))?,
    };
    rest.starts_with(' ').then(|| rest.trim_start())
}

fn paragraphs(text: &str) -> Vec<Paragraph> {
    let mut all: Vec<Paragraph> = Vec::new();
    let mut is_open = false;
    let mut in_list = false;
    let mut last = 0;
    for (number, line) in unfenced(text) {
        // Fenced code lay between.
        is_open &= number == last + 1;
        last = number;
        let content = line.trim();
        if content.is_empty() {
            is_open = false;
            continue;
        }
        if content.starts_with(['#', '|']) || content.trim_matches('-').is_empty() {
            (is_open, in_list) = (false, false);
            continue;
        }
        let item = list_item(content);
        if item.is_some() {
            (is_open, in_list) = (false, true);
        } else if !is_open {
            let is_indented = line.starts_with(' ');
            in_list &= is_indented;
            if line.starts_with("    ") && !in_list {
                // Indented code.
                continue;
            }
        }
        let content = item.unwrap_or(content);
        match all.last_mut() {
            Some(paragraph) if is_open => {
                paragraph.text.push(' ');
                paragraph.text.push_str(content);
            }
            _ => all.push(Paragraph {
                line: number,
                text: content.to_owned(),
            }),
        }
        is_open = true;
    }
    all
}

/// Code spans glued together, targets of links left out.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            out.push('`');
            out.extend(part.chars().map(|c| if c == ' ' { GLUE } else { c }));
            out.push('`');
            continue;
        }
        let mut rest = part;
        while let Some((before, after)) = rest.split_once("](") {
            out.push_str(before);
            out.push(']');
            rest = after.split_once(')').map_or("", |(_, rest)| rest);
        }
        out.push_str(rest);
    }
    out
}

fn is_end(word: &str) -> bool {
    word.trim_end_matches([')', ']', '"', '\'', '*', '_', '”'])
        .ends_with(['.', '!', '?'])
}

fn sentences(paragraph: &str) -> Vec<String> {
    let text = plain(paragraph);
    let mut all = Vec::new();
    let mut words = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        words.push(word);
        if is_end(word) {
            all.push(words.join(" "));
            words.clear();
        }
    }
    all.push(words.join(" "));
    all.retain(|sentence| count(sentence) > 0);
    all
}

fn count(sentence: &str) -> usize {
    sentence
        .split(' ')
        .filter(|word| word.contains(char::is_alphanumeric))
        .count()
}

#[test]
fn sentences_are_short() {
    let mut offenders = Vec::new();
    for Document { name, text } in documents() {
        let mut lengths = Vec::new();
        for paragraph in paragraphs(&text) {
            for sentence in sentences(&paragraph.text) {
                let n = count(&sentence);
                lengths.push(n);
                if n > LONGEST_SENTENCE {
                    let line = paragraph.line;
                    let shown = sentence.replace(GLUE, " ");
                    offenders.push(format!("{name}:{line}: {n} words: {shown}"));
                }
            }
        }
        lengths.sort_unstable();
        let median = lengths[lengths.len() / 2];
        if median > MEDIAN_SENTENCE {
            offenders.push(format!("{name}: the median sentence has {median} words"));
        }
    }
    report(
        &format!(
            "a sentence has at most {LONGEST_SENTENCE} words, half of a document's at most \
             {MEDIAN_SENTENCE}; say it in several"
        ),
        &offenders,
    );
}

#[test]
fn paragraphs_are_short() {
    let mut offenders = Vec::new();
    for Document { name, text } in documents() {
        for paragraph in paragraphs(&text) {
            let n = count(&plain(&paragraph.text));
            if n > LONGEST_PARAGRAPH {
                let start: String = paragraph.text.chars().take(60).collect();
                offenders.push(format!("{name}:{}: {n} words: {start}…", paragraph.line));
            }
        }
    }
    report(
        &format!("a paragraph has at most {LONGEST_PARAGRAPH} words; divide it or make a list"),
        &offenders,
    );
}

/// What headings are called in links.
fn anchors(text: &str) -> Vec<String> {
    unfenced(text)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}

/// The targets of the links in a text, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut all = Vec::new();
    for (number, line) in unfenced(text) {
        let prose = line.split('`').step_by(2).collect::<Vec<_>>();
        for part in prose {
            let targets = part.split("](").skip(1);
            all.extend(targets.filter_map(|rest| Some((number, rest.split_once(')')?.0))));
        }
    }
    all
}

#[test]
fn links_lead_somewhere() {
    let mut offenders = Vec::new();
    let mut n = 0;
    for Document { name, text } in documents() {
        let folder = root().join(&name);
        let folder = folder.parent().expect("a folder");
        for (line, target) in links(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            n += 1;
            let (file, anchor) = match target.split_once('#') {
                Some((file, anchor)) => (file, Some(anchor)),
                None => (target, None),
            };
            let path = match file {
                "" => root().join(&name),
                _ => folder.join(file),
            };
            let is_there = path.exists()
                && anchor.is_none_or(|anchor| {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    anchors(&text).iter().any(|known| known == anchor)
                });
            if !is_there {
                offenders.push(format!("{name}:{line}: {target}"));
            }
        }
    }
    assert!(n > 10, "only {n} links were found");
    report(
        "links lead to files and headings that exist; correct the target",
        &offenders,
    );
}

/// `a/{b,c}.rs` written out.
fn expanded(path: &str) -> Vec<String> {
    let parts = path
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (choices, after))) => choices
            .split(',')
            .map(|choice| format!("{before}{choice}{after}"))
            .collect(),
        None => vec![path.to_owned()],
    }
}

/// Paths of Rust files, and of folders with a slash at the end, in a text's code
/// spans.
fn named_paths(text: &str) -> Vec<(usize, String)> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || "_-./{},".contains(c);
    let mut all = Vec::new();
    for (number, line) in unfenced(text) {
        for span in line.split('`').skip(1).step_by(2) {
            if !span.chars().all(is_path) {
                continue;
            }
            let paths = expanded(span).into_iter();
            let is_wanted = |path: &str| path.ends_with(".rs") || path.ends_with('/');
            let wanted = paths.filter(|path| is_wanted(path) && !path.starts_with('.'));
            all.extend(wanted.map(|path| (number, path)));
        }
    }
    all
}

#[test]
fn source_files_exist() {
    let sources = files(root(), "rs");
    let below = |path: &Path| -> PathBuf {
        let path = path.strip_prefix(root()).expect("below the top");
        path.to_owned()
    };
    let is_there = |path: &str| match path.strip_suffix('/') {
        Some(folder) => {
            root().join(folder).is_dir()
                || sources.iter().any(|file| {
                    let mut folders = file.ancestors().skip(1);
                    folders.any(|f| f.starts_with(root()) && below(f).ends_with(folder))
                })
        }
        None => sources.iter().any(|file| below(file).ends_with(path)),
    };
    let mut offenders = Vec::new();
    let mut n = 0;
    for Document { name, text } in documents() {
        for (line, path) in named_paths(&text) {
            n += 1;
            if !is_there(&path) {
                offenders.push(format!("{name}:{line}: {path}"));
            }
        }
    }
    assert!(n > 50, "only {n} paths were found");
    report(
        "documents name source files and folders that exist (or an end of their path)",
        &offenders,
    );
}

#[test]
fn parsing_of_documents_works() {
    let text = "# A heading. With two.\n\nOne two. Three\nfour `five. six` [seven](a/b.md)!\n\n\
                | a | table |\n```\ncode. code\n```\n- Item one\n  goes on.\n- Item two.\n\n    \
                still item two\n\nText.\n\n    indented code\n1. Last `a.rs` `x/{b.rs,c/}` \
                `no path.rs` `.rs`.\n";
    let found = paragraphs(text);
    let lines: Vec<usize> = found.iter().map(|p| p.line).collect();
    assert_eq!(lines, [3, 10, 12, 14, 16, 19]);
    let counts = |index: usize| -> Vec<usize> {
        let all = sentences(&found[index].text);
        all.iter().map(|sentence| count(sentence)).collect()
    };
    assert_eq!(counts(0), [2, 4]);
    assert_eq!(counts(1), [4]);
    assert_eq!(links(text), [(4, "a/b.md")]);
    assert_eq!(anchors(text), ["a-heading-with-two"]);
    let paths: Vec<String> = named_paths(text)
        .into_iter()
        .map(|(_, path)| path)
        .collect();
    assert_eq!(paths, ["a.rs", "x/b.rs", "x/c/"]);
}
