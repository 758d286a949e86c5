//! The suites that run on fleets: one test binary, each module a topic, each test with a fleet of its own.

mod archive_suites;
mod asking;
mod bad_input;
mod bootstrap;
mod button;
mod causes;
mod chunks;
mod dead;
mod harness;
mod howto;
mod hurting;
mod kept;
mod leaving;
mod local_bad;
mod local_data;
mod local_debs;
mod local_trust;
mod proxies;
mod quota;
mod republish;
mod rotation;
mod silent;
mod sitting;
mod suites;
mod trust;
mod web_servers;
