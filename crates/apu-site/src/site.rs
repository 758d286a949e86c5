//! Where everything of the server lies. All paths come from one root, so that a test is an installation
//! in a directory.

use std::path::{Path, PathBuf};

/// The server's files below one root, `/` in production.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    root: PathBuf,
}

impl Default for Site {
    fn default() -> Self {
        Self::below("/")
    }
}

macro_rules! paths {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {
        $($(#[$doc])* #[must_use] pub fn $name(&self) -> PathBuf { self.root.join($path) })*
    };
}

impl Site {
    /// The installation below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An absolute path of the settings as it lies in this site.
    #[must_use]
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    paths! {
        /// The administrator's directory.
        etc = "etc/apu-server";
        /// The settings file.
        settings = "etc/apu-server/apu.toml";
        /// The directory of class files.
        clients = "etc/apu-server/clients";
        /// The administrator's programs that are called at moments of a run.
        hooks = "etc/apu-server/hooks.d";
        /// The directory of answers to debconf's questions, a file for a class.
        debconf = "etc/apu-server/debconf";
        /// The clients' own sources, as one-line or deb822 text.
        sources_list = "etc/apu-server/sources.list";
        /// The clients' proxy setting, an apt.conf(5) fragment.
        proxy_conf = "etc/apu-server/50apu";
        /// The SSH directory, 0700.
        ssh = "etc/apu-server/ssh";
        /// The push key's private half.
        push_key = "etc/apu-server/ssh/id_ed25519";
        /// The push key's public half.
        push_key_pub = "etc/apu-server/ssh/id_ed25519.pub";
        /// The clients' host keys.
        known_hosts = "etc/apu-server/ssh/known_hosts";
        /// The OpenPGP directory, 0700.
        gpg = "etc/apu-server/gpg";
        /// The archive key with its secret part, armored, 0600.
        archive_key = "etc/apu-server/gpg/archive.key";
        /// The key that is to follow the archive key, while a rotation is under way.
        archive_key_next = "etc/apu-server/gpg/archive-next.key";
        /// The archive keys' public certificates, binary, as apt's Signed-By wants it.
        archive_gpg = "etc/apu-server/gpg/archive.gpg";
        /// The archive keys' public certificates, armored.
        archive_asc = "etc/apu-server/gpg/archive.asc";
        /// What the archives are served from.
        data = "var/lib/apu-data";
        /// The site's own archive, unless the settings name another place.
        archive = "var/lib/apu-data/repo/local";
        /// What the server remembers.
        state = "var/lib/apu-server";
        /// The ledger: what it has done, and which host is at work for whom.
        ledger = "var/lib/apu-server/apu.db";
        /// The plans that are kept to be carried out, 0700.
        plans = "var/lib/apu-server/plans";
        /// The .debs that are frozen for runs, 0700.
        frozen = "var/lib/apu-server/frozen";
        /// How far the slots are, 0700.
        slots = "var/lib/apu-server/slots";
        /// What the server needs while it runs, 0700.
        run = "run/apu-server";
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Site;

    #[test]
    fn every_path_lies_below_the_root() {
        let site = Site::below("/srv/test");
        assert_eq!(
            site.push_key(),
            Path::new("/srv/test/etc/apu-server/ssh/id_ed25519")
        );
        assert_eq!(site.at(Path::new("/var/lib/x")), Path::new("/srv/test/var/lib/x"));
        assert_eq!(Site::default().run(), Path::new("/run/apu-server"));
    }
}
