//! apu-fleet
