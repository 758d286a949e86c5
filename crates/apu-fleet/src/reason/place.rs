//! Names where something happened: at the host, or on the way to it.

use serde::{Deserialize, Serialize};

/// Where something happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// At the host.
    #[default]
    Host,
    /// At the host, as its jump host saw it; none is the one that ssh_config names.
    SeenFrom(Option<String>),
    /// On the way to it: through this jump host, or on the way that ssh_config has.
    Way(Option<String>),
    /// At the host or on the way to it.
    HostOrWay(Option<String>),
}

impl Place {
    pub(super) const fn is_host(&self) -> bool {
        matches!(self, Self::Host)
    }
}
