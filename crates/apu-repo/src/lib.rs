//! Reading and writing Debian packages, and making a directory of them a signed archive that apt trusts.
//!
//! Also the two things that everything on the server shares: where its files are ([`Site`]) and what
//! `apu.toml` says ([`Settings`]).

mod failure;
pub mod settings;
mod site;

pub use failure::{Failure, FailureKind, report};
pub use settings::Settings;
pub use site::Site;
