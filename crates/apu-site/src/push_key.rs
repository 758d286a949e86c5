//! The SSH push key, made once by `ssh-keygen`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use apu_archive::atomic_file;
use thiserror::Error;

/// Why there is no push key.
#[derive(Debug, Error)]
pub enum PushKeyError {
    /// ssh-keygen is not there or could not be started.
    #[error("cannot start ssh-keygen")]
    Start(#[source] io::Error),
    /// ssh-keygen said no.
    #[error("ssh-keygen: {0}")]
    Refused(String),
    /// A file.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// There is none.
    #[error("cannot read it")]
    Read(#[source] io::Error),
    /// The public half is no line that may stand in authorized_keys.
    #[error("{0} is not one line `ssh-ed25519 KEY COMMENT`")]
    NotAKey(String),
}

/// Makes the push key at `private` with its `.pub` beside it, unless it is there; says whether it did.
///
/// A missing public half is made again from the private one.
pub(crate) fn ensure(private: &Path, comment: &str) -> Result<bool, PushKeyError> {
    let write = |path: &Path| {
        let path = path.display().to_string();
        move |source| PushKeyError::Write { path, source }
    };
    let made = if private.try_exists().map_err(write(private))? {
        false
    } else {
        let fresh = private.with_file_name(".new-push-key");
        let _ = fs::remove_file(&fresh);
        keygen(&["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f"], &fresh)?;
        let key = fs::read(&fresh).map_err(write(&fresh))?;
        let made = atomic_file::create(private, &key, 0o600).map_err(write(private))?;
        for leftover in [fresh.clone(), fresh.with_extension("pub")] {
            let _ = fs::remove_file(leftover);
        }
        made
    };
    let public = private.with_extension("pub");
    if made || !public.try_exists().map_err(write(&public))? {
        // The comment is inside the private key, so that both halves always agree.
        let line = keygen(&["-y", "-f"], private)?;
        atomic_file::replace(&public, line.as_bytes(), 0o644).map_err(write(&public))?;
    }
    Ok(made)
}

fn keygen(args: &[&str], path: &Path) -> Result<String, PushKeyError> {
    let output = Command::new("ssh-keygen")
        .args(args)
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(PushKeyError::Start)?;
    if !output.status.success() {
        return Err(PushKeyError::Refused(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The one line of a public key file, checked before it goes into anyone's authorized_keys.
pub fn read_public(path: &Path) -> Result<String, PushKeyError> {
    let text = fs::read_to_string(path).map_err(PushKeyError::Read)?;
    let line = text.trim_end_matches('\n');
    let mut words = line.split(' ');
    let key_type = words.next().unwrap_or_default();
    let key = words.next().unwrap_or_default();
    let known = [
        "ssh-ed25519",
        "sk-ssh-ed25519@openssh.com",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
    ];
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if known.contains(&key_type)
        && key.len() > 60
        && key.bytes().all(base64)
        && line.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        Ok(line.to_owned())
    } else {
        Err(PushKeyError::NotAKey(path.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::{ensure, read_public};

    #[test]
    fn a_push_key_is_made_once_and_never_again() {
        let dir = tempfile::tempdir().unwrap();
        let key = dir.path().join("id_ed25519");
        assert!(ensure(&key, "apu-server@test").unwrap());
        let first = fs::read(&key).unwrap();
        let line = read_public(&key.with_extension("pub")).unwrap();
        assert!(
            line.starts_with("ssh-ed25519 AAAA") && line.ends_with(" apu-server@test"),
            "{line}"
        );
        assert!(!ensure(&key, "else").unwrap());
        assert_eq!(fs::read(&key).unwrap(), first);
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(key.with_extension("pub")).unwrap();
        assert!(!ensure(&key, "else").unwrap());
        assert_eq!(read_public(&key.with_extension("pub")).unwrap(), line);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_public_key_of_two_lines_or_with_options_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pub");
        let key = "A".repeat(68);
        for text in [
            format!("ssh-ed25519 {key} a\nssh-ed25519 {key} b\n"),
            format!("command=\"sh\" ssh-ed25519 {key}\n"),
            "ssh-ed25519 short\n".to_owned(),
            format!("ssh-ed25519 {key} a\rb\n"),
        ] {
            fs::write(&path, &text).unwrap();
            assert!(read_public(&path).is_err(), "{text:?}");
        }
    }
}
