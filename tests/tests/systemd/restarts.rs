//! Restarts of stale services, on a machine where systemd runs them.

use apu_proto::{Cause, ClientOutcome, LeftService, NotRestarted, ReasonCode, WhyLeft};
use apu_tests::systemd::Machine;

/// Programs and a library of their own for the services, so that nothing else of the machine is stale.
const INSTALL: &str = r#"
set -e
mkdir -p /usr/lib/lab
for name in own refuses broken fresh; do cp /bin/sleep /usr/lib/lab/$name; done
cp "$(ldd /bin/sleep | awk '/libc\.so/ { print $3 }')" /usr/lib/lab/libc.so.6
systemctl daemon-reload
systemctl start own.service library.service refuses.service broken.service fresh.service
"#;

/// Replaces the files as dpkg does: another file is renamed over each.
const UPGRADE: &str = r#"
set -e
cd /usr/lib/lab
for name in own refuses broken libc.so.6; do cp $name $name.dpkg-new; mv $name.dpkg-new $name; done
"#;

#[test]
fn a_stale_service_is_restarted_and_one_that_refuses_it_stays() {
    let unit =
        |program: &str, more: &str| format!("{more}\n[Service]\nExecStart=/usr/lib/lab/{program} 100000\n");
    let own = unit("own", "");
    let fresh = unit("fresh", "");
    let refuses = unit("refuses", "[Unit]\nRefuseManualStop=yes");
    let broken = unit("broken", "") + "ExecStartPre=/usr/bin/test ! -e /run/broken\n";
    let library = "[Service]\nEnvironment=LD_LIBRARY_PATH=/usr/lib/lab\nExecStart=/bin/sleep 100000\n";
    let machine = Machine::client(&[
        ("/etc/systemd/system/own.service", own.as_str()),
        ("/etc/systemd/system/fresh.service", fresh.as_str()),
        ("/etc/systemd/system/refuses.service", refuses.as_str()),
        ("/etc/systemd/system/broken.service", broken.as_str()),
        ("/etc/systemd/system/library.service", library),
    ]);
    machine.sh(INSTALL).ok();
    let main = |service: &str| {
        let told = machine.exec(&["systemctl", "show", "-p", "MainPID", service]);
        told.ok().trim().to_owned()
    };
    let told = machine.answer("apu/1 restart-services dry_run=yes");
    let report = told.ended(ClientOutcome::Unchanged).result().restarts().unwrap();
    assert_eq!((report.restarts.len(), report.left.len()), (0, 0), "{told:#?}");
    machine
        .answer("apu/1 restart-services")
        .ended(ClientOutcome::Unchanged);

    machine.sh(UPGRADE).ok();
    let services = ["own", "library", "refuses", "fresh"];
    let before = services.map(main);
    let told = machine.answer("apu/1 restart-services dry_run=yes");
    let report = told.ended(ClientOutcome::Unchanged).result().restarts().unwrap();
    assert_eq!(report.restarts, ["broken", "library", "own"], "{told:#?}");
    let left = [LeftService {
        service: "refuses".to_owned(),
        why: WhyLeft::Refused,
    }];
    assert_eq!(report.left, left);
    assert_eq!(services.map(main), before, "a dry run restarts nothing");

    // One cannot start again.
    machine.sh("touch /run/broken").ok();
    let done = machine.answer("apu/1 restart-services");
    done.ended(ClientOutcome::Partial).because(ReasonCode::Health);
    let report = done.result().restarts().unwrap();
    assert_eq!(report.restarts, ["library", "own"], "{done:#?}");
    assert_eq!(report.left, left);
    let [failed] = report.failed.as_slice() else {
        panic!("{done:#?}");
    };
    assert_eq!(failed.service, "broken");
    assert!(
        matches!(&failed.why, NotRestarted::Systemctl { said } if said.contains("broken.service")),
        "{failed:?}"
    );
    let services_named = vec!["broken".to_owned()];
    let reason = done.result().reason.as_ref().unwrap();
    assert_eq!(
        reason.cause,
        Cause::NotRestarted {
            services: services_named
        }
    );
    let after = services.map(main);
    assert_ne!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2..], before[2..], "what refuses it, and what is not stale");

    // Nothing is left to be done.
    let again = machine.answer("apu/1 restart-services");
    let report = again.ended(ClientOutcome::Unchanged).result().restarts().unwrap();
    assert_eq!((report.restarts.len(), report.left.len()), (0, 1), "{again:#?}");

    machine
        .sh("sed -i 's/^restarts = .*/restarts = \"never\"/' /etc/apu-client/policy.toml")
        .ok();
    machine
        .answer("apu/1 restart-services dry_run=yes")
        .ended(ClientOutcome::Refused)
        .because(ReasonCode::Policy);
}
