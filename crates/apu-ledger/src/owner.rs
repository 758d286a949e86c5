//! The process that works on a run: whether it is still there is known without asking it.

use std::fmt;
use std::fs;
use std::io;
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
        Ok(Self {
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?
                .trim()
                .to_owned(),
            pid,
            began: began(pid)?,
        })
    }

    /// Whether the process is still there. Where nobody can tell, it is.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match Self::of(self.pid) {
            Ok(now) => now == *self,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

/// When a process began: field 22 of its `stat`, see proc(5). The name in field 2 may hold anything but its last parenthesis.
fn began(pid: u32) -> io::Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).map_err(|error| match error.raw_os_error() {
        // The process ended while it was looked at: ESRCH.
        Some(3) => io::ErrorKind::NotFound.into(),
        _ => error,
    })?;
    let stat = String::from_utf8_lossy(&stat);
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields);
    fields
        .and_then(|fields| fields.split(' ').nth(19)?.parse().ok())
        .ok_or_else(|| io::Error::other("the kernel's figures about a process are not understood"))
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
        child.wait().unwrap();
        assert!(!owner.is_alive());
        assert!("boot 1".parse::<Owner>().is_err());
    }
}
