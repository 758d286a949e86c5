//! A notice as a mail: RFC 5322, with a body of UTF-8 as MIME has it. Nothing in a notice can begin a header of its own.

use apu_site::settings::MailAddress;
use jiff::fmt::rfc2822;
use jiff::{Timestamp, tz::TimeZone};

use super::notice::Notice;

/// The longest line of a body; RFC 5322 has 998 bytes.
const LONGEST_LINE: usize = 900;

/// The most characters of a header's text.
const LONGEST_HEADER: usize = 200;

/// What a mail has beside its notice.
pub(super) struct Letter<'a> {
    /// Whom it is from; root without one.
    pub(super) from: Option<&'a MailAddress>,
    /// Who gets it.
    pub(super) to: &'a [MailAddress],
    /// What this server is called.
    pub(super) host: &'a str,
    /// When it is sent.
    pub(super) at: Timestamp,
}

impl Letter<'_> {
    /// Whom it is from.
    pub(super) fn sender(&self) -> String {
        let from = self.from.map_or("root", MailAddress::as_str);
        match from.contains('@') {
            true => from.to_owned(),
            false => format!("{from}@{}", self.host),
        }
    }

    /// The mail as sendmail(8) reads it, with the line ends of this system.
    pub(super) fn text(&self, notice: &Notice) -> String {
        let host = self.host;
        let to: Vec<&str> = self.to.iter().map(MailAddress::as_str).collect();
        let id = |id: &str| format!("<apu.{}@{host}>", in_header(id).replace(' ', ""));
        let date = rfc2822::to_string(&self.at.to_zoned(TimeZone::UTC)).unwrap_or_default();
        let mut headers = vec![
            ("From", format!("\"apu on {host}\" <{}>", self.sender())),
            // A line for each: none gets too long.
            ("To", to.join(",\n\t")),
            ("Subject", in_header(&notice.subject)),
            ("Date", date),
            ("Message-ID", id(&notice.id)),
        ];
        if let Some(follows) = &notice.follows {
            headers.push(("In-Reply-To", id(follows)));
            headers.push(("References", id(follows)));
        }
        for (name, value) in [
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Transfer-Encoding", "8bit"),
            // No answer of a machine is wanted.
            ("Auto-Submitted", "auto-generated"),
        ] {
            headers.push((name, value.to_owned()));
        }
        let headers: String = (headers.iter())
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        let body: String = notice.text.lines().flat_map(lines).collect();
        format!("{headers}\n{body}")
    }
}

/// A text as a header may have it: printable ASCII, on one line.
fn in_header(text: &str) -> String {
    let shown = |c: char| match c {
        ' '..='~' => c,
        _ if c.is_whitespace() || c.is_control() => ' ',
        _ => '?',
    };
    text.chars().take(LONGEST_HEADER).map(shown).collect()
}

/// A line as a body may have it: in pieces that are not too long, without control characters.
fn lines(line: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in line.chars() {
        let character = match character {
            '\t' => '\t',
            _ if character.is_control() => char::REPLACEMENT_CHARACTER,
            _ => character,
        };
        match pieces.last_mut() {
            Some(piece) if piece.len() + character.len_utf8() <= LONGEST_LINE => piece.push(character),
            _ => pieces.push(character.into()),
        }
    }
    for piece in &mut pieces {
        piece.push('\n');
    }
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn notice(subject: &str, text: &str) -> Notice {
        Notice {
            subject: subject.into(),
            text: text.into(),
            facts: serde_json::Value::Null,
            id: "thursday.1793912400.p7".into(),
            follows: None,
        }
    }

    fn sent(notice: &Notice) -> String {
        let to = [MailAddress::of("ops@example.org"), MailAddress::of("root")];
        let letter = Letter {
            from: None,
            to: &to,
            host: "apu.example.org",
            at: "2026-11-30T06:05:04Z".parse().unwrap(),
        };
        letter.text(notice)
    }

    #[test]
    fn a_mail_is_as_its_rfcs_want_it() {
        let mut notice = notice("[apu] thursday: plan p7", "größer → so\n.\nFrom x\n");
        notice.follows = Some("thursday.1".into());
        assert_eq!(
            sent(&notice),
            "From: \"apu on apu.example.org\" <root@apu.example.org>\n\
             To: ops@example.org,\n\troot\n\
             Subject: [apu] thursday: plan p7\n\
             Date: Mon, 30 Nov 2026 06:05:04 +0000\n\
             Message-ID: <apu.thursday.1793912400.p7@apu.example.org>\n\
             In-Reply-To: <apu.thursday.1@apu.example.org>\n\
             References: <apu.thursday.1@apu.example.org>\n\
             MIME-Version: 1.0\n\
             Content-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: 8bit\n\
             Auto-Submitted: auto-generated\n\
             \n\
             größer → so\n.\nFrom x\n"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_text_begins_a_header_or_is_too_long(subject in "\\PC{0,40}|[\\s\\S]{0,300}", text in "([a-z\\r\\n\u{0}\u{85}→]|Bcc: x){0,2000}") {
            let sent = sent(&notice(&subject, &text));
            let (headers, body) = sent.split_once("\n\n").unwrap();
            let names: Vec<&str> = headers
                .lines()
                .filter(|line| !line.starts_with('\t'))
                .map(|line| line.split_once(": ").unwrap().0)
                .collect();
            let expected = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted"];
            prop_assert_eq!(names, expected);
            prop_assert!(headers.is_ascii() && !headers.contains('\r'));
            prop_assert!(sent.split('\n').all(|line| line.len() <= 998));
            prop_assert!(!body.contains(['\r', '\0']));
        }
    }
}
