//! The running services of systemd and the code that their processes have in memory, from /proc alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// The kernel keeps who reads the maps of a process waiting while that process is stuck in a change of them.
const PATIENCE: Duration = Duration::from_secs(5);

/// Maximal number of processes that are looked at, and of files that are remembered.
const MAX_PROCESSES: usize = 20_000;
const MAX_FILES: usize = 100_000;

/// Maximal size of a file of one process in bytes. A large program has 200 KB of maps.
const MAX_SIZE: u64 = 8 * 1024 * 1024;

/// Services of apu-client's own, which end with their request.
const OWN: [&str; 4] = ["apu-client@", "apu-run@", "apu-health@", "apu-holds"];

/// Where packages install programs and libraries. What is mapped from elsewhere and is gone was never installed: memory that is shared,
/// temporary files, code that a program made for itself.
const INSTALLED: [&str; 8] = [
    "/usr/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/bin/", "/sbin/", "/opt/",
];

/// The services and what they have in memory.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RunningServices {
    /// The units, without `.service`, in the order in which they were met.
    pub(crate) units: Vec<String>,
    /// The files whose code is in memory, each in the form of [`without_usr`], with the places of the units that have it.
    pub(crate) users: HashMap<String, BTreeSet<usize>>,
    /// The same of files that were replaced or removed since their code was read.
    pub(crate) replaced: HashMap<String, BTreeSet<usize>>,
    /// The processes that have code of such a file, where it was installed, by the places of their units.
    pub(crate) stale: BTreeMap<usize, BTreeSet<u32>>,
}

/// Reads the services that run now; none where it cannot be told in time, or there is too much of it.
pub(crate) fn running_services(root: &Path) -> Option<RunningServices> {
    let (to, read) = mpsc::channel();
    let root = root.to_owned();
    // A thread that the kernel keeps waiting ends with this process.
    std::thread::spawn(move || {
        let _ = to.send(RunningServices::read(&root));
    });
    read.recv_timeout(PATIENCE).ok()?.ok()
}

impl RunningServices {
    fn read(root: &Path) -> io::Result<Self> {
        let mut services = Self::default();
        let own_root = identity(root)?;
        let mut processes = 0;
        for entry in fs::read_dir(root.join("proc"))? {
            let entry = entry?;
            let is_number = |name: &&str| name.bytes().all(|byte| byte.is_ascii_digit());
            let name = entry.file_name();
            let number = name.to_str().filter(is_number);
            let Some(number) = number.and_then(|name| name.parse().ok()) else {
                continue;
            };
            processes += 1;
            if processes > MAX_PROCESSES || services.users.len() > MAX_FILES {
                return Err(io::Error::other("more runs here than is looked at"));
            }
            // One that has ended meanwhile runs no more.
            let _ = services.add(&entry.path(), number, own_root);
        }
        Ok(services)
    }

    /// The services with processes that have code of replaced files, each with these processes; apu-client's own are left out.
    pub(crate) fn stale(&self) -> BTreeMap<String, BTreeSet<u32>> {
        let named = self.stale.iter();
        let named = named.filter_map(|(place, processes)| Some((self.units.get(*place)?, processes)));
        named
            .filter(|(unit, _)| !is_own(unit))
            .map(|(unit, processes)| (unit.clone(), processes.clone()))
            .collect()
    }

    /// Adds one process, where it belongs to a service and has the files of this machine: not those of a container.
    fn add(&mut self, process: &Path, number: u32, own_root: (u64, u64)) -> io::Result<()> {
        let control_group = bounded(&process.join("cgroup"))?;
        let Some(unit) = unit(&control_group) else {
            return Ok(());
        };
        if identity(&process.join("root"))? != own_root {
            return Ok(());
        }
        let maps = bounded(&process.join("maps"))?;
        let program: Option<PathBuf> = fs::read_link(process.join("exe")).ok();
        let program = program.as_deref().and_then(Path::to_str);
        let place = match self.units.iter().position(|known| known == unit) {
            Some(place) => place,
            None => {
                self.units.push(unit.to_owned());
                self.units.len() - 1
            }
        };
        let files = maps.lines().filter_map(code).chain(program);
        for file in files {
            let gone = file.strip_suffix(" (deleted)");
            let file = without_usr(gone.unwrap_or(file));
            note(&mut self.users, file, place);
            if gone.is_some() {
                note(&mut self.replaced, file, place);
                if INSTALLED.iter().any(|start| file.starts_with(start)) {
                    self.stale.entry(place).or_default().insert(number);
                }
            }
        }
        Ok(())
    }
}

/// Whether a service is apu-client's own.
pub(crate) fn is_own(unit: &str) -> bool {
    OWN.iter().any(|own| unit.starts_with(own))
}

fn note(users: &mut HashMap<String, BTreeSet<usize>>, file: &str, place: usize) {
    if let Some(users) = users.get_mut(file) {
        users.insert(place);
    } else {
        users.insert(file.to_owned(), [place].into());
    }
}

/// Which directory a path leads to.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn bounded(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_SIZE).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the service of the system that a process belongs to by its /proc/PID/cgroup, without `.service`; none for sessions, for
/// services of users, for scopes, which have containers and virtual machines, and for the kernel's own.
fn unit(control_group: &str) -> Option<&str> {
    let of = |kind: &str| {
        let mut lines = control_group.lines();
        lines.find_map(|line| line.split_once(':')?.1.strip_prefix(kind)?.strip_prefix(':'))
    };
    // systemd's own hierarchy where there are several; one that another systemd around this one uses has no unit of this one.
    of("name=systemd")
        .and_then(unit_of_path)
        .or_else(|| unit_of_path(of("")?))
}

fn unit_of_path(path: &str) -> Option<&str> {
    for part in path.split('/').filter(|part| !part.is_empty()) {
        if let Some(unit) = part.strip_suffix(".service") {
            return Some(unit);
        }
        if part == "user.slice" || !part.ends_with(".slice") {
            return None;
        }
    }
    None
}

/// Returns the file of a line of /proc/PID/maps whose contents are executed.
fn code(line: &str) -> Option<&str> {
    let mut rest = line;
    let mut field = || {
        let (field, after) = rest.split_once(' ')?;
        rest = after.trim_start_matches(' ');
        Some(field)
    };
    let [_, permissions, _, _, _] = [field()?, field()?, field()?, field()?, field()?];
    (permissions.contains('x') && rest.starts_with('/')).then_some(rest)
}

/// Returns a path without `/usr` in front of a directory that is the same without it: dpkg's lists have `/lib` where the kernel says
/// `/usr/lib`.
pub(crate) fn without_usr(path: &str) -> &str {
    match path.strip_prefix("/usr") {
        Some(rest)
            if ["/lib", "/bin/", "/sbin/"]
                .iter()
                .any(|start| rest.starts_with(start)) =>
        {
            rest
        }
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Adds a process to a made-up /proc; each file is mapped as code.
    fn process(root: &Path, number: u32, control_group: &str, files: &[&str]) {
        let process = root.join(format!("proc/{number}"));
        fs::create_dir_all(&process).unwrap();
        let line = |file: &&str| format!("7f0000-7f1000 r-xp 00001000 fe:01 131 {:20}{file}\n", "");
        let maps: String = files.iter().map(line).collect();
        fs::write(
            process.join("maps"),
            maps + "7ffc000-7ffd000 r-xp 0 00:00 0    [vdso]\n",
        )
        .unwrap();
        fs::write(process.join("cgroup"), format!("0::{control_group}\n")).unwrap();
        symlink(root, process.join("root")).unwrap();
        symlink(files[0], process.join("exe")).unwrap();
    }

    #[test]
    fn services_are_read_with_the_code_that_they_have_in_memory() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        process(
            root,
            10,
            "/system.slice/ssh.service",
            &["/usr/sbin/sshd", "/usr/lib/x/libc.so.6"],
        );
        process(
            root,
            11,
            "/system.slice/ssh.service",
            &["/usr/sbin/sshd", "/lib/x/libz.so.1 (deleted)"],
        );
        let instance = "/system.slice/system-postgresql.slice/postgresql@15-main.service";
        process(
            root,
            12,
            instance,
            &["/usr/lib/postgresql/15/bin/postgres", "/lib/x/libc.so.6"],
        );
        process(
            root,
            13,
            "/user.slice/user-0.slice/session-1.scope",
            &["/bin/bash"],
        );
        process(
            root,
            14,
            "/machine.slice/systemd-nspawn@box.service/payload",
            &["/usr/bin/boxed"],
        );
        fs::remove_file(root.join("proc/14/root")).unwrap();
        symlink("/", root.join("proc/14/root")).unwrap();
        // One that has just ended, a thread of the kernel, and what is no process.
        fs::create_dir_all(root.join("proc/15")).unwrap();
        process(root, 16, "/", &["/no"]);
        fs::write(root.join("proc/uptime"), "1").unwrap();
        let read = running_services(root).unwrap();
        let of = |file: &str| -> Vec<&str> {
            let users = read.users.get(file).into_iter().flatten();
            let mut units: Vec<&str> = users.map(|place| read.units[*place].as_str()).collect();
            units.sort_unstable();
            units
        };
        assert_eq!(of("/lib/x/libc.so.6"), ["postgresql@15-main", "ssh"]);
        assert_eq!(of("/sbin/sshd"), ["ssh"]);
        assert_eq!(of("/lib/x/libz.so.1"), ["ssh"]);
        assert_eq!((read.units.len(), read.users.len()), (2, 4));
        let replaced: Vec<&String> = read.replaced.keys().collect();
        assert_eq!(replaced, ["/lib/x/libz.so.1"]);
        assert_eq!(read.stale(), BTreeMap::from([("ssh".to_owned(), [11].into())]));
        assert_eq!(running_services(&root.join("proc/10")), None);
    }

    #[test]
    fn only_what_was_installed_makes_a_service_stale_and_no_service_of_apu_itself_is() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let gone = [
            "/memfd:JITCode (deleted)",
            "/dev/zero (deleted)",
            "/SYSV00000000 (deleted)",
            "/#1234 (deleted)",
            "/tmp/orcexec.x1 (deleted)",
            "/var/lib/app/jit (deleted)",
            "/run/app (deleted)",
            "/usr/bin/php",
        ];
        process(root, 10, "/system.slice/php-fpm.service", &gone);
        let own = "/apu.slice/apu-client.slice/apu-client@7.service";
        process(root, 11, own, &["/usr/sbin/apu-client (deleted)"]);
        process(root, 12, "/system.slice/x.service", &["/opt/x/bin/x (deleted)"]);
        process(
            root,
            13,
            "/system.slice/y.service",
            &["/usr/local/bin/y (deleted)"],
        );
        let stale = running_services(root).unwrap().stale();
        assert_eq!(stale.keys().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn a_unit_is_the_first_service_below_slices_of_the_system() {
        for (control_group, expected) in [
            ("0::/system.slice/cron.service\n", Some("cron")),
            (
                "0::/system.slice/docker.service/inner/x.service\n",
                Some("docker"),
            ),
            ("0::/init.scope\n", None),
            ("0::/\n", None),
            ("", None),
            (
                "0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n",
                None,
            ),
            ("0::/machine.slice/libvirt.scope/x.service\n", None),
            ("9:name=systemd:/\n0::/system.slice/ssh.service\n", Some("ssh")),
            (
                "12:pids:/a.service\n1:name=systemd:/system.slice/b.service\n0::/c.service\n",
                Some("b"),
            ),
        ] {
            assert_eq!(unit(control_group), expected, "{control_group:?}");
        }
    }

    #[test]
    fn code_is_what_is_mapped_from_a_file_to_be_executed() {
        for (line, expected) in [
            (
                "55-56 r-xp 00002000 08:01 5   /usr/sbin/a b",
                Some("/usr/sbin/a b"),
            ),
            ("55-56 r--p 00002000 08:01 5   /usr/share/locale", None),
            ("55-56 rwxp 00000000 00:00 0 ", None),
            ("55-56 r-xp 00000000 00:00 0   [vdso]", None),
            ("55-56 r-xp", None),
            ("", None),
        ] {
            assert_eq!(code(line), expected, "{line:?}");
        }
        for (path, expected) in [
            ("/usr/lib/a", "/lib/a"),
            ("/usr/lib64/a", "/lib64/a"),
            ("/usr/sbin/a", "/sbin/a"),
            ("/usr/share/bin/a", "/usr/share/bin/a"),
            ("/lib/a", "/lib/a"),
        ] {
            assert_eq!(without_usr(path), expected);
        }
    }
}
