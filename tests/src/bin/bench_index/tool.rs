//! Who makes an archive of a folder of .debs, and how an administrator would have it done: as shell scripts.

/// apu, what an administrator would use instead, and the least that any of them has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tool {
    Apu,
    ApuWhole,
    Ftparchive,
    FtparchiveStock,
    FtparchiveCached,
    Scanpackages,
    Reprepro,
    Aptly,
    Sha256sum,
    Openssl,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Task {
    /// Nothing is known of any .deb.
    Cold,
    /// One .deb came since.
    OneMore,
}

impl Task {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::OneMore => "one-more",
        }
    }
}

/// Hashes of .debs and of indexes as apu has them.
const SHA256_ALONE: &str =
    "-oAPT::FTPArchive::MD5=false -oAPT::FTPArchive::SHA1=false -oAPT::FTPArchive::SHA512=false";

/// From Packages to a signed archive. Compressed as apu does it, both at once; the least that gpg has to be started.
const FINISH: &str = r#"
    rm -f Release InRelease Release.gpg
    gzip -6 -c Packages >Packages.gz & gzip=$!
    xz -1 -c Packages >Packages.xz
    wait "$gzip"
    apt-ftparchive $hashes -oAPT::FTPArchive::Release::Suite=local release . >../Release
    mv ../Release .
    gpg --batch --quiet --clearsign --output InRelease Release
    gpg --batch --quiet --armor --detach-sign --output Release.gpg Release"#;

/// reprepro's `conf/distributions`.
pub(crate) const DISTRIBUTIONS: &str = "Origin: bench\nCodename: local\nArchitectures: amd64\nComponents: main\n\
     DebIndices: Packages Release . .gz .xz\nSignWith: yes\n";

impl Tool {
    pub(crate) const ALL: [Self; 10] = [
        Self::Apu,
        Self::ApuWhole,
        Self::Ftparchive,
        Self::FtparchiveStock,
        Self::FtparchiveCached,
        Self::Scanpackages,
        Self::Reprepro,
        Self::Aptly,
        Self::Sha256sum,
        Self::Openssl,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Apu => "apu repo publish --without-files",
            Self::ApuWhole => "apu repo publish",
            Self::Ftparchive => "apt-ftparchive",
            Self::FtparchiveStock => "apt-ftparchive, stock",
            Self::FtparchiveCached => "apt-ftparchive --db",
            Self::Scanpackages => "dpkg-scanpackages",
            Self::Reprepro => "reprepro includedeb",
            Self::Aptly => "aptly",
            Self::Sha256sum => "limit: sha256sum",
            Self::Openssl => "limit: openssl",
        }
    }

    /// What one has afterwards, beside Packages and its .gz, the signed Release, and SHA256 of every .deb.
    pub(crate) const fn makes(self) -> &'static str {
        match self {
            Self::Apu => ".xz; by-hash; synced to disk; atomic",
            Self::ApuWhole => "the same, and every .deb unpacked",
            Self::Ftparchive | Self::FtparchiveCached | Self::Scanpackages => ".xz",
            Self::FtparchiveStock => ".xz; MD5, SHA1, SHA512 too",
            Self::Reprepro => ".xz; a pool of copies; MD5, SHA1 too",
            Self::Aptly => "a pool of copies; MD5, SHA1, SHA512 too",
            Self::Sha256sum | Self::Openssl => "the hashes alone, on all cores",
        }
    }

    /// The program, and the Debian package that has it; apu is the one that was built here.
    pub(crate) const fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Apu | Self::ApuWhole => None,
            Self::Ftparchive | Self::FtparchiveStock | Self::FtparchiveCached => {
                Some(("apt-ftparchive", "apt-utils"))
            }
            Self::Scanpackages => Some(("dpkg-scanpackages", "dpkg-dev")),
            Self::Reprepro => Some(("reprepro", "reprepro")),
            Self::Aptly => Some(("aptly", "aptly")),
            Self::Sha256sum => Some(("sha256sum", "coreutils")),
            Self::Openssl => Some(("openssl", "openssl")),
        }
    }

    pub(crate) const fn is_limit(self) -> bool {
        matches!(self, Self::Sha256sum | Self::Openssl)
    }

    pub(crate) fn tasks(self) -> &'static [Task] {
        if self.is_limit() {
            &[Task::Cold]
        } else {
            &[Task::Cold, Task::OneMore]
        }
    }

    /// The script for a task, to be run by sh in the bench's folder with the .debs in `debs/`. The one more .deb is
    /// `$NEW`; who works on a folder finds it in there already.
    pub(crate) fn script(self, task: Task) -> String {
        let here = |hashes: &str, make: &str| format!("hashes='{hashes}'\ncd debs\n{make} >Packages{FINISH}");
        let on_all_cores = |program: &str| {
            format!("printf '%s\\0' debs/*.deb | xargs -0 -n 25 -P \"$(nproc)\" {program} >/dev/null")
        };
        let script = match (self, task) {
            (Self::Apu, _) => "\"$APU\" --root \"$SITE\" repo publish --without-files debs".to_owned(),
            (Self::ApuWhole, _) => "\"$APU\" --root \"$SITE\" repo publish debs".to_owned(),
            (Self::Ftparchive, _) => here(SHA256_ALONE, "apt-ftparchive $hashes packages ."),
            (Self::FtparchiveStock, _) => here("", "apt-ftparchive packages ."),
            (Self::FtparchiveCached, _) => {
                here(SHA256_ALONE, "apt-ftparchive $hashes --db ../cache.db packages .")
            }
            (Self::Scanpackages, _) => here(SHA256_ALONE, "dpkg-scanpackages --multiversion --hash sha256 ."),
            (Self::Reprepro, Task::Cold) => {
                "reprepro --silent -b base -C main includedeb local debs/*.deb".to_owned()
            }
            (Self::Reprepro, Task::OneMore) => {
                "reprepro --silent -b base -C main includedeb local \"$NEW\"".to_owned()
            }
            (Self::Aptly, Task::Cold) => "aptly() { command aptly -config=aptly.conf \"$@\"; }
                 aptly repo create -component=main -distribution=local local
                 aptly repo add local debs
                 aptly publish repo -batch -skip-contents -skip-bz2 -architectures=amd64 local"
                .to_owned(),
            (Self::Aptly, Task::OneMore) => "aptly() { command aptly -config=aptly.conf \"$@\"; }
                 aptly repo add local \"$NEW\"
                 aptly publish update -batch -skip-contents -skip-bz2 local"
                .to_owned(),
            (Self::Sha256sum, _) => on_all_cores("sha256sum"),
            (Self::Openssl, _) => on_all_cores("openssl dgst -sha256"),
        };
        format!("set -eu\n{script}\n")
    }

    /// Where it leaves the signed InRelease, and Packages; nothing where it makes no archive.
    pub(crate) const fn leaves(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Apu
            | Self::ApuWhole
            | Self::Ftparchive
            | Self::FtparchiveStock
            | Self::FtparchiveCached
            | Self::Scanpackages => Some(("debs/InRelease", "debs/Packages")),
            Self::Reprepro => Some((
                "base/dists/local/InRelease",
                "base/dists/local/main/binary-amd64/Packages",
            )),
            Self::Aptly => Some((
                "aptly/public/dists/local/InRelease",
                "aptly/public/dists/local/main/binary-amd64/Packages",
            )),
            Self::Sha256sum | Self::Openssl => None,
        }
    }
}
