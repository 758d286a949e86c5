//! The suites that run on fleets: one test binary, each module a topic, each test with a fleet of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and figures are for its reader"
)]

mod answers;
mod archive_suites;
mod asking;
mod bad_input;
mod bootstrap;
mod broken_sources;
mod button;
mod causes;
mod chunks;
mod conffiles;
mod dead;
mod download;
mod events;
mod freeze;
mod full_disk;
mod harness;
mod health;
mod holds;
mod hooks;
mod howto;
mod hurting;
mod kept;
mod leaving;
mod ledger;
mod local_bad;
mod local_data;
mod local_debs;
mod local_trust;
mod max_failures;
mod pauses;
mod playground;
mod policies;
mod prepare;
mod protection;
mod proxies;
mod queue;
mod quota;
mod readiness;
mod real_reader;
mod republish;
mod rotation;
mod selection;
mod silent;
mod simulations;
mod sitting;
mod slots;
mod stored_plans;
mod suites;
mod torture;
mod trials;
mod trust;
mod waves;
mod ways;
mod web_servers;
mod windows;
