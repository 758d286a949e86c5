//! What the server's programs share: where their files are, `apu.toml`, the keys, and how errors and output are shown.

mod archive_failure;
mod failure;
mod host;
mod io_advice;
mod labels;
pub mod output;
mod push_key;
mod rotation;
pub mod settings;
mod setup;
mod site;

pub use archive_failure::{allow_essential, archive_failure, left_out};
pub use failure::{Failure, FailureKind, report};
pub use host::fqdn;
pub use io_advice::io_advice;
pub use labels::{labels_of, own_labels};
pub use output::Ui;
pub use push_key::{PushKeyError, read_public};
pub use rotation::{KeyKind, Rotation, archive_key_at, archive_key_is_at, archive_keys, push_keys};
pub use settings::Settings;
pub use setup::{Made, setup};
pub use site::Site;
