//! Reads which sources of apu-data were left out on this machine, and has the sources composed again where apt cannot
//! read them.
//!
//! apt reads no source at all if two of them conflict. Any package may install a source at any time, so sources that
//! were compatible when apu-data was installed may conflict later. Then apu-data's program composes them again.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use apu_proto::{Note, SourceLeftOut};

use super::call::APT_GET;
use super::environment::ENVIRONMENT;
use super::errors::errors;
use crate::os::paths::ClientPaths;
use crate::os::spawn;

/// Time limit for apt to read the sources; far more than it needs.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Time limit for composing, which builds apt's cache twice at most.
const COMPOSE_TIMEOUT: Duration = Duration::from_secs(600);

/// Bytes that are read of the file; compose-sources writes less.
const MAX_SIZE: u64 = 64 * 1024;

/// Returns the sources of apu-data that conflict with the machine's own; none where all are in use, or where apu-data
/// is too old to write the file.
pub(crate) fn left_out(paths: &ClientPaths) -> Vec<SourceLeftOut> {
    let mut bytes = Vec::new();
    let read = File::open(paths.left_out()).and_then(|file| file.take(MAX_SIZE).read_to_end(&mut bytes));
    if read.is_err() {
        return Vec::new();
    }
    parse(&String::from_utf8_lossy(&bytes))
}

/// Parses lines of three fields separated by tabs: the source, the machine's files that conflict with it, and apt's
/// error.
fn parse(text: &str) -> Vec<SourceLeftOut> {
    let field = |text: &str| text.chars().take(500).collect::<String>();
    let line = |line: &str| {
        let (source, rest) = line.split_once('\t')?;
        let (files, words) = rest.split_once('\t')?;
        Some(SourceLeftOut {
            source: field(source),
            files: field(files),
            words: field(words),
        })
    };
    text.lines().filter_map(line).take(100).collect()
}

/// Returns the same as notes for a result.
pub(crate) fn left_out_notes(paths: &ClientPaths) -> impl Iterator<Item = Note> {
    left_out(paths).into_iter().map(Note::SourceLeftOut)
}

/// Returns apt's error about the sources that runs use; none where apt reads them.
pub(crate) fn read_error(paths: &ClientPaths) -> Option<String> {
    let mut arguments = vec!["indextargets".to_owned(), "--no-release-info".to_owned()];
    for option in paths.apt_overrides() {
        arguments.extend(["-o".to_owned(), option.clone()]);
    }
    if paths.is_exclusive() {
        for option in [
            "Dir::Etc::SourceList=/dev/null".to_owned(),
            format!("Dir::Etc::SourceParts={}", paths.exclusive_sources().display()),
        ] {
            arguments.extend(["-o".to_owned(), option]);
        }
    }
    match spawn::capture(APT_GET, &arguments, &ENVIRONMENT, READ_TIMEOUT) {
        Ok(captured) if captured.succeeded() => None,
        // The other lines repeat the first one, and say that the list could not be read.
        Ok(captured) => Some(
            errors(&captured.stderr)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        ),
        Err(error) => Some(format!("cannot ask apt: {error}")),
    }
}

/// Composes the sources again where apt does not read them, and returns a note about the result.
pub(crate) fn compose_again(paths: &ClientPaths) -> Option<Note> {
    let said = read_error(paths)?;
    let program = paths.compose_sources();
    if !program.is_file() {
        return Some(Note::SourcesUnread { said });
    }
    let none: [&str; 0] = [];
    let composed = spawn::capture(
        &program.display().to_string(),
        &none,
        &ENVIRONMENT,
        COMPOSE_TIMEOUT,
    );
    if let Err(error) = &composed {
        let error = error.to_string();
        return Some(Note::SourcesNotComposed { said, error });
    }
    Some(match read_error(paths) {
        None => Note::SourcesComposed { said },
        Some(said) => {
            let files = left_out(paths).into_iter().map(|left| left.files);
            let files = files.filter(|files| !files.is_empty()).collect();
            Note::OwnSourcesUnread { said, files }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_is_told_with_the_file_and_apts_words() {
        let text = "http://v.example.org/ s\t/etc/apt/sources.list.d/v.list line 1\tConflicting values\nno tabs\n\
                    all\t\tMalformed\tentry\n";
        let expected = |source: &str, files: &str, words: &str| SourceLeftOut {
            source: source.into(),
            files: files.into(),
            words: words.into(),
        };
        assert_eq!(
            parse(text),
            [
                expected(
                    "http://v.example.org/ s",
                    "/etc/apt/sources.list.d/v.list line 1",
                    "Conflicting values"
                ),
                expected("all", "", "Malformed\tentry"),
            ]
        );
    }

    #[test]
    fn a_file_of_any_size_gives_a_bounded_answer() {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        assert_eq!(left_out(&paths), []);
        std::fs::create_dir_all(paths.left_out().parent().unwrap()).unwrap();
        let line = format!("{}\t{}\tw\n", "a".repeat(3000), "b".repeat(3000));
        std::fs::write(paths.left_out(), line.repeat(1000)).unwrap();
        let found = left_out(&paths);
        assert!(!found.is_empty() && found.len() <= 100);
        assert!(
            found
                .iter()
                .all(|left| left.source.len() == 500 && left.files.len() == 500)
        );
    }
}
