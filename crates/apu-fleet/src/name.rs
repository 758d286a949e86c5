//! Names of hosts, classes and users: checked once, where they come in. None can be read as an option or a path.

use std::net::{Ipv4Addr, Ipv6Addr};

use apu_debian::{UserName, text_value};
use thiserror::Error;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing there.
    #[error("an empty word is no name")]
    Empty,
    /// Over what DNS allows.
    #[error("{0:?} is longer than {1} characters")]
    Long(String, usize),
    /// A character that names do not have.
    #[error("{0:?} is not {2}: it has {1:?}")]
    Character(String, char, &'static str),
    /// A letter that DNS writes in another way.
    #[error("{0:?} is not a host name in ASCII; write it as DNS has it, which this says: idn2 {0}")]
    International(String),
    /// `-` where an option could be meant, or a label that DNS forbids.
    #[error("{0:?} is not a host name: a part of it starts or ends with `-`")]
    Dash(String),
    /// Two dots together, or one at an end.
    #[error("{0:?} is not a host name: a part of it is empty")]
    EmptyPart(String),
    /// Looks like an address and is none, such as `192.168.1`.
    #[error("{0:?} is neither an address nor a host name")]
    Address(String),
    /// A class or user with a first character that could mean something else.
    #[error("{0:?} is not {1}: it starts with {2:?}")]
    Start(String, &'static str, char),
    /// Not a user's name, with the reason.
    #[error("{0}")]
    User(String),
    /// A port beyond 65535, or 0.
    #[error("{0:?} is not a port")]
    Port(String),
}

text_value!(
    /// A DNS name in lower case, or an IPv4 or IPv6 address in its shortest form.
    #[derive(PartialOrd, Ord)]
    HostName,
    NameError,
    host_name
);
text_value!(
    /// The name of a class, which is a file's name.
    #[derive(PartialOrd, Ord)]
    ClassName,
    NameError,
    class_name
);
text_value!(
    /// What ssh's ProxyJump takes: `[USER@]HOST[:PORT]`, several with commas.
    #[derive(PartialOrd, Ord)]
    Jump,
    NameError,
    jump
);

/// One host of a [`Jump`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hop<'a> {
    /// The user there.
    pub user: Option<&'a str>,
    /// Without brackets.
    pub host: &'a str,
    /// The port there.
    pub port: Option<&'a str>,
}

impl<'a> Hop<'a> {
    fn read(text: &'a str) -> Self {
        let (user, host) = match text.split_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, text),
        };
        let (host, port) = match host.rsplit_once(':') {
            // A bare IPv6 address has colons of its own; with a port it stands in brackets.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Self {
            user,
            host: bare.unwrap_or(host),
            port,
        }
    }
}

impl Jump {
    /// Its last host, and what is before that.
    #[must_use]
    pub fn last(&self) -> (Option<&str>, Hop<'_>) {
        match self.0.rsplit_once(',') {
            Some((before, last)) => (Some(before), Hop::read(last)),
            None => (None, Hop::read(&self.0)),
        }
    }
}

impl HostName {
    /// Whether it is an IPv4 or IPv6 address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        self.0.contains(':') || self.0.parse::<Ipv4Addr>().is_ok()
    }
}

fn host_name(text: &str) -> Result<String, NameError> {
    let owned = || text.to_owned();
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > 253 {
        return Err(NameError::Long(text.chars().take(40).collect(), 253));
    }
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    if bare.is_some() || text.contains(':') {
        let address: Ipv6Addr = bare
            .unwrap_or(text)
            .parse()
            .map_err(|_| NameError::Address(owned()))?;
        return Ok(address.to_string());
    }
    let is_international = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if !text.is_ascii() && text.chars().all(is_international) {
        return Err(NameError::International(owned()));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || "-_.".contains(*c)))
    {
        return Err(NameError::Character(owned(), bad, "a host name"));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    for label in text.split('.') {
        if label.is_empty() {
            return Err(NameError::EmptyPart(owned()));
        }
        if label.len() > 63 {
            return Err(NameError::Long(label.chars().take(40).collect(), 63));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(NameError::Dash(owned()));
        }
    }
    // ssh and the resolver read such a word as an address: 192.168.1 is 192.168.0.1.
    let last = text.rsplit('.').next().unwrap_or_default();
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    if last.bytes().all(|byte| byte.is_ascii_digit())
        || hexadecimal.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Err(NameError::Address(owned()));
    }
    Ok(text.to_ascii_lowercase())
}

fn class_name(text: &str) -> Result<String, NameError> {
    plain(text, "a class name", 64, "-_.+", "")?;
    Ok(text.to_owned())
}

/// ASCII letters and digits, `also` after the first character, and `also_first` as the first.
fn plain(text: &str, kind: &'static str, most: usize, also: &str, also_first: &str) -> Result<(), NameError> {
    let first = text.chars().next().ok_or(NameError::Empty)?;
    if text.len() > most {
        return Err(NameError::Long(text.chars().take(40).collect(), most));
    }
    if let Some(bad) = text
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || also.contains(*c)))
    {
        return Err(NameError::Character(text.to_owned(), bad, kind));
    }
    if !first.is_ascii_alphanumeric() && !also_first.contains(first) {
        return Err(NameError::Start(text.to_owned(), kind, first));
    }
    Ok(())
}

fn jump(text: &str) -> Result<String, NameError> {
    for hop in text.split(',') {
        let host = match hop.split_once('@') {
            Some((user, host)) => {
                user.parse::<UserName>().map_err(NameError::User)?;
                host
            }
            None => hop,
        };
        let (host, port) = match host.rsplit_once(':') {
            // A bare IPv6 address has colons of its own; with a port it stands in brackets.
            Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        host.parse::<HostName>()?;
        if let Some(port) = port {
            parse_port(port)?;
        }
    }
    Ok(text.to_owned())
}

/// Reads a TCP port.
///
/// # Errors
/// For anything but 1 to 65535 in plain digits.
pub fn parse_port(text: &str) -> Result<u16, NameError> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| *port != 0 && digits);
    port.ok_or_else(|| NameError::Port(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, String> {
        let parsed: Result<HostName, _> = text.parse();
        parsed.map(String::from).map_err(|error| error.to_string())
    }

    #[test]
    fn a_host_is_a_dns_name_or_an_address() {
        assert_eq!(host("WEB1.Example.ORG"), Ok("web1.example.org".into()));
        assert_eq!(host("192.168.1.192"), Ok("192.168.1.192".into()));
        assert_eq!(host("[2001:DB8:0::1]"), Ok("2001:db8::1".into()));
        assert_eq!(host("under_score"), Ok("under_score".into()));
    }

    #[test]
    fn a_host_can_never_be_read_as_an_option_or_as_anything_else() {
        for text in [
            "-oProxyCommand=id",
            "-",
            "--",
            "web1;id",
            "web1 -oX=y",
            "a/../b",
            "../x",
            "user@web1",
            "web1:22",
            "web1\n",
            "$(id)",
            "%h",
            "w*b",
            "!web1",
            "web..org",
            "web.",
            ".web",
            "a.-b",
            "b-.c",
            "192.168.1",
            "192.168.1.256",
            "0x7f000001",
            "::g",
            "fe80::1%eth0;id",
            "",
        ] {
            assert!(host(text).is_err(), "{text:?} was taken");
        }
        assert_eq!(
            host("-web1").unwrap_err(),
            "\"-web1\" is not a host name: a part of it starts or ends with `-`"
        );
        assert_eq!(
            host("-oProxyCommand=id").unwrap_err(),
            "\"-oProxyCommand=id\" is not a host name: it has '='"
        );
    }

    #[test]
    fn a_name_with_other_letters_is_told_with_the_way_to_its_dns_name() {
        for text in ["müller.example.org", "почта", "例え.jp"] {
            let error = host(text).unwrap_err();
            assert!(
                error.ends_with(&format!(", which this says: idn2 {text}")),
                "{error}"
            );
        }
        assert_eq!(
            host("xn--mller-kva.example.org"),
            Ok("xn--mller-kva.example.org".into())
        );
        assert!(host("web→1").unwrap_err().contains("it has '→'"));
    }

    #[test]
    fn a_class_is_a_plain_file_name() {
        assert!("net1".parse::<ClassName>().is_ok());
        for text in ["../x", ".hidden", "a/b", "", "-x", "a b", "@x"] {
            assert!(text.parse::<ClassName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_jump_is_what_proxyjump_takes_and_no_command() {
        for text in ["gate", "me@gate:2222", "[2001:db8::1]:22", "a,b@c", "2001:db8::1"] {
            assert!(text.parse::<Jump>().is_ok(), "{text}");
        }
        for text in ["gate:0", "-gate", "gate -oX", "a,,b", "me@", "gate:", "x@-y"] {
            assert!(text.parse::<Jump>().is_err(), "{text}");
        }
    }
}
