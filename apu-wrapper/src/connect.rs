//! Connects to apu-client's socket, and passes on which key logged in.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use apu_proto::KeyFingerprint;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, connect as connect_to, socket};

/// Bytes that are read of sshd's file, which has one line per key.
const MOST: u64 = 16 * 1024;

/// Connects to the socket. If sshd tells the key (`ExposeAuthInfo yes`), the near end is bound to a name with its
/// fingerprint.
pub(crate) fn connect(path: &str) -> io::Result<UnixStream> {
    let Some(key) = exposed_key() else {
        return UnixStream::connect(path);
    };
    let socket = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // A name that can be guessed could be taken by any user of this machine, to keep the key out of the log.
    let unique = u32::try_from(RandomState::new().hash_one(std::process::id()) >> 32).unwrap_or_default();
    // Errors are ignored: the request matters more than the name.
    let _ = UnixAddr::new_abstract(key.to_peer_name(unique).as_bytes())
        .and_then(|name| bind(socket.as_raw_fd(), &name));
    connect_to(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

fn exposed_key() -> Option<KeyFingerprint> {
    let path = std::env::var_os("SSH_USER_AUTH")?;
    KeyFingerprint::of_auth_info(&read(Path::new(&path))?)
}

/// Reads the start of a regular file. If sshd does not set the variable, the user who logged in may have set it.
fn read(path: &Path) -> Option<String> {
    if !path.symlink_metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut text).ok()?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_is_read_and_only_its_start() {
        assert_eq!(read(Path::new("/dev/zero")), None);
        assert_eq!(read(Path::new("/proc/self/exe")), None);
        assert_eq!(read(Path::new("/nonexistent")), None);
        let path = std::env::temp_dir().join(format!("apu-wrapper-{}", std::process::id()));
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let length = read(&path).map(|text| text.len());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(length, Some(16 * 1024));
    }
}
