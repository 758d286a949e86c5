//! Measures how much longer a ledger makes a run: the real engine asks hosts that answer after a fixed time, once with a ledger
//! on the disk and once without.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use apu_fleet::{
    Announcement, Answer, Batch, Host, Limits, Phase, PushId, Rollout, Runner, ServerReason, Sink, Sinks,
    TimedEvent, Transport,
};
use apu_ledger::{Ledger, NewRun, Recorder, Work};
use apu_proto::{Operation, Request, RequestOption, RunId};
use jiff::Timestamp;
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// How many hosts the run has.
pub(crate) const HOSTS: usize = 250;

/// How many are at work at once.
const PARALLEL: usize = 50;

/// How long each of them works: a real upgrade of a few packages takes no less.
pub(crate) const WORK: Duration = Duration::from_secs(5);

/// How many lines each of them prints.
const LINES: usize = 40;

/// What a ledger costs a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share {
    /// The time of a run without a ledger, in seconds.
    pub(crate) without: f64,
    /// With one.
    pub(crate) with: f64,
    /// For how much of that the engine waits for the ledger, in seconds.
    pub(crate) busy: f64,
}

impl Share {
    /// How much longer the run takes, in percent.
    pub(crate) fn longer(self) -> f64 {
        (self.with / self.without - 1.0).max(0.0) * 100.0
    }

    /// How much of the run the engine waits for the ledger, in percent.
    pub(crate) fn waiting(self) -> f64 {
        self.busy / self.with * 100.0
    }
}

/// Measures both.
pub(crate) fn of_a_run() -> Result<Share> {
    let (without, _) = run(None)?;
    // In the directory of the figures: on a disk, as a server's ledger is.
    let directory = tempfile::tempdir_in(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"))?;
    let (with, busy) = run(Some(Ledger::open(&directory.path().join("apu.db"))?))?;
    Ok(Share { without, with, busy })
}

/// The time of a run, and how much of it the ledger took.
fn run(ledger: Option<Ledger>) -> Result<(f64, f64)> {
    let run = RunId::from_bytes([7; 16]);
    let request = Request::new(Operation::Upgrade, [RequestOption::RunId(run)], [])?;
    let hosts: Vec<Host> = (0..HOSTS)
        .map(|host| Ok(Host::plain(format!("node{host:05}").parse()?)))
        .collect::<Result<_>>()?;
    let announcement = Announcement::of(PushId::from_bytes([1; 16]), &hosts, &request, "alice".into());
    let recorder = ledger.map(|ledger| {
        let new = NewRun {
            push: announcement.push,
            parent: None,
            operation: "upgrade".into(),
            request: "apu/1 upgrade".into(),
            min_age: None,
            allow_restart: Vec::new(),
            target: "all".into(),
            by: "alice".into(),
            begun: Timestamp::now(),
            hosts: announcement.hosts.clone(),
        };
        Recorder::new(ledger, new)
    });
    let mut busy = Duration::ZERO;
    let begun = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut sinks = Sinks::default();
        if let Some(recorder) = &recorder {
            sinks = sinks.with(Timed {
                sink: recorder.clone(),
                busy: &mut busy,
            });
        }
        // Nobody presses Ctrl-C.
        let (_stop, stops) = tokio::sync::mpsc::unbounded_channel();
        let transport = Arc::new(Workers);
        let mut runner = Runner::start(&transport, stops, sinks, announcement);
        if let Some(recorder) = &recorder {
            let work = Work::new(request.to_string(), Rollout::default());
            recorder.begin(run, &work.for_hosts(hosts.iter().map(|host| (&host.name, None))))?;
        }
        let limits = Limits {
            parallel: NonZeroUsize::new(PARALLEL).context("nobody works")?,
            connections: NonZeroUsize::new(PARALLEL).context("nobody works")?,
            timeout: Duration::from_secs(3600),
            max_failures: None,
        };
        runner
            .phase(Batch::of(Phase::Apply, &hosts, &request), limits)
            .await;
        runner.finish(0);
        anyhow::Ok(())
    })?;
    if let Some(recorder) = &recorder {
        recorder.close()?;
    }
    Ok((begun.elapsed().as_secs_f64(), busy.as_secs_f64()))
}

/// A sink, and how long it is at work.
struct Timed<'a> {
    sink: Recorder,
    busy: &'a mut Duration,
}

impl Timed<'_> {
    fn time<T>(&mut self, work: impl FnOnce(&mut Recorder) -> T) -> T {
        let begun = Instant::now();
        let done = work(&mut self.sink);
        *self.busy += begun.elapsed();
        done
    }
}

impl Sink for Timed<'_> {
    fn name(&self) -> &str {
        "the ledger"
    }

    fn take(&mut self, event: &TimedEvent, run: &apu_fleet::RunState) -> std::io::Result<()> {
        self.time(|sink| sink.take(event, run))
    }

    fn settle(&mut self) -> std::io::Result<()> {
        self.time(Sink::settle)
    }

    fn tick(&mut self, run: &apu_fleet::RunState) {
        self.time(|sink| sink.tick(run));
    }
}

/// Hosts that print some lines and have changed something.
struct Workers;

struct Bytes(DuplexStream);

impl Answer for Bytes {
    type Bytes = DuplexStream;

    fn reused(&self) -> bool {
        false
    }

    fn bytes(&mut self) -> &mut DuplexStream {
        &mut self.0
    }

    async fn finish(self) {}

    async fn let_go(self) {}

    async fn last_words(self) -> String {
        String::new()
    }
}

impl Transport for Workers {
    type Answer = Bytes;

    async fn ask(&self, _: &Host, _: &Request) -> Result<Bytes, ServerReason> {
        let (ours, mut theirs) = duplex(1 << 14);
        tokio::spawn(async move {
            for line in 0..LINES {
                tokio::time::sleep(WORK / LINES as u32).await;
                let text = format!("{{\"frame\":\"line\",\"text\":\"Unpacking package-{line} ...\"}}\n");
                let _ = theirs.write_all(text.as_bytes()).await;
            }
            let end = "{\"frame\":\"result\",\"outcome\":\"changed\",\"answer\":\"plain\"}\n";
            let _ = theirs.write_all(end.as_bytes()).await;
        });
        Ok(Bytes(ours))
    }

    async fn ask_anew(&self, host: &Host, request: &Request) -> Result<Bytes, ServerReason> {
        self.ask(host, request).await
    }
}
