//! Newer versions of what a run stands on: apu-client itself, and sshd, which its package restarts.

use apu_tests::{Fleet, Host, repack};

const PACKAGES: [&str; 2] = ["apu-client", "openssh-server"];

/// Publishes them, as they are on this client.
pub(super) fn publish_what_runs_need(fleet: &Fleet, host: &Host, number: u32) {
    let server = fleet.server();
    for package in PACKAGES {
        let deb = format!("/tmp/{package}_again.deb");
        server.write_bytes(&deb, &repack(host, package, number));
        server
            .sh(&format!("apu repo remove {package}; apu repo add {deb}"))
            .ok();
    }
}

/// Whether the client has the versions of that number.
pub(super) fn has_what_runs_need(host: &Host, number: u32) -> bool {
    PACKAGES.iter().all(|package| {
        let version = host.version_of(package).unwrap_or_default();
        version.ends_with(&format!("+again{number}"))
    })
}
