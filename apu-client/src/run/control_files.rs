//! Reads the control files of a .deb, such as `templates`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use crate::apt::ENVIRONMENT;
use crate::dpkg::DPKG_DEB;
use crate::os::spawn;

/// Time limit for one program.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(60);

/// Maximal size of a control file, in bytes: the templates of some packages have all their translations.
const MAX_CONTROL_FILE: u64 = 4 * 1024 * 1024;

/// Unpacks a .deb's control files into a directory that need not exist.
pub(crate) fn unpack_control(deb: &Path, control: &Path) -> io::Result<()> {
    fs::create_dir_all(control)?;
    let words = ["--control", text(deb)?, text(control)?];
    let captured = spawn::capture(DPKG_DEB, &words, &unpacking_environment(), PROGRAM_TIMEOUT)?;
    match captured.succeeded() {
        true => Ok(()),
        false => Err(io::Error::other(captured.stderr)),
    }
}

/// Returns one of them; nothing where the .deb has none.
pub(crate) fn control_file(control: &Path, name: &str) -> io::Result<String> {
    let file = match File::open(control.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    if file.take(MAX_CONTROL_FILE).read_to_end(&mut bytes)? as u64 == MAX_CONTROL_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// By itself, dpkg-deb unpacks in as many threads as there are processors, in memory that the unit may not have.
pub(crate) fn unpacking_environment() -> Vec<&'static str> {
    ENVIRONMENT
        .into_iter()
        .chain(["DPKG_DEB_THREADS_MAX=1"])
        .collect()
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> io::Result<&str> {
    path.to_str().ok_or_else(|| io::ErrorKind::InvalidInput.into())
}
