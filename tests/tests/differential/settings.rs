//! apt's settings: under any of them the plan, the refusals and the result are those of a machine without them, or the
//! request is refused by the setting's name.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use apu_proto::{Cause, ClientOutcome, Frame, ReasonCode, RunResult};
use apu_tests::{Fleet, Host, Stage, Suite};

/// Names of apt's own index of its configuration, each with the kind of its value.
const NAMES: &str = include_str!("../../data/apt_settings.tsv");

/// How many combinations are tried on each release, where nothing else is said.
const USUAL: usize = 40;

/// What is asked: each answer has to be the same.
const QUESTIONS: [&str; 4] = [
    "dist-upgrade dry_run=yes",
    "install dry_run=yes pkg-x",
    "install dry_run=yes pkg-y",
    "remove dry_run=yes apu-client",
];

/// xorshift64: the same combinations in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

fn how_many() -> usize {
    match std::env::var("APU_DIFFERENTIAL_SETTINGS") {
        Ok(times) => {
            USUAL
                * times
                    .parse::<usize>()
                    .expect("APU_DIFFERENTIAL_SETTINGS is a number")
        }
        Err(_) => USUAL,
    }
}

/// One to three settings, each in a line.
fn combination(random: &mut Random) -> Vec<(String, String)> {
    let names: Vec<&str> = NAMES.lines().collect();
    let count = 1 + random.below(3);
    let setting = |_| {
        let (name, kind) = names[random.below(names.len())].split_once('\t').unwrap();
        let values: &[&str] = match kind {
            "bool" => &["true", "false"],
            "string_or_bool" => &["true", "false", "small"],
            "int" => &["0", "1", "2", "100"],
            _ => &["x", "--no-act"],
        };
        (name.to_owned(), values[random.below(values.len())].to_owned())
    };
    (0..count).map(setting).collect()
}

/// What a client answers to a request at its root socket.
fn ask(client: &Host, request: &str) -> RunResult {
    let mut socket = client.root_socket().expect("the root side listens");
    socket.set_read_timeout(Some(Duration::from_secs(300))).unwrap();
    socket.write_all(format!("apu/1 {request}\n").as_bytes()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    let last = answer.lines().last().unwrap_or_default();
    match Frame::from_line(last.as_bytes()) {
        Ok(Frame::Result(result)) => *result,
        other => panic!("{request}: {other:?} at the end of {answer}"),
    }
}

/// What has to be the same: all but times.
fn comparable(mut result: RunResult) -> RunResult {
    result.seconds = 0.0;
    result
}

fn is_refused_by_name(result: &RunResult, settings: &[(String, String)]) -> bool {
    let Some(reason) = result.reason.as_ref() else {
        return false;
    };
    let text = serde_json::to_string(&(&reason.cause, &reason.detail)).unwrap();
    let text = text.to_ascii_lowercase();
    let named = |name: &String| {
        let name = name.to_ascii_lowercase();
        // A RootDir that is no directory makes apt-config itself fail, and then it names no setting.
        let is_unreadable = name == "rootdir" && reason.cause == Cause::AptConfiguration;
        is_unreadable || text.contains(name.trim_end_matches("::"))
    };
    result.outcome == ClientOutcome::Refused
        && reason.code == ReasonCode::Configuration
        && settings.iter().any(|(name, _)| named(name))
}

fn settings_change_nothing(suite: Suite, seed: u64) {
    let fleet = Fleet::of(["web1"]).suite(suite).up();
    let web1 = fleet.host("web1");
    web1.write("/etc/apu-client/policy.toml", "");
    fleet.upstream_offers(Stage::After);
    fleet.apt_all("web1 update").ended("web1", "changed");
    web1.sh("apt-mark hold pkg-a pkg-b").ok();
    let usual = QUESTIONS.map(|question| comparable(ask(web1, question)));
    let steps = usual[0].plan().map_or(0, |plan| plan.transaction.steps().len());
    assert!(steps >= 3, "{usual:?}");
    assert_eq!(usual[2].outcome, ClientOutcome::Refused, "{usual:?}");

    let mut random = Random(seed);
    let (mut served, mut refused) = (0, 0);
    for number in 0..how_many() {
        let settings = combination(&mut random);
        let lines: String = settings
            .iter()
            .map(|(name, value)| format!("{name} \"{value}\";\n"))
            .collect();
        web1.write("/etc/apt/apt.conf.d/99differential", &lines);
        let mut was_refused = false;
        // One question each, and all of them now and then.
        for (at, question) in QUESTIONS.iter().enumerate() {
            if number % 8 != 0 && number % QUESTIONS.len() != at {
                continue;
            }
            let answer = comparable(ask(web1, question));
            if is_refused_by_name(&answer, &settings) {
                was_refused = true;
            } else {
                assert_eq!(answer, usual[at], "{suite:?}, {question} under\n{lines}");
            }
        }
        if number % 8 == 0 && !was_refused {
            let result = ask(web1, "install pkg-x");
            assert_eq!(
                result.outcome,
                ClientOutcome::Changed,
                "{result:?} under\n{lines}"
            );
            assert_eq!(web1.version_of("pkg-x").as_deref(), Some("1.0"), "{lines}");
            // A plan tells more of packages that are in the cache.
            web1.sh(
                "rm -f /etc/apt/apt.conf.d/99differential /var/cache/apt/archives/*.deb; dpkg --purge pkg-x",
            )
            .ok();
        }
        if was_refused {
            refused += 1;
        } else {
            served += 1;
        }
    }
    // Neither a client that serves nobody nor one that refuses nothing.
    assert!(
        served > refused && refused > 0,
        "{served} served, {refused} refused"
    );
}

#[test]
fn settings_change_nothing_on_bookworm() {
    settings_change_nothing(Suite::Bookworm, 0x0b00_4c0f_fee0);
}

#[test]
fn settings_change_nothing_on_trixie() {
    settings_change_nothing(Suite::Trixie, 0x7219_1e5e_ed00);
}
