//! Why a settings file is not one: facts with a line, and the advice that follows from them.

use std::path::{Path, PathBuf};

use apu_debian::nearest;
use thiserror::Error;

/// Why the text of `apu.toml` could not be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A key that no table has.
    #[error("line {line}: there is no key `{key}`")]
    UnknownKey {
        /// Where.
        line: usize,
        /// What stands there.
        key: String,
        /// What may stand there.
        known: Vec<String>,
    },
    /// Anything else: not TOML, or a value that cannot be.
    #[error("line {line}: `{text}`: {message}")]
    Value {
        /// Where.
        line: usize,
        /// What stands there.
        text: String,
        /// What is wrong with it.
        message: String,
    },
    /// A path that would depend on where the program was started.
    #[error("{key}: {} is not an absolute path", path.display())]
    Relative {
        /// Which key.
        key: &'static str,
        /// What it says.
        path: PathBuf,
    },
    /// An archive that cannot be beside the others, or not as it is written.
    #[error("the archive {name} of [[archives]]: {problem}")]
    Archive {
        /// Its name.
        name: String,
        /// Why.
        problem: &'static str,
    },
    /// A slot that cannot be as it is written.
    #[error("[slot.{name}]: {problem}")]
    Slot {
        /// Its name.
        name: String,
        /// Why.
        problem: String,
    },
}

/// A line without the address of a webhook: who knows it can post there.
fn without_webhook(line: &str) -> String {
    match line.find("webhook") {
        Some(at) if line[at..].contains('=') => format!("{}webhook = …", &line[..at]),
        _ => line.to_owned(),
    }
}

/// A line whose addresses have no user name and password: an error is read by more people than the file.
fn without_passwords(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        let end = after.find(['/', '"', '\'', ' ']).unwrap_or(after.len());
        let (authority, left) = after.split_at(end);
        shown += before;
        shown += "://";
        match authority.rsplit_once('@') {
            Some((_, host)) => shown += &format!("…@{host}"),
            None => shown += authority,
        }
        rest = left;
    }
    shown + rest
}

impl SettingsError {
    pub(super) fn new(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..start]
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count()
            + 1;
        let message = error.message();
        // serde says "unknown field `prot`, expected one of `user`, `port`".
        if let Some(words) = message.strip_prefix("unknown field ") {
            let mut quoted = words.split('`').skip(1).step_by(2).map(str::to_owned);
            let key = quoted.next().unwrap_or_default();
            return Self::UnknownKey {
                line,
                key,
                known: quoted.collect(),
            };
        }
        let text = text.lines().nth(line - 1).unwrap_or_default().trim();
        Self::Value {
            line,
            text: without_webhook(&without_passwords(text)),
            message: message.replace('\n', "; "),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::UnknownKey { key, known, .. } => match nearest(key, known.iter().map(String::as_str)) {
                Some(nearest) => format!("write `{nearest}` instead in {path}"),
                None => format!("remove it from {path}; there are {}", known.join(", ")),
            },
            Self::Value { line, .. } => {
                format!("correct line {line} of {path}; apu.toml(5) lists every key with its default")
            }
            Self::Archive { .. } | Self::Slot { .. } => {
                format!("correct it in {path}; apu.toml(5) has an example")
            }
            Self::Relative { .. } => format!("write the path in {path} with a leading /"),
        }
    }
}
