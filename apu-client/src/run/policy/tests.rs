use super::*;

fn check(policy: &str, request: &str) -> Result<(), Cause> {
    let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
    Policy::parse(policy).unwrap().allows(&request)
}

const SHIPPED: &str = include_str!("../../../policy.toml");

#[test]
fn the_policy_that_is_installed_says_what_the_defaults_are() {
    assert_eq!(Policy::parse(SHIPPED).unwrap(), Policy::default());
}

#[test]
fn the_list_of_operations_in_the_policy_that_is_installed_narrows_it_once_it_counts() {
    let policy = SHIPPED.replace("#operations = ", "operations = ");
    assert_eq!(check(&policy, "upgrade"), Ok(()));
    assert_eq!(
        check(&policy, "dist-upgrade"),
        Err(Cause::OperationForbidden {
            operation: Operation::DistUpgrade
        })
    );
}

#[test]
fn all_but_remove_is_allowed_by_default() {
    for policy in ["", SHIPPED] {
        for request in [
            "status",
            "dist-upgrade allow_remove=yes",
            "install vim",
            "autoremove",
            "clean",
        ] {
            assert_eq!(check(policy, request), Ok(()), "{request}");
        }
        assert_eq!(
            check(policy, "remove vim"),
            Err(Cause::OperationForbidden {
                operation: Operation::Remove
            })
        );
    }
}

#[test]
fn an_operation_that_is_not_listed_is_refused_and_ping_never_is() {
    let policy = "operations = [\"status\"]";
    assert_eq!(check(policy, "ping"), Ok(()));
    assert_eq!(
        check(policy, "update"),
        Err(Cause::OperationForbidden {
            operation: Operation::Update
        })
    );
}

#[test]
fn debs_travel_where_they_may_be_installed() {
    let run = format!("run_id={}", "0".repeat(32));
    let sum = "0".repeat(64);
    for words in [
        format!("send-debs {run} debs_sha256={sum}"),
        format!("take-debs {run} debs_follow={sum}:1"),
    ] {
        assert_eq!(check("operations = [\"upgrade\"]", &words), Ok(()));
        assert_eq!(check("", &words), Ok(()));
        assert!(check("operations = [\"status\", \"remove\"]", &words).is_err());
    }
}

#[test]
fn install_is_narrowed_to_the_names_that_are_allowed() {
    let policy = "[install]\nallow = [\"site-*\", \"vim\", \"lib?1\"]";
    for name in ["site-a", "site-b-c", "vim", "libx1"] {
        assert_eq!(check(policy, &format!("install {name}")), Ok(()), "{name}");
    }
    for name in ["vim-tiny", "my-site-a", "libxx1"] {
        let refused = Err(Cause::PackageForbidden { package: name.into() });
        assert_eq!(check(policy, &format!("install vim {name}")), refused);
    }
}

#[test]
fn removals_can_be_ruled_out_whatever_a_request_says() {
    let policy = "removals = \"never\"";
    assert_eq!(check(policy, "dist-upgrade"), Ok(()));
    assert!(check(policy, "dist-upgrade allow_remove=yes").is_err());
    assert!(check(policy, "autoremove").is_err());
}

#[test]
fn a_machine_is_rebooted_only_where_it_needs_that_or_its_policy_says_more() {
    let (needed, any) = ("reboot", "reboot even_if_not_needed=yes");
    for policy in ["", SHIPPED, "reboots = \"when-needed\""] {
        assert_eq!(check(policy, needed), Ok(()));
        assert_eq!(check(policy, any), Err(Cause::RebootOnlyWhenNeeded));
    }
    let policy = "reboots = \"when-asked\"";
    assert_eq!([needed, any].map(|words| check(policy, words)), [Ok(()), Ok(())]);
    let operation = Operation::Reboot;
    for policy in ["reboots = \"never\"", "operations = [\"status\"]"] {
        for words in [needed, any, "reboot dry_run=yes"] {
            assert_eq!(check(policy, words), Err(Cause::OperationForbidden { operation }));
        }
    }
}

#[test]
fn services_are_restarted_unless_the_policy_forbids_it_and_never_those_that_it_keeps() {
    for policy in ["", SHIPPED, "restarts = \"when-needed\""] {
        assert_eq!(check(policy, "restart-services"), Ok(()));
    }
    let operation = Operation::RestartServices;
    for policy in ["restarts = \"never\"", "operations = [\"status\", \"reboot\"]"] {
        for words in ["restart-services", "restart-services dry_run=yes"] {
            assert_eq!(check(policy, words), Err(Cause::OperationForbidden { operation }));
        }
    }
    let kept = Policy::parse("keep_running = [\"postgresql@*\", \"slapd\"]").unwrap();
    let keeps = |service| kept.keeps_running(service);
    assert!(keeps("postgresql@15-main") && keeps("slapd"));
    assert!(!keeps("postgresql") && !keeps("slapd2") && !Policy::default().keeps_running("slapd"));
}

#[test]
fn decisions_about_configuration_files_are_allowed_narrowed_or_forbidden() {
    let request = |decision: &str| match decision {
        "undo" => "conffile conffile_path=/etc/x conffile_decision=undo".to_owned(),
        _ => format!(
            "conffile conffile_path=/etc/x conffile_decision={decision} conffile_versions=.dpkg-dist:fcbc800d:ed9c86a6"
        ),
    };
    let operation = Operation::Conffile;
    for decision in ["keep", "new", "undo"] {
        for policy in ["", SHIPPED, "conffile_decisions = \"when-asked\""] {
            assert_eq!(check(policy, &request(decision)), Ok(()), "{decision}");
        }
        for policy in ["conffile_decisions = \"never\"", "operations = [\"conffiles\"]"] {
            let refused = Err(Cause::OperationForbidden { operation });
            assert_eq!(check(policy, &request(decision)), refused, "{decision}");
        }
    }
    let keep = "conffile_decisions = \"keep\"";
    assert_eq!(
        ["keep", "undo"].map(|word| check(keep, &request(word))),
        [Ok(()), Ok(())]
    );
    let decision = ConffileDecision::New;
    assert_eq!(
        check(keep, &request("new")),
        Err(Cause::DecisionForbidden { decision })
    );
}

#[test]
fn packages_change_only_in_the_windows_and_a_clock_that_cannot_be_told_opens_none() {
    let policy = "[maintenance]\nwindows = [\"Sat 22:00-06:00\"]\nblackouts = [\"2026-12-20..2027-01-06\"]\nzone = \"Europe/Berlin\"";
    let on = |date, weekday, hour: u16| WallTime {
        date,
        weekday,
        minute: hour * 60,
    };
    let allows = |policy: &str, request: &str, now: io::Result<WallTime>| {
        let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
        let policy = Policy::parse(policy).unwrap();
        policy.allows_now(&request, |zone| {
            assert_eq!(zone.map(ZoneName::as_str), Some("Europe/Berlin"));
            now
        })
    };
    let (saturday, friday) = (on((2026, 11, 28), 5, 23), on((2026, 11, 27), 4, 23));
    assert_eq!(allows(policy, "upgrade", Ok(saturday)), Ok(()));
    let cause = allows(policy, "upgrade", Ok(friday)).unwrap_err().cause;
    let windows = vec!["Sat 22:00-06:00".to_owned()];
    let operation = Operation::Upgrade;
    assert_eq!(cause, Cause::OutsideWindows { operation, windows });
    let windows = vec!["Sat 22:00-06:00".to_owned()];
    let reboot = Operation::Reboot;
    let cause = allows(policy, "reboot", Ok(friday)).unwrap_err().cause;
    assert_eq!(
        cause,
        Cause::OutsideWindows {
            operation: reboot,
            windows
        }
    );
    let restart = allows(policy, "restart-services", Ok(friday)).unwrap_err();
    assert!(
        matches!(restart.cause, Cause::OutsideWindows { .. }),
        "{restart:?}"
    );
    let cause = allows(policy, "upgrade", Ok(on((2026, 12, 26), 5, 23)))
        .unwrap_err()
        .cause;
    let blackout = "2026-12-20..2027-01-06".to_owned();
    assert_eq!(cause, Cause::InBlackout { operation, blackout });
    let unknown = allows(policy, "upgrade", Err(io::Error::other("no date"))).unwrap_err();
    assert_eq!(unknown.cause, Cause::NoWallTime);
    // What changes no package, and a policy without windows, need no clock.
    for (policy, request) in [
        (policy, "update"),
        (policy, "upgrade dry_run=yes"),
        (policy, "upgrade download_only=yes"),
        (policy, "reboot dry_run=yes"),
        (policy, "restart-services dry_run=yes"),
        ("", "upgrade"),
    ] {
        let request = Request::parse(format!("apu/1 {request}").as_bytes()).unwrap();
        let policy = Policy::parse(policy).unwrap();
        assert_eq!(policy.allows_now(&request, |_| unreachable!()), Ok(()));
    }
}

#[test]
fn what_may_not_be_done_may_not_be_fetched_either() {
    let policy =
        "operations = [\"upgrade\", \"install\"]\nremovals = \"never\"\n[install]\nallow = [\"vim\"]";
    assert_eq!(check(policy, "upgrade download_only=yes"), Ok(()));
    assert_eq!(check(policy, "install download_only=yes vim"), Ok(()));
    for request in [
        "dist-upgrade download_only=yes",
        "install download_only=yes htop",
        "install allow_remove=yes download_only=yes vim",
    ] {
        assert!(check(policy, request).is_err(), "{request}");
    }
}

#[test]
fn a_mistake_is_an_error_and_never_a_default() {
    for text in [
        "operation = []",
        "operations = [\"updat\"]",
        "conffiles = \"old\"",
        "[conffiles]\nkeep = [\"x\"]",
        "answers = \"when-needed\"",
        "reboots = \"always\"",
        "restarts = \"when-asked\"",
        "conffile_decisions = \"new\"",
        "keep_running = \"ssh\"",
        "[install]\nallowed = []",
        "install = 1",
        "[maintenance]\nwindow = []",
        "[maintenance]\nwindows = [\"Sat 22:00\"]",
        "[maintenance]\nzone = \"../../etc\"",
        "[",
    ] {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_policy_that_somebody_else_may_write_is_no_policy() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    let paths = ClientPaths::below(root.path());
    assert!(matches!(Policy::read(&paths), Err(PolicyError::Read(_))));
    fs::create_dir_all(paths.policy().parent().unwrap()).unwrap();
    fs::write(paths.policy(), "").unwrap();
    fs::set_permissions(paths.policy(), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(Policy::read(&paths), Err(PolicyError::Owner)));
}
