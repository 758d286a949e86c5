//! Reads dpkg's own files about a package: which files it has, and which services its maintainer script restarts.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use apu_debian::PackageKey;

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

/// Returns the units that the package's `postinst` restarts after an upgrade, as [`restarted`].
pub(crate) fn restarted_units(directory: &Path, package: &PackageKey) -> io::Result<Vec<String>> {
    let mut script = Vec::new();
    if let Some(file) = open(directory, package, "postinst")? {
        file.take(MAX_SCRIPT).read_to_end(&mut script)?;
    }
    Ok(restarted(&String::from_utf8_lossy(&script)))
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

/// Returns the services, without `.service`, that a script restarts in the lines that debhelper writes, or in such lines of its own:
/// `deb-systemd-invoke restart UNIT…` and `invoke-rc.d NAME restart`, where the action may be in `$_dh_action`.
fn restarted(script: &str) -> Vec<String> {
    let mut units = Vec::new();
    let mut action = "";
    for line in script.lines() {
        let line = line.trim();
        if let Some(given) = line.strip_prefix("_dh_action=") {
            // debhelper's action after an upgrade stands first, that of a first installation behind `else`.
            if !is_restart(action) {
                action = given;
            }
            continue;
        }
        let mut words = line
            .split_whitespace()
            .take_while(|word| !word.starts_with(['>', '|', '&', ';', '#']))
            .map(|word| word.trim_matches(['\'', '"']));
        let mut given = |word: &str| is_restart(word) || (word == "$_dh_action" && is_restart(action));
        match words.next() {
            Some("deb-systemd-invoke") if words.next().is_some_and(&mut given) => {
                units.extend(words.filter_map(service));
            }
            Some("invoke-rc.d") => {
                let words: Vec<&str> = words.collect();
                // What is a unit of its own is left to the line above.
                if let [name, last] = words[..]
                    && given(last)
                {
                    units.extend(service(name));
                }
            }
            _ => continue,
        }
        if line.contains("$_dh_action") {
            action = "";
        }
    }
    units
}

fn is_restart(action: &str) -> bool {
    matches!(action, "restart" | "try-restart" | "reload-or-restart")
}

/// The name of a service, without `.service`; none for a unit of another kind.
fn service(unit: &str) -> Option<String> {
    let is_other = |kind: &str| matches!(kind, "socket" | "target" | "timer" | "path" | "mount" | "slice");
    let name = unit.strip_suffix(".service").unwrap_or(unit);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@-_.:\\+".contains(&byte);
    let is_service =
        name.len() < unit.len() || !name.rsplit_once('.').is_some_and(|(_, kind)| is_other(kind));
    (is_service && !name.is_empty() && name.bytes().all(is_plain)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What debhelper writes for openssh-server of Debian 12, cut.
    const OPENSSH: &str = "\
if [ \"$1\" = \"configure\" ]; then
	if [ -x /etc/init.d/ssh ]; then
		if [ -n \"$2\" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		invoke-rc.d --skip-systemd-native ssh $_dh_action || exit 1
	fi
	if [ -d /run/systemd/system ]; then
		systemctl --system daemon-reload >/dev/null || true
		if [ -n \"$2\" ]; then
			_dh_action=restart
		else
			_dh_action=start
		fi
		deb-systemd-invoke $_dh_action 'rescue-ssh.target' 'ssh.service' >/dev/null || true
	fi
fi
";

    #[test]
    fn what_debhelper_restarts_after_an_upgrade_is_found() {
        assert_eq!(restarted(OPENSSH), ["ssh"]);
        for (line, expected) in [
            (
                "deb-systemd-invoke restart 'a.service' b@x.service >/dev/null || true",
                &["a", "b@x"][..],
            ),
            (
                "\tdeb-systemd-invoke try-restart \"polkit.service\" || true",
                &["polkit"],
            ),
            ("invoke-rc.d cron restart || exit $?", &["cron"]),
            // Only started, stopped or reloaded; or said in a comment, in words of its own, or of another kind.
            ("deb-systemd-invoke start 'dbus.service' >/dev/null || true", &[]),
            ("deb-systemd-invoke stop polkit.service", &[]),
            ("invoke-rc.d dbus force-reload || true", &[]),
            ("# deb-systemd-invoke restart a.service", &[]),
            ("echo deb-systemd-invoke restart a.service", &[]),
            ("deb-systemd-invoke restart 'a.timer' 'b.socket'", &[]),
            ("deb-systemd-invoke $_dh_action 'a.service'", &[]),
            (
                "_dh_action=start\ndeb-systemd-invoke $_dh_action 'a.service'",
                &[],
            ),
            ("deb-systemd-invoke restart $UNIT", &[]),
            ("", &[]),
        ] {
            assert_eq!(restarted(line), expected, "{line}");
        }
        // An action holds for one block.
        let twice = format!("{OPENSSH}_dh_action=start\ndeb-systemd-invoke $_dh_action 'late.service'\n");
        assert_eq!(restarted(&twice), ["ssh"]);
    }

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
        assert_eq!(restarted("libc6:amd64"), Vec::<String>::new());
    }
}
