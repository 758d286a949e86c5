//! `--push`: brings the new apu-data to one host, proves that apt works there afterwards, and then to the others.
//!
//! Who asks and shows is apt-all, in its own processes: its questions, its answers, its exit status. The first host is one
//! where apt works now, if there is one, so that the proof is about the new apu-data.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use apu_site::{Failure, Ui};
use serde_json::Value;

use crate::cli::Args;

/// So many hosts are asked at once whether one of them may be the first.
const CANDIDATES: usize = 8;

/// After so many rounds without an answer apt-all is to tell why.
const ROUNDS: usize = 3;

/// How a push ended that did not become apt-all itself.
pub(crate) enum Pushed {
    /// With this exit status, and everything is said.
    Exit(u8),
    /// It could not be done.
    Failed(Failure),
}

/// Brings `deb` to the hosts of a target.
pub(crate) fn push(ui: &Ui, args: &Args, target: &str, deb: &Path) -> Pushed {
    let programs = match Programs::find(args) {
        Ok(programs) => programs,
        Err(error) => return Pushed::Failed(Failure::machine("cannot find apt-all").why(error)),
    };
    match programs.first_then_others(ui, args, target, deb) {
        Ok(status) => Pushed::Exit(status),
        Err(error) => Pushed::Failed(
            Failure::machine(format!(
                "apu-data is published, and cannot be pushed: cannot start {}",
                programs.apt_all.display()
            ))
            .why(error)
            .advise(format!("apt-all {target} install {}", deb.display())),
        ),
    }
}

struct Programs {
    apt_all: PathBuf,
    apu: PathBuf,
    root: Vec<OsString>,
}

impl Programs {
    fn find(args: &Args) -> io::Result<Self> {
        // All are of one package, though not in one directory there; a test's are.
        let own = env::current_exe()?;
        let find = |name: &str| {
            let places = [
                own.with_file_name(name),
                Path::new("/usr/bin").join(name),
                Path::new("/usr/sbin").join(name),
            ];
            places
                .iter()
                .find(|path| path.exists())
                .unwrap_or(&places[0])
                .clone()
        };
        let root = args.root.iter().flat_map(|root| ["--root".into(), root.into()]);
        Ok(Self {
            apt_all: find("apt-all"),
            apu: find("apu"),
            root: root.collect(),
        })
    }

    fn first_then_others(&self, ui: &Ui, args: &Args, target: &str, deb: &Path) -> io::Result<u8> {
        let hosts = self.hosts(target)?;
        let first = match hosts.as_slice() {
            [] => None,
            hosts => self.first(hosts)?,
        };
        let Some(first) = first else {
            // Nobody, or nobody who answers: apt-all says why.
            return Err(self.apt_all(&self.install(args, &[], target, deb)).exec());
        };
        if !args.quiet && hosts.len() > 1 {
            let others = match hosts.len() - 1 {
                1 => "the other host follows".to_owned(),
                others => format!("the other {others} hosts follow"),
            };
            ui.complain(&format!("{first} first: {others} once apt works there with it\n"));
        }
        let status = self.apt_all(&self.install(args, &[], &first, deb)).status()?;
        let others = hosts.len() - 1;
        let untouched = match others {
            1 => "the other host was not touched".to_owned(),
            _ => format!("the other {others} hosts were not touched"),
        };
        if !status.success() {
            if others > 0 {
                ui.complain(&format!("{first} has not got it; {untouched}\n"));
            }
            return Ok(status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1));
        }
        let proof = self
            .apt_all(&self.check(&first, false))
            .stderr(Stdio::inherit())
            .output()?;
        if !proof.status.success() {
            let said = String::from_utf8_lossy(&proof.stdout);
            ui.complain(&format!(
                "{said}error: apt does not work on {first} with the new apu-data\n  why: `apt-all {first} check` says so\n"
            ));
            if others > 0 {
                ui.complain(&format!("  {untouched}\n"));
            }
            ui.complain(&format!(
                "  try: correct /etc/apu-server/sources.list, or what is named above on {first}; then gen-apu-data-pkg \
                 --push {target}\n"
            ));
            return Ok(1);
        }
        if others == 0 {
            return Ok(0);
        }
        Err(self
            // They have had their canary.
            .apt_all(&self.install(args, &["--waves", "100%", "--exclude", &first], target, deb))
            .exec())
    }

    fn apt_all(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&self.apt_all);
        command.args(words);
        command
    }

    /// The hosts of a target, one a line; none where it is no target, which apt-all will tell.
    fn hosts(&self, target: &str) -> io::Result<Vec<String>> {
        let mut command = Command::new(&self.apu);
        command.args(["hosts"]).args(&self.root).args(["--", target]);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        if !output.status.success() {
            return Ok(Vec::new());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect())
    }

    /// The first host where apt works now; without one, the first that answers at all.
    fn first(&self, hosts: &[String]) -> io::Result<Option<String>> {
        let mut answering = None;
        for some in hosts.chunks(CANDIDATES).take(ROUNDS) {
            let Output { stdout, .. } = self
                .apt_all(&self.check(&some.join(","), true))
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .output()?;
            let answers = answers(&String::from_utf8_lossy(&stdout));
            let of = |wanted: fn(&Answer) -> bool| {
                some.iter()
                    .find(|host| {
                        answers
                            .iter()
                            .any(|answer| answer.host == **host && wanted(answer))
                    })
                    .cloned()
            };
            if let Some(host) = of(|answer| answer.is_well) {
                return Ok(Some(host));
            }
            answering = answering.or_else(|| of(|_| true));
        }
        Ok(answering)
    }

    fn install(&self, args: &Args, more: &[&str], target: &str, deb: &Path) -> Vec<OsString> {
        let mut words = self.root.clone();
        if args.yes {
            words.push("--yes".into());
        }
        words.extend(more.iter().map(Into::into));
        // A target is never an option, whatever it starts with.
        words.extend(["--".into(), target.into(), "install".into(), deb.into()]);
        words
    }

    fn check(&self, target: &str, json: bool) -> Vec<OsString> {
        let mut words = self.root.clone();
        if json {
            words.push("--json".into());
        }
        words.extend(["--", target, "check"].map(Into::into));
        words
    }
}

/// How one host answered a `check`.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    host: String,
    is_well: bool,
}

/// The hosts that answered, out of apt-all's events.
fn answers(events: &str) -> Vec<Answer> {
    let answer = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        if event["event"] != "host-finished" {
            return None;
        }
        let outcome = event["outcome"].as_str()?;
        let has_answered = event["result"].is_object() || outcome == "unchanged";
        has_answered.then(|| Answer {
            host: event["host"].as_str().unwrap_or_default().to_owned(),
            is_well: outcome == "unchanged",
        })
    };
    events.lines().filter_map(answer).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_push_is_an_install_of_the_very_file() {
        let shown = |line: &str, more: &[&str]| {
            let args = Args::try_parse_from(line.split(' ')).expect(line);
            let target = args.push.clone().expect("a target");
            let programs = Programs::find(&args).expect("its own path");
            let words = programs.install(&args, more, &target, Path::new("/srv/apu-data_7_all.deb"));
            words.join(" ".as_ref())
        };
        assert_eq!(
            shown("gen-apu-data-pkg --push web,db1", &[]),
            "-- web,db1 install /srv/apu-data_7_all.deb"
        );
        assert_eq!(
            shown(
                "gen-apu-data-pkg --push=-oX --yes --root /x",
                &["--exclude", "web1"]
            ),
            "--root /x --yes --exclude web1 -- -oX install /srv/apu-data_7_all.deb"
        );
        assert!(Args::try_parse_from(["gen-apu-data-pkg", "--yes"]).is_err());
    }

    #[test]
    fn who_answered_and_where_apt_works_is_read_out_of_the_events() {
        let events = "{\"event\":\"push-started\"}\nno json\n\
                      {\"event\":\"host-finished\",\"host\":\"web1\",\"outcome\":\"unreachable\",\"reason\":{}}\n\
                      {\"event\":\"host-finished\",\"host\":\"web2\",\"outcome\":\"failed\",\"result\":{\"outcome\":\"failed\"}}\n\
                      {\"event\":\"host-finished\",\"host\":\"web3\",\"outcome\":\"unchanged\",\"result\":{}}\n";
        let answer = |host: &str, is_well| Answer {
            host: host.to_owned(),
            is_well,
        };
        assert_eq!(answers(events), [answer("web2", false), answer("web3", true)]);
    }
}
