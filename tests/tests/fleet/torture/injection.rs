//! What goes wrong in a trial: begun at a moment of the run, and ended again.

use std::thread::sleep;
use std::time::Duration;

use apu_proto::{Frame, RunId};
use apu_tests::{Fleet, Host, Running};

use super::clock::{can_be_moved, is_right_again, move_by};
use super::crasher::{crash_at, crash_no_more};
use super::renewal::publish_what_runs_need;

/// How many calls of the system dpkg makes of a kind for the package, about; the last points are after its last one.
const POINTS: u32 = 71;

/// The byte with which the identities of the other server's runs begin, twelve times.
const OTHERS: u8 = b'o';

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
    /// At a chosen call of the system, in an upgrade.
    DpkgCrashes,
    /// The same where the package was not installed before.
    DpkgCrashesInInstall,
    ArchiveGone,
    DiskFull,
    LockHeld,
    /// Another server has the same change made.
    SecondServer,
    /// Nothing goes through any more: neither the connection nor the downloads.
    BlackHole,
    /// The run upgrades apu-client and sshd, too.
    Renewed,
    /// All processes end, and the machine boots again.
    PowerCut,
    /// The clock of apt, dpkg and the packages' scripts goes wrong by days, and right again.
    ClockMoved,
}

impl Injection {
    pub(super) const ALL: [Self; 19] = [
        Self::ConnectionCut,
        Self::SshdKilled,
        Self::CablePulled,
        Self::AptAllKilled,
        Self::HandlerKilled,
        Self::ListenerKilled,
        Self::SupervisorKilled,
        Self::AptKilled,
        Self::DpkgKilled,
        Self::DpkgCrashes,
        Self::DpkgCrashesInInstall,
        Self::ArchiveGone,
        Self::DiskFull,
        Self::LockHeld,
        Self::SecondServer,
        Self::BlackHole,
        Self::Renewed,
        Self::PowerCut,
        Self::ClockMoved,
    ];

    /// What the button is asked for.
    pub(super) const fn push(self) -> &'static str {
        match self {
            Self::DpkgCrashesInInstall => "web install torture --yes --waves 100%",
            _ => "web upgrade --yes --waves 100%",
        }
    }

    /// Publishes what it needs beside the package.
    pub(super) fn is_published(self, fleet: &Fleet, victim: &Host, number: u32) {
        if self == Self::Renewed {
            publish_what_runs_need(fleet, victim, number);
        }
    }

    /// Does what has to be done before the run begins. `turn` is how often this kind had its turn before.
    pub(super) fn is_prepared(self, victim: &Host, turn: u32) {
        if self == Self::ClockMoved {
            can_be_moved(victim);
        }
        if !matches!(self, Self::DpkgCrashes | Self::DpkgCrashesInInstall) {
            return;
        }
        if self == Self::DpkgCrashesInInstall {
            victim.sh("dpkg --purge torture").ok();
        }
        // Far apart, and each of them once in so many turns.
        let point = turn * 7 % POINTS + 1;
        crash_at(
            victim,
            if turn.is_multiple_of(2) { "rename" } else { "fsync" },
            point,
        );
    }

    /// Does it to this client, or to the server; it is over when this returns, but for [`Self::mend`]. `number` is the
    /// trial's.
    pub(super) fn happens(self, fleet: &Fleet, victim: &Host, running: &Running, number: u32) {
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
            Self::DpkgCrashes | Self::DpkgCrashesInInstall | Self::Renewed => {}
            Self::SecondServer => upgrade_by_another(fleet, victim, number),
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
            Self::BlackHole => {
                let both = [victim, fleet.server()];
                both.iter().for_each(|host| host.pull_the_cable());
                sleep(black_hole());
                both.iter().for_each(|host| host.plug_the_cable_in());
            }
            Self::PowerCut => {
                victim.lose_power();
                sleep(WHILE);
                victim.boot_again();
            }
            Self::ClockMoved => {
                let days = if number.is_multiple_of(2) { 3 } else { -3 };
                move_by(victim, days * 24 * 3600);
            }
            Self::LockHeld => {
                victim.sh(&format!("timeout {} perl -e '{HOLD}'", WHILE.as_secs()));
            }
        }
    }

    /// Ends what does not end by itself.
    pub(super) fn mend(self, victim: &Host) {
        match self {
            Self::DiskFull => _ = victim.sh("umount /usr/share/torture").ok(),
            Self::DpkgCrashes | Self::DpkgCrashesInInstall => crash_no_more(victim),
            Self::ClockMoved => is_right_again(victim),
            _ => {}
        }
    }
}

/// How long nothing goes through: a minute where there is time for it.
fn black_hole() -> Duration {
    let is_long = std::env::var_os("APU_TORTURE").is_some();
    if is_long {
        Duration::from_secs(60)
    } else {
        4 * WHILE
    }
}

/// Holds the lock of apt and dpkg; not where a run has it.
const HOLD: &str = r#"use Fcntl; open(F, "+<", "/var/lib/dpkg/lock-frontend") or die;
    my $lock = pack("s s l! l! i x4", F_WRLCK, 0, 0, 0, 0); fcntl(F, F_SETLK, $lock) or die; sleep 60"#;

/// Kills what runs there, if it does.
fn kill(host: &Host, which: &str) {
    host.sh(&format!("pkill -KILL {which}"));
}

/// Has the client upgrade itself as a server does that knows nothing of the first one: by a plan, and then by the same plan.
fn upgrade_by_another(fleet: &Fleet, victim: &Host, number: u32) {
    let ask = |line: &str| {
        let output = fleet
            .ssh(victim.name(), &[])
            .arg(line)
            .output()
            .expect("ssh runs");
        let frames = output.stdout.split(|byte| *byte == b'\n');
        let mut results = frames.filter_map(|line| match Frame::from_line(line).ok()? {
            Frame::Result(result) => Some(result),
            _ => None,
        });
        results.next_back()
    };
    // While the first is at work, there may be no plan.
    let planned = ask("apu/1 upgrade dry_run=yes");
    if let Some(plan) = planned.as_ref().and_then(|result| result.plan()) {
        let mut id = [OTHERS; 16];
        id[12..].copy_from_slice(&number.to_be_bytes());
        let (run, plan) = (RunId::from_bytes(id), plan.transaction.id());
        ask(&format!("apu/1 upgrade run_id={run} plan_sha256={plan}"));
    }
}

/// Whether a run is one of the other server.
pub(super) fn is_of_another(run: &str) -> bool {
    run.starts_with(&format!("{OTHERS:02x}").repeat(12))
}
