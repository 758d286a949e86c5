//! Where ssh's configuration leads for a host, as ssh itself says.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::spawn::command;
use super::uniform::leads_everywhere_alike;
use super::{Ssh, args};
use crate::host::Host;

/// ssh reads files for that, and may run what `Match exec` names.
const LONGEST: Duration = Duration::from_secs(10);

/// The way to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its HostName.
    pub address: String,
    /// Its Port.
    pub port: u16,
    /// Its ProxyJump.
    pub jump: Option<String>,
    /// Whether a ProxyCommand leads there.
    pub is_piped: bool,
}

impl Route {
    /// Reads what `ssh -G` prints.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            // Names are in lower case, or as ssh_config(5) has them: OpenSSH 10.6 changed that for sshd.
            let line = lines.find(|(name, _)| name.eq_ignore_ascii_case(key));
            line.map(|(_, value)| value.to_owned())
                .filter(|value| value != "none")
        };
        Some(Self {
            address: value("hostname")?,
            port: value("port")?.parse().ok()?,
            jump: value("proxyjump"),
            is_piped: value("proxycommand").is_some(),
        })
    }

    /// A name for the sshd that sees our handshake first.
    async fn first_sshd(&self) -> String {
        if let Some(jump) = &self.jump {
            let first = jump.split(',').next().unwrap_or_default();
            return format!("jump {first}");
        }
        let place = format!("{} {}", self.address, self.port);
        if self.is_piped {
            return place;
        }
        // Several names may be one machine.
        let found = timeout(LONGEST, lookup_host((self.address.as_str(), self.port))).await;
        match found {
            Ok(Ok(mut addresses)) => addresses.next().map_or(place, |address| address.to_string()),
            _ => place,
        }
    }
}

impl Ssh {
    /// Where the configuration leads for this host; nothing where ssh cannot read it, which it says when it connects.
    ///
    /// Where the configuration leads to every host alike, ssh is not started for it.
    pub async fn route(&self, host: &Host) -> Option<Route> {
        if *self.is_uniform.get_or_init(leads_everywhere_alike) {
            return Some(Route {
                address: host.address.as_ref().unwrap_or(&host.name).to_string(),
                port: host.port.or(self.options.port).unwrap_or(22),
                jump: host.jump.as_ref().map(ToString::to_string),
                is_piped: false,
            });
        }
        let mut words = args::connection(
            &self.options,
            &self.config,
            host,
            &self.options.known_hosts,
            "yes",
            None,
        );
        words.push("-l".into());
        words.push(host.user.as_ref().unwrap_or(&self.options.user).as_str().into());
        words.push("-G".into());
        args::destination(&mut words, &self.options, host);
        let mut ssh = command(&self.options.program);
        ssh.args(words).stdout(Stdio::piped()).stderr(Stdio::null());
        let printed = timeout(LONGEST, ssh.output()).await.ok()?.ok()?;
        Route::read(&String::from_utf8_lossy(&printed.stdout))
    }

    /// A name for the sshd that sees the handshake with this host first.
    pub(super) async fn first_sshd(&self, host: &Host, route: Option<&Route>) -> String {
        match route {
            Some(route) => route.first_sshd().await,
            None => host.name.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_what_ssh_says() {
        let text = "host web1\nuser apu\nhostname 127.0.0.1\nport 2222\nproxyusefdpass no\n";
        let direct = Route::read(text).unwrap();
        assert_eq!(
            (
                direct.address.as_str(),
                direct.port,
                &direct.jump,
                direct.is_piped
            ),
            ("127.0.0.1", 2222, &None, false)
        );
        let behind = Route::read(&format!("{text}proxyjump me@gate:22,b\n")).unwrap();
        assert_eq!(behind.jump.as_deref(), Some("me@gate:22,b"));
        assert!(
            Route::read(&format!("{text}proxycommand nc %h %p\n"))
                .unwrap()
                .is_piped
        );
        let in_capitals = Route::read("Hostname web1\nPort 22\nProxyJump gate\n");
        assert_eq!(in_capitals.and_then(|route| route.jump).as_deref(), Some("gate"));
        assert_eq!(Route::read(""), None);
    }

    #[tokio::test]
    async fn names_of_one_address_are_one_sshd_and_so_are_hosts_behind_one_jump_host() {
        let at = |address: &str, port: u16, jump: Option<&str>| Route {
            address: address.into(),
            port,
            jump: jump.map(str::to_owned),
            is_piped: false,
        };
        assert_eq!(
            at("127.0.0.1", 22, None).first_sshd().await,
            at("127.0.0.1", 22, None).first_sshd().await
        );
        assert_ne!(
            at("127.0.0.1", 22, None).first_sshd().await,
            at("127.0.0.1", 2222, None).first_sshd().await
        );
        assert_eq!(
            at("a", 22, Some("gate,x")).first_sshd().await,
            at("b", 2222, Some("gate")).first_sshd().await
        );
    }
}
