//! `apu bootstrap`: makes a machine a client, over the administrator's own ssh access to it.

mod access;
mod debs;
mod install;

use std::io;
use std::num::{NonZeroU16, NonZeroUsize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apu_debian::UserName;
use apu_fleet::ssh::Ssh;
use apu_fleet::{
    Batch, ClassName, Ending, Host, HostName, HostReason, KnownHosts, Limits, Outcome, Phase, ServerAdvice,
    ServerCode, ServerReason, Sinks,
};
use apu_proto::{Operation, Request};
use apu_site::{Failure, Ui, say};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::access::Access;
use self::debs::Debs;
use self::install::install;
use super::remote::{named, wait};
use crate::context::Context;
use crate::failure;
use crate::one_phase::{exit_status, start};
use crate::view::clean::{clean, clean_lines};
use crate::view::groups::set;
use crate::view::paint::Paint;
use crate::view::status::table;
use crate::view::summary::summary;
use jiff::tz::TimeZone;

/// Install apu-client and apu-data on hosts, over your own ssh access to them.
///
/// Your ssh configuration, keys and agent are used, and sudo on the host where you are not root there. With sudo here,
/// keep your agent: sudo --preserve-env=SSH_AUTH_SOCK apu bootstrap HOST. The host's key is pinned as your ssh verified
/// it. At the end each host has to answer `status` over its new access.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The hosts.
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,

    /// Log in as this user.
    #[arg(long)]
    user: Option<UserName>,

    /// Log in with this key.
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,

    /// Trust the key that an unknown host shows now, unseen.
    #[arg(long)]
    accept_new_host_key: bool,

    /// Install this apu-client package.
    #[arg(long, value_name = "FILE")]
    deb: Option<PathBuf>,

    /// Write the hosts into this class.
    #[arg(long, value_name = "CLASS")]
    add_to_class: Option<ClassName>,

    /// How many hosts at once.
    #[arg(long, value_name = "N", default_value = "8")]
    parallel: NonZeroUsize,

    /// Show what apt prints there.
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<u8, Failure> {
    let inventory = context.inventory()?;
    let hosts = named(&inventory, &args.hosts).map_err(|error| failure::target(&context.site, error))?;
    let debs = Arc::new(Debs::find(context, args.deb.as_deref())?);
    let ssh = context.ssh()?;
    let access = Arc::new(Access {
        user: args.user.clone(),
        identity: args.identity.clone(),
        accept_new: args.accept_new_host_key,
        // Several programs that ask for passwords at once, or one that nobody hears, would only hang.
        may_ask: hosts.len() == 1 && context.ui.stdin_is_terminal(),
        connect_timeout: context.settings.ssh.connect_timeout,
        port: context.settings.ssh.port.map(NonZeroU16::get),
        person: access::Person::behind_sudo(),
    });
    let known = context.known_hosts();
    wait(async {
        let installed = install_all(&context.ui, &hosts, &access, &debs, &known, args).await;
        let mut ways = Vec::new();
        for host in hosts.iter().filter(|host| installed.contains(&host.name)) {
            ways.push(way(&access, &ssh, host).await);
        }
        let installed: Vec<Host> = ways.iter().map(|way| way.host.clone()).collect();
        let limits = Limits {
            timeout: context.settings.ssh.connect_timeout * 3,
            ..context.limits(Operation::Status)
        };
        let (proven, unwell) = prove(&context.ui, &ssh, &installed, limits).await?;
        tell_why(&context.ui, &access, &hosts, unwell).await;
        if let Some(class) = &args.add_to_class {
            let lines: Vec<(&HostName, String)> = ways
                .iter()
                .filter(|way| proven.contains(&way.host.name))
                .map(|way| (&way.host.name, way.line()))
                .collect();
            add_to_class(context, class, &lines)?;
        } else {
            for way in ways.iter().filter(|way| way.is_taught) {
                say!(
                    context.ui,
                    "{}: root's ssh does not know the way that yours takes; try: write `{}` in its class",
                    way.host.name,
                    way.host
                );
            }
            let listed = |name: &HostName| inventory.listed(name).is_ok_and(|host| host.is_some());
            let unlisted: Vec<&HostName> = proven.iter().filter(|name| !listed(name)).collect();
            if !unlisted.is_empty() {
                let class = context.site.clients().join("default");
                say!(
                    context.ui,
                    "in no class yet: {}; try: write it into {}",
                    set(&unlisted),
                    class.display()
                );
            }
        }
        Ok(u8::from(proven.len() < hosts.len()))
    })
}

/// The way that the push takes to a host.
struct Way {
    host: Host,
    /// Whether only the administrator's own configuration knew it.
    is_taught: bool,
}

impl Way {
    /// The host as its class has it.
    fn line(&self) -> String {
        if self.is_taught {
            self.host.to_string()
        } else {
            self.host.name.to_string()
        }
    }
}

/// The administrator's own ssh has just been there; root's has to find the same way.
async fn way(access: &Access, ssh: &Ssh, host: &Host) -> Way {
    let taught = match access.person {
        Some(_) => match (access.route(host).await, ssh.route(host).await) {
            (Some(own), Some(root)) => access::taught(host, &own, &root),
            _ => None,
        },
        None => None,
    };
    Way {
        is_taught: taught.is_some(),
        host: taught.unwrap_or_else(|| host.clone()),
    }
}

/// The names of the hosts where everything is installed and whose key is pinned.
async fn install_all(
    ui: &Ui,
    hosts: &[Host],
    access: &Arc<Access>,
    debs: &Arc<Debs>,
    known: &KnownHosts,
    args: &Args,
) -> Vec<HostName> {
    let gate = Arc::new(Semaphore::new(args.parallel.get()));
    let mut working = JoinSet::new();
    for host in hosts {
        let (gate, access, debs, host) = (gate.clone(), access.clone(), debs.clone(), host.clone());
        let own_ui = ui.clone();
        let verbose = args.verbose;
        working.spawn(async move {
            let _permit = gate.acquire().await;
            say!(own_ui, "{}: installing apu-client and apu-data", host.name);
            let installed = install(&own_ui, &access, &host, &debs, verbose).await;
            (host, installed)
        });
    }
    let mut done = Vec::new();
    while let Some(joined) = working.join_next().await {
        let Ok((host, installed)) = joined else { continue };
        let name = &host.name;
        let pinned = installed
            .and_then(|key| install::pin(known, name, host.port.or(access.port), &key).map(|()| key));
        match pinned {
            Ok(key) => {
                say!(
                    ui,
                    "{name}: installed; its key is {} {}",
                    key.algorithm(),
                    key.fingerprint()
                );
                done.push(host.name);
            }
            Err(trouble) => {
                let mut lines = clean_lines(&trouble.text, 15).into_iter();
                ui.complain(&(format!("error: {name}: {}", lines.next().unwrap_or_default()) + "\n"));
                lines.for_each(|line| ui.complain(&(format!("  why: {line}") + "\n")));
                if !trouble.advice.is_empty() {
                    ui.complain(&(format!("  try: {}", clean(&trouble.advice)) + "\n"));
                }
            }
        }
    }
    done
}

/// The names of those that answer `status` over their new access, and how the others ended.
async fn prove(
    ui: &Ui,
    ssh: &Arc<Ssh>,
    hosts: &[Host],
    limits: Limits,
) -> Result<(Vec<HostName>, Vec<(HostName, Ending)>), Failure> {
    if hosts.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let request = Request::status();
    let mut runner = start(ssh, hosts, &request, Sinks::default())?;
    let mut left: Vec<Host> = hosts.to_vec();
    for attempt in 1..=3 {
        runner.phase(Batch::of(Phase::Ask, &left, &request), limits).await;
        // sshd was just told to read its configuration anew, and may not listen for a moment.
        let state = runner.state();
        let is_out_of_reach = |host: &Host| {
            let ending = state.ending(&host.name);
            ending.is_some_and(|ending| ending.outcome == Outcome::Unreachable)
        };
        left.retain(is_out_of_reach);
        if left.is_empty() || attempt == 3 || state.interrupts > 0 {
            break;
        }
        sleep(Duration::from_secs(2)).await;
    }
    let status = exit_status(&runner);
    let run = runner.finish(status);
    let endings: Vec<(HostName, Ending)> = run
        .endings()
        .map(|(host, ending)| (host.clone(), ending.clone()))
        .collect();
    let paint = Paint::for_stream(ui.stdout());
    ui.show(&table(&endings, &TimeZone::system(), ui.columns(), paint, false));
    let (well, unwell): (Vec<_>, Vec<_>) = endings
        .into_iter()
        .partition(|(_, ending)| ending.outcome.is_well());
    Ok((well.into_iter().map(|(host, _)| host).collect(), unwell))
}

/// Says what keeps the push out of hosts that have just been installed. To do that once more is no cure: they are asked for
/// the cause over the administrator's own access.
async fn tell_why(ui: &Ui, access: &Access, hosts: &[Host], mut unwell: Vec<(HostName, Ending)>) {
    if unwell.is_empty() {
        return;
    }
    for (name, ending) in &mut unwell {
        let Some(host) = hosts.iter().find(|host| host.name == *name) else {
            continue;
        };
        let Some(HostReason::Server(reason)) = &mut ending.reason else {
            continue;
        };
        if matches!(
            reason.code,
            ServerCode::KeyRefused | ServerCode::LoginRefused | ServerCode::Lost
        ) {
            explain(reason, install::explain(access, host).await);
        }
    }
    let paint = Paint::for_stream(ui.stdout());
    ui.show(&summary(Operation::Status, &unwell, &[], 0.0, paint, false));
}

/// Adds the cause that the host itself has found; it is empty where it found none.
fn explain(reason: &mut ServerReason, found: String) {
    if !found.is_empty() {
        reason.advice = Some(ServerAdvice::MendAndBootstrap);
    } else if reason.code == ServerCode::KeyRefused {
        reason.advice = Some(ServerAdvice::LookIntoLog);
    }
    reason.found = Some(found);
}

/// Writes the hosts that are not in the class yet at its end.
fn add_to_class(context: &Context, class: &ClassName, hosts: &[(&HostName, String)]) -> Result<(), Failure> {
    let path = context.site.clients().join(class.as_str());
    let failed = |error| Failure::machine(format!("cannot write {}", path.display())).why(error);
    let inventory = context.inventory()?;
    let there = if inventory.classes().any(|other| other == class) {
        inventory
            .class(class)
            .map_err(|error| failure::target(&context.site, error))?
    } else {
        Vec::new()
    };
    let mut text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.map_err(failed)?,
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    let (new, lines): (Vec<&HostName>, Vec<&String>) = hosts
        .iter()
        .filter(|(host, _)| there.iter().all(|other| other.name != **host))
        .map(|(host, line)| (*host, line))
        .unzip();
    if let Some(text) = nothing_new(hosts.is_empty(), new.is_empty()) {
        context.ui.complain(&format!("{}: {text}\n", path.display()));
        return Ok(());
    }
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let mut fresh = tempfile::NamedTempFile::new_in(context.site.clients()).map_err(failed)?;
    io::Write::write_all(&mut fresh, text.as_bytes()).map_err(failed)?;
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fresh.as_file().set_permissions(readable).map_err(failed)?;
    fresh.persist(&path).map_err(|error| failed(error.error))?;
    say!(context.ui, "written into {}: {}", path.display(), set(&new));
    Ok(())
}

/// Why the class stays as it is, where it does.
fn nothing_new(none_proven: bool, none_new: bool) -> Option<&'static str> {
    match (none_proven, none_new) {
        (true, _) => Some("not written: no host has answered over its new access"),
        (false, true) => Some("not written: they are in it already"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::ServerCause;

    use super::*;
    use crate::view::server_reason::{server_advice_text, server_reason_lines};

    #[test]
    fn a_host_that_was_just_installed_is_never_told_to_be_installed_again() {
        let told = |found: &str| {
            let mut reason = ServerReason::from(ServerCause::KeyRefused).advise(ServerAdvice::Bootstrap);
            explain(&mut reason, found.to_owned());
            let advice = server_advice_text(reason.advice.as_ref().unwrap(), "web1");
            (server_reason_lines(&reason).concat(), advice)
        };
        let (text, advice) = told("DenyUsers keeps user apu out");
        assert_eq!(
            text,
            "it does not take the push key: DenyUsers keeps user apu out"
        );
        assert_eq!(advice, "mend that on web1, and then: apu bootstrap web1");
        let (text, advice) = told("");
        assert!(text.ends_with("finds no cause for that"), "{text}");
        assert!(!advice.contains("bootstrap"), "{advice}");
    }

    #[test]
    fn written_is_said_only_of_what_was_written() {
        assert!(nothing_new(true, true).unwrap().starts_with("not written"));
        assert!(nothing_new(false, true).unwrap().starts_with("not written"));
        assert_eq!(nothing_new(false, false), None);
    }
}
