//! What differs between the two versions of configuration files: of those alone that everybody on the machine may read, so that the key
//! reads nothing that is for root.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use apu_proto::{Conffile, ConffileDiff, MAX_DIFF, MAX_DIFFS};

use crate::os::limited::{End, Limits, run};
use crate::os::paths::ClientPaths;
use crate::os::root_folder::{Contents, RootFolder};
use crate::os::spawn::Exit;
use crate::os::temporary_directory::TemporaryDirectory;

/// diffutils is essential.
const DIFF: &str = "/usr/bin/diff";
const ENVIRONMENT: [&str; 2] = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"];

/// Time limits for one file, and for all of them.
const ONE: Duration = Duration::from_secs(10);
const ALL: Duration = Duration::from_secs(30);

/// Everybody may read a file.
const READ_BY_ALL: u32 = 0o004;

/// Adds what differs to each file that has another version beside it.
pub(super) fn add(paths: &ClientPaths, files: &mut [Conffile]) -> io::Result<()> {
    let directory = TemporaryDirectory::of_process(&paths.views())?;
    let deadline = Instant::now() + ALL;
    let mut room = MAX_DIFFS;
    for file in files.iter_mut().filter(|file| !file.beside.is_empty()) {
        let left = deadline.saturating_duration_since(Instant::now()).min(ONE);
        let found = match left.is_zero() {
            true => ConffileDiff::NoRoom,
            false => differences(paths, &directory, file, left)?,
        };
        let length = match &found {
            ConffileDiff::Unified { text, .. } => text.len(),
            _ => 0,
        };
        file.diff = Some(match room.checked_sub(length) {
            Some(less) => {
                room = less;
                found
            }
            None => ConffileDiff::NoRoom,
        });
    }
    Ok(())
}

fn differences(
    paths: &ClientPaths,
    directory: &TemporaryDirectory,
    file: &Conffile,
    limit: Duration,
) -> io::Result<ConffileDiff> {
    let Some((folder, name)) = file.path.rsplit_once('/') else {
        return Ok(ConffileDiff::NotRead);
    };
    let Ok(Some(folder)) = RootFolder::open(paths.root(), folder) else {
        return Ok(ConffileDiff::NotRead);
    };
    let other = format!("{name}{}", file.beside);
    let (Ok(Some(place)), Ok(Some(beside))) = (folder.read(name), folder.read(&other)) else {
        return Ok(ConffileDiff::NotRead);
    };
    let is_public = |contents: &Contents| contents.owner.mode & READ_BY_ALL != 0;
    if !(folder.is_public() && is_public(&place) && is_public(&beside)) {
        return Ok(ConffileDiff::NotPublic);
    }
    let is_text = |contents: &Contents| !contents.bytes.contains(&0);
    if !(is_text(&place) && is_text(&beside)) {
        return Ok(ConffileDiff::Binary);
    }
    // diff gets what was looked at, whatever becomes of the files meanwhile.
    let copy = |name: &str, contents: &Contents| -> io::Result<PathBuf> {
        let path = directory.path().join(name);
        fs::write(&path, &contents.bytes)?;
        Ok(path)
    };
    let copies = [copy("place", &place)?, copy("beside", &beside)?];
    let labels = [file.path.clone(), format!("{}{}", file.path, file.beside)];
    diff(&labels, &copies, limit)
}

fn diff(labels: &[String; 2], copies: &[PathBuf; 2], limit: Duration) -> io::Result<ConffileDiff> {
    let mut arguments = vec!["-a".to_owned(), "-u".to_owned()];
    arguments.extend(labels.iter().map(|label| format!("--label={label}")));
    arguments.push("--".to_owned());
    arguments.extend(copies.iter().map(|copy| copy.display().to_string()));
    let limits = Limits {
        time: limit,
        output: MAX_DIFF,
    };
    let ended = run(DIFF, &arguments, &ENVIRONMENT, limits, &mut || false)?;
    match ended.end {
        End::Exited(Exit::Code(0 | 1)) => Ok(unified(ended.output, false)),
        End::TooLong => Ok(unified(ended.output, true)),
        End::Late => Ok(ConffileDiff::NoRoom),
        End::Exited(_) | End::Stopped => Ok(ConffileDiff::NotRead),
    }
}

/// What is no UTF-8 is longer once it is one: it is cut after a line, where it is too long.
fn unified(mut text: String, mut is_cut: bool) -> ConffileDiff {
    if text.len() > MAX_DIFF {
        let mut end = MAX_DIFF;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        is_cut = true;
    }
    if is_cut {
        text.truncate(text.rfind('\n').map_or(0, |at| at + 1));
    }
    ConffileDiff::Unified { text, is_cut }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use apu_proto::ConffileState;

    use super::*;

    /// What is told of the two versions of `/etc/app/app.conf`, once `change` was made to the machine below a path.
    fn told(place: &[u8], beside: &[u8], change: impl FnOnce(&std::path::Path)) -> ConffileDiff {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        let etc = paths.path("/etc");
        fs::create_dir_all(etc.join("app")).unwrap();
        for folder in [&etc, &etc.join("app")] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        for (name, bytes) in [("app.conf", place), ("app.conf.dpkg-dist", beside)] {
            let path = etc.join("app").join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        }
        change(&etc);
        let mut files = [Conffile {
            path: "/etc/app/app.conf".into(),
            state: ConffileState::Kept,
            beside: ".dpkg-dist".into(),
            sha256: None,
            other_sha256: None,
            diff: None,
        }];
        add(&paths, &mut files).unwrap();
        files[0].diff.clone().unwrap()
    }

    #[test]
    fn the_difference_is_that_of_diff_from_what_is_in_place_to_what_lies_beside() {
        let unified = told(b"a\nmine\n", b"a\ntheirs\n", |_| ());
        let text =
            "--- /etc/app/app.conf\n+++ /etc/app/app.conf.dpkg-dist\n@@ -1,2 +1,2 @@\n a\n-mine\n+theirs\n";
        let expected = ConffileDiff::Unified {
            text: text.into(),
            is_cut: false,
        };
        assert_eq!(unified, expected);
        // A file of Latin-1 is a text.
        let latin = told(b"caf\xe9\n", b"tea\n", |_| ());
        assert!(matches!(&latin, ConffileDiff::Unified { text, .. } if text.contains("-caf\u{fffd}\n")));
        assert_eq!(told(b"a\0b", b"x\n", |_| ()), ConffileDiff::Binary);
    }

    #[test]
    fn nothing_is_told_of_what_not_everybody_may_read() {
        let mode = |name: &'static str, mode: u32| {
            move |etc: &std::path::Path| {
                fs::set_permissions(etc.join(name), Permissions::from_mode(mode)).unwrap()
            }
        };
        for (name, bits) in [
            ("app/app.conf", 0o640),
            ("app/app.conf.dpkg-dist", 0o600),
            ("app", 0o750),
            ("app", 0o700),
        ] {
            let told = told(b"secret\n", b"x\n", mode(name, bits));
            assert_eq!(told, ConffileDiff::NotPublic, "{name} {bits:o}");
        }
        // Others may change it.
        assert_eq!(told(b"a\n", b"x\n", mode("app", 0o757)), ConffileDiff::NotRead);
        let linked = told(b"a\n", b"x\n", |etc| {
            fs::remove_file(etc.join("app/app.conf")).unwrap();
            symlink("/etc/shadow", etc.join("app/app.conf")).unwrap();
        });
        assert_eq!(linked, ConffileDiff::NotRead);
    }

    #[test]
    fn a_long_difference_is_cut_after_a_line() {
        let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
        let ConffileDiff::Unified { text, is_cut } = told(b"", lines.as_bytes(), |_| ()) else {
            panic!("no difference");
        };
        assert!(
            is_cut && text.len() <= MAX_DIFF && text.ends_with('\n'),
            "{}",
            text.len()
        );
        let ConffileDiff::Unified { text, is_cut } = told(b"", &[0xff; 60_000], |_| ()) else {
            panic!("no difference");
        };
        assert!(is_cut && text.len() <= MAX_DIFF);
    }
}
