//! Reading and writing Debian packages, and making a directory of them a signed archive that apt trusts.
//!
//! Also the two things that everything on the server shares: where its files are ([`Site`]) and what
//! `apu.toml` says ([`Settings`]).

// A panic at a closed pipe is no way to end: apu_repo::output is.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod archive;
mod deb;
pub mod deb822;
mod durable;
mod failure;
mod folder;
mod host;
mod io_advice;
mod lock;
mod openpgp;
pub mod output;
mod parallel;
mod push_key;
mod rotation;
pub mod settings;
mod setup;
mod shell;
mod site;
mod trusted;

pub use deb::{Control, ControlError, Deb, DebError, DebWriter, WriteError, serve_deb_reader};
pub use failure::{Failure, FailureKind, report};
pub use folder::Folder;
pub use host::fqdn;
pub use io_advice::io_advice;
pub use openpgp::{ArchiveKey, KeyError, Keyring, public_certificates};
pub use push_key::{PushKeyError, read_public};
pub use rotation::{KeyKind, Rotation, archive_key_at, archive_key_is_at, archive_keys, push_keys};
pub use settings::Settings;
pub use setup::{Made, ensure_archive_key, ensure_push_key, setup};
pub use shell::quote;
pub use site::Site;
pub use trusted::Untrusted;
