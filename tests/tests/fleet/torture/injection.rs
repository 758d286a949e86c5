//! What goes wrong in a trial: begun at a moment of the run, and ended again.

use std::thread::sleep;
use std::time::Duration;

use apu_tests::{Fleet, Host, Running};

/// How long what passes by itself lasts.
const WHILE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Injection {
    ConnectionCut,
    SshdKilled,
    CablePulled,
    AptAllKilled,
    HandlerKilled,
    ListenerKilled,
    SupervisorKilled,
    AptKilled,
    DpkgKilled,
    ArchiveGone,
    DiskFull,
    LockHeld,
}

impl Injection {
    pub(super) const ALL: [Self; 12] = [
        Self::ConnectionCut,
        Self::SshdKilled,
        Self::CablePulled,
        Self::AptAllKilled,
        Self::HandlerKilled,
        Self::ListenerKilled,
        Self::SupervisorKilled,
        Self::AptKilled,
        Self::DpkgKilled,
        Self::ArchiveGone,
        Self::DiskFull,
        Self::LockHeld,
    ];

    /// Does it to this client, or to the server; it is over when this returns, but for [`Self::mend`].
    pub(super) fn happens(self, fleet: &Fleet, victim: &Host, running: &Running) {
        match self {
            Self::ConnectionCut => kill(victim, "-u apu apu-wrapper"),
            Self::SshdKilled => {
                victim.kill_sshd();
                sleep(WHILE);
                victim.start_sshd();
            }
            Self::CablePulled => {
                victim.pull_the_cable();
                sleep(2 * WHILE);
                victim.plug_the_cable_in();
            }
            Self::AptAllKilled => running.kill(),
            Self::HandlerKilled => kill(victim, "-f 'apu-client [h]andle'"),
            Self::ListenerKilled => {
                kill(victim, "-f 'apu-client [l]isten'");
                sleep(WHILE);
                victim.sh("/etc/init.d/apu-client start").ok();
            }
            Self::SupervisorKilled => kill(victim, "-f 'apu-client [r]un'"),
            Self::AptKilled => kill(victim, "-x apt-get"),
            Self::DpkgKilled => kill(victim, "-x dpkg"),
            Self::ArchiveGone => {
                let server = fleet.server();
                server
                    .sh("start-stop-daemon --stop --retry KILL/5 --pidfile /run/apu-serve.pid")
                    .ok();
                sleep(WHILE);
                server
                    .sh("start-stop-daemon --start --background --make-pidfile --pidfile /run/apu-serve.pid \
                         --startas /usr/sbin/apu -- serve --listen $(getent hosts apu.example.org | cut -d ' ' -f 1):80")
                    .ok();
            }
            Self::DiskFull => {
                victim
                    .sh("mount -t tmpfs -o size=64k none /usr/share/torture")
                    .ok();
            }
            Self::LockHeld => {
                victim.sh(&format!("timeout {} perl -e '{HOLD}'", WHILE.as_secs()));
            }
        }
    }

    /// Ends what does not end by itself.
    pub(super) fn mend(self, victim: &Host) {
        if self == Self::DiskFull {
            victim.sh("umount /usr/share/torture").ok();
        }
    }
}

/// Holds the lock of apt and dpkg; not where a run has it.
const HOLD: &str = r#"use Fcntl; open(F, "+<", "/var/lib/dpkg/lock-frontend") or die;
    my $lock = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; sleep 60"#;

/// Kills what runs there, if it does.
fn kill(host: &Host, which: &str) {
    host.sh(&format!("pkill -KILL {which}"));
}
