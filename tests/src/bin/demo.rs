//! `make demo`: the README's story on real machines, from bare Debian clients to a proved upgrade.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run by hand, on a terminal"
)]

use std::io::{self, IsTerminal};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use apu_tests::{Fleet, Host, Stage};

const CLIENTS: [&str; 6] = ["db1", "laptop1", "mail1", "web1", "web2", "192.168.1.192"];
const UPGRADED: [&str; 5] = ["pkg-a", "pkg-b", "pkg-c", "pkg-d", "pkg-e"];

fn main() -> ExitCode {
    match story(&Terminal::new()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn story(show: &Terminal) -> Result<()> {
    let begin = Instant::now();
    show.chapter("Six Debian 12 machines and a server come up, each with its own files, processes and sshd");
    let fleet = Fleet::of(CLIENTS)
        .at("192.168.1.192", "192.168.1.192")
        .bare()
        .try_up()?;
    let server = fleet.server();
    println!("{} clients up in {}", CLIENTS.len(), seconds(fleet.booted_in()));
    show.run(server, "dpkg -l apu-server | tail -1")?;

    show.chapter("The server makes the package that the clients trust it by");
    show.run(server, "sudo gen-apu-data-pkg")?;

    show.chapter("Your own ssh access brings apu-client and apu-data to the clients");
    let bootstrap = show.run(
        server,
        &format!("sudo apu bootstrap --add-to-class default {}", CLIENTS.join(" ")),
    )?;

    show.chapter("A class is a file with a host a line; the button does the rest");
    show.run(server, "grep -v '^#' /etc/apu-server/clients/default")?;
    fleet.upstream_offers(Stage::After);
    let update = show.run(server, "sudo apt-all default update")?;
    show.run(server, "sudo apt-all default status")?;
    show.run(server, "sudo apt-all default dist-upgrade --dry-run")?;
    let upgrade = show.run(server, "sudo apt-all default dist-upgrade --yes")?;

    show.chapter("What dpkg -l says on every client");
    for client in fleet.clients() {
        prove(client)?;
    }
    println!();
    show.run(server, "sudo apt-all 192.168.1.192 update")?;

    show.summary(&[
        (
            "clients",
            format!(
                "{} real Debian 12 machines, up in {}",
                CLIENTS.len(),
                seconds(fleet.booted_in())
            ),
        ),
        (
            "bootstrap",
            format!("apu-client and apu-data on all of them in {}", seconds(bootstrap)),
        ),
        ("update", format!("all package lists in {}", seconds(update))),
        (
            "dist-upgrade",
            format!(
                "{} packages in {}",
                CLIENTS.len() * UPGRADED.len(),
                seconds(upgrade)
            ),
        ),
        (
            "proved",
            format!("by dpkg -l on {0} of {0} clients", CLIENTS.len()),
        ),
        ("in all", seconds(begin.elapsed())),
    ]);
    Ok(())
}

/// Shows that a client has the new version of every package, or fails.
fn prove(client: &Host) -> Result<()> {
    let words: Vec<_> = UPGRADED
        .iter()
        .map(|package| match client.dpkg_l(package) {
            Some((letters, version)) => format!("{letters} {package} {version}"),
            None => format!("no {package}"),
        })
        .collect();
    println!("{:>14}  {}", client.name(), words.join("   "));
    let all_new = UPGRADED
        .iter()
        .all(|package| client.version_of(package).as_deref() == Some("2.0"));
    ensure!(all_new, "{} has not got the new versions", client.name());
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// Where the story is shown.
struct Terminal {
    coloured: bool,
}

impl Terminal {
    fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none();
        Self {
            coloured: wanted && io::stdout().is_terminal(),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    fn chapter(&self, title: &str) {
        println!("\n{}", self.paint("1;36", &format!("── {title}")));
    }

    /// Runs a command line on the server as its administrator would, and shows both; how long it took.
    fn run(&self, server: &Host, line: &str) -> Result<Duration> {
        println!("{} {}", self.paint("2", "root@apu:~#"), self.paint("1", line));
        let begin = Instant::now();
        let mut command = server.command("sh");
        let status = command
            .args(["-c", line])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::null())
            .status()?;
        ensure!(status.success(), "`{line}` ended with {status}");
        Ok(begin.elapsed())
    }

    fn summary(&self, lines: &[(&str, String)]) {
        println!("\n{}", self.paint("1;32", &"━".repeat(72)));
        for (word, text) in lines {
            println!("  {}  {text}", self.paint("1;32", &format!("{word:>12}")));
        }
        println!("{}", self.paint("1;32", &"━".repeat(72)));
    }
}
