//! Grammars that server and client share: package names, architectures, versions and their order, deb822, and the windows in which
//! changes are made.
//!
//! A leaf of the workspace: no I/O, and no dependency beyond serde and thiserror, since the root side links it.

pub mod deb822;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
pub mod hex;
mod nearest;
mod package;
mod sources_words;
mod text_value;
mod user;
mod version;
mod window;

pub use nearest::nearest;
pub use package::{
    Architecture, PackageError, PackageKey, PackageName, is_architecture, is_dpkg_name, is_package_name,
};
pub use sources_words::{UNSIGNED_OPTIONS, yes_or_no};
pub use user::UserName;
pub use version::{Version, compare, is_version};
pub use window::{Closed, WallTime, Window, WindowError, Windows, ZoneName};
