//! The environment variables of apt, dpkg and maintainer scripts.

use crate::dpkg::Conffiles;

/// The whole environment of apt, dpkg and maintainer scripts, except for ucf's variable.
pub(crate) const ENVIRONMENT: [&str; 7] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LC_ALL=C.UTF-8",
    "DEBIAN_FRONTEND=noninteractive",
    "APT_LISTCHANGES_FRONTEND=none",
    "NEEDRESTART_MODE=l",
    "TERM=dumb",
];

/// Returns the environment of a call that may install packages: ucf gets the same choice as dpkg.
pub(crate) fn environment(conffiles: Conffiles) -> Vec<&'static str> {
    let ucf = match conffiles {
        Conffiles::Keep => "UCF_FORCE_CONFFOLD=1",
        Conffiles::New => "UCF_FORCE_CONFFNEW=1",
    };
    ENVIRONMENT.into_iter().chain([ucf]).collect()
}
