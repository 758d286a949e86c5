//! What ssh's words about a failed connection mean, and what cures it.

use crate::host::Host;
use crate::outcome::{Obstacle, Why};

/// How ssh calls the other side where a jump host's ssh, or another program, brings its bytes.
const BEHIND: &str = "UNKNOWN port 65535";

/// How ssh begins what it says of a connection that ended before the other side was known to be an sshd.
const BEFORE: [&str; 3] = [
    "kex_exchange_identification:",
    "ssh_exchange_identification:",
    "banner exchange:",
];

/// Reads what ssh wrote before it gave up. `through` is the jump host, where there is one.
#[must_use]
pub fn blame(host: &Host, through: Option<&str>, words: &str) -> Why {
    match jump_s_words(words) {
        Some(said) => of_the_way(host, through, &said),
        None => of_the_host(host, words),
    }
}

/// What was said on the way, where the way ended before the host answered; nothing where the host itself did.
fn jump_s_words(words: &str) -> Option<Vec<&str>> {
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_before = |line: &str| BEFORE.iter().any(|start| line.starts_with(start));
    if !(lines().any(|line| line.contains(BEHIND)) && lines().any(is_before)) {
        return None;
    }
    // Each ssh behind another ends with these two lines of its own; what is left is of the one that met the cause.
    let mut said: Vec<&str> = Vec::new();
    for line in lines() {
        if line.contains(BEHIND) {
            said.pop_if(|last| is_before(last));
        } else if line != "stdio forwarding failed" {
            said.push(line);
        }
    }
    Some(said)
}

fn of_the_way(host: &Host, through: Option<&str>, said: &[&str]) -> Why {
    let way = through.map_or_else(
        || "the way that ssh_config has to it".to_owned(),
        |through| format!("the way through {through}"),
    );
    let has = |text: &str| said.iter().any(|line| line.contains(text));
    let Some(last) = said.last() else {
        let text = format!("it hung up before the login, or {way} did: {HUNG_UP}");
        return Why::here(Obstacle::HungUp, text, "");
    };
    let hop = through.unwrap_or("the jump host");
    // The jump host let us in, and did not get to the host from there.
    if let Some((_, why)) = said
        .iter()
        .find_map(|line| line.split_once(": open failed: connect failed: "))
    {
        let of_host = of_the_host(host, why);
        let obstacle = match of_host.code {
            crate::outcome::Code::Here(obstacle) => obstacle,
            crate::outcome::Code::Client(_) => Obstacle::Other,
        };
        return Why::here(
            obstacle,
            format!("{}, seen from {hop}", of_host.text),
            of_host.advice,
        );
    }
    let (obstacle, text, advice) = if has("IDENTIFICATION HAS CHANGED") {
        let text = "its host key has CHANGED: it was installed anew, or somebody stands between".to_owned();
        let advice = "find out why; its pinned key is in root's own known_hosts".to_owned();
        (Obstacle::Jump, text, advice)
    } else if has("Host key verification failed") {
        let unknown = said.iter().find(|line| line.contains("host key is known for"));
        let text = unknown.map_or_else(|| (*last).to_owned(), |line| format!("{line} {last}"));
        let advice = format!("log in to {hop} as root once with ssh, and compare its key");
        (Obstacle::Jump, text, advice)
    } else if has("Permission denied") {
        let advice = format!("let root's ssh log in to {hop} without a question, by a key or an agent");
        (Obstacle::Jump, (*last).to_owned(), advice)
    } else if said
        .iter()
        .any(|line| BEFORE.iter().any(|start| line.starts_with(start)))
    {
        (Obstacle::HungUp, format!("{last}: {HUNG_UP}"), String::new())
    } else {
        (Obstacle::Jump, (*last).to_owned(), String::new())
    };
    Why::here(obstacle, format!("{way}: {text}"), advice)
}

/// Why somebody hangs up before the login.
const HUNG_UP: &str = "too many connections, or this address is being punished there";

fn of_the_host(host: &Host, words: &str) -> Why {
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
    // An sshd since 9.8 says so before it hangs up.
    if let Some(said) = TURNED_AWAY.into_iter().find(|said| has(said)) {
        return why(
            Obstacle::HungUp,
            &format!("it hung up before the login: {said}"),
            String::new(),
        );
    }
    if has("Permission denied") || has("Too many authentication failures") {
        return why(
            Obstacle::KeyRefused,
            "it does not take the push key: it has no apu-client, an apu-data with another key, or an sshd that keeps \
             the user out; apu bootstrap finds out which",
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
    if has("Could not resolve hostname") || has("Name or service not known") || has("in name resolution") {
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
    if has("Connection closed") || has("Connection reset") || has("Broken pipe") || has("Received disconnect")
    {
        let is_before = words
            .lines()
            .any(|line| BEFORE.iter().any(|start| line.trim().starts_with(start)));
        let said = said_at_the_login(words);
        return if is_before {
            why(
                Obstacle::HungUp,
                &format!("it hung up before the login: {HUNG_UP}"),
                String::new(),
            )
        } else if said.is_empty() {
            why(
                Obstacle::LoginRefused,
                &format!("it ended the login: {}", last_line(words)),
                String::new(),
            )
        } else {
            why(
                Obstacle::LoginRefused,
                &format!("it ended the login: {said}"),
                String::new(),
            )
        };
    }
    match last_line(words).as_str() {
        "" => why(Obstacle::Other, "ssh gave up without a word", String::new()),
        line => why(Obstacle::Other, line, String::new()),
    }
}

/// What an sshd says to those that it does not let begin.
const TURNED_AWAY: [&str; 2] = ["Not allowed at this time", "Exceeded MaxStartups"];

/// What the host itself said while we logged in: PAM's reason, the text of /etc/nologin, a banner.
fn said_at_the_login(words: &str) -> String {
    const OF_SSH: [&str; 6] = [
        "Connection closed",
        "Connection reset",
        "Received disconnect",
        "Disconnected from",
        "Warning: ",
        "** ",
    ];
    let lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let of_host: Vec<&str> = lines
        .filter(|line| !OF_SSH.iter().any(|start| line.starts_with(start)) && !line.contains("Broken pipe"))
        .collect();
    // A banner says first who may log in; the reason is at its end.
    of_host[of_host.len().saturating_sub(3)..].join(" ")
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
            (
                "Your account has expired; please contact your system administrator.\r\n\nConnection closed by 10.0.0.1 port 22\r\n",
                Obstacle::LoginRefused,
                "",
            ),
            (
                "kex_exchange_identification: banner line 0: Not allowed at this time\r\nbanner exchange: Connection to 10.0.0.1 port 22: invalid format\r\n",
                Obstacle::HungUp,
                "",
            ),
            ("something new\r\n", Obstacle::Other, ""),
        ] {
            let why = blame(&host, None, words);
            assert_eq!(why.code, crate::outcome::Code::Here(obstacle), "{words}");
            assert_eq!(why.advice, advice, "{words}");
        }
        assert_eq!(
            blame(&host, None, "first\r\nsomething new\r\n").text,
            "something new"
        );
    }

    /// What the ssh of a host says after that of its jump host has ended.
    const OUTER: &str = "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n";

    #[test]
    fn a_way_that_fails_says_what_the_jump_host_s_ssh_said() {
        let host = Host::plain("web1".parse().unwrap());
        for (words, obstacle, text) in [
            (
                "No ED25519 host key is known for gate and you have requested strict checking.\r\nHost key verification failed.\r\n",
                Obstacle::Jump,
                "the way through gate: No ED25519 host key is known for gate and you have requested strict checking. Host key verification failed.",
            ),
            (
                "Welcome\r\nme@gate: Permission denied (publickey,password).\r\n",
                Obstacle::Jump,
                "the way through gate: me@gate: Permission denied (publickey,password).",
            ),
            (
                "ssh: Could not resolve hostname gate: Name or service not known\r\n",
                Obstacle::Jump,
                "the way through gate: ssh: Could not resolve hostname gate: Name or service not known",
            ),
            (
                "ssh: connect to host gate port 22: Connection refused\r\n",
                Obstacle::Jump,
                "the way through gate: ssh: connect to host gate port 22: Connection refused",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 22\r\n",
                Obstacle::HungUp,
                "the way through gate: Connection closed by 10.0.0.1 port 22: too many connections, or this address is being punished there",
            ),
            (
                "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n",
                Obstacle::Refused,
                "connection refused: no sshd listens there, seen from gate",
            ),
            (
                "",
                Obstacle::HungUp,
                "it hung up before the login, or the way through gate did: too many connections, or this address is being punished there",
            ),
        ] {
            let why = blame(&host, Some("gate"), &format!("{words}{OUTER}"));
            assert_eq!(why.code, crate::outcome::Code::Here(obstacle), "{words}");
            assert_eq!(why.text, text);
            // As with two jump hosts.
            let twice = blame(&host, Some("gate"), &format!("{words}{OUTER}{OUTER}"));
            assert_eq!(twice, why);
        }
    }

    #[test]
    fn a_host_behind_a_jump_host_that_answers_is_blamed_itself() {
        let host = Host::plain("web1".parse().unwrap());
        let why = blame(
            &host,
            Some("gate"),
            "apu@web1: Permission denied (publickey).\r\n",
        );
        assert_eq!(why.advice, "apu bootstrap web1");
        let words = "System is going down.\r\n\r\nConnection closed by UNKNOWN port 65535\r\n";
        let why = blame(&host, Some("gate"), words);
        assert_eq!(why.text, "it ended the login: System is going down.");
    }
}
