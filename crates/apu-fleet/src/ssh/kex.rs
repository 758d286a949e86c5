//! Which key exchange ssh is told to prefer. It is most of what a connection costs: see ARCHITECTURE.md.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use tokio::process::Command;

use super::Ssh;

/// What to prefer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyExchange {
    /// The cheap ones, the post-quantum one of them first.
    Fast,
    /// The post-quantum ones, the cheap one of them first.
    PostQuantum,
    /// What ssh prefers by itself.
    System,
}

impl KeyExchange {
    const fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Fast => &[
                "mlkem768x25519-sha256",
                "curve25519-sha256",
                "curve25519-sha256@libssh.org",
            ],
            Self::PostQuantum => &[
                "mlkem768x25519-sha256",
                "sntrup761x25519-sha512",
                "sntrup761x25519-sha512@openssh.com",
            ],
            Self::System => &[],
        }
    }

    /// The value of KexAlgorithms: the wanted ones that this ssh knows, before its own.
    fn value(self, known: &str) -> Option<String> {
        let known: Vec<&str> = known.lines().collect();
        let wanted: Vec<&str> = self
            .wanted()
            .iter()
            .copied()
            .filter(|name| known.contains(name))
            .collect();
        // A name that ssh does not know would make it refuse to start.
        (!wanted.is_empty()).then(|| format!("^{}", wanted.join(",")))
    }
}

impl Ssh {
    /// The value of KexAlgorithms for this machine's ssh, which is asked once for each version of it.
    pub(super) async fn kex_algorithms(&self) -> Option<String> {
        self.algorithms
            .get_or_init(|| async {
                if self.options.key_exchange == KeyExchange::System {
                    return None;
                }
                self.options.key_exchange.value(&self.known_algorithms().await)
            })
            .await
            .clone()
    }

    async fn known_algorithms(&self) -> String {
        let program = fs::metadata(&self.options.program);
        let version = program.map(|file| format!("{}-{}-{}", file.ino(), file.mtime(), file.size()));
        let cache = self
            .options
            .run_directory
            .join(format!("kex-{}", version.unwrap_or_default()));
        if let Ok(known) = fs::read_to_string(&cache) {
            return known;
        }
        let mut command = Command::new(&self.options.program);
        command
            .args(["-Q", "kex"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let Ok(output) = command.output().await else {
            return String::new();
        };
        let known = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            // Only a saving: without it the next program asks again.
            let fresh = cache.with_extension(format!("new.{}", std::process::id()));
            let _ = fs::write(&fresh, &known).and_then(|()| fs::rename(&fresh, &cache));
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_ssh_knows_are_asked_for() {
        let old = "diffie-hellman-group14-sha256\ncurve25519-sha256\nsntrup761x25519-sha512@openssh.com\n";
        assert_eq!(KeyExchange::Fast.value(old).unwrap(), "^curve25519-sha256");
        assert_eq!(
            KeyExchange::PostQuantum.value(old).unwrap(),
            "^sntrup761x25519-sha512@openssh.com"
        );
        assert_eq!(KeyExchange::System.value(old), None);
        assert_eq!(KeyExchange::Fast.value(""), None);
        let new = format!("mlkem768x25519-sha256\n{old}");
        assert_eq!(
            KeyExchange::Fast.value(&new).unwrap(),
            "^mlkem768x25519-sha256,curve25519-sha256"
        );
    }
}
