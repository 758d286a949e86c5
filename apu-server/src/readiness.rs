//! Tells which machines could be upgraded to another release of their distribution, and what would be in the way. Nothing is upgraded.

pub(crate) mod findings;
pub(crate) mod releases;
pub(crate) mod suites;
