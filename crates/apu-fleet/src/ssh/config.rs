//! The configuration file that ssh is given by `-F`. ssh hands it on to the ssh of a jump host, which sees no other option of
//! ours: so the guards that hold for every hop stand here, before the administrator's own files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What holds for a jump host as for the host behind it: no question, a limited time, and its reason told.
const GUARDS: &str = "\
BatchMode yes
ConnectionAttempts 1
ServerAliveInterval 15
ServerAliveCountMax 3
ForwardAgent no
ForwardX11 no
PermitLocalCommand no
RequestTTY no
LogLevel INFO
";

/// What ssh reads by itself where it is given no file. An unknown key of a jump host is told by its name where nothing there
/// says what is to be done about one.
const OWN: &str = "\
Include ~/.ssh/config
Include /etc/ssh/ssh_config
StrictHostKeyChecking yes
";

/// The text of the file. The first value of a setting is the one that counts.
fn text(connect_timeout: Duration) -> String {
    let seconds = connect_timeout.as_secs().max(1);
    format!("{GUARDS}ConnectTimeout {seconds}\n{OWN}")
}

/// Writes the file into a private directory; its path.
///
/// # Errors
/// Where it cannot be written, and where its path has a character that the shell between two hops would read.
pub fn write_config(directory: &Path, connect_timeout: Duration) -> io::Result<PathBuf> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let path = directory.join("ssh_config");
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(byte);
    if !path.as_os_str().as_encoded_bytes().iter().all(is_plain) {
        let text = format!("{}: a shell would not take this path as it is", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidFilename, text));
    }
    let text = text(connect_timeout);
    if fs::read_to_string(&path).is_ok_and(|there| there == text) {
        return Ok(path);
    }
    // Another program may read it at this moment.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let fresh = path.with_extension(format!("{}-{number}", process::id()));
    let written = File::create(&fresh).and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .and_then(|()| fs::rename(&fresh, &path))
        .inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn ssh_itself_reads_the_guards_for_every_hop_and_then_its_own_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = write_config(directory.path(), Duration::from_secs(7)).unwrap();
        let read = Command::new("/usr/bin/ssh")
            .arg("-F")
            .arg(&path)
            .args(["-o", "LogLevel=QUIET", "-G", "--", "gate.invalid"])
            .output()
            .unwrap();
        let read = String::from_utf8(read.stdout).unwrap();
        for line in [
            "batchmode yes",
            "connecttimeout 7",
            "forwardagent no",
            "hostname gate.invalid",
        ] {
            assert!(read.lines().any(|read| read == line), "{line}: {read}");
        }
        // Debian's ssh_config says so.
        assert!(read.contains("sendenv LC_*"), "{read}");
    }

    #[test]
    fn a_path_that_a_shell_would_split_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("a b");
        fs::create_dir(&odd).unwrap();
        assert!(write_config(&odd, Duration::from_secs(7)).is_err());
    }
}
