//! Derives the reason of a failed connection from what ssh wrote about it.

use crate::reason::{Place, ServerAdvice, ServerCause, ServerCode, ServerReason};

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
pub fn diagnose(through: Option<&str>, words: &str) -> ServerReason {
    match jump_s_words(words) {
        Some(said) => of_the_way(through, &said),
        None => of_the_host(words),
    }
}

/// What was said on the way, where the way ended before the host answered; nothing where the host itself did.
fn jump_s_words(words: &str) -> Option<Vec<&str>> {
    let lines = || words.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_before = |line: &str| BEFORE.iter().any(|start| line.starts_with(start));
    // Since OpenSSH 10 a way that ends is told by the last line alone.
    let is_of_the_way = |line: &str| is_before(line) || ends_an_ssh(line);
    let is_silent = lines().all(|line| line.contains(BEHIND));
    if !lines().any(|line| line.contains(BEHIND)) || !(is_silent || lines().any(is_of_the_way)) {
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

/// Whether an ssh ends with this line. That of a host which ends so says nothing about the other side afterwards, so that it was one on
/// the way where something follows.
fn ends_an_ssh(line: &str) -> bool {
    let begins = ["ssh: ", "Connection closed by ", "Connection reset by "];
    let holds = [
        "Host key verification failed",
        "IDENTIFICATION HAS CHANGED",
        "Permission denied (",
        ": open failed: connect failed: ",
        "stdio forwarding failed",
    ];
    !line.contains(BEHIND)
        && (begins.iter().any(|text| line.starts_with(text)) || holds.iter().any(|text| line.contains(text)))
}

fn of_the_way(through: Option<&str>, said: &[&str]) -> ServerReason {
    let jump = through.map(str::to_owned);
    let has = |text: &str| said.iter().any(|line| line.contains(text));
    let Some(last) = said.last() else {
        let mut reason = ServerReason::from(ServerCause::HungUp);
        reason.place = Place::HostOrWay(jump);
        return reason;
    };
    // The jump host let us in, and did not get to the host from there.
    if let Some((_, why)) = said
        .iter()
        .find_map(|line| line.split_once(": open failed: connect failed: "))
    {
        let mut reason = of_the_host(why);
        reason.place = Place::SeenFrom(jump);
        return reason;
    }
    let is_before = |line: &&str| BEFORE.iter().any(|start| line.starts_with(start));
    let of_ssh = |text: String| ServerReason::from(ServerCause::SshSaid).detailed(text);
    let mut reason = if has("IDENTIFICATION HAS CHANGED") {
        ServerReason::from(ServerCause::HostKeyChanged).advise(ServerAdvice::FindOutJumpKey)
    } else if has("Host key verification failed") {
        let unknown = said.iter().find(|line| line.contains("host key is known for"));
        let text = unknown.map_or_else(|| (*last).to_owned(), |line| format!("{line} {last}"));
        of_ssh(text).advise(ServerAdvice::KnowJumpHost { jump: jump.clone() })
    } else if has("Permission denied") {
        of_ssh((*last).to_owned()).advise(ServerAdvice::LogInToJumpHost { jump: jump.clone() })
    } else if said.iter().any(is_before) {
        ServerReason::from(ServerCause::HungUp).detailed(*last)
    } else {
        of_ssh((*last).to_owned())
    };
    if reason.code != ServerCode::HungUp {
        reason.code = ServerCode::Jump;
    }
    reason.place = Place::Way(jump);
    reason
}

fn of_the_host(words: &str) -> ServerReason {
    let has = |text: &str| words.contains(text);
    let plain = |cause: ServerCause| ServerReason::from(cause);
    if has("REMOTE HOST IDENTIFICATION HAS CHANGED") || has("HOST IDENTIFICATION HAS CHANGED") {
        return plain(ServerCause::HostKeyChanged).advise(ServerAdvice::ReplaceHostKey);
    }
    if has("REVOKED HOST KEY") || has("is revoked") {
        return plain(ServerCause::HostKeyRevoked);
    }
    if has("Host key verification failed") || has("host key is known for") {
        return plain(ServerCause::HostKeyUnknown).advise(ServerAdvice::PinHostKey);
    }
    // An sshd since 9.8 says so before it hangs up.
    if let Some(said) = TURNED_AWAY.into_iter().find(|said| has(said)) {
        return plain(ServerCause::TurnedAway).detailed(said);
    }
    if has("Permission denied") || has("Too many authentication failures") {
        return plain(ServerCause::KeyRefused).advise(ServerAdvice::Bootstrap);
    }
    if has("Connection refused") {
        return plain(ServerCause::ConnectionRefused);
    }
    if has("Could not resolve hostname") || has("Name or service not known") || has("in name resolution") {
        return plain(ServerCause::NoAddress).advise(ServerAdvice::GiveAddress);
    }
    if has("No route to host") || has("Network is unreachable") {
        return plain(ServerCause::NoRoute);
    }
    if has("timed out") || has("Timeout") {
        return plain(ServerCause::TimedOut);
    }
    if has("Unable to negotiate") || has("no matching") {
        return plain(ServerCause::NoCommonAlgorithm).detailed(last_line(words));
    }
    if has("Bad owner or permissions") || has("Bad configuration option") || has("UNPROTECTED PRIVATE KEY") {
        return plain(ServerCause::SshConfiguration).detailed(last_line(words));
    }
    if has("Connection closed") || has("Connection reset") || has("Broken pipe") || has("Received disconnect")
    {
        let is_before = words
            .lines()
            .any(|line| BEFORE.iter().any(|start| line.trim().starts_with(start)));
        if is_before {
            return plain(ServerCause::HungUp);
        }
        let said = match said_at_the_login(words) {
            said if said.is_empty() => last_line(words),
            said => said,
        };
        return plain(ServerCause::LoginEnded).detailed(said);
    }
    plain(ServerCause::SshSaid).detailed(last_line(words))
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

    fn at_host(words: &str) -> ServerReason {
        diagnose(None, words)
    }

    #[test]
    fn ssh_s_words_become_a_reason_and_a_cure() {
        for (words, code, advice) in [
            (
                "ssh: connect to host web1 port 22: Connection refused\r\n",
                ServerCode::Refused,
                None,
            ),
            (
                "No ED25519 host key is known for web1 and you have requested strict checking.\r\nHost key verification failed.\r\n",
                ServerCode::UnknownHostKey,
                Some(ServerAdvice::PinHostKey),
            ),
            (
                "@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.\r\n",
                ServerCode::ChangedHostKey,
                Some(ServerAdvice::ReplaceHostKey),
            ),
            (
                "apu@web1: Permission denied (publickey).\r\n",
                ServerCode::KeyRefused,
                Some(ServerAdvice::Bootstrap),
            ),
            (
                "ssh: connect to host web1 port 22: Connection timed out\r\n",
                ServerCode::NoAnswer,
                None,
            ),
            (
                "Connection timed out during banner exchange\r\nConnection to 10.0.0.1 port 22 timed out\r\n",
                ServerCode::NoAnswer,
                None,
            ),
            (
                "ssh: connect to host web1 port 22: No route to host\r\n",
                ServerCode::NoRoute,
                None,
            ),
            (
                "ssh: Could not resolve hostname web1: Name or service not known\r\n",
                ServerCode::UnknownName,
                Some(ServerAdvice::GiveAddress),
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\n",
                ServerCode::HungUp,
                None,
            ),
            (
                "Your account has expired; please contact your system administrator.\r\n\nConnection closed by 10.0.0.1 port 22\r\n",
                ServerCode::LoginRefused,
                None,
            ),
            (
                "kex_exchange_identification: banner line 0: Not allowed at this time\r\nbanner exchange: Connection to 10.0.0.1 port 22: invalid format\r\n",
                ServerCode::HungUp,
                None,
            ),
            ("something new\r\n", ServerCode::Other, None),
        ] {
            let reason = at_host(words);
            assert_eq!((reason.code, reason.advice), (code, advice), "{words}");
            assert_eq!(reason.place, Place::Host);
        }
        assert_eq!(at_host("first\r\nsomething new\r\n").detail, ["something new"]);
    }

    /// What the ssh of a host says after that of its jump host has ended.
    const OUTER: &str = "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n";

    /// The same of OpenSSH 10.
    const OUTER_10: &str = "Connection closed by UNKNOWN port 65535\r\n";

    #[test]
    fn a_way_that_fails_says_what_the_jump_host_s_ssh_said() {
        let gate = || Some("gate".to_owned());
        for (words, code, place, detail) in [
            (
                "No ED25519 host key is known for gate and you have requested strict checking.\r\nHost key verification failed.\r\n",
                ServerCode::Jump,
                Place::Way(gate()),
                "No ED25519 host key is known for gate and you have requested strict checking. Host key verification failed.",
            ),
            (
                "Welcome\r\nme@gate: Permission denied (publickey,password).\r\n",
                ServerCode::Jump,
                Place::Way(gate()),
                "me@gate: Permission denied (publickey,password).",
            ),
            (
                "ssh: Could not resolve hostname gate: Name or service not known\r\n",
                ServerCode::Jump,
                Place::Way(gate()),
                "ssh: Could not resolve hostname gate: Name or service not known",
            ),
            (
                "ssh: connect to host gate port 22: Connection refused\r\n",
                ServerCode::Jump,
                Place::Way(gate()),
                "ssh: connect to host gate port 22: Connection refused",
            ),
            (
                "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 22\r\n",
                ServerCode::HungUp,
                Place::Way(gate()),
                "Connection closed by 10.0.0.1 port 22",
            ),
            (
                "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n",
                ServerCode::Refused,
                Place::SeenFrom(gate()),
                "",
            ),
            ("", ServerCode::HungUp, Place::HostOrWay(gate()), ""),
        ] {
            let reason = diagnose(Some("gate"), &format!("{words}{OUTER}"));
            assert_eq!((reason.code, &reason.place), (code, &place), "{words}");
            assert_eq!(reason.detail.concat(), detail);
            // As with two jump hosts, and as OpenSSH 10 says it.
            for outer in [
                &format!("{OUTER}{OUTER}"),
                OUTER_10,
                &format!("{OUTER_10}{OUTER_10}"),
            ] {
                let other = diagnose(Some("gate"), &format!("{words}{outer}"));
                assert_eq!(other, reason, "{outer}");
            }
        }
    }

    #[test]
    fn a_host_behind_a_jump_host_that_answers_is_diagnosed_itself() {
        let reason = diagnose(Some("gate"), "apu@web1: Permission denied (publickey).\r\n");
        assert_eq!(reason.advice, Some(ServerAdvice::Bootstrap));
        let words = "System is going down.\r\n\r\nConnection closed by UNKNOWN port 65535\r\n";
        let reason = diagnose(Some("gate"), words);
        assert_eq!(reason.cause, ServerCause::LoginEnded);
        assert_eq!(reason.detail, ["System is going down."]);
    }
}
