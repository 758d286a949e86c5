//! `[conffiles.CLASS]`: what becomes of configuration files that were changed both on a host and in a package.

use apu_debian::PathGlob;
use serde::Deserialize;

/// Patterns of the paths of such files, by what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConffilePaths {
    /// The host's stays.
    pub keep: Vec<PathGlob>,
    /// The package's takes its place.
    pub new: Vec<PathGlob>,
    /// The package stays at its version.
    pub hold_back: Vec<PathGlob>,
}

impl ConffilePaths {
    /// These and others, each once.
    pub(super) fn and(&self, others: &Self) -> Self {
        let both = |own: &[PathGlob], others: &[PathGlob]| {
            let more = others.iter().filter(|other| !own.contains(other));
            own.iter().chain(more).cloned().collect()
        };
        Self {
            keep: both(&self.keep, &others.keep),
            new: both(&self.new, &others.new),
            hold_back: both(&self.hold_back, &others.hold_back),
        }
    }
}
