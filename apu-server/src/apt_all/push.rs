//! One push of the button: plan and ask where packages change, run, and show how it ended.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use apu_fleet::ssh::Ssh;
use apu_fleet::{Board, Ending, Host, HostName, Job, JsonLines, Limits, Purpose, Sinks, Task, run};
use apu_proto::{ClientOutcome, Request, RunId, Transaction};
use apu_repo::Failure;
use tokio::sync::mpsc::UnboundedReceiver;

use super::words::{Course, Words};
use crate::failure;
use crate::ground::Ground;
use crate::interrupt::stops;
use crate::view::live::{Live, Plain, Telling};
use crate::view::paint::Paint;
use crate::view::status::table;
use crate::view::summary::summary;
use crate::view::transactions::transactions;

/// Does what the words say; the exit status is what comes back.
pub(super) fn push(words: &Words) -> Result<u8, Failure> {
    let ground = Ground::enter(&words.root, "apt-all")?;
    let request = words.request()?;
    let inventory = ground.inventory()?;
    let hosts = inventory
        .resolve(&words.target, &words.exclude)
        .map_err(|error| failure::target(&ground.site, error))?;
    let course = words.course(io::stdin().is_terminal() && io::stderr().is_terminal())?;
    let ssh = ground.ssh()?;

    let run = &ground.settings.run;
    let button = Button {
        words,
        ssh,
        limits: Limits {
            parallel: words.parallel.unwrap_or(run.parallel),
            timeout: words.timeout.map_or(run.timeout, Duration::from_secs),
        },
        lock_wait: u32::try_from(run.lock_wait.as_secs())
            .unwrap_or(u32::MAX)
            .min(86_400),
        telling: Telling {
            paint: Paint::for_stream(&io::stdout()),
            verbose: words.verbose,
            live: io::stderr().is_terminal(),
        },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::machine("cannot start").why(error))?;
    runtime.block_on(async { button.push(request, hosts, course, &mut stops()).await })
}

struct Button<'a> {
    words: &'a Words,
    ssh: Arc<Ssh>,
    limits: Limits,
    lock_wait: u32,
    telling: Telling,
}

/// How everything ended: each host once, and how long it took.
struct Ended {
    endings: Vec<(HostName, Ending)>,
    seconds: f64,
    interrupted: bool,
    /// Where the output went wrong.
    failed: Vec<(String, io::Error)>,
}

impl Ended {
    fn of(board: &Board, failed: Vec<(String, io::Error)>) -> Self {
        Self {
            endings: board
                .endings()
                .map(|(host, ending)| (host.clone(), ending.clone()))
                .collect(),
            seconds: board.seconds.unwrap_or_default(),
            interrupted: board.interrupts > 0,
            failed,
        }
    }

    fn status(&self) -> u8 {
        if self.interrupted {
            130
        } else if self.endings.iter().any(|(_, ending)| !ending.outcome.is_well()) {
            1
        } else if self.failed.is_empty() {
            0
        } else {
            3
        }
    }
}

impl Button<'_> {
    async fn push(
        &self,
        request: Request,
        hosts: Vec<Host>,
        course: Course,
        stops: &mut UnboundedReceiver<()>,
    ) -> Result<u8, Failure> {
        if course == Course::Straight {
            let request = self.to_be_done(request)?;
            let tasks = hosts
                .into_iter()
                .map(|host| Task {
                    host,
                    request: request.clone(),
                })
                .collect();
            let ended = self.go(Purpose::Run, tasks, stops).await;
            return Ok(self.show(&ended));
        }

        let plan = Request {
            dry_run: true,
            ..request.clone()
        };
        let tasks = hosts
            .iter()
            .map(|host| Task {
                host: host.clone(),
                request: plan.clone(),
            })
            .collect();
        let planned = self.go(Purpose::Plan, tasks, stops).await;
        self.show_plan(&planned);
        let wanted: Vec<(HostName, Transaction)> = transactions_of(&planned)
            .filter(|(_, transaction)| !transaction.steps().is_empty())
            .map(|(host, transaction)| (host.clone(), transaction.clone()))
            .collect();
        if planned.interrupted || course == Course::Show || wanted.is_empty() {
            return Ok(self.close(&planned));
        }
        if !asked_and_agreed(wanted.len())? {
            println!("nothing was done");
            return Ok(self.close(&planned).max(1));
        }

        let request = self.to_be_done(request)?;
        let task = |(name, transaction): &(HostName, Transaction)| {
            let host = hosts.iter().find(|host| host.name == *name)?.clone();
            let request = Request {
                plan: Some(transaction.id()),
                ..request.clone()
            };
            Some(Task { host, request })
        };
        let mut ended = self
            .go(Purpose::Run, wanted.iter().filter_map(task).collect(), stops)
            .await;
        // What was settled by the plan belongs to the end as well.
        let settled = planned
            .endings
            .into_iter()
            .filter(|(host, _)| wanted.iter().all(|(other, _)| other != host));
        ended.endings.extend(settled);
        ended.seconds += planned.seconds;
        ended.failed.extend(planned.failed);
        Ok(self.show(&ended))
    }

    /// The request with what makes it a run.
    fn to_be_done(&self, request: Request) -> Result<Request, Failure> {
        if !request.operation.is_a_run() {
            return Ok(request);
        }
        Ok(Request {
            run_id: Some(new_run_id()?),
            lock_wait: Some(self.lock_wait),
            ..request
        })
    }

    async fn go(&self, purpose: Purpose, tasks: Vec<Task>, stops: &mut UnboundedReceiver<()>) -> Ended {
        let job = Job {
            purpose,
            operation: self.words.operation,
            tasks,
        };
        let mut sinks = if self.words.json {
            Sinks::default().with(JsonLines(io::stdout()))
        } else if self.telling.live {
            Sinks::default().with(Live::new(self.telling))
        } else {
            Sinks::default().with(Plain::new(io::stdout(), self.telling))
        };
        let board = run(&self.ssh, job, self.limits, stops, &mut sinks).await;
        Ended::of(&board, std::mem::take(&mut sinks.failed))
    }

    fn show_plan(&self, planned: &Ended) {
        if self.words.json {
            return;
        }
        let ready: Vec<(HostName, &Transaction)> = transactions_of(planned)
            .map(|(host, transaction)| (host.clone(), transaction))
            .collect();
        print(&transactions(&ready, self.telling.paint, self.words.verbose));
        let others: Vec<(HostName, Ending)> = planned
            .endings
            .iter()
            .filter(|(_, ending)| transaction_of(ending).is_none())
            .cloned()
            .collect();
        if !others.is_empty() {
            print(&summary(
                self.words.operation,
                &others,
                planned.seconds,
                self.telling.paint,
                self.words.verbose,
            ));
        }
    }

    fn show(&self, ended: &Ended) -> u8 {
        if !self.words.json {
            let Telling { paint, verbose, .. } = self.telling;
            print(&table(&ended.endings, paint, verbose));
            print(&summary(
                self.words.operation,
                &ended.endings,
                ended.seconds,
                paint,
                verbose,
            ));
        }
        self.close(ended)
    }

    /// Names what went wrong with the output; the exit status is what comes back.
    fn close(&self, ended: &Ended) -> u8 {
        for (sink, error) in &ended.failed {
            let _ = writeln!(
                io::stderr(),
                "error: cannot write to {sink}; the hosts went on\n  why: {error}"
            );
        }
        ended.status()
    }
}

/// Whoever reads our output may go away; the run is not theirs.
fn print(text: &str) {
    let _ = io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush());
}

fn transactions_of(planned: &Ended) -> impl Iterator<Item = (&HostName, &Transaction)> {
    planned
        .endings
        .iter()
        .filter_map(|(host, ending)| Some((host, transaction_of(ending)?)))
}

/// What a host would do, if it could answer that well.
fn transaction_of(ending: &Ending) -> Option<&Transaction> {
    let result = ending
        .result
        .as_ref()
        .filter(|result| result.outcome == ClientOutcome::Unchanged)?;
    result.transaction.as_ref()
}

fn asked_and_agreed(hosts: usize) -> Result<bool, Failure> {
    let word = if hosts == 1 { "host" } else { "hosts" };
    eprint!("Go on with {hosts} {word}? [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .lock()
        .take(100)
        .read_line(&mut answer)
        .map_err(|error| Failure::machine("cannot read the answer").why(error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// One identity for the whole push: each client keeps its own run under it.
fn new_run_id() -> Result<RunId, Failure> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|error| Failure::machine("cannot read /dev/urandom").why(error))?;
    Ok(RunId::from_bytes(bytes))
}
