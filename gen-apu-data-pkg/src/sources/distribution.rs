//! What belongs to Debian and Ubuntu themselves: their keyrings, the mirrors of their archives, their releases' names.

/// Where a distribution's own package puts its keyrings.
const KEYRINGS: &str = "/usr/share/keyrings/";

/// A distribution whose archive has a key that each of its machines has anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distribution {
    Debian,
    Ubuntu,
}

impl Distribution {
    /// The keyring that each machine of it has.
    pub(crate) const fn keyring(self) -> &'static str {
        match self {
            Self::Debian => "/usr/share/keyrings/debian-archive-keyring.gpg",
            Self::Ubuntu => "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        }
    }

    /// Whose keyring a path is: `debian-archive-keyring.gpg`, the same as `.pgp`, or for one release alone.
    pub(crate) fn of_keyring(path: &str) -> Option<Self> {
        let name = path.strip_prefix(KEYRINGS).filter(|name| !name.contains('/'))?;
        if name.starts_with("debian-archive-") {
            Some(Self::Debian)
        } else if name.starts_with("ubuntu-archive-") {
            Some(Self::Ubuntu)
        } else {
            None
        }
    }

    /// Whose archive a source without a key is a mirror of; nothing where it may be a vendor's. Many vendors' addresses
    /// end in `debian` too, so the host must be the distribution's own, or the path, the suite and the components those of
    /// a mirror.
    pub(crate) fn of_mirror(uri: &str, suites: &[&str], components: &[&str]) -> Option<Self> {
        let (_, rest) = uri.split_once("://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let is_at = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        let mut parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (distribution, own) = match parts.pop() {
            Some(
                "debian" | "debian-security" | "debian-debug" | "debian-backports" | "debian-ports-free",
            ) => (Self::Debian, is_at("debian.org")),
            Some("ubuntu" | "ubuntu-ports") => (Self::Ubuntu, is_at("ubuntu.com")),
            _ if host == "security.debian.org" => (Self::Debian, true),
            _ => return None,
        };
        let of_the_same = |words: &[&str], known: fn(Self, &str) -> bool| {
            !words.is_empty() && words.iter().all(|word| known(distribution, word))
        };
        let is_mirror = parts
            .iter()
            .all(|part| ["pub", "mirror", "mirrors", "ftp"].contains(part))
            && of_the_same(suites, Self::has_suite)
            && of_the_same(components, Self::has_component);
        (own || is_mirror).then_some(distribution)
    }

    fn has_component(self, component: &str) -> bool {
        let component = component.strip_prefix("updates/").unwrap_or(component);
        match self {
            Self::Debian => ["main", "contrib", "non-free", "non-free-firmware"].contains(&component),
            Self::Ubuntu => ["main", "restricted", "universe", "multiverse"].contains(&component),
        }
    }

    /// A name that moves, such as `stable`, tells nothing: vendors have suites of that name too.
    fn has_suite(self, suite: &str) -> bool {
        let name = first_part(suite);
        match self {
            Self::Debian => DEBIAN.contains(&name) || name == "sid",
            Self::Ubuntu => UBUNTU.contains(&name),
        }
    }
}

/// Debian's releases.
pub(crate) const DEBIAN: [&str; 11] = [
    "squeeze", "wheezy", "jessie", "stretch", "buster", "bullseye", "bookworm", "trixie", "forky", "duke",
    "sid",
];

/// Ubuntu's releases.
pub(crate) const UBUNTU: [&str; 31] = [
    "lucid", "precise", "trusty", "utopic", "vivid", "wily", "xenial", "yakkety", "zesty", "artful",
    "bionic", "cosmic", "disco", "eoan", "focal", "groovy", "hirsute", "impish", "jammy", "kinetic", "lunar",
    "mantic", "noble", "oracular", "plucky", "questing", "resolute", "maverick", "natty", "oneiric", "saucy",
];

/// Whether a suite's name means another release on the day of the next one.
pub(crate) fn is_moving(suite: &str) -> bool {
    ["stable", "oldstable", "oldoldstable", "proposed", "devel"].contains(&first_part(suite))
}

/// Suites that a vendor names after one release and documents for all: host, suite.
const FOR_ALL: [(&str, &str); 2] = [("updates.signal.org", "xenial"), ("packagecloud.io", "jessie")];

/// Whether a vendor means all releases by a suite that has one release's name.
pub(crate) fn is_for_all(uri: &str, suite: &str) -> bool {
    let host = uri.split_once("://").map_or("", |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    FOR_ALL.contains(&(host, suite))
}

/// The part of a suite that may be a release's name: `bookworm` of `bookworm-backports` and `bookworm/updates`.
pub(crate) fn first_part(suite: &str) -> &str {
    if suite.starts_with("rc-buggy") {
        return "rc-buggy";
    }
    suite.split(['-', '/']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_known_by_all_that_makes_one() {
        let of = |uri, suite, component| Distribution::of_mirror(uri, &[suite], &[component]);
        for uri in [
            "http://mirror.debian.org/debian",
            "http://security.debian.org/debian-security",
            "http://ftp.example.debian.org/debian/",
            "http://mirror.example.org/debian",
            "http://mirror.example.org/pub/debian/",
            "http://10.0.0.1:3142/debian",
        ] {
            assert_eq!(
                of(uri, "bookworm-updates", "main"),
                Some(Distribution::Debian),
                "{uri}"
            );
        }
        for uri in [
            "http://archive.ubuntu.com/ubuntu",
            "http://mirror.example.org/ubuntu/",
        ] {
            assert_eq!(of(uri, "jammy", "universe"), Some(Distribution::Ubuntu), "{uri}");
        }
    }

    #[test]
    fn a_vendors_archive_is_no_mirror_whatever_its_address_ends_in() {
        for (uri, suite, component) in [
            ("https://vendor.example.org/linux/debian", "bookworm", "stable"),
            ("https://vendor.example.org/zabbix/6.0/debian", "bookworm", "main"),
            ("http://vendor.example.org/packages/debian", "bookworm", "nginx"),
            ("https://vendor.example.org/debian", "bookworm", "nginx"),
            ("https://vendor.example.org/debian", "binary", "main"),
            ("https://vendor.example.org/ubuntu", "bookworm", "main"),
            ("https://vendor.example.org/apt", "bookworm", "main"),
            ("https://debian.org.example.net/linux/debian", "bookworm", "main"),
        ] {
            assert_eq!(
                Distribution::of_mirror(uri, &[suite], &[component]),
                None,
                "{uri}"
            );
        }
        assert_eq!(
            Distribution::of_mirror("https://vendor.example.org/debian", &["./"], &[]),
            None
        );
    }

    #[test]
    fn a_keyring_is_the_distributions_by_its_place_and_name() {
        for (path, whose) in [
            (
                "/usr/share/keyrings/debian-archive-keyring.gpg",
                Some(Distribution::Debian),
            ),
            (
                "/usr/share/keyrings/debian-archive-keyring.pgp",
                Some(Distribution::Debian),
            ),
            (
                "/usr/share/keyrings/debian-archive-bookworm-stable.gpg",
                Some(Distribution::Debian),
            ),
            (
                "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
                Some(Distribution::Ubuntu),
            ),
            ("/usr/share/keyrings/debian-archive-x/vendor.gpg", None),
            ("/etc/apt/keyrings/debian-archive-keyring.gpg", None),
        ] {
            assert_eq!(Distribution::of_keyring(path), whose, "{path}");
        }
    }
}
