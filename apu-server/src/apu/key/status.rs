//! `apu key status`: the keys, and the hosts that lag.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use apu_fleet::{HostKey, HostName};
use apu_site::{Failure, KeyKind, Ui, archive_key_at, say};
use jiff::Timestamp;

use super::lag::{Laggard, laggards};
use super::{KINDS, name, offered_data, option, rotation};
use crate::apu::remote::{INTERRUPTED, all_hosts, statuses, wait};
use crate::context::Context;

/// How long before it expires a key is worth a word.
pub(crate) const EARLY: Duration = Duration::from_secs(60 * 24 * 60 * 60);

pub(super) fn run(context: &Context) -> Result<u8, Failure> {
    let hosts = all_hosts(context)?;
    let now = SystemTime::now();
    let mut worst = 0;
    for kind in KINDS {
        let rotation = rotation(context, kind);
        let (line, early) = describe(kind, rotation.current(), now)?;
        say!(context.ui, "{:<12} {line}", name(kind));
        worst = worst.max(u8::from(early && !rotation.is_under_way()));
        if rotation.is_under_way() {
            say!(
                context.ui,
                "{:<12} {}",
                "  next",
                describe(kind, rotation.next(), now)?.0
            );
            say!(
                context.ui,
                "{:<12} sudo apu key rotate {}",
                "  go on with",
                option(kind)
            );
        } else if early {
            say!(context.ui, "{:<12} sudo apu key rotate {}", "  try", option(kind));
        }
    }
    let Some(needed) = offered_data(context)? else {
        say!(
            context.ui,
            "{:<12} none yet; try: sudo gen-apu-data-pkg",
            "apu-data"
        );
        return Ok(1);
    };
    say!(context.ui, "{:<12} {needed}", "apu-data");
    if hosts.is_empty() {
        return Ok(worst);
    }
    let ssh = context.ssh()?;
    let Some(endings) = wait(statuses(&ssh, &hosts, context))? else {
        return Ok(INTERRUPTED);
    };
    let late = laggards(&endings, needed);
    say!(
        context.ui,
        "{:<12} {} of {} have it",
        "hosts",
        hosts.len() - late.len(),
        hosts.len()
    );
    show(&context.ui, &late);
    Ok(worst.max(u8::from(!late.is_empty())))
}

/// The hosts that lag, those of one reason together.
pub(super) fn show(ui: &Ui, late: &[Laggard]) {
    use crate::view::groups::{groups, set};
    let reasons = late
        .iter()
        .map(|laggard| (&laggard.host, (laggard.why.as_str(), laggard.advice.as_str())));
    for ((why, advice), hosts) in groups(reasons) {
        let hosts: Vec<&HostName> = hosts;
        say!(ui, "  {}: {why}", set(&hosts));
        if !advice.is_empty() {
            say!(ui, "    try: {advice}");
        }
    }
}

/// A key in a line, and whether it expires soon.
fn describe(kind: KeyKind, path: &Path, now: SystemTime) -> Result<(String, bool), Failure> {
    match kind {
        KeyKind::Push => {
            let public = path.with_extension("pub");
            let text = match fs::read_to_string(&public) {
                Ok(text) => text,
                Err(error) => return Ok((format!("{}: {error}", public.display()), false)),
            };
            let line = HostKey::parse(text.trim()).map_or_else(
                |error| format!("{}: {error}", public.display()),
                |key| format!("{} {}", key.algorithm(), key.fingerprint()),
            );
            Ok((line, false))
        }
        KeyKind::Archive => {
            let key = archive_key_at(path)?;
            let (until, early) = lasts(key.expires(), now);
            Ok((format!("{}, {until}", key.fingerprint()), early))
        }
    }
}

/// How long a key is good, in words, and whether that is short.
pub(crate) fn lasts(expires: Option<SystemTime>, now: SystemTime) -> (String, bool) {
    let Some(expires) = expires else {
        return ("never expires".to_owned(), false);
    };
    let day = Timestamp::try_from(expires).map_or_else(
        |_| "a day beyond all calendars".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    );
    match expires.duration_since(now) {
        Err(_) => (format!("EXPIRED on {day}"), true),
        Ok(left) => {
            let days = left.as_secs() / 86_400;
            (format!("good until {day}, {days} days"), left <= EARLY)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::lasts;

    #[test]
    fn sixty_days_before_its_end_a_key_is_said_to_expire() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let day = Duration::from_secs(86_400);
        let in_days = |days: u32| lasts(Some(now + day * days), now);
        assert_eq!(in_days(61), ("good until 2027-03-17, 61 days".to_owned(), false));
        assert!(in_days(60).1);
        let (text, early) = lasts(Some(now - day), now);
        assert_eq!((text.as_str(), early), ("EXPIRED on 2027-01-14", true));
        assert!(!lasts(None, now).1);
    }
}
