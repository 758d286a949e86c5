//! Grammars that server and client share: package names, architectures, versions and their order, deb822, debconf's answers and
//! templates, globs, the windows in which changes are made, and which programs of a directory may be run.
//!
//! A leaf of the workspace: no dependency beyond serde and thiserror, since the root side links it, and no I/O but `run_parts`, which
//! looks at a directory.

pub mod deb822;
pub mod debconf;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod glob;
pub mod hex;
mod nearest;
mod package;
mod path_glob;
pub mod run_parts;
mod sources_words;
mod text_value;
mod user;
mod version;
mod window;

pub use glob::matches_glob;
pub use nearest::nearest;
pub use package::{
    Architecture, PackageError, PackageKey, PackageName, is_architecture, is_dpkg_name, is_package_name,
};
pub use path_glob::{MAX_PATH_GLOB, PathGlob};
pub use sources_words::{UNSIGNED_OPTIONS, yes_or_no};
pub use user::UserName;
pub use version::{Version, compare, is_version};
pub use window::{Closed, WallTime, Window, WindowError, Windows, ZoneName};
