//! `[slot.NAME]` and `[notices]`: when a class is updated without a hand, and who is told of it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::duration::seconds_or_off;
use super::value::Url;

/// The longest notice: the plan that it tells has to be valid when it is carried out.
pub const LONGEST_NOTICE: Duration = Duration::from_secs(6 * 86_400);

/// The shortest one but none at all. The timer looks every five minutes, and half of a notice has to be left when it is told.
const SHORTEST_NOTICE: Duration = Duration::from_secs(15 * 60);

/// The longest name of a slot.
const LONGEST_NAME: usize = 40;

/// `[slot.NAME]`: a time that comes again, and what is done then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The hosts: a class, or any other target.
    pub class: String,
    /// What is done there.
    pub operation: SlotOperation,
    /// When.
    pub at: Calendar,
    /// How long before that the plan is made and told; zero is at the time itself.
    #[serde(default = "a_day", deserialize_with = "seconds_or_off")]
    pub notice: Duration,
    /// Whether only packages with a security update are upgraded.
    #[serde(default)]
    pub security: bool,
    /// The packages that stay as they are, as names and globs.
    #[serde(default)]
    pub hold: Vec<String>,
    /// Who is told; without it, those of `[notices]`.
    pub mail: Option<Vec<MailAddress>>,
    /// Where it is posted; without it, where `[notices]` says.
    pub webhook: Option<Webhook>,
}

fn a_day() -> Duration {
    Duration::from_secs(86_400)
}

impl Slot {
    /// Who gets its mails.
    #[must_use]
    pub fn mail<'a>(&'a self, notices: &'a Notices) -> &'a [MailAddress] {
        self.mail.as_ref().unwrap_or(&notices.mail)
    }

    /// Where its notices are posted.
    #[must_use]
    pub fn webhook<'a>(&'a self, notices: &'a Notices) -> Option<&'a Webhook> {
        self.webhook.as_ref().or(notices.webhook.as_ref())
    }

    /// What is wrong with it.
    pub(super) fn check(&self, name: &str, notices: &Notices) -> Result<(), String> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_name = name.bytes().next().is_some_and(is_letter)
            && name.bytes().all(|byte| is_letter(byte) || byte == b'-')
            && name.len() <= LONGEST_NAME;
        if !is_name {
            return Err(format!(
                "a slot's name has a to z, 0 to 9 and -, and at most {LONGEST_NAME} of them"
            ));
        }
        if self.class.trim().is_empty() {
            return Err("class names no host".to_owned());
        }
        if self.notice > LONGEST_NOTICE {
            return Err("notice is longer than 6 days, and a plan may be carried out for 7".to_owned());
        }
        if !self.notice.is_zero() && self.notice < SHORTEST_NOTICE {
            return Err("notice is shorter than 15m; 0 is to plan at the time itself".to_owned());
        }
        if self.mail(notices).is_empty() && self.webhook(notices).is_none() {
            return Err("nobody is told of it; write mail or webhook there, or in [notices]".to_owned());
        }
        Ok(())
    }
}

/// What a slot does. The lists are fetched before either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotOperation {
    /// Upgrades what needs no package more or less.
    Upgrade,
    /// Upgrades all.
    #[serde(alias = "full-upgrade")]
    DistUpgrade,
}

impl SlotOperation {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::DistUpgrade => "dist-upgrade",
        }
    }
}

/// `[notices]`: who is told of slots, where a slot itself does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notices {
    /// Who gets a mail.
    pub mail: Vec<MailAddress>,
    /// Where it is posted.
    pub webhook: Option<Webhook>,
    /// Whom the mails are from; root of this server without it.
    pub from: Option<MailAddress>,
    /// Which ends of runs are told. Plans always are.
    pub on: TellOn,
}

/// Which ends of runs are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TellOn {
    /// Every one.
    #[default]
    Always,
    /// Where some host is not well, or a slot could not do what was planned.
    Failure,
}

apu_debian::text_value!(
    /// A calendar expression, see systemd.time(7). Whether it is one is systemd's to say.
    Calendar,
    is_calendar,
    std::convert::identity,
    "a calendar expression such as \"Thu 22:00 Europe/Berlin\", see systemd.time(7)"
);

fn is_calendar(text: &str) -> bool {
    let is_word = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    !text.trim().is_empty() && text.len() <= 200 && !text.starts_with('-') && text.bytes().all(is_word)
}

apu_debian::text_value!(
    /// A mail address, or a local account, that can stand in a header and on a command line.
    MailAddress,
    is_mail_address,
    std::convert::identity,
    "a mail address such as ops@example.org, or a local account"
);

fn is_mail_address(text: &str) -> bool {
    let (local, domain) = match text.split_once('@') {
        Some((local, domain)) => (local, Some(domain)),
        None => (text, None),
    };
    let is_part = |part: &str, more: &[u8]| {
        part.bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let is_domain = |domain: &str| domain.split('.').all(|part| is_part(part, b"-"));
    text.len() <= 254 && is_part(local, b"._+-=") && domain.is_none_or(is_domain)
}

/// Where notices are posted. Who knows the address can post there, so it is shown nowhere.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Webhook {
    /// The address itself.
    Address(Url),
    /// A file that holds it, for root alone: apu.toml can be read by everybody.
    File(PathBuf),
}

impl Webhook {
    /// The host of an address, for people.
    #[must_use]
    pub fn host_of(address: &Url) -> String {
        let text = address.as_str();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        format!("{scheme}://{}/…", &rest[..end])
    }
}

impl TryFrom<String> for Webhook {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.starts_with('/') {
            return Ok(Self::File(text.into()));
        }
        // What was written is not repeated.
        text.parse().map(Self::Address).map_err(|_: String| {
            "expected an address such as https://hooks.example.org/…, without user name and password, or the path of a file \
             that holds it"
        })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => f.write_str(&Self::host_of(address)),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    const SLOT: &str =
        "[slot.thursday]\nclass='web'\noperation='full-upgrade'\nat='Thu 22:00 Europe/Berlin'\n";

    fn slot(more: &str) -> Result<Slot, String> {
        let settings = Settings::parse(&format!("{SLOT}{more}")).map_err(|error| error.to_string())?;
        Ok(settings.slot["thursday"].clone())
    }

    #[test]
    fn a_slot_has_its_own_words_and_the_rest_from_notices() {
        let read = slot("notice='6h'\nsecurity=true\nhold=['linux-*']\nmail=['ops@example.org']\n").unwrap();
        assert_eq!(read.notice, Duration::from_secs(6 * 3600));
        assert_eq!(read.operation, SlotOperation::DistUpgrade);
        assert_eq!(read.mail(&Notices::default())[0].as_str(), "ops@example.org");
        let read =
            slot("[notices]\nmail=['root']\nwebhook='/etc/apu-server/webhook'\non='failure'\n").unwrap();
        assert_eq!(read.notice, Duration::from_secs(86_400));
        let notices = Notices {
            mail: vec![MailAddress::of("root")],
            ..Notices::default()
        };
        assert_eq!(read.mail(&notices)[0].as_str(), "root");
        assert!(read.webhook(&notices).is_none());
    }

    #[test]
    fn a_slot_that_cannot_be_is_refused() {
        let mail = "mail=['root']\n";
        for (more, expected) in [
            ("", "nobody is told of it"),
            ("mail=[]\n", "nobody is told of it"),
            ("mail=['root']\nnotice='7d'\n", "longer than 6 days"),
            ("mail=['root']\nnotice='5m'\n", "shorter than 15m"),
            ("mail=['a@b\\nBcc: x@y']\n", "is not a mail address"),
            ("mail=['-oQ/tmp']\n", "is not a mail address"),
            ("mail=['root']\nwhen='x'\n", "there is no key `when`"),
        ] {
            let error = slot(more).unwrap_err();
            assert!(error.contains(expected), "{more}: {error}");
        }
        assert!(slot(&format!("{mail}notice=0\n")).is_ok());
        for (from, to) in [
            ("slot.thursday", "slot.'../x'"),
            ("full-upgrade", "update"),
            ("Thu 22:00 Europe/Berlin", "--man"),
            ("'web'", "' '"),
        ] {
            let text = format!("{SLOT}{mail}").replace(from, to);
            assert!(Settings::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_webhook_is_in_no_error_and_in_no_debug_output() {
        let good = slot("webhook='https://hooks.example.org/services/s3cret?k=s3cret'\n").unwrap();
        assert!(!format!("{good:?}").contains("s3cret"), "{good:?}");
        assert_eq!(good.webhook.unwrap().to_string(), "https://hooks.example.org/…");
        for bad in [
            "webhook='ftp://hooks.example.org/s3cret'\n",
            "webhook='https://u:s3cret@hooks.example.org/'\n",
            "webhook=['https://hooks.example.org/s3cret']\n",
            "webhook='https://hooks.example.org/s3cret\n",
        ] {
            let error = slot(bad).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
