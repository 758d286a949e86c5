//! What ssh's words about a failed connection mean, and what cures it.

use crate::host::Host;
use crate::outcome::{Obstacle, Why};

/// Reads what ssh wrote before it gave up.
#[must_use]
pub fn blame(host: &Host, words: &str) -> Why {
    let name = &host.name;
    let has = |text: &str| words.contains(text);
    let why = |obstacle, text: &str, advice: String| Why::here(obstacle, text, advice);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("HOST IDENTIFICATION HAS CHANGED") {
        return why(
            Obstacle::ChangedHostKey,
            "its host key has CHANGED: it was installed anew, or somebody stands between",
            format!("find out why, and then: apu host-key {name} --replace"),
        );
    }
    if has("REVOKED HOST KEY") || has("is revoked") {
        return why(
            Obstacle::ChangedHostKey,
            "its host key is revoked in known_hosts",
            String::new(),
        );
    }
    if has("Host key verification failed") || has("host key is known for") {
        return why(
            Obstacle::UnknownHostKey,
            "its host key is not known here",
            format!("apu host-key {name}"),
        );
    }
    if has("Permission denied") || has("Too many authentication failures") {
        return why(
            Obstacle::KeyRefused,
            "it does not take the push key: it has no apu-client, or an apu-data with another key",
            format!("apu bootstrap {name}"),
        );
    }
    if has("Connection refused") {
        return why(
            Obstacle::Refused,
            "connection refused: no sshd listens there",
            String::new(),
        );
    }
    if has("Could not resolve hostname") {
        return why(
            Obstacle::UnknownName,
            "its name has no address",
            format!("write `{name} address=…` in its class"),
        );
    }
    if has("No route to host") || has("Network is unreachable") {
        return why(Obstacle::NoRoute, "no route to it", String::new());
    }
    if has("timed out") || has("Timeout") {
        return why(
            Obstacle::NoAnswer,
            "no answer: the connection timed out",
            String::new(),
        );
    }
    if has("Unable to negotiate") || has("no matching") {
        return why(Obstacle::NoCommonAlgorithm, &last_line(words), String::new());
    }
    if has("Bad owner or permissions") || has("Bad configuration option") || has("UNPROTECTED PRIVATE KEY") {
        return why(Obstacle::Here, &last_line(words), String::new());
    }
    if has("Connection closed") || has("Connection reset") || has("Broken pipe") {
        return why(
            Obstacle::HungUp,
            "it hung up before the login: too many connections, or this address is being punished there",
            String::new(),
        );
    }
    match last_line(words).as_str() {
        "" => why(Obstacle::Other, "ssh gave up without a word", String::new()),
        line => why(Obstacle::Other, line, String::new()),
    }
}

/// What ssh says last is what it died of.
fn last_line(words: &str) -> String {
    words
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_s_words_become_a_reason_and_a_cure() {
        let host = Host::plain("web1".parse().unwrap());
        for (words, obstacle, advice) in [
            (
                "ssh: connect to host web1 port 22: Connection refused\r\n",
                Obstacle::Refused,
                "",
            ),
            (
                "No ED25519 host key is known for web1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                Obstacle::UnknownHostKey,
                "apu host-key web1",
            ),
            (
                "@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.\r\n",
                Obstacle::ChangedHostKey,
                "find out why, and then: apu host-key web1 --replace",
            ),
            (
                "apu@web1: Permission denied (publickey).\r\n",
                Obstacle::KeyRefused,
                "apu bootstrap web1",
            ),
            (
                "ssh: connect to host web1 port 22: Connection timed out\r\n",
                Obstacle::NoAnswer,
                "",
            ),
            (
                "Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 22 timed out\r\n",
                Obstacle::NoAnswer,
                "",
            ),
            (
                "ssh: connect to host web1 port 22: No route to host\r\n",
                Obstacle::NoRoute,
                "",
            ),
            (
                "ssh: Could not resolve hostname web1: Name or service not known\r\n",
                Obstacle::UnknownName,
                "write `web1 address=…` in its class",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\n",
                Obstacle::HungUp,
                "",
            ),
            ("something new\r\n", Obstacle::Other, ""),
        ] {
            let why = blame(&host, words);
            assert_eq!(why.code, crate::outcome::Code::Here(obstacle), "{words}");
            assert_eq!(why.advice, advice, "{words}");
        }
        assert_eq!(blame(&host, "first\r\nsomething new\r\n").text, "something new");
    }
}
