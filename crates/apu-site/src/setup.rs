//! What a fresh server needs before anything else: its keys, the proxy setting where a proxy is installed,
//! and an archive, empty but signed. Everything is made once and never again.

use std::io;
use std::path::{Path, PathBuf};

use apu_archive::{Archive, atomic_file};

use crate::archive_failure::{archive_failure, left_out};
use crate::labels::own_labels;
use crate::rotation::{archive_keys, make_archive_key, write_certificates};
use crate::{Failure, Settings, Site, host, push_key};

/// What [`setup`] had to make.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// The files and directories that were not there.
    pub paths: Vec<PathBuf>,
    /// The .debs that the new archive left out, as a text for the administrator.
    pub complaint: Option<String>,
}

/// Makes what is missing.
pub fn setup(site: &Site) -> Result<Made, Failure> {
    let mut made = Made::default();
    directories(site)?;
    if ensure_push_key(site)? {
        made.paths.push(site.push_key());
    }
    if ensure_archive_key(site)? {
        made.paths.push(site.archive_key());
    }
    if ensure_proxy_conf(site)? {
        made.paths.push(site.proxy_conf());
    }
    if let Some((archive, complaint)) = ensure_archive(site)? {
        made.paths.push(archive);
        made.complaint = complaint;
    }
    Ok(made)
}

/// Publishes the site's own archive, empty or not, if it was never published; returns it with what it left out.
fn ensure_archive(site: &Site) -> Result<Option<(PathBuf, Option<String>)>, Failure> {
    // Settings with a mistake in them must not stop the package from being installed; every program names it.
    let Ok(settings) = Settings::read(site) else {
        return Ok(None);
    };
    let dir = site.at(&settings.archive.path);
    if dir.join("InRelease").exists() {
        return Ok(None);
    }
    let signers = site.clone();
    let keys = move || archive_keys(&signers).map_err(Into::into);
    let published = Archive::open(&dir, own_labels(&settings), keys, "apu setup", &|_| ())
        .and_then(|archive| archive.publish())
        .map_err(|error| archive_failure(error, &dir))?;
    Ok(Some((dir.clone(), left_out(&published, &dir))))
}

fn directories(site: &Site) -> Result<(), Failure> {
    for (path, mode) in [
        (site.etc(), 0o755),
        (site.ssh(), 0o700),
        (site.gpg(), 0o700),
        (site.data(), 0o755),
    ] {
        atomic_file::directory(&path, mode).map_err(|error| cannot_write(&path, error))?;
    }
    Ok(())
}

fn cannot_write(path: &Path, error: io::Error) -> Failure {
    Failure::of_io(format!("cannot write {}", path.display()), error, path)
}

/// Makes the SSH push key, once.
fn ensure_push_key(site: &Site) -> Result<bool, Failure> {
    let path = site.push_key();
    push_key::ensure(&path, &format!("apu-server@{}", host::name(site))).map_err(|error| {
        Failure::machine(format!("cannot make the push key {}", path.display()))
            .why(error)
            .advise("apt-get install openssh-client")
    })
}

/// Makes the archive key, once, and its public forms where they are missing.
fn ensure_archive_key(site: &Site) -> Result<bool, Failure> {
    let made = make_archive_key(site, &site.archive_key())?;
    write_certificates(site)?;
    Ok(made)
}

/// The proxies that a server may run for its clients: what shows that they are installed, and their port. The first that
/// is there counts: squid shares one fetch among clients that ask at the same time, apt-cacher-ng does not.
const PROXIES: [(&str, &str, u16); 2] = [
    ("squid", "usr/sbin/squid", 3128),
    ("apt-cacher-ng", "usr/sbin/apt-cacher-ng", 3142),
];

/// Writes 50apu where a proxy is installed here, unless the administrator has one or names one.
fn ensure_proxy_conf(site: &Site) -> Result<bool, Failure> {
    let path = site.proxy_conf();
    if path.try_exists().map_err(|error| cannot_write(&path, error))? {
        return Ok(false);
    }
    if Settings::read(site).is_ok_and(|settings| settings.client.proxy.is_some()) {
        return Ok(false);
    }
    let Some((name, _, port)) = PROXIES
        .iter()
        .find(|(_, program, _)| site.root().join(program).exists())
    else {
        return Ok(false);
    };
    let text = format!(
        "// {name} runs on this server: the clients fetch every package through it, once for all of them.\n\
         Acquire::http::Proxy \"http://{}:{port}\";\n\
         // What goes over https cannot be kept, and goes directly.\n\
         Acquire::https::Proxy \"DIRECT\";\n",
        host::fqdn(site)
    );
    atomic_file::create(&path, text.as_bytes(), 0o644).map_err(|error| cannot_write(&path, error))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::setup;
    use crate::Site;

    #[test]
    fn a_second_setup_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::below(dir.path());
        assert_eq!(
            setup(&site).unwrap().paths,
            [site.push_key(), site.archive_key(), site.archive()]
        );
        assert!(site.archive().join("InRelease").exists());
        let before = [
            fs::read(site.archive_key()).unwrap(),
            fs::read(site.push_key()).unwrap(),
        ];
        assert_eq!(setup(&site).unwrap().paths, Vec::<std::path::PathBuf>::new());
        let after = [
            fs::read(site.archive_key()).unwrap(),
            fs::read(site.push_key()).unwrap(),
        ];
        assert_eq!(before, after);
    }

    #[test]
    fn secrets_are_for_root_alone() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::below(dir.path());
        setup(&site).unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(site.gpg()), 0o700);
        assert_eq!(mode(site.ssh()), 0o700);
        assert_eq!(mode(site.archive_key()), 0o600);
        assert_eq!(mode(site.push_key()), 0o600);
    }

    #[test]
    fn a_proxy_on_the_server_is_offered_to_the_clients_once() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::below(dir.path());
        fs::create_dir_all(dir.path().join("usr/sbin")).unwrap();
        fs::write(dir.path().join("usr/sbin/squid"), "").unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/hostname"), "apu.example.org\n").unwrap();
        setup(&site).unwrap();
        let text = fs::read_to_string(site.proxy_conf()).unwrap();
        assert!(
            text.contains("Acquire::http::Proxy \"http://apu.example.org:3128\";"),
            "{text}"
        );
        fs::write(site.proxy_conf(), "# mine\n").unwrap();
        setup(&site).unwrap();
        assert_eq!(fs::read_to_string(site.proxy_conf()).unwrap(), "# mine\n");
    }
}
