//! The name of the package that is generated.

/// As dpkg and apt know it.
pub(crate) const NAME: &str = "apu-data";
