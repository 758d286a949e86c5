//! Clients that keep their runs as real ones do: a run is carried out once, and whoever asks for it again gets its result.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use apu_fleet::{Answer, Host, HostName, ServerCause, ServerReason, Transport};
use apu_proto::{Operation, Request, RunId, TransactionId};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

/// What a host does with the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Changes,
    Nothing,
    Fails,
    /// Changes, and something is wrong.
    Half,
    /// Nobody answers there.
    Away,
    /// Changes, and the connection breaks before it can say so.
    Silent,
}

/// What its health is afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Well,
    Unwell,
    Unclear,
    /// No login is possible.
    Gone,
}

/// A client and what it does.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) host: Host,
    pub(crate) name: HostName,
    pub(crate) does: Does,
    pub(crate) health: Health,
    /// How long it takes.
    pub(crate) takes: Duration,
    /// What it was approved to do.
    pub(crate) approved: TransactionId,
}

impl Client {
    /// Whether nothing can ever show that it is well with the change.
    pub(crate) fn is_never_known_to_be_well(&self) -> bool {
        match self.does {
            Does::Fails | Does::Half => true,
            Does::Changes | Does::Silent => self.health != Health::Well,
            Does::Nothing | Does::Away => false,
        }
    }
}

#[derive(Debug, Default)]
struct Seen {
    /// The results of runs, by host.
    done: BTreeMap<HostName, (RunId, String)>,
    asked: Vec<String>,
    working: BTreeSet<HostName>,
    twice: Vec<String>,
    beside: Vec<String>,
    unapproved: Vec<String>,
}

/// All clients, and what they have seen.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    all: Arc<BTreeMap<HostName, Client>>,
    seen: Arc<Mutex<Seen>>,
    /// Those that cannot be reached at the moment.
    off: Arc<Mutex<BTreeSet<HostName>>>,
}

/// The bytes of an answer.
pub(crate) struct Bytes(DuplexStream);

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
        "it hung up".to_owned()
    }
}

fn result(outcome: &str, rest: &str) -> String {
    format!("{{\"frame\":\"result\",\"outcome\":\"{outcome}\"{rest}}}\n")
}

fn check(verdict: &str) -> String {
    format!("{{\"name\":\"units\",\"verdict\":\"{verdict}\"}}")
}

impl Clients {
    pub(crate) fn new(clients: &[Client]) -> Self {
        let all = clients.iter().map(|client| (client.name.clone(), client.clone()));
        Self {
            all: Arc::new(all.collect()),
            seen: Arc::default(),
            off: Arc::default(),
        }
    }

    /// The run is carried out, or was before.
    fn run(&self, client: &Client, request: &Request) -> String {
        let run = request.run_id().unwrap();
        let mut seen = self.seen.lock().unwrap();
        if let Some((before, result)) = seen.done.get(&client.name) {
            if *before == run {
                return result.clone();
            }
            seen.twice.push(client.name.to_string());
        }
        if request.plan() != Some(client.approved) {
            seen.unapproved.push(client.name.to_string());
        }
        let checks = |outcome: &str| {
            let checks = match client.health {
                Health::Well | Health::Gone => check("pass"),
                Health::Unwell => check("fail"),
                Health::Unclear => check("inconclusive"),
            };
            result(
                outcome,
                &format!(",\"answer\":\"packages\",\"checks\":[{checks}]"),
            )
        };
        let plain = |outcome: &str| result(outcome, ",\"answer\":\"plain\"");
        let said = match client.does {
            Does::Nothing => plain("unchanged"),
            Does::Fails => plain("failed"),
            Does::Half => plain("partial"),
            Does::Changes | Does::Silent | Does::Away if client.health == Health::Unwell => checks("partial"),
            Does::Changes | Does::Silent | Does::Away => checks("changed"),
        };
        seen.done.insert(client.name.clone(), (run, said.clone()));
        said
    }

    /// What a client says to a request, and whether the connection breaks instead.
    fn says(&self, client: &Client, request: &Request) -> (String, bool) {
        match request.operation() {
            Operation::Attach => {
                let seen = self.seen.lock().unwrap();
                let known = seen
                    .done
                    .get(&client.name)
                    .filter(|(run, _)| Some(*run) == request.run_id());
                let unknown = || {
                    let reason =
                        ",\"answer\":\"plain\",\"reason\":{\"code\":\"unknown-run\",\"cause\":\"caller\"}";
                    result("failed", reason)
                };
                (known.map_or_else(unknown, |(_, said)| said.clone()), false)
            }
            Operation::Health => {
                let verdict = match client.health {
                    Health::Well | Health::Gone => "pass",
                    Health::Unwell => "fail",
                    Health::Unclear => "inconclusive",
                };
                let outcome = if verdict == "pass" { "unchanged" } else { "failed" };
                let checks = check(verdict);
                (
                    result(outcome, &format!(",\"answer\":\"health\",\"checks\":[{checks}]")),
                    false,
                )
            }
            _ => {
                let said = self.run(client, request);
                (said, client.does == Does::Silent)
            }
        }
    }

    /// From now on some of the hosts cannot be reached, others than before.
    pub(crate) fn switch_off(&self, is_off: impl FnMut(&&HostName) -> bool) {
        *self.off.lock().unwrap() = self.all.keys().filter(is_off).cloned().collect();
    }

    /// The hosts of which a run was carried out more than once.
    pub(crate) fn twice(&self) -> Vec<String> {
        self.seen.lock().unwrap().twice.clone()
    }

    /// The hosts that were at work beside another one of their group.
    pub(crate) fn beside(&self) -> Vec<String> {
        self.seen.lock().unwrap().beside.clone()
    }

    /// The hosts that were asked for something else than what was approved.
    pub(crate) fn unapproved(&self) -> Vec<String> {
        self.seen.lock().unwrap().unapproved.clone()
    }

    /// The hosts that were asked for a change, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().asked.clone()
    }

    pub(crate) fn has_done(&self, host: &HostName) -> bool {
        self.seen.lock().unwrap().done.contains_key(host)
    }
}

impl Transport for Clients {
    type Answer = Bytes;

    async fn ask(&self, host: &Host, request: &Request) -> Result<Bytes, ServerReason> {
        let client = self.all[&host.name].clone();
        let is_change = request.operation().changes_packages();
        if is_change {
            self.seen.lock().unwrap().asked.push(client.name.to_string());
        }
        let is_gone = client.health == Health::Gone && request.operation() == Operation::Health;
        let is_off = self.off.lock().unwrap().contains(&client.name);
        if client.does == Does::Away || is_gone || is_off {
            return Err(ServerCause::ConnectionRefused.into());
        }
        // One that is asked again for what it has done does nothing.
        let works = is_change && !self.has_done(&client.name);
        if works {
            let mut seen = self.seen.lock().unwrap();
            let group = &client.host.exclusive;
            let other = seen.working.iter().find(|other| {
                **other != client.name && group.is_some() && self.all[*other].host.exclusive == *group
            });
            if let Some(other) = other {
                let both = format!("{} beside {other}", client.name);
                seen.beside.push(both);
            }
            seen.working.insert(client.name.clone());
        }
        let (ours, mut theirs) = duplex(1 << 14);
        let clients = self.clone();
        let request = request.clone();
        // A client goes on whatever becomes of the connection.
        tokio::spawn(async move {
            if works {
                tokio::time::sleep(client.takes).await;
            }
            let (said, breaks) = clients.says(&client, &request);
            if works {
                clients.seen.lock().unwrap().working.remove(&client.name);
            }
            if !breaks {
                let _ = theirs.write_all(said.as_bytes()).await;
            }
        });
        Ok(Bytes(ours))
    }

    async fn ask_anew(&self, host: &Host, request: &Request) -> Result<Bytes, ServerReason> {
        self.ask(host, request).await
    }
}
