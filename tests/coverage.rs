//! The written law and the code hold each other: every id of a chapter is cited where the code checks it and in the
//! test that shows it, every label is used in one place, and every *cannot* of the threats page has its test.

pub(crate) mod source;
mod threats;

use std::collections::{BTreeMap, BTreeSet};

use source::{Part, Source};

/// An id that a chapter defines: `**[MSG-7]**`.
#[derive(Debug)]
struct Definition {
    id: String,
    place: String,
    planned: bool,
}

/// The table in the introduction is the list that the `evidence` program runs.
#[test]
fn the_evidence_is_what_the_introduction_says() {
    let table = sealpost_tests::evidence::table();
    let said = source::read("spec/README.md");
    let print = "cargo run -p sealpost-tests --bin evidence -- --table";
    assert!(said.contains(&table), "spec/README.md has another table than `{print}` prints:\n{table}");
}

/// Ids in brackets: capitals, a hyphen, digits.
fn ids(line: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = line[from..].find('[').map(|at| at + from) {
        from = open + 1;
        let Some(close) = line[from..].find(']').map(|at| at + from) else { break };
        let inside = &line[from..close];
        if let Some((area, number)) = inside.split_once('-')
            && area.len() >= 2
            && area.bytes().all(|c| c.is_ascii_uppercase())
            && !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit())
        {
            found.push((open, inside.to_owned()));
        }
    }
    found
}

/// Chapters with their paths, in order of names.
fn chapters() -> Vec<(String, String)> {
    let folder = source::root().join("spec");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".md"))
        .collect();
    names.sort();
    let mut chapters: Vec<(String, String)> =
        names.iter().map(|name| format!("spec/{name}")).map(|path| (path.clone(), source::read(&path))).collect();
    // The relay's seam numbers its invariants where they are implemented: in its module documentation.
    let seam = "relay/src/store.rs";
    let text: Vec<String> = source::read(seam)
        .lines()
        .map(|line| {
            line.strip_prefix("//!").map(|text| text.strip_prefix(' ').unwrap_or(text)).unwrap_or_default().into()
        })
        .collect();
    chapters.push((seam.to_owned(), text.join("\n")));
    chapters
}

/// Every definition: the bold ids outside of code blocks. The vocabulary page shows an example, not a rule.
fn definitions() -> Vec<Definition> {
    let mut found = Vec::new();
    for (name, text) in chapters() {
        if matches!(name.as_str(), "spec/README.md" | "spec/CHANGES.md") {
            continue;
        }
        let lines: Vec<&str> = text.lines().collect();
        let mut fenced = false;
        // Planned headings, by depth: what stands below one is planned as well.
        let mut headings: Vec<(usize, bool)> = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            let depth = line.bytes().take_while(|c| *c == b'#').count();
            if depth > 0 {
                headings.retain(|(above, _)| *above < depth);
                headings.push((depth, line.contains("(planned)")));
            }
            for (column, id) in ids(line) {
                let bold = line[..column].ends_with("**") && line[column + id.len() + 2..].starts_with("**");
                if bold {
                    let planned = headings.iter().any(|(_, planned)| *planned) || planned_here(&lines, at, column);
                    found.push(Definition { id, place: format!("{name}:{}", at + 1), planned });
                }
            }
        }
    }
    found
}

/// Whether `*(planned)*` stands between this definition and the next one, or the end of its paragraph.
fn planned_here(lines: &[&str], at: usize, column: usize) -> bool {
    let mut rest = lines[at][column + 1..].to_owned();
    for line in &lines[at + 1..] {
        if line.trim().is_empty() || line.starts_with('#') || line.trim_start().starts_with("- ") {
            break;
        }
        rest.push(' ');
        rest.push_str(line);
    }
    let end = rest.find("**[").unwrap_or(rest.len());
    rest[..end].contains("(planned)")
}

/// Which ids the sources cite, by part.
fn citations(sources: &[Source]) -> BTreeMap<Part, BTreeMap<String, String>> {
    let mut cited: BTreeMap<Part, BTreeMap<String, String>> = BTreeMap::new();
    for source in sources {
        for (number, part, line) in source.lines() {
            for (_, id) in ids(line) {
                let place = format!("{}:{number}", source.path);
                if part == Part::Both {
                    cited.entry(Part::Code).or_default().entry(id.clone()).or_insert(place.clone());
                    cited.entry(Part::Test).or_default().entry(id).or_insert(place);
                } else {
                    cited.entry(part).or_default().entry(id).or_insert(place);
                }
            }
        }
    }
    cited
}

fn fail_with(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Every id that a chapter defines is defined once, cited in code and cited in a test; nothing else is cited.
#[test]
fn every_id_is_cited_by_code_and_test() {
    let sources = source::all();
    let cited = citations(&sources);
    let none = BTreeMap::new();
    let code = cited.get(&Part::Code).unwrap_or(&none);
    let tests = cited.get(&Part::Test).unwrap_or(&none);
    let definitions = definitions();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for Definition { id, place, planned } in &definitions {
        if let Some(first) = seen.insert(id, place) {
            problems.push(format!("{place}: [{id}] is already defined at {first}"));
        }
        if *planned {
            println!("planned: [{id}] {place}");
            continue;
        }
        // What an adversary cannot do is nowhere one line of code: its test is enough.
        if !id.starts_with("THREAT-") && !code.contains_key(id) {
            problems.push(format!("{place}: [{id}] is not cited in any non-test code"));
        }
        if !tests.contains_key(id) {
            problems.push(format!("{place}: [{id}] is not cited in any test"));
        }
    }
    let defined: BTreeSet<&str> = definitions.iter().map(|definition| definition.id.as_str()).collect();
    for (id, place) in code.iter().chain(tests) {
        if !defined.contains(id.as_str()) {
            problems.push(format!("{place}: [{id}] is cited, but no chapter defines it"));
        }
    }
    assert!(definitions.len() > 40, "only {} ids found: is the search wrong?", definitions.len());
    fail_with(&problems);
}

/// [WIRE-9] Every label is written in one place of the code, or in the two of a pair (sign and verify, seal and open), so
/// that no context can borrow another's.
#[test]
fn every_label_is_used_once() {
    let text = source::read("spec/src/label.rs");
    let mut doc = "";
    let mut labels = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("///") {
            doc = line;
        } else if let Some((name, _)) = line.split_once(" = \"") {
            labels.push((name.to_owned(), doc.contains("(planned)")));
        }
    }
    assert!(labels.len() > 20, "only {} labels found: is the search wrong?", labels.len());
    let sources = source::all();
    let mut problems = Vec::new();
    for (label, planned) in labels {
        let path = format!("label::{label}");
        let mut places = Vec::new();
        for source in sources.iter().filter(|source| source.path != "spec/src/label.rs") {
            for (number, part, line) in source.lines() {
                let code = line.split("//").next().unwrap_or_default();
                let used = code.match_indices(&path).any(|(at, _)| {
                    let next = code[at + path.len()..].chars().next();
                    !next.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                });
                if part != Part::Test && used {
                    places.push(format!("{}:{number}", source.path));
                }
            }
        }
        // Who signs and who verifies, who seals and who opens are a pair, in one module.
        let module = |place: &String| place.split(['.', ':']).next().unwrap_or_default().split('/').take(3).collect();
        let modules: BTreeSet<String> = places.iter().map(module).collect();
        match (places.len(), planned) {
            (0, true) | (1, _) => {}
            (2, _) if modules.len() == 1 => {}
            (0, false) => problems.push(format!("{path} is used nowhere")),
            _ => problems.push(format!("{path} is used at {}", places.join(" and "))),
        }
    }
    for source in &sources {
        for (number, _, line) in source.lines() {
            if line.trim_start().starts_with("use ") && line.contains("label::") {
                problems.push(format!("{}:{number}: write label::NAME where a label is used", source.path));
            }
        }
    }
    fail_with(&problems);
}

/// Everything that the threats page says an adversary cannot do carries an id; the test above wants a test for it.
#[test]
fn every_cannot_carries_an_id() {
    let text = source::read("spec/threats.md");
    let mut below_cannot = false;
    let mut cannots = 0;
    let mut problems = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with('#') || line.starts_with("Can") {
            below_cannot = line.starts_with("Cannot");
        }
        if below_cannot && line.starts_with("- ") {
            cannots += 1;
            if !ids(line).iter().any(|(_, id)| id.starts_with("THREAT-")) {
                problems.push(format!("spec/threats.md:{}: {line} has no [THREAT-n]", at + 1));
            }
        }
    }
    assert!(cannots > 10, "only {cannots} lines found: is the search wrong?");
    fail_with(&problems);
}
