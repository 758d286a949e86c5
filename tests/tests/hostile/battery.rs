//! The corpus of hostile requests, sent to real clients every way there is.

use std::fmt::Display;
use std::io::ErrorKind;
use std::thread;

use apu_proto::{ClientOutcome, ReasonCode, Request};
use apu_tests::{Fleet, Host, Watch};

use crate::answer::{Answer, Connection, ask_at_the_socket};
use crate::corpus::{Hostile, Judge, hostile_requests};

const CLIENTS: [&str; 4] = ["web1", "web2", "web3", "web4"];

/// The policy under which the operations of `[verb]` lines are not granted.
const NARROW: &str = r#"operations = ["status", "update", "upgrade", "dist-upgrade", "install"]"#;

const SHELL: &str = "/bin/sh";
const WRAPPER: &str = "/usr/lib/apu/apu-wrapper";
const ROOT_SIDE: &str = "/usr/sbin/apu-client";
const APT: &str = "/usr/bin/apt-get";
const APT_CONFIG: &str = "/usr/bin/apt-config";
/// What looks a name up: the handler, the run, and a simulation of apt, which asks dpkg for its architectures.
const LOOK_UP: [&str; 5] = [ROOT_SIDE, APT_CONFIG, APT, "/usr/bin/apt-cache", "/usr/bin/dpkg"];
/// apt starts it before it changes lists or packages, and never for a simulation.
const TELL_TALE: &str = "/usr/local/bin/tell-tale";

/// How many requests came to which end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// The wrapper refused them, and nothing reached root.
    by_wrapper: usize,
    /// The root side refused their form.
    by_root: usize,
    /// The policy refused them.
    by_policy: usize,
    /// No package had the name.
    by_name: usize,
    /// No ssh can be told to send them: a program's argument ends at a NUL.
    unsendable: usize,
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |a, b| Self {
            by_wrapper: a.by_wrapper + b.by_wrapper,
            by_root: a.by_root + b.by_root,
            by_policy: a.by_policy + b.by_policy,
            by_name: a.by_name + b.by_name,
            unsendable: a.unsendable + b.unsendable,
        })
    }
}

/// One client under fire.
struct Target<'a> {
    client: &'a Host,
    connection: Connection<'a>,
    watch: Watch,
    tally: Tally,
}

impl<'a> Target<'a> {
    fn new(fleet: &'a Fleet, name: &'a str) -> Self {
        let client = fleet.host(name);
        client.write("/etc/apu-client/policy.toml", NARROW);
        client.write(TELL_TALE, "#!/bin/sh\n");
        client.sh(&format!("chmod 755 {TELL_TALE}")).ok();
        client.write(
            "/etc/apt/apt.conf.d/99tell-tale",
            &format!(
                "APT::Update::Pre-Invoke {{ \"{TELL_TALE}\"; }};\nDPkg::Pre-Invoke {{ \"{TELL_TALE}\"; }};\n"
            ),
        );
        let connection = Connection::open(fleet, name, &[]);
        // Only after an answer has sshd all the processes that start programs, and those are the ones to watch.
        connection.ask(b"apu/1 ping").is(ClientOutcome::Unchanged);
        Self {
            client,
            connection,
            watch: client.watch().unwrap(),
            tally: Tally::default(),
        }
    }

    /// The programs that were started for a request.
    fn started(&self, what: impl Display) -> Vec<String> {
        self.watch
            .programs()
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Sends one hostile line four ways.
    fn withstands(&mut self, hostile: &Hostile) {
        let versioned = [b"apu/1 ", &hostile.bytes[..]].concat();
        self.withstands_over_ssh(&hostile.bytes, Judge::Grammar, hostile);
        self.withstands_over_ssh(&versioned, hostile.judge, hostile);
        self.withstands_at_the_socket(&hostile.bytes, Judge::Grammar, hostile);
        self.withstands_at_the_socket(&versioned, hostile.judge, hostile);
    }

    fn withstands_over_ssh(&mut self, request: &[u8], judge: Judge, hostile: &Hostile) {
        let output = match self.connection.ssh(request).output() {
            Err(error) if request.contains(&0) && error.kind() == ErrorKind::InvalidInput => {
                self.tally.unsendable += 1;
                return;
            }
            output => output.expect("ssh"),
        };
        let answer = Answer::of(output);
        let programs = self.started(hostile);
        match Request::parse(request) {
            Err(error) => {
                // The place and kind of what is wrong: ssh brought these very bytes.
                assert_eq!(answer.why(), error.to_string(), "{hostile}: {answer:?}");
                assert_eq!(answer.code(), Some(ReasonCode::Grammar), "{hostile}: {answer:?}");
                assert_eq!(answer.exit, Some(2), "{hostile}: {answer:?}");
                assert_eq!(programs, [SHELL, WRAPPER], "{hostile}");
                self.tally.by_wrapper += 1;
            }
            Ok(_) => {
                assert_eq!(answer.exit, Some(0), "{hostile}: {answer:?}");
                assert_eq!(programs[..2], [SHELL, WRAPPER], "{hostile}");
                self.refused_by_root(judge, &answer, &programs[2..], hostile);
            }
        }
        assert_eq!(
            answer.result.outcome,
            ClientOutcome::Refused,
            "{hostile}: {answer:?}"
        );
    }

    fn withstands_at_the_socket(&mut self, request: &[u8], judge: Judge, hostile: &Hostile) {
        let answer = ask_at_the_socket(self.client, request);
        let programs = self.started(hostile);
        assert_eq!(
            answer.result.outcome,
            ClientOutcome::Refused,
            "{hostile}: {answer:?}"
        );
        // A newline makes two lines of it, and so another mistake.
        let expected = if Request::parse(request).is_err() {
            Judge::Grammar
        } else {
            judge
        };
        self.refused_by_root(expected, &answer, &programs, hostile);
    }

    fn refused_by_root(&mut self, judge: Judge, answer: &Answer, programs: &[String], hostile: &Hostile) {
        let code = match judge {
            Judge::Grammar => ReasonCode::Grammar,
            Judge::Policy => ReasonCode::Policy,
            Judge::LookUp => ReasonCode::UnknownPackage,
        };
        assert_eq!(answer.code(), Some(code), "{hostile}: {answer:?}");
        if judge == Judge::LookUp {
            let only_looks = programs.iter().all(|program| LOOK_UP.contains(&program.as_str()));
            assert!(only_looks, "{hostile}: {programs:?}");
            self.tally.by_name += 1;
            return;
        }
        assert_eq!(programs, [ROOT_SIDE], "{hostile}");
        match judge {
            Judge::Grammar => self.tally.by_root += 1,
            _ => self.tally.by_policy += 1,
        }
    }

    /// An honest request is answered both ways, by the wrapper and the root side and nothing else.
    fn is_well(&self) {
        self.connection.ask(b"apu/1 ping").is(ClientOutcome::Unchanged);
        assert_eq!(self.started("ping"), [SHELL, WRAPPER, ROOT_SIDE]);
        ask_at_the_socket(self.client, b"apu/1 ping").is(ClientOutcome::Unchanged);
        assert_eq!(self.started("ping"), [ROOT_SIDE]);
    }

    /// An honest update runs apt, and the watch sees that it does.
    fn updates(&self) {
        let over_ssh = || self.connection.ask(b"apu/1 update");
        let at_the_socket = || ask_at_the_socket(self.client, b"apu/1 update");
        let ways: [(&str, &dyn Fn() -> Answer); 2] =
            [("over ssh", &over_ssh), ("at the socket", &at_the_socket)];
        for (way, ask) in ways {
            let answer = ask();
            assert_eq!(answer.result.apt_exit, Some(0), "{way}: {answer:?}");
            let programs = self.started(way);
            for program in [APT, TELL_TALE] {
                let times = programs.iter().filter(|other| *other == program).count();
                assert_ne!(times, 0, "{way}: no {program} in {programs:?}");
            }
        }
    }

    /// What only a change leaves behind.
    fn logs(&self) -> [Option<String>; 2] {
        ["/var/log/apt/history.log", "/var/log/dpkg.log"].map(|path| self.client.read(path))
    }
}

#[test]
fn every_hostile_request_is_refused_before_anything_can_change() {
    let corpus = hostile_requests();
    let fleet = Fleet::of(CLIENTS).up();
    let assail = |number: usize, name| {
        let mut target = Target::new(&fleet, name);
        target.is_well();
        target.updates();
        let before = (target.client.snapshot().unwrap(), target.logs());
        let share: Vec<_> = corpus.iter().skip(number).step_by(CLIENTS.len()).collect();
        for group in share.chunks(9) {
            for hostile in group {
                target.withstands(hostile);
            }
            target.is_well();
        }
        let different = target.client.snapshot().unwrap().differences(&before.0);
        assert!(different.is_empty(), "{name}: {different:?}");
        assert_eq!(target.logs(), before.1, "{name}");
        target.updates();
        target.tally
    };
    let tally: Tally = thread::scope(|scope| {
        let shares = (0..)
            .zip(CLIENTS)
            .map(|(number, name)| scope.spawn(move || assail(number, name)));
        let shares: Vec<_> = shares.collect();
        shares
            .into_iter()
            .map(|share| share.join().expect("a share of the corpus"))
            .sum()
    });

    // Each line as it stands and with its version, over ssh and at the socket. One has a NUL. Ten need a look-up, both
    // ways, and two name operations that apu has.
    assert_eq!(corpus.len(), 206);
    let expected = Tally {
        by_wrapper: 206 + 206 - 2 - 10 - 2,
        by_root: 206 + 206 - 10 - 2,
        by_policy: 2 * 2,
        by_name: 2 * 10,
        unsendable: 2,
    };
    assert_eq!(tally, expected);
}
