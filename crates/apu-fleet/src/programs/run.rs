//! Runs a program of the administrator's on this server within a limit of time and output, in a process group that ends with it.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};

use crate::ssh::Excerpt;

/// The bytes that a pipe holds, see pipe(7).
const PIPE: usize = 64 * 1024;

/// How a program ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// It was ended when its time was over.
    Late(Duration),
    /// It could not be started, or not be waited for.
    NotRun(io::Error),
}

/// A program that has ended, and the beginning and the end of what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) end: End,
    pub(crate) output: String,
}

/// Ends a process group, also where the one who waits for it is gone.
struct Group(Option<Pid>);

impl Group {
    fn end(&mut self) {
        if let Some(group) = self.0.take() {
            // Its leader is not waited for yet, or has been just now: the number is no other group's.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a command to its end or to its time limit: its first word is the path of the program. It gets a constant environment and
/// these variables, and `input` on its standard input. What is left of its process group then is ended.
pub(crate) async fn run(
    command: &[String],
    variables: &[(&'static str, String)],
    input: String,
    limit: Duration,
) -> Ended {
    let mut output = Excerpt::default();
    let end = match start(command, variables, input, limit) {
        Ok(started) => wait(started, limit, &mut output).await,
        Err(error) => End::NotRun(error),
    };
    Ended {
        end,
        output: output.text(),
    }
}

/// A program at work.
struct Started {
    child: Child,
    group: Group,
    /// What it prints on both streams, in their order.
    output: Receiver,
}

fn start(
    command: &[String],
    variables: &[(&'static str, String)],
    input: String,
    limit: Duration,
) -> io::Result<Started> {
    let (program, arguments) = (command.split_first()).ok_or(io::ErrorKind::InvalidInput)?;
    let (reader, writer) = io::pipe()?;
    let output = Receiver::from_owned_fd(reader.into())?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", "/root")
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let leader = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(mut stdin) = child.stdin.take() {
        // It need not read it, and nobody waits until it has.
        tokio::spawn(async move { timeout(limit, stdin.write_all(input.as_bytes())).await });
    }
    Ok(Started {
        child,
        group: Group(leader.map(Pid::from_raw)),
        output,
    })
}

async fn wait(started: Started, limit: Duration, heard: &mut Excerpt) -> End {
    let Started {
        mut child,
        mut group,
        mut output,
    } = started;
    let deadline = Instant::now() + limit;
    let mut bytes = [0; 4096];
    let mut is_open = true;
    let ended = loop {
        tokio::select! {
            read = output.read(&mut bytes), if is_open => match read {
                Ok(count @ 1..) => heard.take(&bytes[..count]),
                _ => is_open = false,
            },
            ended = child.wait() => break Some(ended),
            () = sleep_until(deadline) => break None,
        }
    };
    group.end();
    // Another process may hold the other end: only what is there by now is read, and no more than a pipe holds.
    for _ in 0..PIPE / bytes.len() {
        match output.try_read(&mut bytes) {
            Ok(count @ 1..) => heard.take(&bytes[..count]),
            _ => break,
        }
    }
    match ended {
        None => End::Late(limit),
        Some(Err(error)) => End::NotRun(error),
        Some(Ok(status)) => match (status.code(), status.signal()) {
            (Some(code), _) => End::Code(code),
            (None, signal) => End::Signal(signal.unwrap_or_default()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell_with(script: &str, input: &str, limit: Duration) -> Ended {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&command, &[("APU_HOST", "web1".into())], input.to_owned(), limit).await
    }

    async fn shell(script: &str) -> Ended {
        shell_with(script, "", MINUTE).await
    }

    const MINUTE: Duration = Duration::from_secs(60);

    /// A time that nobody else sleeps for, another run of these tests included.
    fn unique(number: u32) -> String {
        (1_000_000_000 + std::process::id() * 10 + number).to_string()
    }

    fn is_there(seconds: &str) -> bool {
        let command = format!("sleep\0{seconds}\0");
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let mut commands = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        commands.any(|found| found == command.as_bytes())
    }

    /// Whether a process sleeps for so many seconds. One that was killed may need a moment to end.
    async fn is_asleep(seconds: &str) -> bool {
        for _ in 0..100 {
            if !is_there(seconds) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }

    #[tokio::test]
    async fn both_streams_are_kept_in_their_order_with_the_exit_status() {
        let ended = shell("echo one; echo two >&2; echo three; exit 7").await;
        assert_eq!(ended.output, "one\ntwo\nthree\n");
        assert!(matches!(ended.end, End::Code(7)), "{ended:?}");
        assert!(matches!(shell("kill -9 $$").await.end, End::Signal(9)));
    }

    #[tokio::test]
    async fn it_gets_its_input_and_a_constant_environment() {
        let ended = shell_with(
            "cat; env | grep -v ^PWD= | grep -v ^_= | sort; pwd",
            "web1\nweb2\n",
            MINUTE,
        )
        .await;
        assert_eq!(
            ended.output,
            "web1\nweb2\nAPU_HOST=web1\nHOME=/root\nLC_ALL=C.UTF-8\n\
             PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/\n"
        );
        // More than a pipe holds, and nobody reads it.
        let ended = shell_with("exit 3", &"x".repeat(1 << 20), MINUTE).await;
        assert!(matches!(ended.end, End::Code(3)), "{ended:?}");
    }

    #[tokio::test]
    async fn one_that_hangs_ends_in_its_time_with_its_children() {
        let (one, two) = (unique(1), unique(2));
        let script = format!("echo waiting; sleep {one} & sleep {two}");
        let ended = shell_with(&script, "", Duration::from_millis(300)).await;
        assert!(matches!(ended.end, End::Late(_)), "{ended:?}");
        assert_eq!(ended.output, "waiting\n");
        assert!(!is_asleep(&one).await && !is_asleep(&two).await);
    }

    #[tokio::test]
    async fn a_child_that_is_left_behind_holds_nothing_up_and_is_ended() {
        let begun = Instant::now();
        let time = unique(3);
        let ended = shell(&format!("sleep {time} & echo done")).await;
        assert!(matches!(ended.end, End::Code(0)), "{ended:?}");
        assert_eq!(ended.output, "done\n");
        assert!(begun.elapsed() < Duration::from_secs(20) && !is_asleep(&time).await);
    }

    #[tokio::test]
    async fn one_that_nobody_waits_for_any_more_ends_with_its_children() {
        let (one, two) = (unique(4), unique(5));
        let script = format!("sleep {one} & sleep {two}");
        let wait = tokio::spawn(async move { shell(&script).await });
        while !(is_there(&one) && is_there(&two)) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wait.abort();
        let _ = wait.await;
        assert!(!is_asleep(&one).await && !is_asleep(&two).await);
    }

    #[tokio::test]
    async fn of_much_output_the_beginning_and_the_end_are_kept() {
        let ended = shell("echo first; head -c 9000000 /dev/zero | tr '\\0' x; echo; echo last").await;
        assert!(matches!(ended.end, End::Code(0)), "{:?}", ended.end);
        assert!(ended.output.starts_with("first\n") && ended.output.ends_with("\nlast\n"));
        assert!(ended.output.len() < 64 * 1024, "{}", ended.output.len());
    }

    #[tokio::test]
    async fn what_cannot_be_started_says_why() {
        let ended = run(&["/no/such/program".to_owned()], &[], String::new(), MINUTE).await;
        assert!(matches!(ended.end, End::NotRun(error) if error.kind() == io::ErrorKind::NotFound));
    }
}
