//! apu-repo
