//! Hands a mail to this machine's mail server, by the program that every one of them brings.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use apu_site::Site;
use tokio::process::Command;

use super::mail::Letter;
use super::notice::Notice;
use crate::child;
use crate::view::clean::clean;

const SENDMAIL: &str = "/usr/sbin/sendmail";

/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a mail; why it was not taken, where it was not.
pub(super) fn send(site: &Site, letter: &Letter<'_>, notice: &Notice) -> Result<(), String> {
    let program = site.at(Path::new(SENDMAIL));
    let mut command = Command::new(&program);
    // The recipients are those of its headers, and a line with a dot alone is no end of it.
    command.args(["-t", "-oi", "-f", &letter.sender()]);
    let failed = |why: &str| format!("no mail was sent: {why}");
    let said =
        child::run(&mut command, letter.text(notice).as_bytes(), PATIENCE).map_err(|error| {
            match error.kind() {
                ErrorKind::NotFound => {
                    let program = program.display();
                    failed(&format!("{program} is not there; install a mail-transport-agent"))
                }
                _ => failed(&format!("sendmail: {error}")),
            }
        })?;
    if said.status.success() {
        return Ok(());
    }
    let words = [&said.errors, &said.out].map(|text| text.lines().next().unwrap_or_default().to_owned());
    let words = words.into_iter().find(|words| !words.is_empty());
    Err(failed(&format!(
        "sendmail: {}: {}",
        said.status,
        clean(&words.unwrap_or_else(|| "it said nothing".to_owned()))
    )))
}
