//! dpkg's database, versions and options, read and compared without calling dpkg.

mod conffile_options;
mod control;
mod database;
mod version;

pub(crate) use conffile_options::{Conffiles, dpkg_forces};
pub(crate) use control::{Field, paragraphs};
pub(crate) use database::Database;
pub(crate) use version::compare;

pub(crate) const DPKG: &str = "/usr/bin/dpkg";
