//! `apu setup`: what the package's postinst calls, and what mends a server whose keys are gone.

use apu_site::{Failure, Site, Ui};

/// Makes the keys, the archive and the proxy setting where they are missing, and says which.
///
/// # Errors
/// Where one of them cannot be made.
pub fn run_setup(ui: &Ui, site: &Site) -> Result<u8, Failure> {
    let made = apu_site::setup(site)?;
    ui.complain(&made.complaint.unwrap_or_default());
    let mut text = String::new();
    for path in &made.paths {
        text.push_str(&format!("made {}\n", path.display()));
    }
    // Nobody may be reading; the keys are there all the same.
    ui.show(&text);
    Ok(0)
}
