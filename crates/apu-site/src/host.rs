//! What this server is called.

use std::fs;
use std::process::{Command, Stdio};

use crate::Site;

/// The short name, for comments.
pub(crate) fn name(site: &Site) -> String {
    let fqdn = fqdn(site);
    fqdn.split('.').next().unwrap_or(&fqdn).to_owned()
}

/// The name under which clients find this server: the resolver's if it has a full one, else /etc/hostname's.
#[must_use]
pub fn fqdn(site: &Site) -> String {
    let resolved = || {
        let output = Command::new("hostname")
            .arg("--fqdn")
            .stdin(Stdio::null())
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let written = || fs::read_to_string(site.root().join("etc/hostname")).ok();
    // In a root of its own (a test, an image) the machine's name means nothing.
    let candidates = if site.root() == "/" {
        [resolved(), written()]
    } else {
        [written(), resolved()]
    };
    candidates
        .into_iter()
        .flatten()
        .map(|name| name.trim().to_ascii_lowercase())
        .find(|name| is_host(name))
        .unwrap_or_else(|| "localhost".to_owned())
}

fn is_host(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|part| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}
