//! Reads the workspace's Rust sources and tells test code from the rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// To which part of the code a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// What is shipped.
    Code,
    /// What only tests compile.
    Test,
    /// Documentation of shipped code with an example that `cargo test` runs.
    Both,
}

/// A file of the workspace.
pub(crate) struct Source {
    /// From the workspace's root.
    pub(crate) path: String,
    text: String,
    parts: Vec<Part>,
}

impl Source {
    /// Line numbers from 1, with their part.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, Part, &str)> {
        self.text.lines().zip(&self.parts).enumerate().map(|(at, (line, part))| (at + 1, *part, line))
    }
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of the workspace as text.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every Rust file of the workspace.
pub(crate) fn all() -> Vec<Source> {
    let mut paths = Vec::new();
    for folder in ["spec/src", "crypto/src", "relay/src", "client/src", "tests"] {
        collect(&root().join(folder), &mut paths);
    }
    paths.sort();
    let mut sources = Vec::new();
    let mut tests_only = BTreeSet::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (parts, test_modules) = split(&text);
        for module in test_modules {
            tests_only.insert(module_folder(&path).join(format!("{module}.rs")));
        }
        sources.push((path, text, parts));
    }
    sources
        .into_iter()
        .map(|(path, text, mut parts)| {
            let relative = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            // A conformance suite is public, so that every backend can run it, and still nothing but a test.
            let of_tests =
                tests_only.iter().any(|module| path == *module || path.starts_with(module.with_extension("")));
            let test = relative.starts_with("tests/") || of_tests || relative.contains("conformance");
            if test {
                parts.fill(Part::Test);
            }
            Source { path: relative, text, parts }
        })
        .collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|end| end == "rs") {
            into.push(path);
        }
    }
}

/// Where the modules of a file live.
fn module_folder(path: &Path) -> PathBuf {
    let name = path.file_stem().unwrap();
    let parent = path.parent().unwrap();
    if ["lib", "main", "mod"].iter().any(|root| name == *root) { parent.to_owned() } else { parent.join(name) }
}

/// The part of each line, and the modules in files of their own that only tests compile. Leans on rustfmt: an item
/// ends with a line of its own indentation.
fn split(text: &str) -> (Vec<Part>, Vec<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut parts = vec![Part::Code; lines.len()];
    let mut modules = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        if line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test") {
            let depth = indent(lines[at]);
            let mut end = at + 1;
            while lines.get(end).is_some_and(|line| line.trim_start().starts_with(['#', '/'])) {
                end += 1;
            }
            if let Some(item) = lines.get(end).map(|line| line.trim()) {
                if let Some(name) = item.split("mod ").nth(1).and_then(|rest| rest.strip_suffix(';')) {
                    modules.push(name.to_owned());
                }
                let one_line = item.ends_with(';') || (item.ends_with('}') && item.contains('{'));
                while !one_line && end + 1 < lines.len() {
                    end += 1;
                    let closes = indent(lines[end]) == depth && lines[end].trim_start().starts_with('}');
                    if closes {
                        break;
                    }
                }
            }
            let end = end.min(lines.len() - 1);
            parts[at..=end].fill(Part::Test);
            at = end + 1;
        } else if line.starts_with("///") || line.starts_with("//!") {
            let marker = &line[..3];
            let mut end = at;
            while lines.get(end).is_some_and(|line| line.trim_start().starts_with(marker)) {
                end += 1;
            }
            if lines[at..end].iter().any(|line| line.contains("```")) {
                parts[at..end].fill(Part::Both);
            }
            at = end;
        } else {
            at += 1;
        }
    }
    (parts, modules)
}
