//! From `/etc/apu-server` to a package in the archive, and what to tell the administrator about it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use apu_repo::archive::{Archive, Entry, Labels, Published};
use apu_repo::output::complain;
use apu_repo::{Failure, Settings, Site};

use crate::cli::Args;
use crate::inputs::{self, Inputs};
use crate::package;

/// What came of it.
pub(crate) struct Generated {
    /// For the administrator.
    pub(crate) text: String,
    /// The newest apu-data, in the archive.
    pub(crate) deb: PathBuf,
}

/// Makes the next apu-data if an input has changed, publishes the archive, and says what was done.
pub(crate) fn generate(args: &Args) -> Result<Generated, Failure> {
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
    let inputs = inputs::read(&site, &settings)?;
    let signers = site.clone();
    let keys = move || apu_repo::archive_keys(&signers);
    let dir = site.at(&settings.archive.path);
    let waiting = |holder: &str| {
        complain(&format!(
            "waiting for {holder} to finish with {}\n",
            dir.display()
        ))
    };
    let done = (|| {
        let archive = Archive::open(&dir, Labels::of(&settings), keys, "gen-apu-data-pkg", &waiting)
            .map_err(|error| error.into_failure(&dir))?;
        next_version(&archive, &inputs, args.at_least.max(remembered(&site)))
    })()?;
    complain(&done.published.complaint(&dir).unwrap_or_default());
    // Without it only a lost archive could make a version come back; the package itself is published.
    let _ = remember(&site, done.version);
    let text = if args.quiet {
        String::new()
    } else {
        let known = fs::metadata(site.known_hosts());
        let has_clients = known.is_ok_and(|known| known.len() > 0);
        text(&done, &inputs, &settings, &dir, args.push.is_some(), has_clients)
    };
    let deb = dir.join(&done.path);
    Ok(Generated { text, deb })
}

struct Done {
    version: u64,
    is_new: bool,
    path: String,
    published: Published,
}

fn version_of(entry: &Entry) -> Option<u64> {
    (entry.deb.control.package() == package::NAME).then(|| entry.deb.control.version().parse().ok())?
}

/// The newest apu-data stays if the inputs give its bytes again; otherwise there is a next one.
fn next_version(archive: &Archive, inputs: &Inputs, at_least: u64) -> Result<Done, Failure> {
    let dir = archive.dir();
    let entries = archive.list().map_err(|error| error.into_failure(dir))?;
    let newest = entries
        .iter()
        .filter_map(|entry| Some((version_of(entry)?, entry)))
        .max_by_key(|(version, _)| *version);
    if let Some((version, entry)) = newest
        && version >= at_least
        && fs::read(dir.join(&entry.path))
            .is_ok_and(|there| package::build(inputs, version).is_ok_and(|now| now == there))
    {
        let published = archive.publish().map_err(|error| error.into_failure(dir))?;
        return Ok(Done {
            version,
            is_new: false,
            path: entry.path.clone(),
            published,
        });
    }
    let version = newest.map_or(at_least, |(version, _)| at_least.max(version + 1));
    let bytes = package::build(inputs, version)?;
    let name = format!("{}_{version}_all.deb", package::NAME);
    let (added, published) = archive
        .add_made(&name, &bytes)
        .map_err(|error| error.into_failure(dir))?;
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

fn text(
    done: &Done,
    inputs: &Inputs,
    settings: &Settings,
    dir: &Path,
    goes_on: bool,
    has_clients: bool,
) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "  {label:<9} {value}");
    };
    line("package", &dir.join(&done.path).display().to_string());
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
    let day = done.published.valid_until.strftime("%Y-%m-%d");
    line(
        "archive",
        &format!("{} packages, signed until {day}", done.published.packages),
    );
    let head = if done.is_new {
        format!("{} {} is ready for the clients", package::NAME, done.version)
    } else {
        format!(
            "{} {} is up to date: nothing has changed since it was made",
            package::NAME,
            done.version
        )
    };
    let next = if done.is_new && !goes_on {
        next_step(has_clients)
    } else {
        ""
    };
    format!("{head}\n{text}{next}")
}
