//! A rollout as a seed says it, and how it is told: by the real engine, into a real ledger.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use apu_fleet::{
    Announcement, Batch, Host, HostName, Instruction, Limits, Outcome, Phase, PushId, Rollout, Runner, Sinks,
    Task, Trial, WaveOptions, waves,
};
use apu_ledger::{Ledger, NewRun, Recorder, RunNumber, RunRef, Work};
use apu_proto::{DebSha256, Operation, Request, RequestOption, RunId, Step, System, Transaction};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::clients::{Client, Clients, Does, Health};
use super::seed::Seed;

/// What happens, and to whom.
pub(crate) struct Story {
    seed: u64,
    /// In the order of their turns.
    clients: Vec<Client>,
    trials: Vec<Trial>,
    pub(crate) rollout: Rollout,
    pub(crate) parallel: usize,
    pub(crate) max_failures: Option<usize>,
    /// Whether an administrator promotes what cannot be told to be well.
    pub(crate) is_promoted: bool,
}

/// How it went.
pub(crate) struct Ran {
    /// How each host ended, as the ledger has it.
    pub(crate) outcomes: BTreeMap<HostName, Option<Outcome>>,
    /// What does not hold in the ledger.
    pub(crate) wrong: Vec<String>,
    pub(crate) clients: Clients,
}

fn trial(system: usize, transaction: usize) -> Trial {
    let step = Step::Install {
        package: "p:amd64".parse().unwrap(),
        old: Some("1".into()),
        new: format!("2.{transaction}"),
        sha256: Some(DebSha256::from_bytes([u8::try_from(transaction).unwrap(); 32])),
        origin: "Site:stable".into(),
    };
    Trial {
        system: System {
            release: format!("debian {}", 12 + system),
            architecture: "amd64".into(),
        },
        transaction: Transaction::new(vec![step]),
        is_broken: false,
        too_young: Vec::new(),
        conffile_rules: Vec::new(),
    }
}

fn does(seed: &mut Seed) -> Does {
    match seed.below(100) {
        0..72 => Does::Changes,
        72..77 => Does::Nothing,
        77..84 => Does::Fails,
        84..89 => Does::Half,
        89..94 => Does::Away,
        _ => Does::Silent,
    }
}

fn health(seed: &mut Seed) -> Health {
    match seed.below(100) {
        0..82 => Health::Well,
        82..88 => Health::Unwell,
        88..94 => Health::Unclear,
        _ => Health::Gone,
    }
}

impl Story {
    pub(crate) fn of(number: u64) -> Self {
        let mut seed = Seed::of(number);
        let is_all_well = seed.is(20);
        let (systems, transactions) = (1 + seed.below(2), 1 + seed.below(3));
        let has_groups = seed.is(40);
        let wanted: Vec<(HostName, Trial)> = (0..1 + seed.below(12))
            .map(|host| {
                (
                    format!("h{host:02}").parse().unwrap(),
                    trial(seed.below(systems), seed.below(transactions)),
                )
            })
            .collect();
        let sizes = match seed.below(3) {
            0 => Vec::new(),
            1 => vec![1 + seed.below(4)],
            _ => vec![1, 1 + seed.below(3)],
        };
        let options = WaveOptions {
            canaries: None,
            sizes,
        };
        let arranged = waves(&wanted, &options);
        let rollout = Rollout {
            waves: arranged.iter().map(Vec::len).collect(),
            soak: Duration::from_secs([0, 30, 600][seed.below(3)]),
            pause_limit: Duration::ZERO,
            check: None,
            freeze: Vec::new(),
        };
        let mut clients = Vec::new();
        let mut trials = Vec::new();
        for place in arranged.concat() {
            let (name, trial) = &wanted[place];
            let mut host = Host::plain(name.clone());
            if has_groups && seed.is(60) {
                host.exclusive = Some(format!("g{}", seed.below(3)).parse().unwrap());
            }
            let (does, health) = (does(&mut seed), health(&mut seed));
            clients.push(Client {
                host,
                name: name.clone(),
                does: if is_all_well { Does::Changes } else { does },
                health: if is_all_well { Health::Well } else { health },
                takes: Duration::from_millis(seed.below(90_000) as u64),
                approved: trial.transaction.id(),
            });
            trials.push(trial.clone());
        }
        Self {
            seed: number,
            clients,
            trials,
            rollout,
            parallel: 1 + seed.below(4),
            max_failures: seed.is(40).then(|| seed.below(4)),
            is_promoted: false,
        }
    }

    /// Whether nothing goes wrong, and each change was tested where there are waves.
    pub(crate) fn is_all_well(&self) -> bool {
        let tested: Vec<&Trial> = self.trials.iter().take(self.first()).collect();
        let is_tested = self.rollout.number() == 1 || self.trials.iter().all(|trial| tested.contains(&trial));
        let is_well = |client: &Client| client.does == Does::Changes && client.health == Health::Well;
        is_tested && self.clients.iter().all(is_well)
    }

    /// The size of the first wave.
    fn first(&self) -> usize {
        self.rollout.waves.first().copied().unwrap_or(self.clients.len())
    }

    pub(crate) fn first_wave(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().take(self.first())
    }

    pub(crate) fn later_waves(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().skip(self.first())
    }

    /// Tells it; with a number, apt-all is killed at a moment that follows from it, and the run is gone on with.
    pub(crate) fn told(&self, kill: Option<u64>) -> Ran {
        self.told_where(kill, false)
    }

    /// The same; with `is_shaky` some hosts cannot be reached any more after each kill, and the last push may be interrupted.
    pub(crate) fn told_where(&self, kill: Option<u64>, is_shaky: bool) -> Ran {
        // In memory where that is to be had: what a disk costs is no part of this.
        let directory = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let path = directory.path().join("apu.db");
        let ledger = Ledger::open(&path).unwrap();
        let desk = (&*path, &ledger);
        let clients = Clients::new(&self.clients);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let Some(kill) = kill else {
                self.pushed(desk, &clients, None, (Duration::MAX, None)).await;
                return;
            };
            let mut seed = Seed::of(kill);
            let mut killed = 0;
            let mut parent = None;
            while killed < 2 {
                let moment = Duration::from_millis(seed.below(200_000) as u64);
                if self.pushed(desk, &clients, parent, (moment, None)).await {
                    return;
                }
                killed += 1;
                if is_shaky {
                    clients.switch_off(|_| seed.is(25));
                }
                end_owners(&path);
                parent = Some(ledger.runs(1).unwrap()[0].number);
            }
            // Half of them come before anything is begun.
            let seconds = if seed.is(50) { 0 } else { seed.below(60) as u64 };
            let interrupt = (is_shaky && seed.is(40)).then(|| Duration::from_secs(seconds));
            self.pushed(desk, &clients, parent, (Duration::MAX, interrupt))
                .await;
        });
        let last = ledger.runs(1).unwrap()[0].number;
        let attempts = ledger.attempts(last).unwrap();
        Ran {
            outcomes: attempts
                .into_iter()
                .map(|attempt| (attempt.host, attempt.outcome))
                .collect(),
            wrong: ledger.check().unwrap(),
            clients,
        }
    }

    /// Pushes it, for so long. Whether it came to its end.
    async fn pushed(
        &self,
        (path, ledger): (&Path, &Ledger),
        clients: &Clients,
        parent: Option<RunNumber>,
        (time, interrupt): (Duration, Option<Duration>),
    ) -> bool {
        let run = RunId::from_bytes([7; 16]);
        let request = Request::new(Operation::Upgrade, [RequestOption::RunId(run)], []).unwrap();
        let hosts: Vec<Host> = self.clients.iter().map(|client| client.host.clone()).collect();
        let begun = u64::from(parent.is_some()) + ledger.runs(9).unwrap().len() as u64;
        let push = PushId::from_bytes((u128::from(self.seed) << 64 | u128::from(begun)).to_be_bytes());
        let announcement = Announcement::of(push, &hosts, &request, "alice".into());
        let recorder = Recorder::new(
            Ledger::open(path).unwrap(),
            NewRun {
                push,
                parent,
                operation: "upgrade".into(),
                request: "apu/1 upgrade".into(),
                min_age: None,
                allow_restart: Vec::new(),
                target: "all".into(),
                by: "alice".into(),
                begun: Timestamp::now(),
                hosts: announcement.hosts.clone(),
            },
        );
        let sinks = Sinks::default().with(recorder.clone());
        let (stop, stops) = mpsc::unbounded_channel();
        if interrupt.is_some_and(|moment| moment.is_zero()) {
            stop.send(Instruction::Stop).unwrap();
        } else if let Some(moment) = interrupt {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(moment).await;
                let _ = stop.send(Instruction::Stop);
            });
        }
        // An administrator looks after it again and again.
        if self.is_promoted {
            let by = "bob".to_owned();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    for wave in 1..=12 {
                        let by = by.clone();
                        if stop.send(Instruction::Promote { wave, by }).is_err() {
                            return;
                        }
                    }
                }
            });
        }
        let transport = Arc::new(clients.clone());
        let mut runner = Runner::start(&transport, stops, sinks, announcement);
        let mut work = Work::new(request.to_string(), self.rollout.clone());
        work.max_failures = self.max_failures;
        work.parallel = self.parallel;
        let work = work.for_hosts(
            self.clients
                .iter()
                .zip(&self.trials)
                .map(|(client, trial)| (&client.name, Some(trial))),
        );
        recorder.begin(run, &work).unwrap();
        let task = |(client, trial): (&Client, &Trial)| Task {
            host: client.host.clone(),
            request: request
                .clone()
                .with([RequestOption::Plan(trial.transaction.id())])
                .unwrap(),
            trial: Some(Arc::new(trial.clone())),
        };
        let (carried, promoted) = match parent {
            Some(parent) => {
                let run = ledger.find(&RunRef::Number(parent)).unwrap();
                (ledger.carried(parent).unwrap(), ledger.promoted(&run).unwrap())
            }
            None => Default::default(),
        };
        let batch = Batch {
            carried,
            tasks: self.clients.iter().zip(&self.trials).map(task).collect(),
            rollout: self.rollout.clone(),
            promoted,
            ..Batch::of(Phase::Apply, &hosts, &request)
        };
        let limits = Limits {
            parallel: NonZeroUsize::new(self.parallel).unwrap(),
            connections: NonZeroUsize::new(self.parallel).unwrap(),
            timeout: Duration::from_secs(3600),
            max_failures: self.max_failures,
        };
        // Two days are more than anything here takes: one that does not end is found.
        let most = time.min(Duration::from_secs(2 * 86_400));
        let is_over = tokio::time::timeout(most, runner.phase(batch, limits))
            .await
            .is_ok();
        assert!(is_over || most == time, "it never ends");
        if is_over {
            runner.finish(0);
            recorder.close().unwrap();
        }
        is_over
    }
}

/// The processes of all runs are gone, as after a kill.
fn end_owners(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute("UPDATE run SET owner = 'another-boot 1 1'", [])
        .unwrap();
}
