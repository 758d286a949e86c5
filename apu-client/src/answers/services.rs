//! Tells which running services a plan reaches: those that the upgraded packages restart, and those that would go on with code of
//! the versions before.

use std::collections::BTreeSet;
use std::io;

use apu_debian::PackageKey;
use apu_proto::{Services, Step};

use crate::apt::Plan;
use crate::dpkg::{each_file, restarted_units};
use crate::os::paths::ClientPaths;
use crate::os::services::{RunningServices, is_own, running_services, without_usr};

/// Returns the running services that a plan reaches; none where it cannot be told, as where PID 1 is not systemd.
pub(super) fn affected_services(paths: &ClientPaths, plan: &Plan) -> Option<Services> {
    let upgraded: Vec<&PackageKey> = plan.steps.iter().filter_map(upgraded).collect();
    if upgraded.is_empty() || !paths.path("/run/systemd/system").is_dir() {
        return None;
    }
    let running = running_services(paths.root())?;
    affected(paths, &upgraded, &running).ok()
}

/// The package of a step that brings another version of what is installed.
fn upgraded(step: &Step) -> Option<&PackageKey> {
    match step {
        Step::Install {
            package,
            old: Some(_),
            ..
        } => Some(package),
        _ => None,
    }
}

fn affected(
    paths: &ClientPaths,
    upgraded: &[&PackageKey],
    running: &RunningServices,
) -> io::Result<Services> {
    let mut touched: BTreeSet<usize> = BTreeSet::new();
    let mut named = Vec::new();
    for package in upgraded {
        each_file(&paths.dpkg(), package, |file| {
            touched.extend(running.users.get(without_usr(file)).into_iter().flatten());
        })?;
        named.extend(restarted_units(&paths.dpkg(), package)?);
    }
    let is_restarted = |unit: &str| named.iter().any(|named| is_restarted_by(named, unit));
    let units = running.units.iter().filter(|unit| !is_own(unit));
    let restarts = units.filter(|unit| is_restarted(unit)).cloned();
    let touched = touched.into_iter().filter_map(|place| running.units.get(place));
    let stale = touched
        .filter(|unit| !is_own(unit) && !is_restarted(unit))
        .cloned();
    Ok(Services::new(restarts, stale))
}

/// Whether a restart of `named` restarts the unit: itself, or an instance of it, as `postgresql` restarts `postgresql@15-main`.
fn is_restarted_by(named: &str, unit: &str) -> bool {
    named == unit
        || unit
            .split_once('@')
            .is_some_and(|(template, _)| template == named.trim_end_matches('@'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A client on which these services run, with the code of these files.
    fn client(services: &[(&str, &[&str])]) -> (tempfile::TempDir, ClientPaths) {
        let root = tempfile::tempdir().unwrap();
        let paths = ClientPaths::below(root.path());
        fs::create_dir_all(paths.dpkg().join("info")).unwrap();
        fs::create_dir_all(paths.path("/run/systemd/system")).unwrap();
        for (number, (unit, files)) in services.iter().enumerate() {
            let process = paths.path(&format!("/proc/{}", number + 1));
            fs::create_dir_all(&process).unwrap();
            let line = |file: &&str| format!("7f0-7f1 r-xp 0 fe:01 1   {file}\n");
            fs::write(process.join("maps"), files.iter().map(line).collect::<String>()).unwrap();
            fs::write(
                process.join("cgroup"),
                format!("0::/system.slice/{unit}.service\n"),
            )
            .unwrap();
            std::os::unix::fs::symlink(root.path(), process.join("root")).unwrap();
        }
        (root, paths)
    }

    fn package(paths: &ClientPaths, name: &str, files: &[&str], postinst: &str) {
        let info = paths.dpkg().join("info");
        fs::write(info.join(format!("{name}.list")), files.join("\n")).unwrap();
        fs::write(info.join(format!("{name}.postinst")), postinst).unwrap();
    }

    fn found(paths: &ClientPaths, output: &str) -> Option<(Vec<String>, Vec<String>)> {
        let plan = Plan::parse(output, "amd64").unwrap();
        affected_services(paths, &plan).map(|services| (services.restarts, services.stale))
    }

    #[test]
    fn a_service_is_restarted_by_its_own_package_and_stale_where_only_another_is_upgraded() {
        let (_root, paths) = client(&[
            ("ssh", &["/usr/sbin/sshd", "/usr/lib/x/libc.so.6"]),
            ("cron", &["/usr/sbin/cron", "/usr/lib/x/libc.so.6"]),
            ("dbus", &["/usr/bin/dbus-daemon"]),
            ("postgresql@15-main", &["/usr/lib/postgresql/15/bin/postgres"]),
            ("apu-client@7", &["/usr/sbin/apu-client", "/usr/lib/x/libc.so.6"]),
        ]);
        package(
            &paths,
            "openssh-server",
            &["/usr/sbin/sshd"],
            "deb-systemd-invoke restart 'ssh.service'\n",
        );
        package(&paths, "libc6:amd64", &["/.", "/lib/x/libc.so.6"], "");
        package(
            &paths,
            "dbus",
            &["/usr/bin/dbus-daemon"],
            "deb-systemd-invoke start 'dbus.service'\n",
        );
        package(
            &paths,
            "pg",
            &["/usr/share/x"],
            "deb-systemd-invoke restart 'postgresql.service' 'exim4.service'\n",
        );
        let upgrade = |names: &[&str]| {
            let line = |name: &&str| format!("Inst {name} [1] (2 Site:x [amd64])\n");
            let found = found(&paths, &names.iter().map(line).collect::<String>()).unwrap();
            (found.0.join(" "), found.1.join(" "))
        };
        let words = |restarts: &str, stale: &str| (restarts.to_owned(), stale.to_owned());
        assert_eq!(upgrade(&["openssh-server"]), words("ssh", ""));
        assert_eq!(upgrade(&["libc6"]), words("", "cron ssh"));
        assert_eq!(upgrade(&["libc6", "openssh-server"]), words("ssh", "cron"));
        // Its own package does not restart it.
        assert_eq!(upgrade(&["dbus"]), words("", "dbus"));
        // Instances go with their template; what does not run is not told.
        assert_eq!(upgrade(&["pg"]), words("postgresql@15-main", ""));
        assert_eq!(upgrade(&["other"]), words("", ""));
    }

    #[test]
    fn nothing_is_told_where_nothing_is_upgraded_or_systemd_is_not_there() {
        let (_root, paths) = client(&[("cron", &["/usr/sbin/cron"])]);
        package(&paths, "cron", &["/usr/sbin/cron"], "");
        let upgrade = "Inst cron [1] (2 Site:x [amd64])\n";
        assert_eq!(
            found(&paths, upgrade),
            Some((Vec::new(), vec!["cron".to_owned()]))
        );
        assert_eq!(
            found(&paths, "Inst cron (2 Site:x [amd64])\nRemv other [1]\n"),
            None
        );
        fs::remove_dir(paths.path("/run/systemd/system")).unwrap();
        assert_eq!(found(&paths, upgrade), None);
    }
}
