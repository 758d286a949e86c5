//! What `apu.toml` says of the archives, as the archive library takes it.

use std::time::Duration;

use apu_archive::{Labels, Layout, Suite};

use crate::Settings;
use crate::settings::MoreArchive;

/// Those of the site's own archive.
#[must_use]
pub fn own_labels(settings: &Settings) -> Labels {
    let archive = &settings.archive;
    Labels {
        origin: archive.origin.to_string(),
        label: archive.label.to_string(),
        suite: archive.suite.to_string(),
        valid: Duration::from_secs(u64::from(archive.valid_days.get()) * 24 * 60 * 60),
        essential: Some(archive.may_replace.iter().map(ToString::to_string).collect()),
        layout: Layout::Flat,
        contents: Some(archive.contents),
    }
}

/// Those of one of `[[archives]]`.
#[must_use]
pub fn labels_of(settings: &Settings, archive: &MoreArchive) -> Labels {
    let labels = Labels {
        label: archive.name.to_string(),
        contents: Some(archive.contents),
        ..own_labels(settings)
    };
    match &archive.suite {
        None => labels,
        Some(name) => labels.in_suite(Suite {
            name: name.clone(),
            components: archive.components(),
            architectures: archive.architectures.clone(),
        }),
    }
}
