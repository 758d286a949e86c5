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
    /// Adds others, each once.
    pub fn add(&mut self, others: &Self) {
        let add = |own: &mut Vec<PathGlob>, others: &[PathGlob]| {
            for other in others {
                if !own.contains(other) {
                    own.push(other.clone());
                }
            }
        };
        add(&mut self.keep, &others.keep);
        add(&mut self.new, &others.new);
        add(&mut self.hold_back, &others.hold_back);
    }
}
