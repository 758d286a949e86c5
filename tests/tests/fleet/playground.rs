//! `make playground`: its shell reaches the server and the clients, and nothing of it is left when the shell ends.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_playground");

/// A playground that keeps its temporary files in a folder of its own: by that its processes are known.
struct Playground {
    program: Child,
    keys: Option<ChildStdin>,
    screen: BufReader<ChildStdout>,
    folder: TempDir,
}

impl Playground {
    fn open(command: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Command::new(command[0])
            .args(&command[1..])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            keys: program.stdin.take(),
            screen: BufReader::new(program.stdout.take().unwrap()),
            program,
            folder,
        }
    }

    fn types(&mut self, line: &str) {
        writeln!(self.keys.as_ref().unwrap(), "{line}").unwrap();
    }

    /// What is shown until a line ends with this.
    fn shown_until(&mut self, end: &str) -> String {
        let mut shown = String::new();
        while !shown.trim_end().ends_with(end) {
            let length = self.screen.read_line(&mut shown).unwrap();
            assert!(length > 0, "it ended without {end:?}: {shown}");
        }
        shown
    }

    /// The processes that know its folder, by their words or their environment.
    fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        let about = |pid: &str, file: &str| {
            let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().into_string().ok());
        pids.filter(|pid| about(pid, "cmdline").contains(folder) || about(pid, "environ").contains(folder))
            .map(|pid| format!("{pid} {}", about(&pid, "cmdline")))
            .collect()
    }

    #[track_caller]
    fn leaves_nothing(&self) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !self.processes().is_empty() && Instant::now() < patience {
            sleep(Duration::from_millis(50));
        }
        assert_eq!(self.processes(), Vec::<String>::new());
        let files: Vec<_> = fs::read_dir(self.folder.path()).unwrap().collect();
        assert!(files.is_empty(), "{files:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(self.folder.path().to_str().unwrap()), "{mounts}");
    }
}

#[test]
fn commands_from_standard_input_push_the_button_and_look_at_a_client() {
    let mut playground = Playground::open(&[PROGRAM]);
    playground.types("on web1 dpkg-query -W -f '${Version}\\n' pkg-a; echo before");
    assert_eq!(playground.shown_until("before"), "1.0\nbefore\n");
    // A server, six clients and what holds them.
    assert!(playground.processes().len() > 7, "{:?}", playground.processes());

    playground.types("apt-all default upgrade --yes && on web1 dpkg -l pkg-a; echo after");
    let shown = playground.shown_until("after");
    assert!(shown.contains("6 changed"), "{shown}");
    let listed = shown.lines().find(|line| line.starts_with("ii  pkg-a"));
    assert!(listed.is_some_and(|line| line.contains(" 2.0 ")), "{shown}");

    playground.types("exit 7");
    assert_eq!(playground.program.wait().unwrap().code(), Some(7));
    playground.leaves_nothing();
}

#[test]
fn a_closed_terminal_ends_it() {
    // script(1) is the terminal.
    let mut playground = Playground::open(&["script", "-qec", PROGRAM, "/dev/null"]);
    playground.shown_until("all of it is gone: exit");
    playground.types("tty; echo re''ady");
    let shown = playground.shown_until("ready");
    assert!(shown.contains("/dev/pts/"), "{shown}");
    assert!(playground.processes().len() > 7, "{:?}", playground.processes());

    playground.program.kill().unwrap();
    playground.program.wait().unwrap();
    drop(playground.keys.take());
    let mut rest = Vec::new();
    let _ = playground.screen.read_to_end(&mut rest);

    playground.leaves_nothing();
}
