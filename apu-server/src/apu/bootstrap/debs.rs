//! The packages that make a machine a client.

use std::fs;
use std::path::{Path, PathBuf};

use apu_debian::{compare, is_version};
use apu_site::Failure;

use crate::context::Context;

/// Where the server's own package brings apu-client along.
const SHIPPED: &str = "/usr/share/apu-server";

/// A package as its file's name tells: `NAME_VERSION_ARCHITECTURE.deb`.
#[derive(Debug, Clone)]
struct Deb {
    version: String,
    architecture: String,
    path: PathBuf,
}

impl Deb {
    fn read(path: PathBuf, package: &str) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".deb")?;
        let mut parts = name.split('_');
        let (name, version, architecture) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            version: Some(version)
                .filter(|version| is_version(version) && name == package && parts.next().is_none())?
                .to_owned(),
            architecture: architecture.to_owned(),
            path,
        })
    }
}

/// The newest of each.
#[derive(Debug)]
pub(super) struct Debs {
    clients: Vec<Deb>,
    data: Vec<u8>,
}

impl Debs {
    /// Finds apu-client, or takes `given` for it, and the newest apu-data.
    pub(super) fn find(context: &Context, given: Option<&Path>) -> Result<Self, Failure> {
        let shipped = context.site.at(Path::new(SHIPPED));
        let clients = match given {
            Some(path) => {
                let deb = Deb::read(path.to_owned(), "apu-client").filter(|deb| deb.path.is_file());
                let what = || Failure::words(format!("{} is no package of apu-client", path.display()));
                vec![deb.ok_or_else(|| what().advise("name a file such as apu-client_0.1.0_amd64.deb"))?]
            }
            None => packages(&shipped, "apu-client"),
        };
        if clients.is_empty() {
            return Err(Failure::words(format!(
                "there is no package of apu-client in {}",
                shipped.display()
            ))
            .advise("apu bootstrap --deb apu-client_….deb HOST"));
        }
        let archive = context.site.at(&context.settings.archive.path);
        let newest = packages(&archive, "apu-data")
            .into_iter()
            .max_by(|one, other| compare(&one.version, &other.version));
        let newest = newest.ok_or_else(|| {
            Failure::words(format!(
                "there is no package of apu-data in {}",
                archive.display()
            ))
            .advise("gen-apu-data-pkg, which makes it")
        })?;
        Ok(Self {
            clients,
            data: read(&newest.path)?,
        })
    }

    /// The newest apu-client for an architecture.
    pub(super) fn client(&self, architecture: &str) -> Result<Vec<u8>, Failure> {
        let fits = |deb: &&Deb| deb.architecture == architecture || deb.architecture == "all";
        let newest = self
            .clients
            .iter()
            .filter(fits)
            .max_by(|one, other| compare(&one.version, &other.version));
        match newest {
            Some(deb) => read(&deb.path),
            None => Err(
                Failure::words(format!("there is no package of apu-client for {architecture}")).advise(
                    format!("apu bootstrap --deb apu-client_…_{architecture}.deb HOST"),
                ),
            ),
        }
    }

    /// The newest apu-data.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| Failure::machine(format!("cannot read {}", path.display())).why(error))
}

/// All files of a package at or below a directory; what cannot be read is not there.
fn packages(directory: &Path, package: &str) -> Vec<Deb> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(packages(&entry.path(), package)),
            Ok(kind) if kind.is_file() => found.extend(Deb::read(entry.path(), package)),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_package_is_so_by_its_version_and_not_by_its_letters() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("pool/a");
        fs::create_dir_all(&below).unwrap();
        for name in [
            "apu-data_9_all.deb",
            "apu-data_10_all.deb",
            "apu-data_x.deb",
            "other_99_all.deb",
        ] {
            fs::write(below.join(name), name).unwrap();
        }
        let found = packages(directory.path(), "apu-data");
        let newest = found
            .iter()
            .max_by(|one, other| compare(&one.version, &other.version))
            .unwrap();
        assert!(newest.path.ends_with("apu-data_10_all.deb"));
        assert_eq!(found.len(), 2);
    }
}
