//! Every archive of apu.toml, as the daily job signs them anew.

use apu_site::{Failure, Settings, Site, Ui, report};

use super::target::Target;

/// Publishes each archive whose directory is here; where some fail, the others are published all the same, and the worst
/// failure's status is the answer.
///
/// # Errors
/// None of its own: each failure is shown when it happens.
pub(super) fn publish(ui: &Ui, site: &Site, settings: &Settings, strict: bool) -> Result<u8, Failure> {
    let named = settings
        .archives
        .iter()
        .map(|archive| Target::named(site, settings, archive));
    let mut worst = 0;
    for target in std::iter::once(Target::own(site, settings)).chain(named) {
        // Another machine has it.
        if !target.dir.is_dir() {
            continue;
        }
        match super::publish(ui, &target, site, strict, |archive| archive) {
            Ok((text, status)) => {
                ui.show(&text);
                worst = worst.max(status);
            }
            Err(failure) => {
                let (text, status) = report(&failure);
                ui.complain(&format!("{target}:\n{text}"));
                worst = worst.max(status);
            }
        }
    }
    Ok(worst)
}
