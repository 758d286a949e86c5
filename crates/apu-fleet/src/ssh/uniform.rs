//! Tells whether ssh's configuration leads to every host alike, so that ssh need not be asked for each of them.
//!
//! Where a line could lead some host elsewhere, or is not known here, the answer is no, and `ssh -G` is asked.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};

/// The system's own file, and what Debian's includes.
const SYSTEM: &str = "/etc/ssh/ssh_config";
const PARTS: &str = "/etc/ssh/ssh_config.d";

/// The longest file that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Settings of ssh_config(5) that name neither the address, the port, nor a way through other hosts.
const HARMLESS: &[&str] = &[
    "addkeystoagent",
    "addressfamily",
    "batchmode",
    "bindaddress",
    "bindinterface",
    "casignaturealgorithms",
    "certificatefile",
    "challengeresponseauthentication",
    "checkhostip",
    "ciphers",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forwardagent",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gatewayports",
    "globalknownhostsfile",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "hostbasedauthentication",
    "hostkeyalgorithms",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "ipqos",
    "kbdinteractiveauthentication",
    "kexalgorithms",
    "localforward",
    "loglevel",
    "macs",
    "numberofpasswordprompts",
    "passwordauthentication",
    "permitlocalcommand",
    "preferredauthentications",
    "pubkeyacceptedalgorithms",
    "pubkeyauthentication",
    "remoteforward",
    "requesttty",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "setenv",
    "stricthostkeychecking",
    "tcpkeepalive",
    "updatehostkeys",
    "user",
    "userknownhostsfile",
];

/// Whether the files that ssh reads for this user lead to every host alike.
pub(super) fn leads_everywhere_alike() -> bool {
    // ssh takes the home directory of the passwd file, not that of the environment.
    let Ok(Some(user)) = User::from_uid(geteuid()) else {
        return false;
    };
    let mut files = vec![user.dir.join(".ssh/config"), PathBuf::from(SYSTEM)];
    match fs::read_dir(PARTS) {
        Ok(entries) => {
            for entry in entries {
                let Ok(entry) = entry else { return false };
                files.push(entry.path());
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => return false,
    }
    files.iter().all(|path| match text(path) {
        Some(text) => is_uniform(&text),
        None => false,
    })
}

/// The text of a file, empty where there is none; nothing where it cannot be read whole.
fn text(path: &Path) -> Option<String> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Some(String::new()),
        file => file.ok()?,
    };
    let mut text = String::new();
    let length = file.take(LONGEST + 1).read_to_string(&mut text).ok()?;
    (length as u64 <= LONGEST).then_some(text)
}

/// Whether no line of a configuration leads one host to another place than its name says.
fn is_uniform(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return true;
        }
        let end = line
            .find(|letter: char| !letter.is_ascii_alphanumeric())
            .unwrap_or(line.len());
        let (keyword, value) = line.split_at(end);
        match keyword.to_ascii_lowercase().as_str() {
            "host" => value.trim() == "*",
            "include" => value.trim() == format!("{PARTS}/*.conf"),
            keyword => HARMLESS.contains(&keyword),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::is_uniform;
    use crate::ssh::route::Route;

    const DEBIAN: &str = "Include /etc/ssh/ssh_config.d/*.conf\n\nHost *\n#   Port 22\n    SendEnv LANG LC_*\n    \
                          HashKnownHosts yes\n    GSSAPIAuthentication yes\n";

    /// Where ssh itself says that such a configuration leads.
    fn routes(text: &str) -> Vec<Option<Route>> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let asked = |host: &&str| {
            let mut ssh = Command::new("/usr/bin/ssh");
            let output = ssh
                .arg("-F")
                .arg(&file)
                .args(["-G", "--", host])
                .output()
                .unwrap();
            Route::read(&String::from_utf8_lossy(&output.stdout))
        };
        HOSTS.iter().map(asked).collect()
    }

    const HOSTS: [&str; 4] = ["web1", "db.example.org", "192.0.2.7", "2001:db8::1"];

    #[test]
    fn a_uniform_configuration_leads_ssh_to_the_name_at_port_22() {
        for text in [
            "",
            DEBIAN,
            "Host *\n\tServerAliveInterval=5\n",
            "IdentityFile ~/.ssh/id_other\nUser admin\nCompression yes\n",
            "LogLevel \"DEBUG\"\nsetenv A=b\n",
        ] {
            assert!(is_uniform(text), "{text}");
            let expected = HOSTS.map(|host| {
                Some(Route {
                    address: host.to_owned(),
                    port: 22,
                    jump: None,
                    is_piped: false,
                })
            });
            assert_eq!(routes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_is_not_known_is_not_uniform() {
        for text in [
            "Host web1\n  Port 2222\n",
            "Host * !web1\n  User x\n",
            "Match host web1\n  HostName 192.0.2.1\n",
            "Match all\n",
            "Port 2222\n",
            "port=2222\n",
            "\"Port\" 2222\n",
            "HostName %h.example.org\n",
            "ProxyJump gate\n",
            "ProxyCommand nc %h %p\n",
            "CanonicalizeHostname yes\nCanonicalDomains example.org\n",
            "Include ~/more\n",
            "Include /etc/ssh/ssh_config.d/*.conf /root/more\n",
            "Tag x\n",
            "SomethingNew yes\n",
            "Host \"*\" web1\n",
        ] {
            assert!(!is_uniform(text), "{text}");
        }
    }
}
