//! The walks of ARCHITECTURE.md: each step names a function that exists, a walk is short, and it never goes back to a file.

use std::fs;
use std::path::Path;

/// The section of ARCHITECTURE.md that has the walks, each below a heading of its own.
const SECTION: &str = "## Three walks";

/// The most steps of a walk.
const MAX_STEPS: usize = 12;

/// A function of a file, as `file:function`.
#[derive(Debug, PartialEq, Eq)]
struct Step<'a> {
    file: &'a str,
    function: &'a str,
}

/// A heading and the steps below it.
#[derive(Debug, PartialEq, Eq)]
struct Walk<'a> {
    heading: &'a str,
    steps: Vec<Step<'a>>,
}

/// The walks of a document. A step is an item of a numbered list, which begins with its `file:function`.
fn walks(document: &str) -> Vec<Walk<'_>> {
    let lines = document.lines().skip_while(|line| *line != SECTION).skip(1);
    let mut walks: Vec<Walk<'_>> = Vec::new();
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            walks.push(Walk {
                heading,
                steps: Vec::new(),
            });
        } else if let Some((number, text)) = line.split_once(". ")
            && number.parse::<usize>().is_ok()
            && let Some(walk) = walks.last_mut()
        {
            let step = step(text).unwrap_or_else(|| panic!("no `file:function` at the start of: {line}"));
            walk.steps.push(step);
        }
    }
    walks
}

fn step(text: &str) -> Option<Step<'_>> {
    let (code, _) = text.strip_prefix('`')?.split_once('`')?;
    let (file, function) = code.split_once(':')?;
    Some(Step { file, function })
}

/// What is wrong with a walk through the files below `root`.
fn faults(walk: &Walk<'_>, root: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    if walk.steps.is_empty() || walk.steps.len() > MAX_STEPS {
        faults.push(format!("{} steps", walk.steps.len()));
    }
    let mut files: Vec<&str> = Vec::new();
    for &Step { file, function } in &walk.steps {
        if files.last() != Some(&file) {
            if files.contains(&file) {
                faults.push(format!("back to {file}"));
            }
            files.push(file);
        }
        match fs::read_to_string(root.join(file)) {
            Ok(source) if has_function(&source, function) => {}
            Ok(_) => faults.push(format!("no fn {function} in {file}")),
            Err(error) => faults.push(format!("{file}: {error}")),
        }
    }
    faults
}

/// Whether a source file has the function, outside of its tests.
fn has_function(source: &str, function: &str) -> bool {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    ['(', '<']
        .iter()
        .any(|after| product.contains(&format!("fn {function}{after}")))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

#[test]
fn every_walk_of_the_architecture_is_short_leads_through_functions_that_exist_and_never_back() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let walks = walks(&document);
    let faults: Vec<String> = walks
        .iter()
        .flat_map(|walk| {
            let faults = faults(walk, root()).into_iter();
            faults.map(move |fault| format!("{}: {fault}", walk.heading))
        })
        .collect();
    assert_eq!(faults, Vec::<String>::new());

    assert_eq!(walks.len(), 3, "{walks:?}");
    // A step that is written in another way would not be checked.
    let steps: usize = walks.iter().map(|walk| walk.steps.len()).sum();
    let named = document.matches(".rs:").count();
    assert_eq!(
        steps, named,
        "ARCHITECTURE.md names a file:function outside of a walk's numbered steps"
    );
}

#[test]
fn what_is_wrong_with_a_walk_is_noticed() {
    let wrong = |steps: &str| {
        let document =
            format!("text\n{SECTION}\n\n### A name\n\n{steps}\n## Next\n\n1. `no/such.rs:step`: after it\n");
        let walks = walks(&document);
        assert_eq!(walks.len(), 1, "{walks:?}");
        faults(&walks[0], root())
    };
    let (main, connect) = (
        "1. `apu-wrapper/src/main.rs:",
        "2. `apu-wrapper/src/connect.rs:connect`: a word\n",
    );
    assert_eq!(
        wrong(&format!("{main}main`: begins\n{main}carry`: goes on\n{connect}")),
        Vec::<String>::new()
    );
    assert_eq!(wrong("no steps"), ["0 steps"]);
    assert_eq!(wrong(&format!("{main}carry`: a word\n").repeat(13)), ["13 steps"]);
    assert_eq!(
        wrong(&format!(
            "{main}main`: begins\n{connect}{main}carry`: goes back\n"
        )),
        ["back to apu-wrapper/src/main.rs"]
    );
    // The start of a name is another name, and a test's function is none of the walk's.
    for function in ["connec", "only_a_plain_file_is_read_and_only_its_start"] {
        let file = "apu-wrapper/src/connect.rs";
        let fault = format!("no fn {function} in {file}");
        assert_eq!(wrong(&format!("1. `{file}:{function}`: a word\n")), [fault]);
    }
    assert_eq!(wrong("1. `no/such.rs:step`: a word\n").len(), 1);
}
