//! What a process that reads hostile bytes gives up: memory, time, files, the network, and nearly all system calls.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetStatus,
};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

/// Of memory of its own, in bytes. The decoders ask for less: this stops what they do not know of.
const MEMORY: u64 = 112 << 20;

/// What is needed to read a file, to keep memory, and to answer.
const CALLS: &[i64] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_recvmsg,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Gives all of it up, for good. What the kernel does not have is named; what it has and refuses is an error.
pub(super) fn confine(seconds: u64) -> io::Result<Vec<&'static str>> {
    limits(seconds)?;
    let mut missing = Vec::new();
    if !landlock()? {
        missing.push("landlock");
    }
    if !seccomp()? {
        missing.push("seccomp");
    }
    Ok(missing)
}

fn limits(seconds: u64) -> io::Result<()> {
    for (resource, limit) in [
        (Resource::RLIMIT_DATA, MEMORY),
        (Resource::RLIMIT_CPU, seconds),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_FSIZE, 0),
        (Resource::RLIMIT_NOFILE, 16),
        (Resource::RLIMIT_NPROC, 0),
    ] {
        setrlimit(resource, limit, limit)?;
    }
    Ok(())
}

/// No path can be opened, no port reached. Says whether the kernel can.
fn landlock() -> io::Result<bool> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V6))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.restrict_self())
        .map_err(io::Error::other)?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// No system call but those above; another one fails. Says whether the kernel and this program's crates can.
fn seccomp() -> io::Result<bool> {
    let Ok(architecture) = TargetArch::try_from(std::env::consts::ARCH) else {
        return Ok(false);
    };
    let rules: BTreeMap<i64, Vec<_>> = CALLS.iter().map(|call| (*call, Vec::new())).collect();
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(rules, refuse, SeccompAction::Allow, architecture)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)?;
    match apply_filter(&program) {
        Ok(()) => Ok(true),
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error))
            if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) =>
        {
            Ok(false)
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::net::TcpListener;
    use std::process::Command;
    use std::thread;

    use super::{landlock, seccomp};

    /// Both hold for the thread that asks for them.
    #[test]
    fn what_is_given_up_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        fs::write(&secret, "x").unwrap();
        let path = secret.clone();
        let locked = thread::spawn(move || {
            let has = landlock().unwrap();
            (has, File::open(&path).is_ok(), File::create(&path).is_ok())
        });
        let (has, reads, writes) = locked.join().unwrap();
        assert_eq!((reads, writes), (!has, !has), "landlock");

        let path = secret.clone();
        let jailed = thread::spawn(move || {
            let has = seccomp().unwrap();
            let listens = TcpListener::bind("127.0.0.1:0").is_ok();
            (
                has,
                File::open(&path).is_ok(),
                listens,
                Command::new("true").status().is_ok(),
            )
        });
        let (has, reads, listens, starts) = jailed.join().unwrap();
        assert_eq!((reads, listens, starts), (!has, !has, !has), "seccomp");
        assert!(File::open(&secret).is_ok(), "the others keep theirs");
    }
}
