//! Everything that apu-data is made from, read and checked.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use apu_site::{Failure, Settings, Site, labels_of, own_labels};

use crate::cannot_read::cannot_read;
use crate::keyrings::Keyrings;
use crate::sources::{self, Source, Stanza};
use crate::{apt, proxy};

/// The wrapper that the push key may start, and nothing else.
const RESTRICTIONS: &str = "restrict,command=\"/usr/lib/apu/apu-wrapper\"";

/// Where the keyring of the site's archives is on a client.
const KEYRING: &str = "/usr/share/keyrings/apu-data.gpg";

/// The inputs of one apu-data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    /// This server's name.
    pub(crate) host: String,
    /// The lines that let the push keys in: two while one follows the other.
    pub(crate) authorized_keys: String,
    /// The certificates of the site's archives.
    pub(crate) keyring: Vec<u8>,
    /// Where the clients find the site's archive.
    pub(crate) url: String,
    /// Stanzas of the site's archives, then of its sources.list.
    pub(crate) sources: Vec<Stanza>,
    /// Keyrings of foreign archives: names below /usr/share/apu-data/keyrings/, and bytes.
    pub(crate) keyrings: Vec<(String, Vec<u8>)>,
    /// The text of 50apu.
    pub(crate) proxy: Option<String>,
    /// Whether the clients use only these sources.
    pub(crate) exclusive: bool,
    /// Origin and Label of each of the site's archives.
    pub(crate) releases: Vec<(String, String)>,
    /// Which of Debian's packages the site's archives may replace.
    pub(crate) may_replace: Vec<String>,
}

impl Inputs {
    /// One source for each address and suite.
    pub(crate) fn split_sources(&self) -> Vec<Source> {
        self.sources.iter().flat_map(Stanza::split).collect()
    }
}

/// Reads all inputs.
pub(crate) fn read(site: &Site, settings: &Settings) -> Result<Inputs, Failure> {
    let host = apu_site::fqdn(site);
    let url = match &settings.client.url {
        Some(url) => url.to_string(),
        None => format!("http://{host}/local"),
    };
    let mut sources = own_sources(settings, &url);
    let theirs = site_sources(site)?;
    if settings.client.exclusive && theirs.is_empty() {
        let path = site.sources_list();
        let advice = format!(
            "write the clients' Debian archives into {}, or set exclusive = false",
            path.display()
        );
        return Err(
            Failure::words("the clients would be cut off from Debian's updates")
                .why(Failure::words(format!(
                    "exclusive = true, and {} has no source",
                    path.display()
                )))
                .advise(advice),
        );
    }
    let mut keyrings = Keyrings::default();
    for mut stanza in theirs {
        keyrings.ship(site, &mut stanza)?;
        sources.push(stanza);
    }
    let inputs = Inputs {
        authorized_keys: authorized_keys(site, settings)?,
        keyring: keyring(site)?,
        url,
        sources,
        keyrings: keyrings.into_files(),
        proxy: proxy::read(site, settings)?,
        exclusive: settings.client.exclusive,
        releases: releases(settings),
        may_replace: settings
            .archive
            .may_replace
            .iter()
            .map(ToString::to_string)
            .collect(),
        host,
    };
    check_together(site, &inputs)?;
    Ok(inputs)
}

/// apt reads no source at all where two of them disagree. Ours are checked with theirs, and then by apt itself.
fn check_together(site: &Site, inputs: &Inputs) -> Result<(), Failure> {
    let sources = inputs.split_sources();
    let path = site.sources_list();
    let shown = path.display().to_string();
    if let Some(conflict) = sources::conflict(&sources) {
        let own = matches!(conflict, sources::Conflict::Option { first: 0, .. });
        let (shown, what) = if own {
            let settings = site.settings().display().to_string();
            (
                settings.clone(),
                format!("the archives in {settings} do not go together"),
            )
        } else {
            (shown.clone(), format!("cannot use {shown}"))
        };
        let advice = conflict.advice(&shown);
        return Err(Failure::words(what).why(conflict).advise(advice));
    }
    apt::reads(&sources, inputs.proxy.as_deref(), &shown)
}

fn authorized_keys(site: &Site, settings: &Settings) -> Result<String, Failure> {
    let line = |private: &PathBuf| {
        let path = private.with_extension("pub");
        let key = apu_site::read_public(&path).map_err(|error| {
            Failure::words(format!("there is no usable push key in {}", path.display()))
                .why(error)
                .advise("sudo apu setup")
        })?;
        Ok(format!("{RESTRICTIONS} {key}\n"))
    };
    apu_site::push_keys(site, settings).iter().map(line).collect()
}

fn keyring(site: &Site) -> Result<Vec<u8>, Failure> {
    let path = site.archive_gpg();
    fs::read(&path).map_err(|error| {
        Failure::words("there is no archive key whose packages the clients could trust")
            .why(cannot_read(&path, error, "sudo apu setup"))
            .advise("sudo apu setup")
    })
}

/// What the Release files of this server's archives say of themselves, each once.
fn releases(settings: &Settings) -> Vec<(String, String)> {
    let named = settings
        .archives
        .iter()
        .map(|archive| labels_of(settings, archive));
    let mut releases = Vec::new();
    for labels in std::iter::once(own_labels(settings)).chain(named) {
        let release = (labels.origin, labels.label);
        if !releases.contains(&release) {
            releases.push(release);
        }
    }
    releases
}

/// The archives of this server.
fn own_sources(settings: &Settings, url: &str) -> Vec<Stanza> {
    let flat = |url: &str| {
        Stanza::new(&[
            ("Types", "deb"),
            ("URIs", url),
            ("Suites", "./"),
            ("Signed-By", KEYRING),
        ])
    };
    let mut sources = vec![flat(url)];
    for archive in &settings.archives {
        let Some(suite) = &archive.suite else {
            sources.push(flat(archive.url.as_str()));
            continue;
        };
        let components: Vec<String> = archive.components().iter().map(ToString::to_string).collect();
        sources.push(Stanza::new(&[
            ("Types", "deb"),
            ("URIs", archive.url.as_str()),
            ("Suites", suite.as_str()),
            ("Components", &components.join(" ")),
            ("Signed-By", KEYRING),
        ]));
    }
    sources
}

fn site_sources(site: &Site) -> Result<Vec<Stanza>, Failure> {
    let path = site.sources_list();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(cannot_read(&path, error, "make it a text file in UTF-8")),
    };
    sources::parse(&text).map_err(|error| {
        let advice = error.advice(&path.display().to_string());
        Failure::words(format!("cannot use {}", path.display()))
            .why(error)
            .advise(advice)
    })
}
