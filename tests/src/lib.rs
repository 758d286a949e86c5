//! Real Debian machines in namespaces, to try apu on: a server, its clients, an archive, and what may go wrong.
//!
//! ```no_run
//! use apu_tests::Fleet;
//!
//! let fleet = Fleet::of(["web1", "web2", "web3"]).in_class("web").up();
//! fleet.host("web2").pull_the_cable();
//!
//! let run = fleet.apt_all("web update");
//!
//! run.ended("web1", "changed").ended("web2", "unreachable").ended("web3", "changed").exited(1);
//! ```
//!
//! It takes root, and the packages that `make deb` leaves in `dist/`. What takes long is made once and kept in
//! `/var/cache/apu-tests`: base roots, layers with the built packages installed on them, the upstream archive.

#![allow(clippy::print_stderr, reason = "a step that takes minutes is announced")]

mod bounds;
pub mod figures;
mod fleet;
mod gpg;
mod holds;
mod host;
pub mod index;
mod layer;
mod packages;
pub mod point_release;
mod product;
mod publisher;
mod real_debs;
mod repack;
mod root;
mod run;
mod sandbox;
mod service;
mod store;
pub mod systemd;
mod tool;
mod upstream;
mod vendor;
mod watch;
mod web;

pub use bounds::in_check_or_long;
pub use fleet::{Fleet, Plan};
pub use gpg::Gpg;
pub use holds::let_hold_end;
pub use host::{Host, Snapshot};
pub use packages::build_all as build_test_packages;
pub use packages::deb;
pub use publisher::Publisher;
pub use real_debs::real_debs;
pub use repack::repack;
pub use root::{Flavour, Suite};
pub use run::{Run, Running};
pub use service::Service;
pub use tool::{Finished, cargo};
pub use upstream::Stage;
pub use vendor::Vendor;
pub use watch::Watch;
pub use web::{Answered, Manner, Web};
