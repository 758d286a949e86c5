//! Removes .debs from apt's cache that are not those of a plan.
//!
//! apt compares no more than the size of a .deb that lies in its cache. One of an earlier build of the same version would be
//! installed in place of the one that was approved.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use apu_proto::DebSha256;
use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::downloads::Download;

/// Removes what lies in `cache` under the name of one of these .debs and has another checksum.
///
/// # Errors
/// Where one of them can be neither read nor removed.
pub(crate) fn remove_other_debs(cache: &Path, debs: &[Download]) -> io::Result<()> {
    for Download { file, sha256, .. } in debs {
        let path = cache.join(file);
        let is_other = match checksum(&path) {
            Ok(found) => found != *sha256,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // A link, a directory or what cannot be read is no .deb of a plan.
            Err(_) => true,
        };
        if is_other {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Returns those of these .debs that do not lie in `cache` with their checksum.
///
/// # Errors
/// Where one of them cannot be read.
pub(crate) fn missing_debs<'a>(cache: &Path, debs: &'a [Download]) -> io::Result<Vec<&'a Download>> {
    let mut missing = Vec::new();
    for deb in debs {
        match checksum(&cache.join(&deb.file)) {
            Ok(found) if found == deb.sha256 => {}
            Ok(_) => missing.push(deb),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(deb),
            Err(error) => return Err(error),
        }
    }
    Ok(missing)
}

fn checksum(path: &Path) -> io::Result<DebSha256> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut hash = Sha256::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(DebSha256::from_bytes(hash.finalize().into())),
            length => hash.update(&buffer[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_deb_of_the_plan_is_removed_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let at = |name: &str| cache.path().join(name);
        fs::write(at("same"), "one").unwrap();
        fs::write(at("other"), "two").unwrap();
        fs::write(at("unplanned"), "three").unwrap();
        std::os::unix::fs::symlink(at("same"), at("link")).unwrap();
        let sha256 = DebSha256::from_bytes(Sha256::digest("one").into());
        let debs = ["same", "other", "link", "missing"].map(|file| Download {
            file: file.to_owned(),
            sha256,
            size: 3,
        });
        let missing = |some: &[usize]| {
            let debs: Vec<Download> = some.iter().map(|place| debs[*place].clone()).collect();
            missing_debs(cache.path(), &debs).map(|missing| missing.len())
        };
        // What has other contents is as missing as what is not there.
        assert_eq!(missing(&[0, 1, 3]).unwrap(), 2);
        assert!(missing(&[2]).is_err());
        remove_other_debs(cache.path(), &debs).unwrap();
        let left = |name: &str| fs::symlink_metadata(at(name)).is_ok();
        assert!(left("same") && left("unplanned"));
        assert!(!left("other") && !left("link"));

        fs::create_dir(at("missing")).unwrap();
        assert!(remove_other_debs(cache.path(), &debs).is_err());
    }
}
