//! The process that works on a run: whether it is still there is known without asking it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::str::FromStr;

/// A process of this machine, told apart from any later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The boot in which it began, as the kernel names it.
    boot: String,
    /// Its process id.
    pub pid: u32,
    /// When it began, in the kernel's ticks since that boot.
    began: u64,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// Where the kernel does not tell.
    pub fn this_process() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    fn of(pid: u32) -> io::Result<Self> {
        let proc = Path::new("/proc");
        let gone = || io::Error::other("the process is gone");
        Ok(Self {
            boot: boot(proc)?,
            pid,
            began: began(proc, pid)?.ok_or_else(gone)?,
        })
    }

    /// Whether the process still runs; true also where that cannot be found out.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.is_alive_in(Path::new("/proc"))
    }

    fn is_alive_in(&self, proc: &Path) -> bool {
        match boot(proc) {
            Ok(boot) if boot == self.boot => {
                began(proc, self.pid).map_or(true, |began| began == Some(self.began))
            }
            // Also where the boot is named by nothing.
            Ok(boot) => boot.is_empty(),
            Err(_) => true,
        }
    }
}

/// This boot, as the kernel names it.
fn boot(proc: &Path) -> io::Result<String> {
    let boot = fs::read_to_string(proc.join("sys/kernel/random/boot_id"))?;
    Ok(boot.trim().to_owned())
}

/// When a process began; none where it is gone.
fn began(proc: &Path, pid: u32) -> io::Result<Option<u64>> {
    match fs::read(proc.join(pid.to_string()).join("stat")) {
        Ok(stat) => began_of(&String::from_utf8_lossy(&stat))
            .ok_or_else(|| io::Error::other("the kernel's figures about a process are not understood")),
        // The second: it ended while it was looked at.
        Err(error) if matches!(error.raw_os_error(), Some(ENOENT | ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

const ENOENT: i32 = 2;
const ESRCH: i32 = 3;

/// Reads fields 3 and 22 of a process's `stat`, see proc(5): its state, and when it began. The name in field 2 may hold anything
/// but its last parenthesis. A process that has ended, and whose parent has not asked for its status yet, is gone.
fn began_of(stat: &str) -> Option<Option<u64>> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if matches!(fields.next()?, "Z" | "X") {
        return Some(None);
    }
    Some(Some(fields.nth(18)?.parse().ok()?))
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.boot, self.pid, self.began)
    }
}

impl FromStr for Owner {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let mut next = || words.next().ok_or(());
        Ok(Self {
            boot: next()?.to_owned(),
            pid: next()?.parse().map_err(|_| ())?,
            began: next()?.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_there_until_it_ends_and_another_with_its_number_is_not_it() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let owner = Owner::of(child.id()).unwrap();
        assert!(owner.is_alive() && Owner::this_process().unwrap().is_alive());
        let read: Owner = owner.to_string().parse().unwrap();
        assert_eq!(read, owner);
        let mut later = owner.clone();
        later.began += 1;
        assert!(!later.is_alive());
        let mut of_another_boot = owner.clone();
        of_another_boot.boot = "another".into();
        assert!(!of_another_boot.is_alive());
        child.kill().unwrap();
        // Nobody has asked for its status: its number is still taken.
        let is_gone = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            !owner.is_alive()
        });
        assert!(is_gone);
        assert!(fs::exists(format!("/proc/{}", child.id())).unwrap());
        child.wait().unwrap();
        assert!(!owner.is_alive());
        assert!("boot 1".parse::<Owner>().is_err());
    }

    #[test]
    fn a_process_is_gone_only_where_the_kernel_says_so() {
        let proc = tempfile::tempdir().unwrap();
        let owner = Owner {
            boot: "this".into(),
            pid: 7,
            began: 42,
        };
        let write = |path: &str, text: &str| {
            let path = proc.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let is_alive = || owner.is_alive_in(proc.path());
        assert!(is_alive(), "without /proc");
        write("sys/kernel/random/boot_id", "this\n");
        assert!(!is_alive(), "without the process");
        write("7/stat", "7 (no figures) ");
        assert!(is_alive(), "not understood");
        let stat = |state: &str, began: u32| format!("7 (a) Z b) {state} 1{} {began} 0 0\n", " 0".repeat(17));
        for (state, began, expected) in [
            ("S", 42, true),
            ("S", 43, false),
            ("Z", 42, false),
            ("X", 42, false),
        ] {
            write("7/stat", &stat(state, began));
            assert_eq!(is_alive(), expected, "{state} {began}");
        }
    }
}
