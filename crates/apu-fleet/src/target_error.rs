//! Why the words of a target name no hosts.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::class::{LineError, meant};
use crate::name::{ClassName, HostName, NameError};
use crate::range::RangeError;

/// Why a target names no hosts.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The directory of classes cannot be read.
    #[error("cannot read the classes in {}", path.display())]
    Directory {
        /// Where they should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A class file cannot be read.
    #[error("cannot read class `{class}`")]
    File {
        /// Which.
        class: ClassName,
        /// Why.
        source: io::Error,
    },
    /// A class file with wrong lines.
    #[error("cannot use class `{class}`")]
    Class {
        /// Which.
        class: ClassName,
        /// Each of its wrong lines.
        errors: Vec<LineError>,
    },
    /// A class without a host.
    #[error("class `{0}` names no host")]
    Empty(ClassName),
    /// Neither a class nor a host.
    #[error("there is no class or host `{word}`{}", meant(.nearest))]
    Nothing {
        /// As it was given.
        word: String,
        /// The class or host that was most likely meant.
        nearest: Option<String>,
    },
    /// Not even a name.
    #[error("{word:?} is neither a class nor a host")]
    NoName {
        /// As it was given.
        word: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Not the hosts of a run.
    #[error("{word:?} names no hosts: {why}")]
    Run {
        /// As it was given.
        word: String,
        /// Why.
        why: String,
    },
    /// Brackets without a range.
    #[error("{word:?} is not a range of hosts")]
    Range {
        /// As it was given.
        word: String,
        /// What is wrong with it.
        source: RangeError,
    },
    /// Two classes know the same host differently.
    #[error(
        "{host} is not the same host everywhere: class `{one}` has `{first}`, class `{other}` has `{second}`"
    )]
    Ambiguous {
        /// The host.
        host: HostName,
        /// A class that has it.
        one: ClassName,
        /// As it is there.
        first: String,
        /// Another class that has it.
        other: ClassName,
        /// As it is there.
        second: String,
    },
    /// A list of targets that cannot be read.
    #[error("cannot read the targets in {path}")]
    List {
        /// As it was given.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A word of a list.
    #[error("{place}")]
    Listed {
        /// The line and the list.
        place: String,
        /// What is wrong with the word.
        source: Box<TargetError>,
    },
    /// `@NAME` where there is a file and a class of that name.
    #[error("@{0} is a file here, and a class")]
    FileOrClass(String),
    /// Nothing but exclusions.
    #[error("!{0} leaves a host out, and no word names the others")]
    OnlyOut(String),
    /// `all` of no classes.
    #[error("there is no class that names a host")]
    NoClasses,
    /// Excluding what is not there is most likely a slip, and a costly one.
    #[error("{0} cannot be excluded: it is not among the hosts")]
    NotAmong(HostName),
    /// Everything was excluded.
    #[error("no host is left after the exclusions")]
    NoneLeft,
}
