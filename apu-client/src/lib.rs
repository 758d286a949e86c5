//! apu-client
