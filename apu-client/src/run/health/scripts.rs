//! Runs the administrator's own checks: the programs in `/etc/apu-client/checks.d`, one after the other.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use apu_debian::run_parts::{Found, find};
use apu_proto::{Check, MAX_CHECKS, RunId, Verdict};

use super::header;
use super::script_verdict::{MAX_OUTPUT, judge};
use crate::os::accounts;
use crate::os::limited::{self, Limits};
use crate::os::paths::ClientPaths;

/// Time limit for all scripts together.
pub(super) const TOTAL: Duration = Duration::from_secs(900);

/// The most scripts: a result has room for them beside `dpkg`, `units` and the word about the others.
const MAX_SCRIPTS: usize = MAX_CHECKS - 3;

/// As much of a script as is read for its options.
const MAX_HEADER: u64 = 16 * 1024;

const SETPRIV: &str = "/usr/bin/setpriv";

/// What a script is run with.
pub(super) struct Scripts<'a> {
    pub(super) paths: &'a ClientPaths,
    pub(super) run: Option<RunId>,
    /// Time for all of them.
    pub(super) total: Duration,
    /// Whether the machine is shutting down.
    pub(super) is_stopped: &'a mut dyn FnMut() -> bool,
}

/// Whether there is anything to run or to report.
pub(super) fn has_any(paths: &ClientPaths) -> bool {
    find(&paths.checks()).map_or(true, |found| !found.is_empty())
}

impl Scripts<'_> {
    /// Runs all of them. What was not run is told, too.
    pub(super) fn run_all(&mut self) -> Vec<Check> {
        let found = match find(&self.paths.checks()) {
            Ok(found) => found,
            Err(error) => return vec![Check::new("checks.d", Verdict::Inconclusive, error.to_string())],
        };
        let deadline = Instant::now() + self.total;
        let (taken, left) = found.split_at(found.len().min(MAX_SCRIPTS));
        let mut checks: Vec<Check> = taken.iter().map(|found| self.check(found, deadline)).collect();
        if !left.is_empty() {
            let text = format!("{} more were not run: {MAX_SCRIPTS} are at most", left.len());
            checks.push(Check::new("checks.d", Verdict::Inconclusive, text));
        }
        checks
    }

    fn check(&mut self, found: &Found, deadline: Instant) -> Check {
        let name = format!("checks.d/{}", found.name);
        let (verdict, detail) = match found.obstacle {
            Some(obstacle) => (Verdict::Inconclusive, obstacle.to_owned()),
            None => self
                .run(&found.name, deadline)
                .unwrap_or_else(|why| (Verdict::Inconclusive, why)),
        };
        Check::new(name, verdict, detail)
    }

    /// Runs one; fails with the reason for which it was not run.
    fn run(&mut self, name: &str, deadline: Instant) -> Result<(Verdict, String), String> {
        let path = self.paths.checks().join(name);
        let options = header::parse(&beginning(&path).map_err(|error| format!("not run: {error}"))?)
            .map_err(|word| format!("not run: {word}"))?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(format!("not run: all together have {} s", self.total.as_secs()));
        }
        if (self.is_stopped)() {
            return Err("not run: this machine is shutting down".to_owned());
        }
        let path = path.to_string_lossy().into_owned();
        let (program, arguments) = match &options.user {
            None => (path, Vec::new()),
            Some(user) => (SETPRIV.to_owned(), as_user(self.login(user)?, path)),
        };
        let mut environment = vec![
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            "LC_ALL=C.UTF-8".to_owned(),
        ];
        environment.extend(self.run.map(|id| format!("APU_RUN_ID={id}")));
        let environment: Vec<&str> = environment.iter().map(String::as_str).collect();
        let limits = Limits {
            time: options.timeout.min(left),
            output: MAX_OUTPUT,
        };
        let ended = limited::run(&program, &arguments, &environment, limits, self.is_stopped)
            .map_err(|error| format!("not run: {error}"))?;
        Ok(judge(&ended, limits.time, options.user.is_some()))
    }

    fn login(&self, user: &str) -> Result<(u32, u32), String> {
        match accounts::login(self.paths, user) {
            Ok(Some(login)) => Ok(login),
            Ok(None) => Err(format!("not run: /etc/passwd has no user {user}")),
            Err(error) => Err(format!("not run: /etc/passwd: {error}")),
        }
    }
}

/// The first bytes of a script, which may be a binary.
fn beginning(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_HEADER).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// setpriv's arguments for running a program with a user's rights, groups included, and no way to get others.
fn as_user((user, group): (u32, u32), program: String) -> Vec<String> {
    vec![
        format!("--reuid={user}"),
        format!("--regid={group}"),
        "--init-groups".to_owned(),
        "--no-new-privs".to_owned(),
        "--".to_owned(),
        program,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Machine {
        root: tempfile::TempDir,
        paths: ClientPaths,
    }

    impl Machine {
        /// None where this test is not root: then no script is root's.
        fn new() -> Option<Self> {
            if !nix::unistd::geteuid().is_root() {
                eprintln!("skipped: only root makes files of root");
                return None;
            }
            let root = tempfile::tempdir().unwrap();
            // Other users have to reach it.
            fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
            let paths = ClientPaths::below(root.path());
            fs::create_dir_all(paths.checks()).unwrap();
            fs::write(
                paths.path("/etc/passwd"),
                "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
            )
            .unwrap();
            Some(Self { root, paths })
        }

        fn script(&self, name: &str, text: &str, mode: u32) {
            let path = self.paths.checks().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn run_within(
            &self,
            total: Duration,
            is_stopped: &mut dyn FnMut() -> bool,
        ) -> Vec<(String, Verdict, String)> {
            let mut scripts = Scripts {
                paths: &self.paths,
                run: Some("0123456789abcdef0123456789abcdef".parse().unwrap()),
                total,
                is_stopped,
            };
            let checks = scripts.run_all().into_iter();
            checks
                .map(|check| (check.name, check.verdict, check.detail))
                .collect()
        }

        fn run(&self) -> Vec<(String, Verdict, String)> {
            self.run_within(TOTAL, &mut || false)
        }
    }

    fn told(name: &str, verdict: Verdict, detail: &str) -> (String, Verdict, String) {
        (name.to_owned(), verdict, detail.to_owned())
    }

    #[test]
    fn scripts_are_run_in_the_order_of_their_names_with_a_constant_environment() {
        use Verdict::{Fail, Inconclusive, Pass};
        let Some(machine) = Machine::new() else { return };
        assert!(!has_any(&machine.paths) && machine.run().is_empty());
        machine.script("30-wait", "#!/bin/sh\necho starting\nexit 75\n", 0o755);
        machine.script(
            "10-web",
            "#!/bin/sh\nread x && exit 9\nenv | sort | grep -v -e ^PWD= -e ^_=\n",
            0o700,
        );
        machine.script("20-db", "#!/bin/sh\necho refused >&2\nexit 3\n", 0o755);
        machine.script("README", "nothing to run", 0o644);
        machine.script("20-db.dpkg-old", "#!/bin/sh\nexit 3\n", 0o755);
        fs::create_dir(machine.paths.checks().join("folder")).unwrap();
        assert!(has_any(&machine.paths));
        assert_eq!(
            machine.run(),
            [
                told(
                    "checks.d/10-web",
                    Pass,
                    "APU_RUN_ID=0123456789abcdef0123456789abcdef\nLC_ALL=C.UTF-8\n\
                     PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                ),
                told("checks.d/20-db", Fail, "refused"),
                told("checks.d/30-wait", Inconclusive, "starting"),
            ]
        );
    }

    #[test]
    fn what_is_executable_and_cannot_be_run_is_told_with_its_reason() {
        let Some(machine) = Machine::new() else { return };
        let reason = |detail: &str| (Verdict::Inconclusive, detail.to_owned());
        let well = "#!/bin/sh\ntrue\n";
        machine.script("group", well, 0o775);
        machine.script("others", well, 0o757);
        machine.script("other-owner", well, 0o755);
        std::os::unix::fs::chown(machine.paths.checks().join("other-owner"), Some(65534), None).unwrap();
        symlink("/bin/true", machine.paths.checks().join("link")).unwrap();
        machine.script("no-interpreter", "#!/no/such/program\n", 0o755);
        machine.script("no-program", "true\n", 0o755);
        machine.script("nice", "#!/bin/sh\n# apu: nice=5\ntrue\n", 0o755);
        machine.script("nobody-here", "#!/bin/sh\n# apu: user=somebody\ntrue\n", 0o755);
        let found: std::collections::BTreeMap<String, (Verdict, String)> = machine
            .run()
            .into_iter()
            .map(|(name, verdict, detail)| (name, (verdict, detail)))
            .collect();
        let not_roots = reason("not run: it is not root's alone to write");
        for (name, expected) in [
            ("group", not_roots.clone()),
            ("others", not_roots.clone()),
            ("other-owner", not_roots),
            ("link", reason("not run: it is a symbolic link")),
            (
                "no-interpreter",
                reason("not run: ENOENT: No such file or directory"),
            ),
            ("no-program", reason("not run: ENOEXEC: Exec format error")),
            (
                "nice",
                reason("not run: nice=5: neither user=NAME nor timeout=SECONDSs"),
            ),
            ("nobody-here", reason("not run: /etc/passwd has no user somebody")),
        ] {
            let (verdict, detail) = &found[&format!("checks.d/{name}")];
            assert_eq!(*verdict, expected.0, "{name}");
            let words = expected.1.replace("ENOENT: ", "").replace("ENOEXEC: ", "");
            assert!(detail.starts_with(&words), "{name}: {detail}");
        }
        assert_eq!(found.len(), 8);

        machine.script("well", well, 0o755);
        let of_well = || {
            machine
                .run()
                .into_iter()
                .find(|(name, ..)| name == "checks.d/well")
                .unwrap()
        };
        assert_eq!(of_well().1, Verdict::Pass);
        fs::set_permissions(machine.paths.checks(), fs::Permissions::from_mode(0o777)).unwrap();
        let directory = "not run: its directory is not root's alone to write";
        assert_eq!(of_well(), told("checks.d/well", Verdict::Inconclusive, directory));
        assert!(machine.root.path().exists());
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told() {
        let Some(machine) = Machine::new() else { return };
        fs::remove_dir(machine.paths.checks()).unwrap();
        assert!(machine.run().is_empty());
        fs::write(machine.paths.checks(), "no directory").unwrap();
        assert!(has_any(&machine.paths));
        let [(name, Verdict::Inconclusive, _)] = &machine.run()[..] else {
            panic!("{:?}", machine.run());
        };
        assert_eq!(name, "checks.d");
    }

    #[test]
    fn a_script_that_hangs_is_ended_in_its_time_and_all_of_them_in_theirs() {
        let Some(machine) = Machine::new() else { return };
        machine.script(
            "a",
            "#!/bin/sh\n# apu: timeout=1s\necho asking\nsleep 86381 & sleep 86382\n",
            0o755,
        );
        let begun = Instant::now();
        assert_eq!(
            machine.run(),
            [told(
                "checks.d/a",
                Verdict::Inconclusive,
                "it did not end within 1 s\nasking"
            )]
        );
        machine.script("a", "#!/bin/sh\nsleep 86383\n", 0o755);
        machine.script("b", "#!/bin/sh\ntrue\n", 0o755);
        assert_eq!(
            machine.run_within(Duration::from_secs(2), &mut || false),
            [
                told("checks.d/a", Verdict::Inconclusive, "it did not end within 1 s"),
                told(
                    "checks.d/b",
                    Verdict::Inconclusive,
                    "not run: all together have 2 s"
                ),
            ]
        );
        assert!(begun.elapsed() < Duration::from_secs(25));
    }

    #[test]
    fn no_script_is_begun_while_the_machine_shuts_down() {
        let Some(machine) = Machine::new() else { return };
        machine.script("a", "#!/bin/sh\ntouch \"$0.ran\"\n", 0o755);
        let told_of = machine.run_within(TOTAL, &mut || true);
        assert_eq!(
            told_of,
            [told(
                "checks.d/a",
                Verdict::Inconclusive,
                "not run: this machine is shutting down"
            )]
        );
        assert!(!machine.paths.checks().join("a.ran").exists());
    }

    #[test]
    fn more_scripts_than_there_is_room_for_are_counted() {
        let Some(machine) = Machine::new() else { return };
        for number in 0..MAX_SCRIPTS + 5 {
            machine.script(&format!("s{number:03}"), "#!/bin/true\n", 0o755);
        }
        let checks = machine.run();
        assert_eq!(checks.len(), MAX_SCRIPTS + 1);
        let last = told(
            "checks.d",
            Verdict::Inconclusive,
            "5 more were not run: 61 are at most",
        );
        assert_eq!(checks.last(), Some(&last));
        assert!(checks.len() + 2 <= MAX_CHECKS);
    }

    #[test]
    fn a_script_with_a_user_has_the_rights_of_that_user_and_no_way_to_others() {
        let Some(machine) = Machine::new() else { return };
        let script = "#!/bin/sh\n# apu: user=nobody timeout=9s\nid -u; id -g; id -G; grep NoNewPrivs /proc/self/status\n";
        machine.script("who", script, 0o755);
        assert_eq!(
            machine.run(),
            [told(
                "checks.d/who",
                Verdict::Pass,
                "65534\n65534\n65534\nNoNewPrivs:\t1"
            )]
        );
        machine.script("who", "#!/bin/sh\nid -u\n", 0o755);
        assert_eq!(machine.run(), [told("checks.d/who", Verdict::Pass, "0")]);
    }
}
