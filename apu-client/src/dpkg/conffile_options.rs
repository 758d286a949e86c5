//! dpkg's options for configuration files that were changed both on the machine and in the package.

use serde::Deserialize;

/// Which version of a configuration file wins if both the machine's and the package's changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Conffiles {
    Keep,
    New,
}

/// Returns dpkg's options for what it would ask about a configuration file, since nobody can answer. The first ones
/// undo what the machine's apt.conf.d and dpkg.cfg.d say about it.
pub(crate) const fn dpkg_forces(conffiles: Conffiles) -> &'static [&'static str] {
    match conffiles {
        Conffiles::Keep => &["--refuse-confnew", "--force-confdef", "--force-confold"],
        // confdef would keep the old file wherever dpkg's own default is to keep it, confold everywhere.
        Conffiles::New => &["--refuse-confdef", "--refuse-confold", "--force-confnew"],
    }
}
