//! Looks at a process and all that it started: what they cost so far, and what each waits for. From /proc alone.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};

use nix::unistd::Pid;

/// Maximal number of processes that are looked at.
const MAX_PROCESSES: usize = 20_000;

/// Maximal size in bytes of what is read of one process.
const MAX_SIZE: u64 = 4096;

/// A process of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) pid: i32,
    /// The process that started it.
    pub(crate) parent: i32,
    /// The name of its program, of at most 15 bytes, as it chose it.
    pub(crate) name: String,
    /// The processor time that it has used, in the kernel's ticks.
    pub(crate) ticks: u64,
}

/// Returns the tree, parents before what they started; empty where the process has ended. A process whose parent has ended belongs
/// to it no more.
pub(crate) fn tree(root: Pid) -> io::Result<Vec<Member>> {
    let mut children: HashMap<i32, Vec<Member>> = HashMap::new();
    let mut tree = Vec::new();
    for (number, entry) in fs::read_dir("/proc")?.enumerate() {
        if number > MAX_PROCESSES {
            return Err(io::Error::other("more runs here than is looked at"));
        }
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // One that has ended meanwhile is none.
        let Some(member) = bounded(&format!("/proc/{pid}/stat")).and_then(|stat| member(pid, &stat)) else {
            continue;
        };
        if pid == root.as_raw() {
            tree.push(member);
        } else {
            children.entry(member.parent).or_default().push(member);
        }
    }
    let mut place = 0;
    while let Some(parent) = tree.get(place) {
        let mut own = children.remove(&parent.pid).unwrap_or_default();
        own.sort_by_key(|member| member.pid);
        tree.extend(own);
        place += 1;
    }
    Ok(tree)
}

/// Returns the kernel function in which a process sleeps, such as `do_wait`; empty where it runs, or the kernel does not tell.
pub(crate) fn waits_in(pid: i32) -> String {
    let function = bounded(&format!("/proc/{pid}/wchan")).unwrap_or_default();
    if function == "0" { String::new() } else { function }
}

/// Parses `/proc/PID/stat`; none for a zombie. The name in field 2 may contain anything, so fields are counted from its end.
fn member(pid: i32, stat: &str) -> Option<Member> {
    let (start, rest) = stat.rsplit_once(')')?;
    let name = start.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if fields.first() == Some(&"Z") {
        return None;
    }
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    Some(Member {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        name,
        ticks: number(11)?.saturating_add(number(12)?),
    })
}

fn bounded(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .ok()?
        .take(MAX_SIZE)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn what_a_process_started_is_found_with_what_it_waits_for() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "sleep 1000; exit"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(shell.id()).unwrap());
        let names = |tree: &[Member]| tree.iter().map(|member| member.name.clone()).collect::<Vec<_>>();
        let found = loop {
            let found = tree(pid).unwrap();
            if names(&found) == ["sh", "sleep"] {
                break found;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        // The kernel of the machine names the function, and other names come with other versions.
        let functions: Vec<String> = found.iter().map(|member| waits_in(member.pid)).collect();
        assert!(functions.iter().all(|name| name.len() < 100), "{functions:?}");
        nix::sys::signal::kill(Pid::from_raw(found[1].pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        shell.wait().unwrap();
        assert_eq!(tree(pid).unwrap(), []);
    }

    #[test]
    fn a_name_may_hold_anything() {
        let stat = "7 (a) S (b) S 5 7 7 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 4242 0";
        let expected = Member {
            pid: 7,
            parent: 5,
            name: "a) S (b".into(),
            ticks: 42,
        };
        assert_eq!(member(7, stat), Some(expected));
        assert_eq!(member(7, &stat.replace(") S 5", ") Z 5")), None);
        assert_eq!(member(7, "7 (a) S"), None);
    }
}
