//! Restarts on a machine that is made up: /proc is files, and systemctl a script that does with them what systemd would.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use apu_proto::WhyLeft;

use super::*;

/// A machine on which these services run, each with one process and these files.
fn machine(services: &[(&str, &str)]) -> (tempfile::TempDir, ClientPaths) {
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    for folder in ["/run/systemd/system", "/bin", "/asked"] {
        fs::create_dir_all(paths.path(folder)).unwrap();
    }
    for (number, (service, file)) in (1..).zip(services) {
        let process = paths.path(&format!("/proc/{number}"));
        fs::create_dir_all(&process).unwrap();
        fs::write(process.join("maps"), format!("7f0-7f1 r-xp 0 fe:01 1   {file}\n")).unwrap();
        fs::write(
            process.join("cgroup"),
            format!("0::/system.slice/{service}.service\n"),
        )
        .unwrap();
        symlink(root.path(), process.join("root")).unwrap();
    }
    let root_of_it = root.path().display();
    // What is named bad cannot start, and lazy goes on with the old file.
    let script = format!(
        "#!/bin/sh\n\
         cd {root_of_it} || exit 9\n\
         echo \"$*\" >>asked/all\n\
         case $1 in\n\
         show)\n\
           while [ \"$1\" != -- ]; do shift; done; shift\n\
           for unit; do\n\
             state=active; [ -e asked/down-$unit ] && state=failed\n\
             echo Id=$unit; echo LoadState=loaded; echo ActiveState=$state; echo Type=simple\n\
             echo KillMode=control-group; echo MainPID=0; echo CanStart=yes; echo\n\
           done;;\n\
         --no-ask-password)\n\
           case $4 in\n\
           bad.service) touch asked/down-bad.service; echo 'Job for bad.service failed.' >&2; exit 1;;\n\
           short.service) touch asked/down-short.service;;\n\
           lazy.service) exit 0;;\n\
           esac\n\
           for maps in $(grep -l \"/$4\" proc/*/cgroup); do echo >${{maps%cgroup}}maps; done;;\n\
         esac\n"
    );
    let systemctl = paths.path(SYSTEMCTL);
    fs::write(&systemctl, script).unwrap();
    fs::set_permissions(&systemctl, fs::Permissions::from_mode(0o755)).unwrap();
    (root, paths)
}

const OLD: &str = "/usr/lib/x/libz.so.1 (deleted)";

/// What a dry run reports.
fn report_of(paths: &ClientPaths, policy: &Policy) -> Result<RestartReport, Refusal> {
    look(paths, policy).map(|result| result.restarts().unwrap().clone())
}

/// What is restarted on the machine, without a run around it.
fn restart_all(paths: &ClientPaths) -> RunResult {
    let Choice { restart, left } = chosen(paths, &Policy::default()).unwrap();
    let tried = restart
        .iter()
        .map(|service| (service.clone(), restart_one(paths, service).err()))
        .collect();
    let after = ask(paths, &restart.iter().collect::<Vec<_>>()).unwrap();
    result(tried, &after, stale(paths).as_ref(), left)
}

#[test]
fn stale_services_are_restarted_in_their_order_and_are_stale_no_more() {
    let (_root, paths) = machine(&[
        ("ssh", OLD),
        ("web", OLD),
        ("fresh", "/usr/lib/x/libz.so.1"),
        ("dbus", OLD),
        ("a*", OLD),
        ("apu-run@7", OLD),
    ]);
    let before = report_of(&paths, &Policy::default()).unwrap();
    assert_eq!(before.restarts, ["web", "ssh"]);
    let result = restart_all(&paths);
    assert_eq!((result.outcome, &result.reason), (ClientOutcome::Changed, &None));
    let report = result.restarts().unwrap();
    assert_eq!(report.restarts, ["web", "ssh"]);
    let left: Vec<(&str, &WhyLeft)> = report
        .left
        .iter()
        .map(|left| (left.service.as_str(), &left.why))
        .collect();
    assert_eq!(left, [("a*", &WhyLeft::NotUnderstood), ("dbus", &WhyLeft::Bus)]);
    assert_eq!(report.left, before.left);
    let asked = fs::read_to_string(paths.path("/asked/all")).unwrap();
    let restarts: Vec<&str> = asked.lines().filter(|line| line.contains("restart")).collect();
    assert_eq!(
        restarts,
        [
            "--no-ask-password restart -- web.service",
            "--no-ask-password restart -- ssh.service"
        ]
    );
    assert!(!asked.contains('*') && !asked.contains("apu-run"), "{asked}");
    // Nothing is left to be done.
    assert_eq!(report_of(&paths, &Policy::default()).unwrap().restarts, [""; 0]);
}

#[test]
fn a_service_counts_as_restarted_only_where_it_runs_and_with_the_new_files() {
    let services = ["bad", "lazy", "short", "web"].map(|service| (service, OLD));
    let (_root, paths) = machine(&services);
    let result = restart_all(&paths);
    assert_eq!(result.outcome, ClientOutcome::Partial);
    let report = result.restarts().unwrap();
    assert_eq!(report.restarts, ["web"]);
    let failed: Vec<(&str, &NotRestarted)> = report
        .failed
        .iter()
        .map(|failed| (failed.service.as_str(), &failed.why))
        .collect();
    let said = "exit status 1: Job for bad.service failed.".to_owned();
    let state = "failed".to_owned();
    assert_eq!(
        failed,
        [
            ("bad", &NotRestarted::Systemctl { said }),
            ("lazy", &NotRestarted::StillStale),
            ("short", &NotRestarted::NotRunning { state }),
        ]
    );
    let reason = result.reason.as_ref().unwrap();
    let services = ["bad", "lazy", "short"].map(str::to_owned).to_vec();
    assert_eq!(reason.cause, Cause::NotRestarted { services });
    assert_eq!(reason.detail, ["bad: exit status 1: Job for bad.service failed."]);

    let (_root, paths) = machine(&services_of("bad"));
    assert_eq!(restart_all(&paths).outcome, ClientOutcome::Failed);
}

fn services_of(name: &str) -> [(&str, &str); 1] {
    [(name, OLD)]
}

#[test]
fn what_cannot_be_looked_at_afterwards_is_not_said_to_be_restarted() {
    let tried = || {
        vec![
            ("web".to_owned(), None),
            ("db".to_owned(), Some(NotRestarted::NotBegun)),
        ]
    };
    let why = |result: RunResult| -> Vec<NotRestarted> {
        let failed = &result.restarts().unwrap().failed;
        failed.iter().map(|failed| failed.why.clone()).collect()
    };
    let active = parse("Id=web.service\nActiveState=active\n");
    let none = Stale::new();
    for (units, stale) in [(&active, None), (&HashMap::new(), Some(&none))] {
        let unknown = result(tried(), units, stale, Vec::new());
        assert_eq!(why(unknown), [NotRestarted::NotKnown, NotRestarted::NotBegun]);
    }
    let known = result(tried(), &active, Some(&none), Vec::new());
    assert_eq!(why(known), [NotRestarted::NotBegun]);
}

#[test]
fn a_machine_that_cannot_tell_its_services_is_not_said_to_have_none_that_are_stale() {
    let (_root, paths) = machine(&[("web", OLD)]);
    let policy = Policy::default();
    let cause = |looked: Result<RestartReport, Refusal>| {
        let refusal = looked.unwrap_err();
        (refusal.result.outcome, refusal.result.reason.unwrap().cause)
    };
    fs::write(paths.path(SYSTEMCTL), "#!/bin/sh\nexit 1\n").unwrap();
    let (outcome, found) = cause(report_of(&paths, &policy));
    assert!(matches!(found, Cause::Fault { .. }), "{found:?}");
    assert_eq!(outcome, ClientOutcome::Failed);
    fs::rename(paths.path("/proc"), paths.path("/gone")).unwrap();
    assert_eq!(
        cause(report_of(&paths, &policy)),
        (ClientOutcome::Failed, Cause::ServicesNotRead)
    );
    fs::remove_dir_all(paths.path("/run/systemd")).unwrap();
    assert_eq!(
        cause(report_of(&paths, &policy)),
        (ClientOutcome::Refused, Cause::NoSystemd)
    );
}

#[test]
fn what_systemctl_says_has_a_bound() {
    assert_eq!(said("short"), "short");
    assert_eq!(said(&"ä".repeat(MAX_SAID)).len(), MAX_SAID);
    assert_eq!(said(&format!("a{}", "ä".repeat(MAX_SAID))).len(), MAX_SAID - 1);
}

#[test]
fn what_needrestart_alone_names_is_told_and_not_restarted() {
    let (_root, paths) = machine(&[("web", OLD), ("quiet", "/usr/lib/x/libz.so.1")]);
    let needrestart = paths.path("/usr/sbin/needrestart");
    fs::create_dir_all(needrestart.parent().unwrap()).unwrap();
    let say = |script: &str| {
        fs::write(&needrestart, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&needrestart, fs::Permissions::from_mode(0o755)).unwrap();
        look(&paths, &Policy::default()).unwrap()
    };
    let names =
        "echo NEEDRESTART-VER: 3.6; for s in web quiet '$(id)'; do echo NEEDRESTART-SVC: $s.service; done";
    let told = say(names);
    let report = told.restarts().unwrap();
    assert_eq!(report.restarts, ["web"]);
    let left: Vec<(&str, &WhyLeft)> = report
        .left
        .iter()
        .map(|left| (left.service.as_str(), &left.why))
        .collect();
    assert_eq!(left, [("quiet", &WhyLeft::NamedByNeedrestart)]);
    assert!(told.notes.is_empty());
    let told = say("echo no; exit 3");
    assert_eq!(told.restarts().unwrap().restarts, ["web"]);
    assert!(
        matches!(&told.notes[..], [Note::NeedrestartFailed { said }] if said.contains("no")),
        "{told:?}"
    );
}
