//! Whether others could change what root is about to work with, checked as sshd does with StrictModes.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};
use rustix::fs::FileType;
use thiserror::Error;

use crate::folder::{About, Folder};
use crate::shell::quote;

/// Something that another user could change.
#[derive(Debug, Error)]
#[error("{} {why}", path.display())]
pub struct Untrusted {
    path: PathBuf,
    why: String,
    advice: String,
}

/// Why a directory is not worked in.
#[derive(Debug)]
pub(crate) enum Unsafe {
    Untrusted(Untrusted),
    Io(PathBuf, io::Error),
}

impl Untrusted {
    /// A symbolic link in place of a directory or file that apu makes.
    pub(crate) fn link(path: &Path) -> Self {
        Self::not(path, "is a symbolic link, which is not followed here")
    }

    /// Something else than what belongs there.
    pub(crate) fn not(path: &Path, why: &str) -> Self {
        Self {
            path: path.to_owned(),
            why: why.to_owned(),
            advice: format!("rm {}", quote(&path.display().to_string())),
        }
    }

    /// A whole command.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

/// Whether it is root's, or ours.
pub(crate) fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

/// A directory that only root and we may change.
pub(crate) fn directory(path: &Path, about: &About) -> Result<(), Untrusted> {
    owned(path, about)?;
    unwritable(path, about)
}

/// A user, for people.
pub(crate) fn user(id: u32) -> String {
    match User::from_uid(Uid::from_raw(id)) {
        Ok(Some(user)) => format!("user {}", user.name),
        _ => format!("user {id}"),
    }
}

fn owned(path: &Path, about: &About) -> Result<(), Untrusted> {
    if is_trusted(about.owner()) {
        return Ok(());
    }
    let shown = quote(&path.display().to_string());
    let us = geteuid();
    let advice = match User::from_uid(us) {
        Ok(Some(us)) if !us.uid.is_root() => format!("sudo chown {}: {shown}", us.name),
        _ => format!("chown root: {shown}"),
    };
    Err(Untrusted {
        path: path.to_owned(),
        why: format!("belongs to {}, who could change it", user(about.owner())),
        advice,
    })
}

fn unwritable(path: &Path, about: &About) -> Result<(), Untrusted> {
    if about.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Untrusted {
        path: path.to_owned(),
        why: format!("may be written by others: its mode is {:04o}", about.mode()),
        advice: format!("chmod go-w {}", quote(&path.display().to_string())),
    })
}

/// Where `path` really leads, each directory on the way there trusted: what others may write into leads elsewhere a moment
/// later. What is not there yet counts as trusted.
///
/// In a directory as /tmp, where all may write and each may remove only what is their own, what comes next has to be root's
/// or ours.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf, Unsafe> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| Unsafe::Io(path, error)
    };
    let absolute = std::path::absolute(path).map_err(io(path))?;
    let mut left: VecDeque<OsString> = parts(&absolute);
    let mut here = PathBuf::from("/");
    let mut links = 0;
    let root = Folder::open(&here).map_err(io(&here))?;
    let mut folder = root;
    loop {
        let about = folder.look(Path::new("")).map_err(io(&here))?;
        owned(&here, &about).map_err(Unsafe::Untrusted)?;
        let is_sticky = about.mode() & 0o1000 != 0;
        if !is_sticky || left.is_empty() {
            unwritable(&here, &about).map_err(Unsafe::Untrusted)?;
        }
        let Some(name) = left.pop_front() else {
            return Ok(here);
        };
        if name == ".." {
            here.pop();
            folder = Folder::open(&here).map_err(io(&here))?;
            continue;
        }
        let next = here.join(&name);
        let below = match folder.look(Path::new(&name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(left.into_iter().fold(next, |path, name| path.join(name)));
            }
            below => below.map_err(io(&next))?,
        };
        if is_sticky {
            owned(&next, &below).map_err(Unsafe::Untrusted)?;
        }
        if below.kind() == FileType::Symlink {
            links += 1;
            if links > 40 {
                return Err(Unsafe::Io(next, io::Error::other("too many symbolic links")));
            }
            let target = std::fs::read_link(&next).map_err(io(&next))?;
            if target.is_absolute() {
                here = PathBuf::from("/");
                folder = Folder::open(&here).map_err(io(&here))?;
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        } else {
            folder = folder.folder(Path::new(&name)).map_err(io(&next))?;
            here = next;
        }
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    use super::{Unsafe, resolve};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> (String, String) {
        match resolve(path).unwrap_err() {
            Unsafe::Untrusted(why) => (why.to_string(), why.advice.clone()),
            Unsafe::Io(path, error) => panic!("{}: {error}", path.display()),
        }
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused_wherever_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let (above, below) = (real.join("a b"), real.join("a b/c"));
        fs::create_dir_all(&below).unwrap();
        assert_eq!(resolve(&below).unwrap(), below);
        for (path, bits) in [(&above, 0o775), (&below, 0o757), (&above, 0o777)] {
            mode(path, bits);
            let (why, advice) = refused(&below);
            let shown = path.display();
            assert_eq!(
                why,
                format!("{shown} may be written by others: its mode is 0{bits:o}")
            );
            assert_eq!(advice, format!("chmod go-w '{shown}'"));
            mode(path, 0o755);
        }
        // As /tmp is; but not as the archive itself.
        mode(&above, 0o1777);
        assert_eq!(resolve(&below).unwrap(), below);
        let (why, _) = refused(&above);
        assert!(why.ends_with("its mode is 1777"), "{why}");
    }

    #[test]
    fn a_link_counts_as_what_it_leads_through() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let (open, closed) = (real.join("open"), real.join("closed/archive"));
        fs::create_dir_all(&open).unwrap();
        fs::create_dir_all(&closed).unwrap();
        symlink("../closed/archive", open.join("link")).unwrap();
        symlink("open/link", real.join("first")).unwrap();
        assert_eq!(resolve(&real.join("first")).unwrap(), closed);
        // The directory that the link leads to is trusted. A user who may write beside the link can make it lead elsewhere.
        mode(&open, 0o777);
        assert!(refused(&real.join("first")).0.contains("/open may be written"));
        symlink("loop", real.join("loop")).unwrap();
        assert!(matches!(resolve(&real.join("loop")), Err(Unsafe::Io(..))));
    }

    #[test]
    fn what_belongs_to_another_user_is_refused() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        let theirs = real.join("theirs");
        fs::create_dir_all(theirs.join("archive")).unwrap();
        std::os::unix::fs::chown(&theirs, Some(4242), None).unwrap();
        let (why, advice) = refused(&theirs.join("archive"));
        let shown = theirs.display();
        assert_eq!(why, format!("{shown} belongs to user 4242, who could change it"));
        assert_eq!(advice, format!("chown root: {shown}"));
        // In a directory as /tmp anybody's link may stand.
        mode(&real, 0o1777);
        fs::create_dir(real.join("ours")).unwrap();
        symlink("ours", real.join("link")).unwrap();
        assert!(resolve(&real.join("link")).is_ok());
        std::os::unix::fs::lchown(real.join("link"), Some(4242), None).unwrap();
        assert!(
            refused(&real.join("link"))
                .0
                .contains("/link belongs to user 4242")
        );
    }
}
