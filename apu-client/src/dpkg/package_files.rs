//! Reads dpkg's own files about a package: which files it has, and which services its maintainer scripts restart.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use apu_debian::PackageKey;

use super::service_calls::{restarted, stopped};

/// Maximal size of a list of files in bytes; a kernel's headers have 2 million.
const MAX_LIST: u64 = 64 * 1024 * 1024;

/// Maximal size of a maintainer script in bytes.
const MAX_SCRIPT: u64 = 1024 * 1024;

/// Calls `see` with each path of an installed package; none of a package that dpkg has no list of.
pub(crate) fn each_file(directory: &Path, package: &PackageKey, mut see: impl FnMut(&str)) -> io::Result<()> {
    let Some(list) = open(directory, package, "list")? else {
        return Ok(());
    };
    let mut list = BufReader::new(list.take(MAX_LIST));
    let mut line = Vec::new();
    while list.read_until(b'\n', &mut line)? > 0 {
        if let Ok(path) = std::str::from_utf8(line.trim_ascii_end()) {
            see(path);
        }
        line.clear();
    }
    Ok(())
}

/// Returns the services that an upgrade of the package restarts, as its installed maintainer scripts say: what `postinst` restarts, and
/// what `prerm` stops for the time of the upgrade.
pub(crate) fn restarted_units(directory: &Path, package: &PackageKey) -> io::Result<Vec<String>> {
    let script = |kind: &str| -> io::Result<String> {
        let mut script = Vec::new();
        if let Some(file) = open(directory, package, kind)? {
            file.take(MAX_SCRIPT).read_to_end(&mut script)?;
        }
        Ok(String::from_utf8_lossy(&script).into_owned())
    };
    let mut units = restarted(&script("postinst")?);
    units.extend(stopped(&script("prerm")?));
    Ok(units)
}

/// Opens a file about a package. The name has the architecture where several of it may be installed.
fn open(directory: &Path, package: &PackageKey, kind: &str) -> io::Result<Option<File>> {
    let names = [format!("{package}.{kind}"), format!("{}.{kind}", package.name())];
    for name in names {
        match File::open(directory.join("info").join(name)) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_files_of_a_package_are_found_with_and_without_its_architecture() {
        let root = tempfile::tempdir().unwrap();
        let info = root.path().join("info");
        fs::create_dir_all(&info).unwrap();
        fs::write(info.join("libc6:amd64.list"), "/.\n/lib/x/libc.so.6\n").unwrap();
        fs::write(info.join("cron.list"), "/usr/sbin/cron").unwrap();
        fs::write(info.join("cron.postinst"), "invoke-rc.d cron restart\n").unwrap();
        let files = |package: &str| {
            let mut files = Vec::new();
            each_file(root.path(), &package.parse().unwrap(), |file| {
                files.push(file.to_owned())
            })
            .unwrap();
            files
        };
        assert_eq!(files("libc6:amd64"), ["/.", "/lib/x/libc.so.6"]);
        assert_eq!(files("cron:amd64"), ["/usr/sbin/cron"]);
        assert_eq!(files("none:amd64"), Vec::<String>::new());
        let restarted = |package: &str| restarted_units(root.path(), &package.parse().unwrap()).unwrap();
        assert_eq!(restarted("cron:amd64"), ["cron"]);
        fs::write(info.join("cron.prerm"), "deb-systemd-invoke stop at.service\n").unwrap();
        assert_eq!(restarted("cron:amd64"), ["cron", "at"]);
        assert_eq!(restarted("libc6:amd64"), Vec::<String>::new());
    }
}
