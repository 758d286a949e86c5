//! The addresses of archives: what clients can reach, and what must not travel in a package that everybody can read.

use thiserror::Error;

/// What clients can fetch from, as apt's methods name it; `cdrom:` is the disc of one machine.
const SCHEMES: [&str; 5] = ["http", "https", "ftp", "file", "copy"];

/// Names of parameters whose value lets its owner in.
const SECRETS: [&str; 16] = [
    "token",
    "access_token",
    "auth_token",
    "private_token",
    "auth",
    "authorization",
    "key",
    "apikey",
    "api_key",
    "api-key",
    "secret",
    "sig",
    "signature",
    "password",
    "passwd",
    "pass",
];

/// Why an address cannot go to the clients.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum UriError {
    /// Not one of the schemes, or no host.
    #[error("{0:?} is not an address that clients reach")]
    Unreachable(String),
    /// A user's name, with or without a password. It is not repeated.
    #[error("the address of {0} has a user name or password in it, and apu-data can be read by everybody")]
    Credentials(String),
    /// A parameter that is a secret by its name. Its value is not repeated.
    #[error("the address of {host} has the parameter `{name}` in it, and apu-data can be read by everybody")]
    Token {
        /// The host's name.
        host: String,
        /// The parameter's name.
        name: String,
    },
}

impl UriError {
    /// What to write instead.
    pub(crate) fn advice(&self, path: &str) -> String {
        match self {
            Self::Unreachable(_) => format!("write http://HOST/PATH or https://HOST/PATH there in {path}"),
            Self::Credentials(host) | Self::Token { host, .. } => format!(
                "take it out of {path}, and write `machine {host} login USER password PASSWORD` into \
                 /etc/apt/auth.conf.d/apu.conf on each client, with mode 0600, see apt_auth.conf(5)"
            ),
        }
    }
}

/// Checks one address.
pub(crate) fn check(uri: &str) -> Result<(), UriError> {
    let unreachable = || UriError::Unreachable(uri.to_owned());
    let (scheme, rest) = uri.split_once(':').ok_or_else(unreachable)?;
    let scheme = scheme.to_ascii_lowercase();
    // mirror+https and tor+http fetch as their last part does.
    let (wrap, plain) = scheme.rsplit_once('+').unwrap_or(("", &scheme));
    let is_known = (SCHEMES.contains(&plain) || (plain == "mirror" && wrap.is_empty()))
        && matches!(wrap, "" | "mirror" | "tor" | "mirror+tor");
    let is_local = matches!(plain, "file" | "copy");
    if let Some(rest) = rest.strip_prefix("//") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((_, host)) = host.rsplit_once('@') {
            return Err(UriError::Credentials(host.to_owned()));
        }
        if let Some(name) = secret_parameter(rest) {
            return Err(UriError::Token {
                host: host.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    // An address becomes part of a path and of a line; `#` starts a comment, `[` an option.
    let forbidden: &[u8] = if rest.starts_with("//[") {
        b"\"'\\<>{}|^`;#"
    } else {
        b"\"'\\<>{}|^`;#[]"
    };
    let is_plain = uri
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !forbidden.contains(&byte));
    let leads_somewhere = if is_local {
        rest.starts_with('/') && (!rest.starts_with("//") || rest.starts_with("///"))
    } else {
        rest.strip_prefix("//")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[' || c == '$'))
    };
    if is_known && is_plain && leads_somewhere {
        Ok(())
    } else {
        Err(unreachable())
    }
}

/// The first parameter that is a secret by its name.
fn secret_parameter(rest: &str) -> Option<&str> {
    let (_, query) = rest.split_once('?')?;
    query
        .split(['&', ';'])
        .map(|parameter| parameter.split_once('=').map_or(parameter, |(name, _)| name))
        .find(|name| {
            let name = name.to_ascii_lowercase();
            SECRETS.contains(&name.as_str()) || name.starts_with("x-amz-") || name.ends_with("token")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apts_methods_fetch_passes() {
        for uri in [
            "http://mirror.example.org/debian",
            "https://[2001:db8::1]:8080/debian/",
            "ftp://mirror.example.org/debian",
            "file:/srv/archive",
            "file:///srv/archive",
            "copy:/srv/archive",
            "mirror+https://mirror.example.org/list",
            "mirror://mirror.example.org/list",
            "tor+http://mirror.example.org/debian",
            "http://mirror.example.org/home:/user/Debian_12/",
            "http://mirror.example.org/$(ARCH)/debian",
        ] {
            assert_eq!(check(uri), Ok(()), "{uri}");
        }
    }

    #[test]
    fn what_no_client_reaches_is_refused() {
        for uri in [
            "",
            "mirror.example.org/debian",
            "cdrom:[Debian_12]/",
            "http:/mirror.example.org/debian",
            "http:///debian",
            "file:srv",
            "file://srv/archive",
            "rsh://mirror.example.org/debian",
            "mirror+cdrom://x/",
            "http://mirror.example.org/a'b",
            "http://-oX=Y/",
            "http://mirror.example.org/d\u{e9}bian",
        ] {
            assert!(
                matches!(check(uri), Err(UriError::Unreachable(_))),
                "{uri}: {:?}",
                check(uri)
            );
        }
    }

    #[test]
    fn a_secret_is_refused_and_not_repeated() {
        for uri in [
            "https://user:pa55word@vendor.example.org/apt",
            "https://pa55word@vendor.example.org/apt",
            "https://pa55word:@vendor.example.org/apt",
            "ftp://user:p@pa55word@vendor.example.org/apt",
            "mirror+https://user:pa55word@vendor.example.org/list",
            "https://vendor.example.org/apt?token=pa55word",
            "https://vendor.example.org/apt?a=b&Access_Token=pa55word",
            "https://vendor.example.org/apt?X-Amz-Signature=pa55word",
        ] {
            let error = check(uri).expect_err(uri);
            assert!(!error.to_string().contains("pa55word"), "{error}");
            assert!(error.to_string().contains("vendor.example.org"), "{error}");
            assert!(
                error.advice("F").contains("machine vendor.example.org login"),
                "{uri}"
            );
        }
        assert_eq!(check("https://vendor.example.org/list?arch=amd64"), Ok(()));
    }
}
