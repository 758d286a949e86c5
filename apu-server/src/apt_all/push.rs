//! One push of the button: plan and ask where packages change, run, and show how it ended.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal, Read};
use std::sync::Arc;
use std::time::Duration;

use apu_fleet::ssh::Ssh;
use apu_fleet::{Host, HostName, Job, JsonLines, Limits, Purpose, Sinks, Task, run};
use apu_proto::{PackageArg, Request, RunId, Transaction};
use apu_repo::{Failure, settings};
use tokio::sync::mpsc::UnboundedReceiver;

use super::ended::{Ended, transactions_of};
use super::show::{complain, print};
use super::words::{Course, Words};
use crate::failure;
use crate::ground::Ground;
use crate::interrupt::stops;
use crate::repo::Local;
use crate::view::live::{Live, Plain, Telling};
use crate::view::paint::Paint;

/// Does what the words say; the exit status is what comes back.
pub(super) fn push(words: &Words) -> Result<u8, Failure> {
    let ground = Ground::enter(&words.root, "apt-all")?;
    let local = match words.files()? {
        files if files.is_empty() => None,
        files => Some(Local::judge(&ground.site, &ground.settings, files)?),
    };
    let request = words.request(local.as_ref().map_or(&[][..], Local::packages))?;
    let inventory = ground.inventory()?;
    let hosts = inventory
        .resolve(&words.target, &words.exclude)
        .map_err(|error| failure::target(&ground.site, error))?;
    let course = words.course(io::stdin().is_terminal() && io::stderr().is_terminal())?;
    let ssh = ground.ssh()?;
    if let Some(local) = &local {
        // stdout is the events' where they are asked for.
        let tell: fn(&str) = if words.json { complain } else { print };
        if words.dry_run {
            tell(&local.outlook());
            tell("nothing was published, and no host was asked: what it would change is known only then\n");
            return Ok(0);
        }
        tell(&local.publish(&ground.site)?);
    }

    let run = &ground.settings.run;
    let button = Button {
        words,
        ssh,
        local: local.map_or_else(Vec::new, |local| local.packages().to_vec()),
        may_replace: &ground.settings.archive.may_replace,
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

/// Everything that one push needs to know.
pub(super) struct Button<'a> {
    pub(super) words: &'a Words,
    ssh: Arc<Ssh>,
    /// What was published for this push.
    pub(super) local: Vec<PackageArg>,
    /// What of the site's archive clients prefer to Debian's.
    pub(super) may_replace: &'a [settings::PackageName],
    limits: Limits,
    lock_wait: u32,
    pub(super) telling: Telling,
}

impl Button<'_> {
    async fn push(
        &self,
        request: Request,
        hosts: Vec<Host>,
        course: Course,
        stops: &mut UnboundedReceiver<()>,
    ) -> Result<u8, Failure> {
        let (hosts, before) = self.fetch_lists(hosts, stops).await?;
        if before.interrupted || hosts.is_empty() {
            return Ok(self.show(before));
        }
        if course == Course::Straight {
            let request = self.to_be_done(request)?;
            let ended = self.go(Purpose::Run, tasks(&hosts, &request), stops).await;
            return Ok(self.show(ended.after(before)));
        }

        let plan = Request {
            dry_run: true,
            ..request.clone()
        };
        let planned = self.go(Purpose::Plan, tasks(&hosts, &plan), stops).await;
        let mut planned = planned.after(before);
        self.explain(&mut planned);
        self.show_plan(&planned);
        let wanted: Vec<(HostName, Transaction)> = transactions_of(&planned)
            .filter(|(host, transaction)| !transaction.steps().is_empty() || planned.marks(host))
            .map(|(host, transaction)| (host.clone(), transaction.clone()))
            .collect();
        if planned.interrupted || course == Course::Show || wanted.is_empty() {
            return Ok(self.close(&planned));
        }
        if !asked_and_agreed(wanted.len())? {
            println!("nothing was done{}", self.what_stays());
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
        let tasks = wanted.iter().filter_map(task).collect();
        let ended = self.go(Purpose::Run, tasks, stops).await;
        // What was settled by the plan belongs to the end as well.
        Ok(self.show(ended.after(planned)))
    }

    /// The request with what makes it a run.
    pub(super) fn to_be_done(&self, request: Request) -> Result<Request, Failure> {
        if !request.operation.is_a_run() {
            return Ok(request);
        }
        Ok(Request {
            run_id: Some(new_run_id()?),
            lock_wait: Some(self.lock_wait),
            ..request
        })
    }

    pub(super) async fn go(
        &self,
        purpose: Purpose,
        tasks: Vec<Task>,
        stops: &mut UnboundedReceiver<()>,
    ) -> Ended {
        let operation = tasks.first().map(|task| task.request.operation);
        let job = Job {
            purpose,
            operation: operation.unwrap_or(self.words.operation),
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
}

/// The same for each host.
pub(super) fn tasks(hosts: &[Host], request: &Request) -> Vec<Task> {
    let task = |host: &Host| Task {
        host: host.clone(),
        request: request.clone(),
    };
    hosts.iter().map(task).collect()
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
