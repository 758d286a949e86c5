//! The programs under test: the .debs that `make deb` built, and how a site is set up with them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::host::Host;
use crate::layer::{Layers, SERVER_NAME};

/// Where `make deb` puts the packages.
const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist");

/// The built packages.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) server: PathBuf,
    pub(crate) client: PathBuf,
}

impl Product {
    pub(crate) fn built() -> Result<Self> {
        Ok(Self {
            server: newest("apu-server_")?,
            client: newest("apu-client_")?,
        })
    }
}

/// The newest .debs of that name.
fn newest(prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(DIST).with_context(|| format!("no packages in {DIST}; try: make deb"))?;
    let debs = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(prefix) && name.ends_with(".deb")
    });
    let newest = debs.max_by_key(|path| fs::metadata(path).and_then(|about| about.modified()).ok());
    newest.with_context(|| format!("no {prefix}*.deb in {DIST}; try: make deb"))
}

/// Sets the server up for this network.
pub(crate) fn configure_site(host: &Host) -> Result<()> {
    let settings = format!("[client]\nurl = \"http://{SERVER_NAME}/local\"\n");
    host.write("/etc/apu-server/apu.toml", &settings);
    host.write(
        "/etc/apu-server/sources.list",
        "# the clients keep their own sources\n",
    );
    Ok(())
}

/// Makes and publishes apu-data.
pub(crate) fn make_apu_data(host: &Host) -> Result<()> {
    let made = host.exec(&["gen-apu-data-pkg"]);
    ensure!(made.code == 0, "gen-apu-data-pkg: {}{}", made.stdout, made.stderr);
    Ok(())
}

/// The apu-data that lies in a site's archive; the newest layer has the newest.
pub(crate) fn apu_data(site: &Layers) -> Result<PathBuf> {
    let archives = site
        .0
        .iter()
        .map(|layer| layer.join("var/lib/apu-data/repo/local"));
    archives
        .filter_map(|archive| find(&archive, "apu-data_"))
        .next()
        .context("the site's archive has no apu-data")
}

fn find(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths.iter().rev().find_map(|path| {
        if path.is_dir() {
            return find(path, prefix);
        }
        let name = path.file_name()?.to_string_lossy();
        (name.starts_with(prefix) && name.ends_with(".deb")).then(|| path.clone())
    })
}
