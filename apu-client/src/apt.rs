//! apt as seen by apu-client: the arguments of its calls, and parsers for its output and its files.

mod cached_debs;
mod call;
pub(crate) mod complaints;
pub(crate) mod composed;
mod configuration;
mod downloads;
mod environment;
mod errors;
mod fixed_settings;
pub(crate) mod lists;
mod marks;
mod plan;
mod progress;
mod providers;
pub(crate) mod release_dates;
mod settings;
mod source_copy;
mod sources;
mod targets;
pub(crate) mod valid_until;

pub(crate) use cached_debs::remove_other_debs;
pub(crate) use call::{
    APT_CACHE, APT_GET, Call, Verb, cache_arguments, indextargets_arguments, source_options,
};
pub(crate) use configuration::set_apt_configuration;
pub(crate) use downloads::Downloads;
pub(crate) use environment::{ENVIRONMENT, environment};
pub(crate) use errors::errors;
pub(crate) use fixed_settings::first_refused;
pub(crate) use marks::automatic_among;
pub(crate) use plan::{Plan, is_security};
pub(crate) use progress::{Throttle, parse as parse_progress};
pub(crate) use providers::providers;
pub(crate) use settings::{Setting, Settings};
pub(crate) use source_copy::SourceCopy;
pub(crate) use sources::{Insecure, Source, find_unreported, find_unsigned, sources, waives_expiry};
pub(crate) use targets::{FORMAT, Target, archives};
