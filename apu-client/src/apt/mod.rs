//! apt as this program uses it: one fixed way to call it, and readers for what it says.

mod call;
mod marks;
mod plan;
mod progress;
mod providers;
mod sizes;
mod sources;

pub(crate) use call::{APT_CACHE, APT_GET, Call, DPKG, ENVIRONMENT, Verb, dpkg_forces, environment};
pub(crate) use marks::automatic_among;
pub(crate) use plan::{Plan, is_security};
pub(crate) use progress::{Throttle, parse as parse_progress};
pub(crate) use providers::providers;
pub(crate) use sizes::sizes;
pub(crate) use sources::{Source, audit, sources, waives_expiry};
