//! dpkg's database, versions and options, read and compared without calling dpkg.

mod conffile_options;
mod database;
mod package_files;
mod service_calls;

pub(crate) use apu_debian::compare;
pub(crate) use apu_debian::deb822::lenient::{Field, paragraphs};
pub(crate) use conffile_options::{Conffiles, dpkg_forces};
pub(crate) use database::Database;
pub(crate) use package_files::{each_file, restarted_units};

pub(crate) const DPKG_DEB: &str = "/usr/bin/dpkg-deb";
pub(crate) const DPKG: &str = "/usr/bin/dpkg";
