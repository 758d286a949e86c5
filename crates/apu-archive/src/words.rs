//! Words of a Release file and names of suites, checked once.

use apu_debian::text_value;

text_value!(
    /// A word of a Release file.
    Label,
    is_label,
    str::to_owned,
    "a word of a Release file: 1 to 64 of A-Z a-z 0-9 _ . + - /, starting with a letter or digit"
);
text_value!(
    /// The name of a suite or a component: one part of a path.
    Word,
    is_word,
    str::to_owned,
    "a suite or component: 1 to 64 of A-Z a-z 0-9 _ . + -, starting with a letter or digit"
);
text_value!(
    /// An architecture of machines, so not `all`.
    MachineArchitecture,
    is_machine,
    str::to_owned,
    "an architecture such as amd64 or arm64"
);

fn is_label(word: &str) -> bool {
    word.len() <= 64
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.+-/".contains(&b))
        && !word.split('/').any(|part| part.is_empty() || part == "..")
}

fn is_word(word: &str) -> bool {
    is_label(word) && !word.contains('/')
}

fn is_machine(name: &str) -> bool {
    name != "all" && apu_debian::is_architecture(name)
}
