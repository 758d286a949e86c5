//! The clients' 50apu: an apt.conf that travels as it is, or one line made from apu.toml.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::{Command, Stdio};

use apu_site::{Failure, Settings, Site};

use crate::cannot_read::cannot_read;

/// What a file for the clients' proxy may set. Anything else can change which archives, keys and packages apt takes, or
/// stop it: `APT::Default-Release` of a release that a client does not have stops every installation there.
const SCOPES: [&str; 3] = ["acquire", "debug", "apt::update"];

/// Settings within these scopes that weaken what apt checks.
const NEVER: [&str; 8] = [
    "acquire::allowinsecurerepositories",
    "acquire::allowweakrepositories",
    "acquire::allowdowngradetoinsecurerepositories",
    "acquire::check-valid-until",
    "acquire::check-date",
    "acquire::https::verify-peer",
    "acquire::https::verify-host",
    "acquire::gzipindexes",
];

/// The text of 50apu, or nothing where the clients have no proxy.
pub(crate) fn read(site: &Site, settings: &Settings) -> Result<Option<String>, Failure> {
    let path = site.proxy_conf();
    match fs::read_to_string(&path) {
        Ok(text) => {
            check(&path)?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let conf = |url| {
                format!(
                    "// The proxy that apu.toml names, for what a proxy can keep.\n\
                     Acquire::http::Proxy \"{url}\";\nAcquire::https::Proxy \"DIRECT\";\n"
                )
            };
            Ok(settings.client.proxy.as_ref().map(conf))
        }
        Err(error) => Err(cannot_read(&path, error, "make it a text file in UTF-8")),
    }
}

/// A file that apt cannot read would stop every apt run on every client, also the one that could mend it.
fn check(path: &Path) -> Result<(), Failure> {
    let Some(alone) = dump(Some(path))? else {
        return Ok(());
    };
    let empty = dump(None)?.unwrap_or_default();
    let added = alone
        .lines()
        .filter(|line| !empty.lines().any(|other| other == *line));
    for line in added {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let name = name.trim_end_matches(':').to_ascii_lowercase();
        let value = value.trim_end_matches(';').trim_matches('"');
        // How apt-config was called is a part of what it dumps.
        if value.is_empty() || name.starts_with("commandline") {
            continue;
        }
        let is_below = |scope: &&str| name == **scope || name.starts_with(&format!("{scope}::"));
        if !SCOPES.iter().any(&is_below) || NEVER.iter().any(&is_below) {
            return Err(Failure::words(format!("cannot use {}", path.display()))
                .why(Failure::words(format!(
                    "it sets {name}, and this file is for how clients fetch: Acquire::…"
                )))
                .advise(format!(
                    "remove it from {}; what else apt is to do on a machine belongs into its own /etc/apt/apt.conf.d",
                    path.display()
                )));
        }
        if has_credentials(value) {
            return Err(Failure::words(format!("cannot use {}", path.display()))
                .why(Failure::words(format!(
                    "the address in {name} has a user name or password in it, and apu-data can be read by everybody"
                )))
                .advise(format!(
                    "take it out of {}, and write the setting with it into a file in /etc/apt/apt.conf.d on each client, \
                     with mode 0600; or let the proxy know the clients by their addresses",
                    path.display()
                )));
        }
    }
    Ok(())
}

fn has_credentials(value: &str) -> bool {
    let Some((_, rest)) = value.split_once("://") else {
        return false;
    };
    rest.split(['/', '?', '#'])
        .next()
        .unwrap_or_default()
        .contains('@')
}

/// The configuration that apt has of this file alone, without this machine's own; nothing where there is no apt.
fn dump(path: Option<&Path>) -> Result<Option<String>, Failure> {
    let failed =
        |error: io::Error| Failure::machine("cannot let apt read the clients' proxy setting").why(error);
    let own = tempfile::NamedTempFile::new().map_err(failed)?;
    fs::write(
        own.path(),
        "Dir::Etc::main \"/dev/null\";\nDir::Etc::parts \"/dev/null\";\n",
    )
    .map_err(failed)?;
    let mut command = Command::new("apt-config");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("APT_CONFIG", own.path())
        .stdin(Stdio::null());
    if let Some(path) = path {
        command.arg("-c").arg(path);
    }
    match command.arg("dump").output() {
        Ok(output) if output.status.success() => {
            Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            let shown = path.unwrap_or(Path::new("/etc/apt/apt.conf.d")).display();
            Err(Failure::words(format!("{shown} would stop apt on every client"))
                .why(Failure::words(said))
                .advise(format!("correct {shown}, see apt.conf(5)")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::machine("cannot start apt-config").why(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        check(file.path()).map_err(|failure| apu_site::report(&failure).0)
    }

    #[test]
    fn what_says_how_clients_fetch_passes() {
        for text in [
            "Acquire::http::Proxy \"http://proxy.example.org:3128\";\n",
            "Acquire::http::Proxy::host.example.org \"DIRECT\";\nAcquire::Retries \"3\";\n",
            "Acquire { http { Proxy \"http://proxy.example.org:3128/\"; Pipeline-Depth 0; }; Queue-Mode \"host\"; };\n",
            "Acquire::Languages { \"none\"; };\n",
            "// nothing\n",
        ] {
            assert_eq!(checked(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_could_stop_or_weaken_apt_on_every_client_is_refused_by_name() {
        for (text, name) in [
            ("APT::Default-Release \"trixie\";\n", "apt::default-release"),
            ("Dir::Etc::SourceParts \"/srv\";\n", "dir::etc::sourceparts"),
            ("APT { Architecture \"mips\"; };\n", "apt::architecture"),
            ("DPkg::Post-Invoke { \"false\"; };\n", "dpkg::post-invoke"),
            (
                "Acquire::AllowInsecureRepositories \"true\";\n",
                "allowinsecurerepositories",
            ),
            (
                "Acquire::Check-Valid-Until \"false\";\n",
                "acquire::check-valid-until",
            ),
            (
                "Acquire::https::Verify-Peer \"false\";\n",
                "acquire::https::verify-peer",
            ),
        ] {
            let error = checked(text).expect_err(text);
            assert!(error.contains(name), "{text}: {error}");
        }
    }

    #[test]
    fn a_proxys_password_is_refused_and_not_repeated() {
        for value in [
            "http://user:pa55word@proxy.example.org:3128",
            "https://pa55word@proxy.example.org/",
        ] {
            let error = checked(&format!("Acquire::http::Proxy \"{value}\";\n")).unwrap_err();
            assert!(error.contains("user name or password"), "{error}");
            assert!(!error.contains("pa55word"), "{error}");
        }
    }
}
