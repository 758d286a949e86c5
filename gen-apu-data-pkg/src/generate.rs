//! From `/etc/apu-server` to a package in the archive, and what to tell the administrator about it.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use apu_archive::{Archive, Entry, Published};
use apu_site::{Failure, Settings, Site, Ui, archive_failure, left_out, own_labels};

use crate::cli::Args;
use crate::inputs::{self, Inputs};
use crate::name::NAME;
use crate::package;

/// What came of a program's call.
pub(crate) struct Generated {
    /// For the administrator.
    pub(crate) text: String,
    /// The newest apu-data, in the archive.
    pub(crate) deb: PathBuf,
}

/// Makes the next apu-data if an input has changed, publishes the archive, and says what was done.
pub(crate) fn generate(ui: &Ui, args: &Args) -> Result<Generated, Failure> {
    let site = match &args.root {
        Some(root) => Site::below(root),
        None => {
            if !nix::unistd::geteuid().is_root() {
                return Err(Failure::words(
                    "gen-apu-data-pkg reads the server's keys, which are for root alone",
                )
                .advise("sudo gen-apu-data-pkg"));
            }
            Site::default()
        }
    };
    let settings = Settings::read(&site)?;
    let made = make(ui, &site, &settings, args.at_least)?;
    let text = if args.quiet {
        String::new()
    } else {
        let known = fs::metadata(site.known_hosts());
        let has_clients = known.is_ok_and(|known| known.len() > 0);
        text(&made, &settings, args.push.is_some(), has_clients)
    };
    let deb = made.deb();
    Ok(Generated { text, deb })
}

/// The newest apu-data, published in the site's own archive.
pub struct Made {
    version: u64,
    is_new: bool,
    dir: PathBuf,
    path: String,
    published: Published,
    inputs: Inputs,
}

impl Made {
    /// The package's version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Its file in the archive.
    #[must_use]
    pub fn deb(&self) -> PathBuf {
        self.dir.join(&self.path)
    }
}

/// Makes the next apu-data, of version `at_least` or above, if an input has changed, and publishes the archive. Tells on
/// standard error for whom it waits and which .debs of the archive were left out.
///
/// # Errors
/// Where an input cannot go to the clients, and where the archive cannot be published; the clients see what they saw before.
pub fn make(ui: &Ui, site: &Site, settings: &Settings, at_least: u64) -> Result<Made, Failure> {
    let inputs = inputs::read(site, settings)?;
    let signers = site.clone();
    let keys = move || apu_site::archive_keys(&signers).map_err(Into::into);
    let dir = site.at(&settings.archive.path);
    let waiting = |holder: &str| {
        ui.complain(&format!(
            "waiting for {holder} to finish with {}\n",
            dir.display()
        ))
    };
    let archive = Archive::open(&dir, own_labels(settings), keys, "gen-apu-data-pkg", &waiting)
        .map_err(|error| archive_failure(error, &dir))?;
    let done = next_version(&archive, &inputs, at_least.max(remembered(site)))?;
    // Others may publish while this is shown.
    drop(archive);
    ui.complain(&left_out(&done.published, &dir).unwrap_or_default());
    // Without it only a lost archive could make a version come back; the package itself is published.
    let _ = remember(site, done.version);
    let Done {
        version,
        is_new,
        path,
        published,
    } = done;
    Ok(Made {
        version,
        is_new,
        dir,
        path,
        published,
        inputs,
    })
}

struct Done {
    version: u64,
    is_new: bool,
    path: String,
    published: Published,
}

fn version_of(entry: &Entry) -> Option<u64> {
    (entry.deb.control.package() == NAME).then(|| entry.deb.control.version().parse().ok())?
}

/// The newest apu-data stays if the inputs give its bytes again; otherwise there is a next one.
fn next_version(archive: &Archive, inputs: &Inputs, at_least: u64) -> Result<Done, Failure> {
    let dir = archive.dir();
    let entries = archive.list().map_err(|error| archive_failure(error, dir))?;
    let newest = entries
        .iter()
        .filter_map(|entry| Some((version_of(entry)?, entry)))
        .max_by_key(|(version, _)| *version);
    if let Some((version, entry)) = newest
        && version >= at_least
        && fs::read(dir.join(&entry.path))
            .is_ok_and(|there| package::build(inputs, version).is_ok_and(|now| now == there))
    {
        let published = archive.publish().map_err(|error| archive_failure(error, dir))?;
        return Ok(Done {
            version,
            is_new: false,
            path: entry.path.clone(),
            published,
        });
    }
    let version = newest.map_or(at_least, |(version, _)| at_least.max(version + 1));
    let bytes = package::build(inputs, version)?;
    let name = format!("{}_{version}_all.deb", NAME);
    let (added, published) = archive
        .add_made(&name, &bytes)
        .map_err(|error| archive_failure(error, dir))?;
    let path = added.into_iter().next().map_or(name, |entry| entry.path);
    Ok(Done {
        version,
        is_new: true,
        path,
        published,
    })
}

fn remembered(site: &Site) -> u64 {
    fs::read_to_string(site.state().join("apu-data-version"))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

fn remember(site: &Site, version: u64) -> std::io::Result<()> {
    fs::create_dir_all(site.state())?;
    fs::write(site.state().join("apu-data-version"), format!("{version}\n"))
}

/// What comes after a new apu-data: where no host key is pinned there is nobody to push to.
const fn next_step(has_clients: bool) -> &'static str {
    if has_clients {
        "next: sudo gen-apu-data-pkg --push CLASS   brings it to the clients of CLASS\n      \
         sudo apu bootstrap HOST              makes HOST a client\n"
    } else {
        "next: sudo apu bootstrap --add-to-class default HOST   makes HOST a client, with this apu-data\n"
    }
}

fn text(made: &Made, settings: &Settings, goes_on: bool, has_clients: bool) -> String {
    let inputs = &made.inputs;
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    line("package", &made.deb().display().to_string());
    for (label, key) in ["key", "next key"].iter().zip(inputs.authorized_keys.lines()) {
        let words: Vec<&str> = key.split_whitespace().collect();
        let word = |at: usize| words.get(at).copied().unwrap_or_default();
        line(label, &format!("{} {}, only for apu-wrapper", word(1), word(3)));
    }
    let theirs = inputs.sources.len() - 1 - settings.archives.len();
    line(
        "sources",
        &match theirs {
            0 => format!("{} beside what the clients have", inputs.url),
            1 => format!("{} and 1 of sources.list", inputs.url),
            more => format!("{} and {more} of sources.list", inputs.url),
        },
    );
    if inputs.exclusive {
        line("", "exclusive: apu's runs use no others");
    }
    let setting = inputs
        .proxy
        .as_deref()
        .and_then(|proxy| proxy.lines().find(|line| line.contains("Proxy")));
    line("proxy", setting.unwrap_or("none"));
    let day = made.published.valid_until.strftime("%Y-%m-%d");
    line(
        "archive",
        &format!("{} packages, signed until {day}", made.published.packages),
    );
    let head = if made.is_new {
        format!("{} {} is ready for the clients", NAME, made.version)
    } else {
        format!(
            "{} {} is up to date: nothing has changed since it was made",
            NAME, made.version
        )
    };
    let next = if made.is_new && !goes_on {
        next_step(has_clients)
    } else {
        ""
    };
    format!("{head}\n{text}{next}")
}
