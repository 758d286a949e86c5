use apu_proto::{MAX_PACKAGES, PackageArg};
use clap::CommandFactory;

use super::*;

fn words(line: &str) -> Args {
    Args::try_parse_from(line.split(' ')).expect(line)
}

#[test]
fn the_command_line_holds_together() {
    Args::command().debug_assert();
}

#[test]
fn a_time_limit_is_a_duration() {
    let five = words("apt-all web update --timeout 5m").timeout;
    assert_eq!(five, Some(Duration::from_secs(300)));
    for bad in ["0", "5x", "-1", ""] {
        let line = ["apt-all", "web", "update", "--timeout", bad];
        assert!(Args::try_parse_from(line).is_err(), "{bad}");
    }
}

#[test]
fn failures_are_limited_by_a_number_or_a_percentage() {
    let most = |line: &str| words(line).max_failures;
    assert_eq!(most("apt-all web update"), None);
    assert_eq!(
        most("apt-all web update --max-failures 0"),
        Some(MaxFailures::Hosts(0))
    );
    assert_eq!(
        most("apt-all web update --max-failures=10%"),
        Some(MaxFailures::Percent(10))
    );
    for bad in ["x", "101%", "-1", ""] {
        let line = format!("apt-all web update --max-failures={bad}");
        let error = Args::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{bad}");
    }
}

#[test]
fn words_become_a_request() {
    let request = words("apt-all web install vim=2:9.0 htop --allow-remove")
        .request(&[])
        .unwrap();
    assert_eq!(
        request.to_string(),
        "apu/1 install allow_remove=yes vim=2:9.0 htop"
    );
}

#[test]
fn a_reboot_is_shown_and_asked_for_first_and_keeps_no_plan_and_no_queue() {
    let asked = |line: &str| words(&format!("apt-all web {line}")).request(&[]);
    assert_eq!(asked("reboot").unwrap().to_string(), "apu/1 reboot");
    let all = asked("reboot --all --canary 1 --soak 5m").unwrap();
    assert_eq!(all.to_string(), "apu/1 reboot even_if_not_needed=yes");
    for line in [
        "reboot --plan",
        "reboot --queue 8h",
        "reboot vim",
        "upgrade --all",
        "status --all",
    ] {
        assert!(asked(line).is_err(), "{line}");
    }
    let course = |line: &str| words(&format!("apt-all web {line}")).course(false);
    assert!(course("reboot").is_err(), "nobody has agreed");
    assert_eq!(course("reboot --dry-run").unwrap(), Course::Show);
    assert_eq!(course("reboot --yes").unwrap(), Course::Do);
}

#[test]
fn restarts_of_services_are_shown_and_asked_for_first_and_no_service_is_named() {
    let asked = |line: &str| words(&format!("apt-all web {line}")).request(&[]);
    let all = asked("restart-services --canary 1 --soak 5m --ignore-windows").unwrap();
    assert_eq!(all.to_string(), "apu/1 restart-services");
    for line in [
        "restart-services --plan",
        "restart-services --queue 8h",
        "restart-services ssh",
        "restart-services --all",
        "status --list",
    ] {
        assert!(asked(line).is_err(), "{line}");
    }
    let course = |line: &str| words(&format!("apt-all web {line}")).course(false);
    assert!(course("restart-services").is_err(), "nobody has agreed");
    for list in ["-l", "--list", "--dry-run"] {
        assert_eq!(course(&format!("restart-services {list}")).unwrap(), Course::Show);
    }
    assert_eq!(course("restart-services --yes").unwrap(), Course::Do);
}

#[test]
fn a_request_becomes_the_words_that_ask_it() {
    for line in [
        "apu/1 restart-services",
        "apu/1 reboot even_if_not_needed=yes",
        "apu/1 dist-upgrade allow_remove=yes only_security=yes",
        "apu/1 upgrade only_security=yes",
        "apu/1 install download_only=yes vim",
        "apu/1 dist-upgrade only_security=yes hold_packages=linux-*,vim",
        "apu/1 upgrade source_packages=openssl,vim",
        "apu/1 install only_upgrade=yes hold_packages=vim libssl3 libc6:i386",
        "apu/1 install allow_remove=yes vim=2:9.0",
        "apu/1 hold hold_reason=waits%20for%20#412 hold_until=1798066800 vim libc6:i386",
        "apu/1 unhold vim",
        "apu/1 showhold",
        "apu/1 conffile conffile_path=/etc/a%20b conffile_decision=undo",
        "apu/1 conffile conffile_path=/etc/x conffile_decision=new conffile_versions=.dpkg-dist:fcbc800d:ed9c86a6",
    ] {
        let request = Request::parse(line.as_bytes()).unwrap();
        let args = Args::of_request("web", &request, Shown::default());
        assert_eq!(args.request(&[]).unwrap(), request);
    }
}

#[test]
fn a_hold_has_a_reason_and_an_end_and_nothing_else_has() {
    let given = |line: &[&str]| Args::try_parse_from(["apt-all", "web"].iter().chain(line));
    let hold = given(&["hold", "vim", "--reason", "waits for #412", "--until", "14d"]).unwrap();
    let request = hold.request(&[]).unwrap();
    assert_eq!(request.hold_reason().unwrap().as_str(), "waits for #412");
    let left = request.hold_until().unwrap().saturating_sub(14 * 86_400);
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    assert!((now - 60..=now).contains(&left), "{left}");
    assert_eq!(hold.course(false).unwrap(), Course::Straight);
    let quiet = given(&["hold", "vim"]).unwrap().request(&[]).unwrap_err();
    assert_eq!(quiet.to_string(), "a hold needs a reason");
    assert_eq!(
        quiet.advice(),
        Some("apt-all web hold vim --reason 'what it waits for'")
    );
    for (line, text) in [
        (&["unhold", "vim", "--reason", "x"][..], "unhold has no --reason"),
        (&["upgrade", "--until", "14d"], "upgrade has no --until"),
        (
            &["hold", "vim=1", "--reason", "x"],
            "vim=1 has a version, and hold takes a package as it is",
        ),
        (
            &["unhold", "vim=1"],
            "vim=1 has a version, and unhold takes a package as it is",
        ),
        (&["hold", "vim*", "--reason", "x"], "\"vim*\" is not a package"),
        (&["unhold"], "that cannot be asked of a client"),
        (&["showhold", "vim"], "that cannot be asked of a client"),
        (
            &["hold", "vim", "--reason", "x", "--dry-run"],
            "hold has no --dry-run",
        ),
        (
            &["hold", "vim", "--reason", "x", "--canary", "1"],
            "hold has no --canary",
        ),
        (&["showhold", "--queue", "8h"], "showhold has no --queue"),
    ] {
        let failure = given(line).unwrap().request(&[]).unwrap_err();
        assert_eq!(failure.to_string(), text, "{line:?}");
    }
    let long = "x".repeat(201);
    for option in [
        ["--reason", ""],
        ["--reason", "two\nlines"],
        ["--reason", &long],
        ["--until", "2020-01-01"],
        ["--until", "christmas"],
    ] {
        let error = given(&["hold", "vim", option[0], option[1]]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{option:?}");
    }
}

#[test]
fn paths_are_files_and_stand_beside_names() {
    let line = "apt-all web install ./foo htop bar_1_all.deb /srv/x.deb vim=2:9.0";
    let files: Vec<PathBuf> = ["./foo", "bar_1_all.deb", "/srv/x.deb"]
        .map(PathBuf::from)
        .to_vec();
    assert_eq!(words(line).files().unwrap(), files);
    let local: Vec<PackageArg> = vec!["foo:amd64=1".parse().unwrap(), "bar=1".parse().unwrap()];
    let request = words(line).request(&local).unwrap();
    assert_eq!(
        request.to_string(),
        "apu/1 install foo:amd64=1 bar=1 htop vim=2:9.0"
    );

    let error = words("apt-all web install ./foo.deb foo")
        .request(&local)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"foo\" is named, and foo:amd64=1 comes from a file"
    );
    for operation in ["remove", "update", "dist-upgrade"] {
        let error = words(&format!("apt-all web {operation} ./foo.deb"))
            .files()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("\"./foo.deb\" is a file, and {operation} takes none")
        );
        assert_eq!(error.advice(), Some("apt-all web install ./foo.deb"));
    }
}

#[test]
fn what_cannot_be_meant_is_refused_before_anybody_is_asked() {
    for (line, text) in [
        ("apt-all web install", "that cannot be asked of a client"),
        ("apt-all web update htop", "that cannot be asked of a client"),
        (
            "apt-all web install htop htop",
            "that cannot be asked of a client",
        ),
        ("apt-all web install ht*p", "\"ht*p\" is not a package"),
        ("apt-all web install htop-", "\"htop-\" is not a package"),
        (
            "apt-all web upgrade --allow-remove",
            "upgrade has no --allow-remove",
        ),
        ("apt-all web install htop --security", "install has no --security"),
        ("apt-all web update --security", "update has no --security"),
        ("apt-all web autoremove --hold vim", "autoremove has no --hold"),
        ("apt-all web clean -d", "clean has no --download-only"),
        ("apt-all web install vim --min-age 1d", "install has no --min-age"),
        (
            "apt-all web autoremove --source vim",
            "autoremove has no --source",
        ),
        ("apt-all web update --prepare", "update has no --prepare"),
        ("apt-all web update --questions", "update has no --questions"),
        (
            "apt-all web upgrade --only-upgrade",
            "upgrade has no --only-upgrade",
        ),
        (
            "apt-all web install --only-upgrade vim=2",
            "vim=2 has a version, and --only-upgrade takes the newest one",
        ),
        (
            "apt-all web install vim htop --hold ht*",
            "htop is to be installed, and --hold ht* keeps it as it is",
        ),
        ("apt-all web update --dry-run", "update has no --dry-run"),
        (
            "apt-all web status --max-failures 1",
            "status has no --max-failures",
        ),
        ("apt-all web update --plan", "update has no --plan"),
        ("apt-all web update --canary 1", "update has no --canary"),
        ("apt-all web clean --waves 1", "clean has no --waves"),
        ("apt-all web status --soak 1m", "status has no --soak"),
    ] {
        assert_eq!(words(line).request(&[]).unwrap_err().to_string(), text, "{line}");
    }
    assert!(Args::try_parse_from(["apt-all", "web", "attach"]).is_err());
    for glob in ["/vim/", "src:vim", "vim:i386", "a b", ""] {
        let line = ["apt-all", "web", "upgrade", "--hold", glob];
        assert_eq!(Args::try_parse_from(line).unwrap_err().exit_code(), 2, "{glob:?}");
    }
}

#[test]
fn a_request_with_no_room_for_a_run_and_a_plan_is_refused_before_anybody_is_asked() {
    let local = |digits: usize| -> Vec<PackageArg> {
        let word = |n| format!("pkg{n:02}=1{}", "0".repeat(digits));
        (0..MAX_PACKAGES).map(|n| word(n).parse().unwrap()).collect()
    };
    let args = words("apt-all web install ./x.deb");
    assert!(args.request(&local(53)).is_ok());
    let alone = Request::new(Operation::Install, [], local(54)).unwrap();
    assert_eq!(alone.to_string().len(), 3981);
    let error = args.request(&local(54)).unwrap_err();
    assert_eq!(error.to_string(), "that cannot be asked of a client");
    assert_eq!(error.advice(), Some("name fewer packages, each once"));
}

#[test]
fn packages_change_only_after_a_yes() {
    assert_eq!(
        words("apt-all web upgrade").course(true).unwrap(),
        Course::ShowAndAsk
    );
    assert_eq!(words("apt-all web upgrade -y").course(false).unwrap(), Course::Do);
    assert_eq!(
        words("apt-all web upgrade -n").course(false).unwrap(),
        Course::Show
    );
    assert_eq!(
        words("apt-all web update").course(false).unwrap(),
        Course::Straight
    );
    assert_eq!(
        words("apt-all web upgrade -d").course(false).unwrap(),
        Course::Straight
    );
    let error = words("apt-all web upgrade").course(false).unwrap_err();
    assert_eq!(
        error.advice(),
        Some("give --yes to do it unseen, or --dry-run to see it first")
    );
    assert!(words("apt-all web upgrade --json").course(true).is_err());
}

#[test]
fn what_may_remove_packages_is_shown_even_with_yes() {
    for (line, course) in [
        ("apt-all web dist-upgrade --yes --allow-remove", Course::ShowAndDo),
        (
            "apt-all web install x --yes --allow-remove --json",
            Course::ShowAndDo,
        ),
        ("apt-all web dist-upgrade --dry-run --allow-remove", Course::Show),
    ] {
        assert_eq!(words(line).course(false).unwrap(), course, "{line}");
    }
}
