//! Starts a master and waits until it can be used.

use std::path::Path;
use std::pin::pin;
use std::process;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::route::Route;
use super::spawn::{Ear, NamedPipe, command};
use super::{Ssh, args, diagnose};
use crate::host::Host;
use crate::name::Jump;
use crate::reason::{ServerAction, ServerCause, ServerCode, ServerReason};

/// After this time a handshake no longer costs this machine anything; it waits for a silent host.
const BUSY: Duration = Duration::from_secs(2);

/// After this time a login no longer keeps others from the same sshd: it may be a dead one, or wait for a name server.
const LOGGING_IN: Duration = Duration::from_secs(5);

/// ConnectTimeout does not cover authentication.
const AUTHENTICATION: Duration = Duration::from_secs(5);

/// How long we wait after each hang-up before a login. sshd since 9.8 refuses an address for up to 20 s at the first
/// offence.
const PAUSES: [Duration; 3] = if cfg!(test) {
    [Duration::from_millis(10); 3]
} else {
    [
        Duration::from_secs(1),
        Duration::from_secs(5),
        Duration::from_secs(20),
    ]
};

impl Ssh {
    /// Makes a connection to `host` and leaves its control socket at `socket`.
    ///
    /// An sshd with too many connections hangs up at random: then we come again, a few times.
    pub(super) async fn launch(&self, host: &Host, socket: &Path) -> Result<(), ServerReason> {
        let route = self.route(host).await;
        let sshd = self.first_sshd(host, route.as_ref()).await;
        for pause in PAUSES {
            match self.connect(host, route.as_ref(), &sshd, socket).await {
                Err(why) if why.code == ServerCode::HungUp => sleep(pause).await,
                done => return done,
            }
        }
        self.connect(host, route.as_ref(), &sshd, socket).await
    }

    /// The jump hosts on the way, whether the inventory names them or ssh's configuration does.
    fn jump(&self, host: &Host, route: Option<&Route>) -> Option<Jump> {
        let of_config = route.and_then(|route| route.jump.as_deref()?.parse().ok());
        host.jump.clone().or(of_config)
    }

    /// Makes a connection, without another try.
    ///
    /// Every master gets a socket of its own, which is then moved into place: so two programs that start one at the same
    /// time cannot disturb each other (the replaced one ends when it has been idle), and what a dead one left is no hindrance.
    async fn connect(
        &self,
        host: &Host,
        route: Option<&Route>,
        sshd: &str,
        socket: &Path,
    ) -> Result<(), ServerReason> {
        let kex = self.kex_algorithms().await;
        let mut turn = self.gates.enter(sshd.to_owned()).await;
        // This gate is for machines that answer: many handshakes at once are slower than a few. One that has not
        // answered by then waits outside of it.
        let Ok(permit) = self.gate.acquire().await else {
            return Err(ServerCause::ProgramEnds.into());
        };
        let number = self.launches.fetch_add(1, Ordering::Relaxed);
        let own = socket.with_extension(format!("{}-{number}", process::id()));
        let (proxy, way) = match self.jump(host, route) {
            Some(jump) => {
                let said = socket.with_extension(format!("{}-{number}-said", process::id()));
                let proxy = args::proxy_command(&self.options, &self.config, &jump, &said);
                let way = NamedPipe::new(said)
                    .map_err(|error| ServerReason::fault(ServerAction::MakePipe, None, &error))?;
                (Some(proxy), Some(way))
            }
            None => (None, None),
        };
        let (kex, proxy) = (kex.as_deref(), proxy.as_deref());
        let words = args::master(&self.options, &self.config, host, &own, kex, proxy);
        let program = || Some(self.options.program.display().to_string());
        let mut child = command(&self.options.program)
            .args(words)
            .spawn()
            .map_err(|error| ServerReason::fault(ServerAction::Start, program(), &error))?;

        let group = child.id();
        let mut ear = Ear::at(child.stderr.take(), way);
        let limit = args::connect_timeout(&self.options, host) + AUTHENTICATION;
        let mut permit = Some(permit);
        let begun = Instant::now();
        let waited = timeout(limit, async {
            let mut busy = pin!(sleep_until(begun + BUSY));
            let mut logging_in = pin!(sleep_until(begun + LOGGING_IN));
            loop {
                tokio::select! {
                    ended = child.wait() => return ended,
                    () = &mut busy, if permit.is_some() => permit = None,
                    () = &mut logging_in, if turn.is_some() => turn = None,
                    () = ear.hear(), if ear.is_open() => {}
                }
            }
        });
        let status = match waited.await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => return Err(ServerReason::fault(ServerAction::WaitFor, program(), &error)),
            Err(_) => {
                // The ssh of a jump host is in its group.
                if let Some(group) = group.and_then(|pid| i32::try_from(pid).ok()) {
                    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
                }
                let _ = child.kill().await;
                let seconds = limit.as_secs();
                return Err(ServerCause::NoLogin { seconds }.into());
            }
        };
        if status.success() {
            // The process that was started has left its child in the background, with the socket open.
            return std::fs::rename(&own, socket)
                .map_err(|error| ServerReason::fault(ServerAction::UseSocket, None, &error));
        }
        let through = self.jump(host, route).map(String::from);
        let through = through.as_deref();
        Err(diagnose(through, &ear.all().await))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::ssh::{KeyExchange, SshOptions};

    /// An ssh that is a script. `$calls` is a file with a line for each connection before this one, and `$socket` the
    /// control socket that it has to make.
    fn scripted(directory: &Path, connect: &str) -> Ssh {
        let program = directory.join("ssh");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *' -G '*) echo hostname 127.0.0.1; echo port 22; exit;; esac\n\
             calls={0}/calls; touch $calls\n\
             socket=$(printf '%s\\n' \"$@\" | sed -n 's/^ControlPath=\"\\(.*\\)\"$/\\1/p')\n{connect}\n",
            directory.display()
        );
        // Another program writes what is to be executed: while one of this process is about to start, all that is open here is
        // open there, too, and a file that somebody may write to is not executed.
        let text = directory.join("ssh.text");
        fs::write(&text, script).unwrap();
        let mut install = std::process::Command::new("install");
        let made = install.args(["-m", "755"]).args([&text, &program]).status();
        assert!(made.unwrap().success());
        Ssh::new(SshOptions {
            program,
            user: "apu".parse().unwrap(),
            port: None,
            keys: Vec::new(),
            known_hosts: directory.join("known_hosts"),
            run_directory: directory.join("run"),
            key_exchange: KeyExchange::System,
            connect_timeout: Duration::from_secs(10),
            keep_open: Duration::from_secs(60),
            most_kept: 200,
            handshakes: 50,
        })
        .unwrap()
    }

    const HANGS_UP: &str = "echo x >>$calls\n\
        printf 'kex_exchange_identification: Connection closed by remote host\\r\\n' >&2\n\
        printf 'Connection closed by 127.0.0.1 port 22\\r\\n' >&2; exit 255";

    fn calls(directory: &Path) -> usize {
        fs::read_to_string(directory.join("calls"))
            .unwrap()
            .lines()
            .count()
    }

    fn web1() -> (Host, PathBuf) {
        (Host::plain("web1".parse().unwrap()), PathBuf::from("socket"))
    }

    #[tokio::test]
    async fn a_hang_up_before_the_login_is_tried_again_and_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let (host, socket) = web1();
        let socket = directory.path().join(socket);
        let twice =
            format!("if [ $(wc -l <$calls) -lt 2 ]; then {HANGS_UP}; fi\necho x >>$calls; touch $socket");
        let ssh = scripted(directory.path(), &twice);
        ssh.launch(&host, &socket).await.unwrap();
        assert_eq!(calls(directory.path()), 3);

        let directory = tempfile::tempdir().unwrap();
        let ssh = scripted(directory.path(), HANGS_UP);
        let why = ssh.launch(&host, &socket).await.unwrap_err();
        assert_eq!(why.code, (ServerCode::HungUp), "{why:?}");
        assert_eq!(calls(directory.path()), 1 + PAUSES.len());
    }

    #[tokio::test]
    async fn what_is_no_hang_up_is_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (host, socket) = web1();
        let refuses =
            "echo x >>$calls; echo 'ssh: connect to host web1 port 22: Connection refused' >&2; exit 255";
        let ssh = scripted(directory.path(), refuses);
        let why = ssh.launch(&host, &socket).await.unwrap_err();
        assert_eq!(why.code, (ServerCode::Refused), "{why:?}");
        assert_eq!(calls(directory.path()), 1);
    }

    #[tokio::test]
    async fn fewer_than_ten_log_in_at_one_sshd_at_once() {
        let directory = tempfile::tempdir().unwrap();
        // One line when it begins, one less when it has ended.
        let slow = "echo x >>$calls; mkdir $socket.in\nls -d $socket/../*.in | wc -l >>${calls}.most\nsleep 0.2\n\
            rmdir $socket.in; touch $socket";
        let ssh = Arc::new(scripted(
            directory.path(),
            &slow.replace("$socket/../", "${socket%/*}/"),
        ));
        let logins = (0..20).map(|number| {
            let ssh = ssh.clone();
            let socket = directory.path().join(format!("socket{number}"));
            let mut host = Host::plain(format!("web{number}").parse().unwrap());
            host.address = Some("127.0.0.1".parse().unwrap());
            tokio::spawn(async move { ssh.launch(&host, &socket).await })
        });
        for login in logins.collect::<Vec<_>>() {
            login.await.unwrap().unwrap();
        }
        let most = fs::read_to_string(directory.path().join("calls.most")).unwrap();
        let most = most
            .lines()
            .filter_map(|line| line.trim().parse::<usize>().ok())
            .max();
        assert!((2..10).contains(&most.unwrap()), "{most:?}");
        assert_eq!(calls(directory.path()), 20);
    }
}
