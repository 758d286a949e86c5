//! The running services that a plan reaches: those that it restarts, and those that go on with old code.

use serde::{Deserialize, Serialize};

use crate::bounded::{first, is_zero};

/// The most services of each kind that a plan names.
pub const MAX_SERVICES: usize = 100;

/// Running services of systemd whose code the upgraded packages have. A name is that of a unit without `.service`, and is not to
/// be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Services {
    /// Those that an upgraded package restarts, as its maintainer script says; sorted, at most [`MAX_SERVICES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_SERVICES>"
    )]
    pub restarts: Vec<String>,
    /// Others that would go on with code of the versions before; sorted, at most [`MAX_SERVICES`].
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "first::<_, _, MAX_SERVICES>"
    )]
    pub stale: Vec<String>,
    /// How many there are beyond those that are named.
    #[serde(skip_serializing_if = "is_zero")]
    pub more: usize,
}

impl Services {
    /// As many of these as are named, and the number of the others.
    #[must_use]
    pub fn new(restarts: impl IntoIterator<Item = String>, stale: impl IntoIterator<Item = String>) -> Self {
        let mut services = Self {
            restarts: restarts.into_iter().collect(),
            stale: stale.into_iter().collect(),
            more: 0,
        };
        for kind in [&mut services.restarts, &mut services.stale] {
            kind.sort();
            kind.dedup();
            services.more += kind.len().saturating_sub(MAX_SERVICES);
            kind.truncate(MAX_SERVICES);
        }
        services
    }

    /// Whether the plan reaches no running service.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.restarts.is_empty() && self.stale.is_empty() && self.more == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted_by_the_client_and_cut_by_the_server() {
        let many = |letter: &str| (0..130).map(|n| format!("{letter}{n:03}")).collect::<Vec<_>>();
        let services = Services::new(many("a"), vec!["z".to_owned(), "c".to_owned(), "c".to_owned()]);
        assert_eq!((services.restarts.len(), services.more), (MAX_SERVICES, 30));
        assert_eq!(services.stale, ["c", "z"]);
        let text = serde_json::to_string(&services).unwrap();
        assert_eq!(serde_json::from_str::<Services>(&text).unwrap(), services);
        let hostile = serde_json::json!({ "stale": many("b"), "later": 1 });
        let read: Services = serde_json::from_value(hostile).unwrap();
        assert_eq!((read.stale.len(), read.restarts.len()), (MAX_SERVICES, 0));
        assert_eq!(serde_json::to_string(&Services::default()).unwrap(), "{}");
    }
}
