//! Reads the files of answers, and refuses those that others than root could write, or read where a password is in them.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use apu_archive::quote;
use apu_debian::debconf::{MAX_SELECTIONS, Selection, selections};
use apu_fleet::{ClassName, is_a_copy};
use apu_site::Failure;
use nix::fcntl::OFlag;

/// The answers of each file of a directory that has the name of a class, by that name.
pub(super) fn read_all(directory: &Path) -> Result<Vec<(String, Vec<Selection>)>, Failure> {
    let failed = |error: io::Error| {
        let what = format!("cannot read the answers in {}", directory.display());
        Failure::of_io(what, error, directory)
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let Some(name) = name
            .to_str()
            .filter(|name| !is_a_copy(name) && !name.starts_with('.'))
        else {
            continue;
        };
        let path = directory.join(name);
        if name.parse::<ClassName>().is_err() {
            return Err(
                Failure::words(format!("{} is no file of answers", path.display()))
                    .why("its name is not that of a class, and is not `all`")
                    .advise(format!("mv {} elsewhere", quote(&path.to_string_lossy()))),
            );
        }
        found.push((name.to_owned(), read(&path)?));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn read(path: &Path) -> Result<Vec<Selection>, Failure> {
    let what = || format!("cannot use the answers in {}", path.display());
    let failed = |error: io::Error| Failure::of_io(what(), error, path);
    let flags = OFlag::O_NONBLOCK.bits();
    let file = File::options()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let shown = path.to_string_lossy();
    if !metadata.is_file() {
        return Err(Failure::words(what()).why("it is not a file"));
    }
    let ours = nix::unistd::geteuid().as_raw();
    if metadata.mode() & 0o022 != 0 || (metadata.uid() != 0 && metadata.uid() != ours) {
        return Err(Failure::words(what())
            .why("others than root may write it")
            .advise(format!("chown root {0} && chmod 600 {0}", quote(&shown))));
    }
    let mut text = Vec::new();
    (file.take(MAX_SELECTIONS as u64 + 1).read_to_end(&mut text)).map_err(failed)?;
    let answers = selections(&text).map_err(|error| {
        Failure::words(what())
            .why(error)
            .advise(format!("correct {}; apu-debconf(5) has its form", path.display()))
    })?;
    let secret = answers.iter().find(|answer| answer.kind.is_secret());
    if let Some(secret) = secret.filter(|_| metadata.mode() & 0o077 != 0) {
        return Err(Failure::words(what())
            .why(format!(
                "line {} has a password, and others than root may read the file",
                secret.line
            ))
            .advise(format!("chmod 600 {}", quote(&shown))));
    }
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use apu_site::report;

    use super::*;

    fn refused(name: &str, text: &str, mode: u32) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        read_all(directory.path()).err().map(|failure| report(&failure).0)
    }

    #[test]
    fn a_file_is_used_that_root_alone_writes_and_reads_where_it_has_a_password() {
        let (plain, secret) = ("aa a/b string x\n", "# x\naa a/b password hunter2\n");
        assert_eq!(refused("web", plain, 0o644), None);
        assert_eq!(refused("web", secret, 0o600), None);
        for (text, mode, expected) in [
            (plain, 0o664, "others than root may write it"),
            (
                secret,
                0o640,
                "line 2 has a password, and others than root may read the file",
            ),
            (
                "\naa a/b hunter2\n",
                0o600,
                "line 2: its third word is none of string, boolean",
            ),
        ] {
            let said = refused("web", text, mode).unwrap();
            assert!(said.contains(expected) && said.contains("/web"), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
        // What an editor leaves is no file of answers, and another name no class.
        assert_eq!(refused("web~", secret, 0o666), None);
        assert_eq!(refused(".web.swp", secret, 0o666), None);
        let said = refused("we b", plain, 0o600).unwrap();
        assert!(said.contains("is no file of answers"), "{said}");
        assert!(read_all(Path::new("/nonexistent/debconf")).unwrap().is_empty());
    }
}
