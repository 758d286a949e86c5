//! The environment variables of apt, dpkg and maintainer scripts.

/// The whole environment of apt, dpkg and maintainer scripts.
///
/// ucf keeps the machine's file whatever the policy says: where it is told to take the package's, it overwrites the machine's and keeps no
/// copy. What the policy has replaced is replaced after it. ucf of Debian 13 and later goes by what dpkg is told instead
/// (`run/conffile/overwritten.rs`).
pub(crate) const ENVIRONMENT: [&str; 8] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_MODE=l",
    "TERM=dumb",
    "UCF_FORCE_CONFFOLD=1",
];
