//! When the archives that this server gives to its clients were published last.

use apu_archive::release_date;
use apu_fleet::PublishedArchive;
use apu_site::{Failure, Settings, Site, archive_failure, fqdn};

/// One for each archive that was published, under the address that apu-data has for it.
///
/// # Errors
/// A Release file that is there and cannot be read: then nobody could say that a client is behind.
pub(crate) fn published(site: &Site, settings: &Settings) -> Result<Vec<PublishedArchive>, Failure> {
    let own = match &settings.client.url {
        Some(url) => url.to_string(),
        None => format!("http://{}/local", fqdn(site)),
    };
    let mut archives = vec![(own, None, settings.archive.path.clone())];
    archives.extend(settings.archives.iter().map(|archive| {
        let suite = archive.suite.as_ref().map(ToString::to_string);
        (archive.url.to_string(), suite, archive.path.clone())
    }));
    let mut published = Vec::new();
    for (uri, suite, path) in archives {
        let path = site.at(&path);
        let date = release_date(&path, suite.as_deref()).map_err(|error| archive_failure(error, &path))?;
        if let Some(date) = date {
            published.push(PublishedArchive {
                uri: uri.trim_end_matches('/').to_owned(),
                suite: suite.unwrap_or_else(|| "./".to_owned()),
                date,
            });
        }
    }
    Ok(published)
}
