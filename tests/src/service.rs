//! Real programs that a server may run beside apu: Debian's packages, set up from apu's examples.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::layer::{apt, copy_in};
use crate::root::{self, Flavour, Suite};
use crate::store::{self, Inputs, word};
use crate::tool::run;

/// A program that the server runs beside apu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// A proxy, on port 3128.
    Squid,
    /// A proxy for packages, on port 3142.
    AptCacherNg,
    /// A web server, instead of `apu serve`.
    Apache2,
    /// A web server, instead of `apu serve`.
    Nginx,
    /// A mail server, Debian's own choice, on port 25; with what slots need beside it, and Python for a webhook's other side.
    Exim,
}

impl Service {
    const ALL: [Self; 5] = [
        Self::Squid,
        Self::AptCacherNg,
        Self::Apache2,
        Self::Nginx,
        Self::Exim,
    ];

    /// Its service, and all but Exim's package.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Squid => "squid",
            Self::AptCacherNg => "apt-cacher-ng",
            Self::Apache2 => "apache2",
            Self::Nginx => "nginx",
            Self::Exim => "exim4",
        }
    }

    /// What is installed for it.
    const fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Squid => &["squid"],
            Self::AptCacherNg => &["apt-cacher-ng"],
            Self::Apache2 => &["apache2"],
            Self::Nginx => &["nginx"],
            // systemd for systemd-analyze: it is not PID 1 here.
            Self::Exim => &["exim4-daemon-light", "curl", "systemd", "python3"],
        }
    }

    /// The port that it listens at.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Squid => 3128,
            Self::AptCacherNg => 3142,
            Self::Apache2 | Self::Nginx => 80,
            Self::Exim => 25,
        }
    }

    /// Whether it serves the site's archive, and so all of port 80 is its own.
    pub(crate) const fn is_web_server(self) -> bool {
        self.port() == 80
    }

    const fn example(self) -> Option<&'static str> {
        match self {
            Self::Squid => Some("squid-apu.conf"),
            Self::AptCacherNg => Some("acng-apu.conf"),
            Self::Apache2 => Some("apache2-apu.conf"),
            Self::Nginx => Some("nginx-apu.conf"),
            Self::Exim => None,
        }
    }

    /// How it is started where systemd is not PID 1.
    pub(crate) fn start(self) -> String {
        format!("/etc/init.d/{} start", self.name())
    }

    /// The .debs that a plain root of the server lacks for it, from where this machine gets its own; a folder.
    pub(crate) fn packages(self) -> Result<PathBuf> {
        let suite = Suite::of_server()?;
        let base = root::base(suite, Flavour::Plain)?;
        let inputs = Inputs::of("recipe 1")
            .and(word(&base))
            .and(Self::ALL.map(|service| service.wanted().join(" ")));
        let entry = store::entry("services", suite.name(), &inputs, |draft| fetch(&base, draft))?;
        Ok(entry.join(self.name()))
    }

    /// Installs it on the server and sets it up as its example says.
    pub(crate) fn install(self, host: &Host) -> Result<()> {
        let mut debs = vec!["install".to_owned()];
        for deb in fs::read_dir(self.packages()?)? {
            let deb = deb?.path();
            let inside = format!("/tmp/{}", word(deb.file_name().context("no name")?));
            copy_in(host, &deb, &inside)?;
            debs.push(inside);
        }
        // It starts when the fleet boots: here its port may be another's.
        host.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");
        host.sh("chmod 755 /usr/sbin/policy-rc.d").ok();
        apt(host, &debs.iter().map(String::as_str).collect::<Vec<_>>())?;
        host.sh("rm /usr/sbin/policy-rc.d").ok();
        let example = self.read_example(host)?;
        // It delivers for this server alone, as Debian sets it up, and listens where the fleet looks for it.
        let own = "sed -i \"s/^dc_local_interfaces=.*/dc_local_interfaces='127.9.0.1'/\" /etc/exim4/update-exim4.conf.conf";
        let commands = match &example {
            Some(example) => commands(example),
            None => vec![own],
        };
        for command in commands {
            let typed = host.sh(command);
            ensure!(typed.code == 0, "`{command}`: {}{}", typed.stdout, typed.stderr);
        }
        Ok(())
    }

    fn read_example(self, host: &Host) -> Result<Option<String>> {
        let Some(example) = self.example() else {
            return Ok(None);
        };
        let path = format!("/usr/share/doc/apu-server/examples/{example}");
        host.read(&path).with_context(|| format!("no {path}")).map(Some)
    }
}

/// The commands of an example's first comment, without what needs systemd: that is [`Service::start`]'s part.
fn commands(example: &str) -> Vec<&str> {
    let indented = example
        .lines()
        .filter_map(|line| line.strip_prefix("#   "))
        .filter_map(|line| line.split(" && systemctl ").next());
    indented.filter(|line| !line.starts_with(' ')).collect()
}

/// Downloads every service with what it needs. The machine's own apt does that, with lists and caches of its own; nothing
/// is installed here.
fn fetch(base: &Path, draft: &Path) -> Result<()> {
    eprintln!("fetching squid, apt-cacher-ng, apache2, nginx and exim4: once");
    let desk = draft.join("apt");
    for folder in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(desk.join(folder))?;
    }
    let sources = desk.join("sources.list");
    let suite = Suite::of_server()?.name();
    fs::write(&sources, format!("deb {} {suite} main\n", root::own_archive()?))?;
    // What the machine does after an update is not wanted after this one.
    let hooks = desk.join("no-hooks.conf");
    fs::write(&hooks, "#clear APT::Update;\n#clear DPkg::Post-Invoke;\n")?;
    let apt_get = |archives: &Path, words: &[&str]| {
        let option = |name: &str, path: &Path| format!("-oDir::{name}={}", word(path));
        run(Command::new("apt-get")
            .args([
                "-q",
                "-y",
                "-oAPT::Update::Error-Mode=any",
                "-oAcquire::Retries=3",
            ])
            .arg(format!("-c{}", word(&hooks)))
            .arg(option("Etc::SourceList", &sources))
            .arg(option("Etc::SourceParts", Path::new("/dev/null")))
            .arg(option("State::lists", &desk.join("lists")))
            .arg(option("State::status", &base.join("var/lib/dpkg/status")))
            .arg(option("Cache::pkgcache", Path::new("")))
            .arg(option("Cache::srcpkgcache", Path::new("")))
            .arg(option("Cache::archives", archives))
            .args(words))
    };
    apt_get(&desk.join("archives"), &["update"])?;
    for service in Service::ALL {
        let folder = draft.join(service.name());
        fs::create_dir_all(folder.join("partial"))?;
        apt_get(
            &folder,
            &[
                &["install", "--download-only", "--no-install-recommends"],
                service.wanted(),
            ]
            .concat(),
        )?;
        fs::remove_dir_all(folder.join("partial"))?;
        let _ = fs::remove_file(folder.join("lock"));
    }
    fs::remove_dir_all(desk)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_says_what_to_type() {
        let text = "# squid, so that:\n#   cp a b && systemctl restart squid\n# and:\n#   ln -s c d\nacl x\n";
        assert_eq!(commands(text), ["cp a b", "ln -s c d"]);
    }
}
