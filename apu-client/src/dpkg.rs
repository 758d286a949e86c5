//! dpkg's database, read without dpkg: what is installed, what is not whole, what changed.

mod control;
mod database;
mod version;

pub(crate) use control::{Field, paragraphs};
pub(crate) use database::Database;
pub(crate) use version::compare;
