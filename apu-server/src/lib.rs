//! apu-server
