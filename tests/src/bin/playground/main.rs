//! `make playground`: a server and six clients that are up as long as a shell on the server is open.
//!
//! On a terminal the shell is a person's. Otherwise the commands come from standard input, one after the other.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run by hand, on a terminal"
)]

use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use apu_tests::{Fleet, Host, Stage};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};

const CLIENTS: [&str; 6] = ["db1", "laptop1", "mail1", "web1", "web2", "192.168.1.192"];

/// The classes beside `default`, which has all of them.
const CLASSES: [(&str, &str); 2] = [("web", "web[1-2]\n"), ("laptops", "laptop1\n")];

fn main() -> ExitCode {
    match playground() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("playground: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Boots the fleet and runs the shell; the shell's exit status. The fleet ends with this function.
fn playground() -> Result<u8> {
    let on_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    if on_terminal {
        println!("Six Debian 12 clients and a server come up …");
    }
    let fleet = Fleet::of(CLIENTS).at("192.168.1.192", "192.168.1.192").try_up()?;
    furnish(&fleet)?;
    if on_terminal {
        println!("{}", include_str!("banner"));
        at_terminal(fleet.server())
    } else {
        from_stdin(fleet.server())
    }
}

/// Gives the button something to do, and the shell a way to the clients.
fn furnish(fleet: &Fleet) -> Result<()> {
    for (class, hosts) in CLASSES {
        fleet.class(class, hosts);
    }
    let server = fleet.server();
    server.write("/root/.bashrc", include_str!("bashrc"));
    server.write("/usr/local/bin/on", include_str!("on"));
    let made = server.sh("chmod 755 /usr/local/bin/on
        mkdir -pm700 /root/.ssh
        ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519");
    ensure!(made.code == 0, "no key for root: {}", made.stderr);
    let key = server
        .read("/root/.ssh/id_ed25519.pub")
        .context("no key for root")?;
    let mut known = String::new();
    for client in fleet.clients() {
        client.sh("mkdir -pm700 /root/.ssh").ok();
        client.write("/root/.ssh/authorized_keys", &key);
        known += &format!("{} {}\n", client.name(), client.host_key());
    }
    server.write("/root/.ssh/known_hosts", &known);

    fleet.upstream_offers(Stage::After);
    let updated = server.exec(&["apt-all", "default", "update"]);
    ensure!(updated.code == 0, "apt-all: {}{}", updated.stdout, updated.stderr);
    Ok(())
}

/// A person's shell. script(1) gives it a terminal of the server's own, so that Ctrl-C and a window's size get there.
fn at_terminal(server: &Host) -> Result<u8> {
    let stdin = io::stdin();
    let settings = tcgetattr(&stdin)?;
    let mut script = server.command("script");
    script
        .args(["--quiet", "--return", "--command", "bash", "/dev/null"])
        .env("TERM", std::env::var_os("TERM").unwrap_or_else(|| "xterm".into()));
    let status = attend(script);
    // A shell that was killed leaves the terminal raw. One that is gone needs no settings.
    let _ = tcsetattr(&stdin, SetArg::TCSANOW, &settings);
    status
}

/// A shell whose commands have an empty standard input: otherwise the first that reads it would take the rest of them.
fn from_stdin(server: &Host) -> Result<u8> {
    let mut shell = server.command("sh");
    shell.args(["-c", "exec bash /proc/self/fd/3 3<&0 </dev/null"]);
    attend(shell)
}

/// Runs a shell to its end; its exit status, or 130 where this program is told to end before.
fn attend(mut shell: Command) -> Result<u8> {
    let mut shell = shell
        .stdin(Stdio::inherit())
        .spawn()
        .context("cannot run nsenter")?;
    end_on_signals(&shell)?;
    let status = shell.wait()?;
    if status.signal().is_some() {
        return Ok(130);
    }
    Ok(u8::try_from(status.code().unwrap_or_default()).unwrap_or(u8::MAX))
}

/// Ends the shell when this program is to end, such as when its terminal is closed: then the fleet is taken down in order.
fn end_on_signals(shell: &Child) -> Result<()> {
    let shell = Pid::from_raw(i32::try_from(shell.id())?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let guard = runtime.enter();
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    drop(guard);
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = hangup.recv() => {}
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        // It may have ended by itself.
        let _ = kill(shell, Signal::SIGKILL);
    });
    Ok(())
}
