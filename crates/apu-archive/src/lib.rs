//! Reads and writes Debian packages, and makes a directory of them an archive that apt trusts.

mod archive;
pub mod atomic_file;
mod deb;
mod folder;
mod lock;
mod openpgp;
mod parallel;
mod shell;
mod trusted;
mod words;

pub use archive::{
    Archive, ArchiveError, Checked, Entry, Fault, Labels, Layout, Published, Remedy, Suite, Trial,
    check_suite, indexes, newest_version, release_date, suites,
};
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use deb::fuzz;
pub use deb::{Control, ControlError, Deb, DebError, DebWriter, WriteError, serve_deb_reader};
pub use folder::Folder;
pub use openpgp::{ArchiveKey, KeyError, Keyring, certificates, certificates_armored, public_certificates};
pub use shell::quote;
pub use trusted::Untrusted;
pub use words::{Label, MachineArchitecture, Word};
