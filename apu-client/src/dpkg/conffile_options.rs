//! dpkg's options for configuration files that were changed both on the machine and in the package.

use serde::Deserialize;

/// Which version of a configuration file wins if both the machine's and the package's changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Conffiles {
    Keep,
    New,
}

/// Returns dpkg's options that answer its question about a changed configuration file, because no person can. The first
/// options undo those that the machine's apt.conf.d and dpkg.cfg.d set.
pub(crate) const fn dpkg_forces(conffiles: Conffiles) -> &'static [&'static str] {
    match conffiles {
        Conffiles::Keep => &["--refuse-confnew", "--force-confdef", "--force-confold"],
        // confdef would keep the old file wherever dpkg's own default is to keep it, confold everywhere.
        Conffiles::New => &["--refuse-confdef", "--refuse-confold", "--force-confnew"],
    }
}
