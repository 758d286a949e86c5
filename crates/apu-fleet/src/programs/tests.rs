use std::os::unix::fs::{PermissionsExt, symlink};

use apu_proto::MAX_CHECK_TEXT;

use super::*;

struct Server {
    directory: tempfile::TempDir,
    programs: Programs,
}

impl Server {
    /// None where this test is not root: then no program is root's.
    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root makes files of root");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let programs = Programs {
            hooks: directory.path().join("hooks.d"),
            hook_limit: Duration::from_secs(60),
            check: None,
            run: RunId::from_bytes([7; 16]),
            number: Some(412),
            operation: "dist-upgrade".into(),
            target: "web".into(),
            by: "alice".into(),
            places: Arc::new(Semaphore::new(1)),
        };
        fs::create_dir(&programs.hooks).unwrap();
        Some(Self { directory, programs })
    }

    fn write(&self, name: &str, script: &str, mode: u32) {
        let path = self.programs.hooks.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What all the scripts have written.
    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn says(&self, words: &str) -> String {
        format!(
            "echo \"{words}\" >>{}",
            self.directory.path().join("log").display()
        )
    }

    async fn call(&self, hook: Hook) -> Result<(), HookFailure> {
        let host = host();
        let about = About {
            host: Some(&host),
            outcome: Some(Outcome::Changed),
        };
        self.programs.call(hook, about, "web1\n".into()).await
    }

    async fn why(&self, hook: Hook) -> (String, ProgramEnd, String) {
        let failure = self.call(hook).await.unwrap_err();
        assert_eq!(failure.hook, hook);
        let program = Path::new(&failure.program).strip_prefix(&self.programs.hooks);
        (
            program.unwrap().display().to_string(),
            failure.end,
            failure.detail.join("\n"),
        )
    }
}

fn host() -> Host {
    Host {
        address: Some("192.0.2.7".parse().unwrap()),
        ..Host::plain("web1".parse().unwrap())
    }
}

#[tokio::test]
async fn a_hook_is_a_program_or_a_directory_of_programs_in_the_order_of_their_names() {
    let Some(server) = Server::new() else { return };
    assert!(Hook::ALL.iter().all(|hook| !server.programs.has(*hook)));
    assert_eq!(server.call(Hook::BeforeHost).await, Ok(()));
    let told = "$APU_HOOK $APU_RUN $APU_OPERATION $APU_TARGET $APU_BY $APU_HOST $APU_ADDRESS $APU_OUTCOME";
    server.write("before-host", &server.says(told), 0o755);
    server.write("after-host/20-b", &server.says("b"), 0o755);
    server.write(
        "after-host/10-a",
        &format!("read line; {}", server.says("a $line $APU_RUN_ID")),
        0o700,
    );
    server.write("after-host/30-c.dpkg-old", &server.says("old"), 0o755);
    server.write("after-host/README", "false", 0o644);
    assert_eq!(server.call(Hook::BeforeHost).await, Ok(()));
    assert_eq!(server.call(Hook::AfterHost).await, Ok(()));
    assert_eq!(
        server.log(),
        format!(
            "before-host 412 dist-upgrade web alice web1 192.0.2.7 changed\na web1 {}\nb\n",
            "07".repeat(16)
        )
    );
}

#[tokio::test]
async fn the_first_program_that_fails_is_the_last() {
    let Some(server) = Server::new() else { return };
    server.write(
        "before-host/10-a",
        "echo starting; echo no balancer >&2; exit 3",
        0o755,
    );
    server.write("before-host/20-b", &server.says("b"), 0o755);
    assert_eq!(
        server.why(Hook::BeforeHost).await,
        (
            "before-host/10-a".into(),
            ProgramEnd::Exited { status: 3 },
            "starting\nno balancer".into()
        )
    );
    assert_eq!(server.log(), "");
}

#[tokio::test]
async fn what_may_not_be_run_fails_before_anything_is_run() {
    let Some(server) = Server::new() else { return };
    let not_run = |name: &str, why: &str| (name.to_owned(), ProgramEnd::NotRun, format!("not run: {why}"));
    server.write("before-host/10-a", &server.says("a"), 0o755);
    server.write("before-host/20-b", "true", 0o775);
    assert_eq!(
        server.why(Hook::BeforeHost).await,
        not_run("before-host/20-b", "it is not root's alone to write")
    );
    assert_eq!(server.log(), "");
    server.write("before-run", "true", 0o644);
    assert_eq!(
        server.why(Hook::BeforeRun).await,
        not_run("before-run", "it is not executable")
    );
    symlink("/bin/true", server.programs.hooks.join("after-run")).unwrap();
    assert_eq!(
        server.why(Hook::AfterRun).await,
        not_run("after-run", "it is a symbolic link")
    );
    let not_roots = "its directory is not root's alone to write";
    server.write("before-host/20-b", "true", 0o755);
    fs::set_permissions(&server.programs.hooks, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(server.why(Hook::BeforeHost).await, not_run("", not_roots));
    fs::set_permissions(&server.programs.hooks, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(server.call(Hook::BeforeHost).await, Ok(()));
    // A link that leads nowhere, too.
    symlink("/no/such/program", server.programs.hooks.join("after-host")).unwrap();
    assert_eq!(
        server.why(Hook::AfterHost).await,
        not_run("after-host", "it is a symbolic link")
    );
}

#[tokio::test]
async fn one_that_hangs_is_ended_in_its_time() {
    let Some(mut server) = Server::new() else { return };
    server.programs.hook_limit = Duration::from_millis(200);
    server.write("before-run", "echo waiting; sleep 86371", 0o755);
    let (_, end, detail) = server.why(Hook::BeforeRun).await;
    assert_eq!(
        (end, detail.as_str()),
        (ProgramEnd::Late { seconds: 0 }, "waiting")
    );
}

#[tokio::test]
async fn no_more_programs_are_at_work_at_once_than_there_are_places() {
    let Some(server) = Server::new() else { return };
    let busy = server.directory.path().join("busy").display().to_string();
    server.write(
        "before-host",
        &format!("mkdir {busy} || exit 1; sleep 0.05; rmdir {busy}"),
        0o755,
    );
    let calls = (
        server.call(Hook::BeforeHost),
        server.call(Hook::BeforeHost),
        server.call(Hook::BeforeHost),
    );
    let ended = tokio::join!(calls.0, calls.1, calls.2);
    assert_eq!(ended, (Ok(()), Ok(()), Ok(())));
}

#[tokio::test]
async fn a_check_tells_by_its_exit_status() {
    let Some(mut server) = Server::new() else { return };
    assert_eq!(server.programs.check(&host()).await, None);
    for (script, verdict, detail) in [
        ("echo $APU_HOST $APU_ADDRESS", Verdict::Pass, "web1 192.0.2.7"),
        ("echo 503 >&2; exit 2", Verdict::Fail, "503"),
        ("exit 1", Verdict::Fail, "exit status 1"),
        ("kill -9 $$", Verdict::Fail, "signal 9"),
        ("exit 75", Verdict::Inconclusive, "exit status 75"),
    ] {
        server.programs.check = Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec());
        let check = server.programs.check(&host()).await.unwrap();
        assert_eq!(
            (check.name.as_str(), check.verdict, check.detail.as_str()),
            (SERVER_CHECK, verdict, detail),
            "{script}"
        );
    }
    server.programs.check = Some(vec!["/no/such/program".into()]);
    let check = server.programs.check(&host()).await.unwrap();
    assert_eq!(check.verdict, Verdict::Inconclusive);
    assert!(
        check.detail.starts_with("not run: No such file"),
        "{}",
        check.detail
    );
    server.programs.check = Some(
        ["/bin/sh", "-c", "yes | head -c 100000"]
            .map(str::to_owned)
            .to_vec(),
    );
    let check = server.programs.check(&host()).await.unwrap();
    assert!(check.detail.len() <= MAX_CHECK_TEXT);
}
