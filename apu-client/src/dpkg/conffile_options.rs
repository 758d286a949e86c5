//! dpkg's options for configuration files that the machine and a package both changed.

use serde::Deserialize;

/// What becomes of a configuration file that the machine and the package both changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Conffiles {
    Keep,
    New,
}

/// What dpkg does where it would ask about a configuration file: nobody can answer. What apt.conf.d and dpkg.cfg.d of the
/// machine say about it is taken back first.
pub(crate) const fn dpkg_forces(conffiles: Conffiles) -> &'static [&'static str] {
    match conffiles {
        Conffiles::Keep => &["--refuse-confnew", "--force-confdef", "--force-confold"],
        // confdef would keep the old file wherever dpkg's own default is to keep it, confold everywhere.
        Conffiles::New => &["--refuse-confdef", "--refuse-confold", "--force-confnew"],
    }
}
