//! apt as this program uses it: one fixed way to call it, and readers for what it says.

mod call;
mod marks;
mod pins;
mod plan;
mod progress;
mod providers;
mod settings;
mod sizes;
mod sources;
mod targets;
mod view;

pub(crate) use call::{
    APT_CACHE, APT_GET, Call, DPKG, ENVIRONMENT, Verb, cache_call, dpkg_forces, environment, source_options,
    targets_call,
};
pub(crate) use marks::automatic_among;
pub(crate) use pins::{misfit, overrides};
pub(crate) use plan::{Plan, is_security};
pub(crate) use progress::{Throttle, parse as parse_progress};
pub(crate) use providers::providers;
pub(crate) use settings::{Setting, Settings};
pub(crate) use sizes::sizes;
pub(crate) use sources::{Source, audit, sources, untold, waives_expiry};
pub(crate) use targets::{FORMAT, Target, archives};
pub(crate) use view::View;
