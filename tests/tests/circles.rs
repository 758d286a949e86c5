//! No circle of files within a crate: a file can be read with those that it names, and none of these names it back.
//!
//! A file names another by `use crate::…`, `use super::…` or such a path in its code; what a `pub use` passes on counts as
//! its origin. Tests and modules for tests alone do not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// All crates but apu-wrapper, which is two files.
const CRATES: [&str; 9] = [
    "crates/apu-debian",
    "crates/apu-proto",
    "crates/apu-fleet",
    "crates/apu-ledger",
    "crates/apu-archive",
    "crates/apu-site",
    "apu-server",
    "apu-client",
    "gen-apu-data-pkg",
];

/// A module by its path below the crate's root, which is the empty path.
type Module = Vec<String>;

/// The modules of a crate, each with its code without comments and tests.
type Code = BTreeMap<Module, String>;

fn read(source: &Path, directory: &Path, code: &mut Code) {
    let mut entries: Vec<PathBuf> = (fs::read_dir(directory).expect("a source file"))
        .map(|entry| entry.expect("a source file").path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .expect("a source file")
            .to_str()
            .expect("a source file");
        if path.is_dir() && name != "bin" {
            read(source, &path, code);
        } else if name.ends_with(".rs") && !["main.rs", "tests.rs", "fuzz.rs"].contains(&name) {
            let below = path
                .strip_prefix(source)
                .expect("a source file")
                .with_extension("");
            let mut module: Module = below
                .iter()
                .map(|part| part.to_str().expect("a source file").to_owned())
                .collect();
            if module == ["lib"] {
                module.clear();
            }
            code.insert(
                module,
                without_comments_and_tests(&fs::read_to_string(&path).expect("a source file")),
            );
        }
    }
}

fn without_comments_and_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a tree of `use` names, each without `as`.
fn paths(prefix: &str, tree: &str, into: &mut Vec<String>) {
    let (mut depth, mut from) = (0, 0);
    let mut parts = Vec::new();
    for (at, letter) in tree.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&tree[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tree[from..]);
    for part in parts.into_iter().map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('{') {
            Some((start, rest)) => paths(
                &format!("{prefix}{start}"),
                rest.trim_end().strip_suffix('}').unwrap_or(rest),
                into,
            ),
            None => into.push(format!("{prefix}{}", part.split(" as ").next().unwrap_or(part))),
        }
    }
}

/// The paths of the `use` items in some code: those that pass something on, and the others.
fn uses(code: &str) -> (Vec<String>, Vec<String>) {
    let (mut passed_on, mut used) = (Vec::new(), Vec::new());
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let line = rest[..at].rsplit('\n').next().unwrap_or_default().trim();
        let tree = &rest[at + 4..];
        rest = tree;
        if !(line.is_empty() || line.starts_with("pub")) {
            continue;
        }
        let Some(end) = tree.find(';') else { break };
        let into = if line.starts_with("pub") {
            &mut passed_on
        } else {
            &mut used
        };
        paths("", &tree[..end].replace('\n', " "), into);
        rest = &tree[end..];
    }
    (passed_on, used)
}

/// The paths in expressions and types that start with `crate::` or `super::`.
fn inline_paths(code: &str) -> Vec<String> {
    let is_path = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
    code.split(|letter| !is_path(letter))
        .filter(|word| word.starts_with("crate::") || word.starts_with("super::"))
        .map(|word| word.trim_end_matches(':').to_owned())
        .collect()
}

/// The module that a path leads to from `module`, and what is left of the path there.
fn resolve(code: &Code, module: &Module, path: &str) -> Option<(Module, Vec<String>)> {
    let mut words = path.split("::").map(|word| word.trim().to_owned()).peekable();
    let mut base = module.clone();
    match words.peek()?.as_str() {
        "crate" => {
            base.clear();
            words.next();
        }
        "self" => drop(words.next()),
        "super" => {
            while words.next_if(|word| word == "super").is_some() {
                base.pop();
            }
        }
        child if code.contains_key(&[&base[..], &[child.to_owned()]].concat()) => {}
        _ => return None,
    }
    let below = |base: &Module, word: &String| [&base[..], std::slice::from_ref(word)].concat();
    while let Some(word) = words.next_if(|word| code.contains_key(&below(&base, word))) {
        base.push(word);
    }
    Some((base, words.collect()))
}

/// Which modules each module names.
fn arrows(code: &Code) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut passed_on = BTreeMap::<(Module, String), Module>::new();
    for (module, text) in code {
        for path in uses(text).0 {
            if let Some((origin, rest)) = resolve(code, module, &path)
                && let Some(name) = rest.last()
            {
                passed_on.insert((module.clone(), name.clone()), origin);
            }
        }
    }
    let named = |module: &Module, text: &str| {
        let paths = uses(text).1.into_iter().chain(inline_paths(text));
        let origin = |path: String| {
            let (mut base, rest) = resolve(code, module, &path)?;
            // What is passed on may be passed on again, but not for ever.
            for _ in 0..9 {
                let name = rest.first();
                let next = name.and_then(|name| passed_on.get(&(base.clone(), name.clone())));
                base = next.cloned().unwrap_or(base);
            }
            (base != *module).then_some(base)
        };
        paths.filter_map(origin).collect()
    };
    code.iter()
        .map(|(module, text)| (module.clone(), named(module, text)))
        .collect()
}

/// The modules from which a way leads back to themselves.
fn circles(arrows: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let leads_back = |start: &&Module| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Module> = arrows[*start].iter().collect();
        while let Some(module) = next.pop() {
            if module == *start {
                return true;
            }
            if seen.insert(module) {
                next.extend(arrows.get(module).into_iter().flatten());
            }
        }
        false
    };
    arrows
        .keys()
        .filter(leads_back)
        .map(|module| module.join("/"))
        .collect()
}

#[test]
fn no_file_is_named_back_by_a_file_that_it_names() {
    for name in CRATES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(name)
            .join("src");
        let mut code = Code::new();
        read(&source, &source, &mut code);
        let arrows = arrows(&code);
        assert!(
            arrows.values().any(|named| !named.is_empty()),
            "{name}: no file names another"
        );
        assert_eq!(circles(&arrows), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn a_circle_is_found_through_what_is_passed_on() {
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Module>();
    let code: Code = [
        ("a", "use super::b::{self, Thing as Other};"),
        (
            "b",
            "pub(crate) use self::c::{\n    Thing,\n    More,\n};\nmod c;",
        ),
        ("b/c", "fn f(item: &crate::a::Item) {}"),
        ("d", "use crate::a::Item;"),
    ]
    .into_iter()
    .map(|(path, text)| (module(path), without_comments_and_tests(text)))
    .collect();
    assert_eq!(circles(&arrows(&code)), ["a", "b/c"]);
}
