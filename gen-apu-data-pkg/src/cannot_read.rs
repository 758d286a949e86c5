//! The error for a file of the site that cannot be read.

use std::io::{self, ErrorKind};
use std::path::Path;

use apu_site::Failure;

/// Says which file, why, and what to try: `advice`, where it is not for lack of permission.
pub(crate) fn cannot_read(path: &Path, error: io::Error, advice: &str) -> Failure {
    let advice = match error.kind() {
        ErrorKind::PermissionDenied => "run it as root, with sudo",
        _ => advice,
    };
    Failure::words(format!("cannot read {}", path.display()))
        .why(error)
        .advise(advice)
}
