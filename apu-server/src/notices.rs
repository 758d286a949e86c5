//! Notices: what is told to people who look at no terminal, and the ways to tell it, by mail and to a webhook.

mod mail;
mod notice;
mod sendmail;
mod webhook;

use apu_site::settings::{MailAddress, Webhook};
use apu_site::{Site, fqdn};
use jiff::Timestamp;

pub(crate) use self::notice::{Notice, shortened};

/// Who is told, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways<'a> {
    /// Who gets a mail.
    pub(crate) mail: &'a [MailAddress],
    /// Whom it is from.
    pub(crate) from: Option<&'a MailAddress>,
    /// Where it is posted.
    pub(crate) webhook: Option<&'a Webhook>,
}

/// What became of a notice.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Whether one way took it.
    pub(crate) is_delivered: bool,
    /// Why the others did not.
    pub(crate) warnings: Vec<String>,
}

/// Tells a notice in every way that there is.
pub(crate) fn tell(site: &Site, ways: Ways<'_>, notice: &Notice) -> Told {
    let mut told = Told::default();
    let mut took = |way: Result<(), String>| match way {
        Ok(()) => told.is_delivered = true,
        Err(why) => told.warnings.push(why),
    };
    if !ways.mail.is_empty() {
        let letter = mail::Letter {
            from: ways.from,
            to: ways.mail,
            host: &fqdn(site),
            at: Timestamp::now(),
        };
        took(sendmail::send(site, &letter, notice));
    }
    if let Some(webhook) = ways.webhook {
        took(webhook::post(site, webhook, notice));
    }
    told
}
