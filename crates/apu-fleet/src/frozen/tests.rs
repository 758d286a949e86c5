use std::collections::HashMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use apu_proto::{FEATURES, System, Transaction};
use sha2::{Digest, Sha256};

use super::*;
use crate::host::Host;

/// Clients that answer `send-debs` with these texts and take what they are sent.
#[derive(Default)]
struct Clients {
    answers: HashMap<&'static str, Vec<u8>>,
    asked: Mutex<Vec<(String, String)>>,
    sent: Mutex<Vec<PathBuf>>,
}

struct Text(Cursor<Vec<u8>>);

impl Answer for Text {
    type Bytes = Cursor<Vec<u8>>;

    fn reused(&self) -> bool {
        false
    }

    fn bytes(&mut self) -> &mut Cursor<Vec<u8>> {
        &mut self.0
    }

    async fn finish(self) {}

    async fn let_go(self) {}

    async fn last_words(self) -> String {
        String::new()
    }
}

impl Transport for Clients {
    type Answer = Text;

    async fn ask(&self, host: &Host, request: &Request) -> Result<Text, ServerReason> {
        let name = host.name.to_string();
        self.asked
            .lock()
            .unwrap()
            .push((name.clone(), request.to_string()));
        let text = match request.operation() {
            Operation::SendDebs => self.answers.get(name.as_str()).cloned().unwrap_or_default(),
            _ => format!(
                "{}{}",
                hello(),
                Frame::Result(Box::new(RunResult::new(ClientOutcome::Unchanged))).to_line()
            )
            .into(),
        };
        Ok(Text(Cursor::new(text)))
    }

    async fn ask_anew(&self, host: &Host, request: &Request) -> Result<Text, ServerReason> {
        self.ask(host, request).await
    }

    async fn ask_sending(
        &self,
        host: &Host,
        request: &Request,
        files: &[PathBuf],
    ) -> Result<Text, ServerReason> {
        self.sent.lock().unwrap().extend_from_slice(files);
        self.ask(host, request).await
    }
}

fn hello() -> String {
    let hello = Frame::Hello {
        protocol: vec![1],
        client: "0.1.0".into(),
        features: FEATURES.map(|feature| feature.to_string()).to_vec(),
        run: None,
    };
    hello.to_line()
}

fn sha256(bytes: &str) -> DebSha256 {
    DebSha256::from_bytes(Sha256::digest(bytes).into())
}

/// What a client sends that was asked for .debs with these checksums, and has these bytes for them.
fn sends(debs: &[(&str, &str)]) -> Vec<u8> {
    let sent = debs.iter().map(|(asked, bytes)| SentDeb {
        sha256: sha256(asked),
        size: bytes.len() as u64,
    });
    let frame = Frame::Debs { debs: sent.collect() }.to_line();
    let bytes: String = debs.iter().map(|(_, bytes)| *bytes).collect();
    format!("a motd\n{}{frame}{bytes}", hello()).into()
}

/// A host that is to install these .debs, each with its origin.
fn task(name: &str, debs: &[(&str, &str)]) -> Task {
    let step = |(bytes, origin): &(&str, &str)| Step::Install {
        package: format!("{bytes}:amd64").parse().unwrap(),
        old: None,
        new: "1".into(),
        sha256: Some(sha256(bytes)),
        origin: (*origin).to_owned(),
    };
    let run = "a".repeat(32);
    Task {
        host: Host::plain(name.parse().unwrap()),
        request: Request::parse(format!("apu/1 upgrade run_id={run}").as_bytes()).unwrap(),
        trial: Some(Arc::new(Trial {
            system: System::default(),
            transaction: Transaction::new(debs.iter().map(step).collect()),
            is_broken: false,
            too_young: Vec::new(),
            conffile_rules: Vec::new(),
        })),
    }
}

const RUN: RunId = RunId::from_bytes([0xaa; 16]);
const LIMIT: Duration = Duration::from_secs(60);
const DEBIAN: &str = "Debian:12.11/stable, Debian-Security:12/stable-security";
const DOCKER: &str = "Docker CE:bookworm";

fn frozen(folder: &Path, freeze: &[&str], tasks: &[Task]) -> Arc<Frozen> {
    let rollout = Rollout {
        waves: vec![2, 9],
        freeze: freeze.iter().map(|glob| (*glob).to_owned()).collect(),
        ..Rollout::default()
    };
    Frozen::of_phase(folder.to_owned(), &rollout, tasks, false).unwrap()
}

fn why(given: Result<(), Box<Ending>>) -> ServerCause {
    match given.unwrap_err().reason {
        Some(HostReason::Server(reason)) => reason.cause,
        reason => panic!("{reason:?}"),
    }
}

#[tokio::test]
async fn what_a_canary_gives_is_what_later_hosts_get() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("frozen/run");
    let both = [("one", DEBIAN), ("two", DEBIAN)];
    // Nobody needs the third.
    let canary = task("c1", &[("one", DEBIAN), ("two", DEBIAN), ("three", DEBIAN)]);
    let tasks = [canary, task("c2", &both), task("web1", &both)];
    let frozen = frozen(&folder, &["*"], &tasks);
    assert!(frozen.is_giver(1) && !frozen.is_giver(2));
    let mut debs = vec![("one", "one"), ("two", "two")];
    debs.sort_by_key(|(bytes, _)| sha256(bytes));
    let clients = Clients {
        answers: HashMap::from([("c1", sends(&debs))]),
        ..Clients::default()
    };
    frozen.freeze(&clients, &tasks[0], RUN, LIMIT).await;
    // Everything is there.
    frozen.freeze(&clients, &tasks[1], RUN, LIMIT).await;
    assert_eq!(clients.asked.lock().unwrap().len(), 1);
    frozen.give(&clients, &tasks[2], LIMIT).await.unwrap();
    let asked = clients.asked.lock().unwrap().clone();
    let one = format!("{}:3", sha256("one"));
    assert!(
        asked[1].1.starts_with("apu/1 take-debs") && asked[1].1.contains(&one),
        "{asked:?}"
    );
    let sent: Vec<String> = (clients.sent.lock().unwrap().iter())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(sent, ["one", "two"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "no draft is left");
}

#[tokio::test]
async fn only_chosen_origins_are_frozen() {
    let root = tempfile::tempdir().unwrap();
    let both = [("one", DEBIAN), ("two", DOCKER)];
    let tasks = [task("c1", &both), task("c2", &both), task("web1", &both)];
    let clients = Clients {
        answers: HashMap::from([("c1", sends(&[("two", "two")]))]),
        ..Clients::default()
    };
    let frozen = frozen(root.path(), &["Docker*"], &tasks);
    frozen.freeze(&clients, &tasks[0], RUN, LIMIT).await;
    frozen.give(&clients, &tasks[2], LIMIT).await.unwrap();
    let asked = clients.asked.lock().unwrap().clone();
    assert!(
        !asked
            .iter()
            .any(|(_, request)| request.contains(&sha256("one").to_string()))
    );
    assert!(asked[1].1.contains(&sha256("two").to_string()));
}

#[tokio::test]
async fn the_next_canary_gives_where_the_first_does_not_and_without_one_nobody_goes_on() {
    let refused = Frame::Result(Box::new(RunResult::because(
        ClientOutcome::Failed,
        apu_proto::Cause::DebNotKept {
            sha256: sha256("one"),
        },
    )));
    let old = "{\"frame\":\"hello\",\"protocol\":[1],\"client\":\"0.0.9\"}\n\
        {\"frame\":\"result\",\"outcome\":\"refused\",\"answer\":\"plain\",\"reason\":{\"code\":\"grammar\",\"cause\":\"malformed\"}}\n";
    for wrong in [
        sends(&[("one", "One")]),
        sends(&[("one", "on")])[..].to_vec(),
        sends(&[("other", "other")]),
        sends(&[]),
        Vec::new(),
        vec![b'x'; 9 << 20],
        format!("{}{}", hello(), refused.to_line()).into(),
        old.into(),
    ] {
        let root = tempfile::tempdir().unwrap();
        let debs = [("one", DEBIAN)];
        let tasks = [task("c1", &debs), task("c2", &debs), task("web1", &debs)];
        let frozen = frozen(root.path(), &["*"], &tasks);
        let clients = Clients {
            answers: HashMap::from([
                ("c1", wrong),
                ("c2", sends(&debs.map(|(bytes, _)| (bytes, bytes)))),
            ]),
            ..Clients::default()
        };
        frozen.freeze(&clients, &tasks[0], RUN, LIMIT).await;
        let ServerCause::NotFrozen {
            packages, host, why, ..
        } = why(frozen.give(&clients, &tasks[2], LIMIT).await)
        else {
            panic!("it goes on");
        };
        assert_eq!((packages.len(), host.unwrap().as_str()), (1, "c1"));
        assert!(why.is_some());
        assert_eq!(
            fs::read_dir(root.path()).unwrap().count(),
            0,
            "nothing wrong is kept"
        );
        frozen.freeze(&clients, &tasks[1], RUN, LIMIT).await;
        frozen.give(&clients, &tasks[2], LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn another_process_goes_on_with_what_is_there() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join(sha256("one").to_string()), "one").unwrap();
    let clients = Clients::default();
    let turn = Frozen::of_turn(root.path().to_owned(), vec!["*".into()]);
    turn.give(&clients, &task("web1", &[("one", DEBIAN)]), LIMIT)
        .await
        .unwrap();
    let without = why(turn
        .give(&clients, &task("web1", &[("two", DEBIAN)]), LIMIT)
        .await);
    assert!(matches!(without, ServerCause::NotFrozen { host: None, .. }));
}
