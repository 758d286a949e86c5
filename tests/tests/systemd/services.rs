//! Which running services a plan reaches and what its packages would ask, on a machine where they run and a hardened handler looks.

use std::collections::BTreeSet;

use apu_proto::{ChangedConffiles, ClientOutcome, NewQuestions, Services};
use apu_tests::systemd::Machine;

/// Two programs of pkg-a, by what dpkg has noted of it. It restarts the first, as debhelper would have it.
const NOTE: &str = r#"
set -e
mkdir -p /usr/lib/lab
for name in own other foreign; do cp /bin/sleep /usr/lib/lab/$name; done
printf '/usr/lib/lab/own\n/lib/lab/other\n' >>/var/lib/dpkg/info/pkg-a.list
cat >/var/lib/dpkg/info/pkg-a.postinst <<'END'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
	if [ -n "$2" ]; then
		_dh_action=restart
	else
		_dh_action=start
	fi
	deb-systemd-invoke $_dh_action 'own.service' 'asleep.service' >/dev/null || true
fi
END
chmod 755 /var/lib/dpkg/info/pkg-a.postinst
systemctl daemon-reload
systemctl start own.service other@one.service foreign.service
/usr/lib/lab/other 100000 >/dev/null 2>&1 &
"#;

#[test]
fn a_plan_tells_which_services_restart_and_which_go_on_with_old_code() {
    let unit =
        |program: &str, more: &str| format!("[Service]\nExecStart=/usr/lib/lab/{program} 100000\n{more}");
    let (own, foreign) = (unit("own", ""), unit("foreign", ""));
    // Another user's, in a view of the file system of its own, and below a slice of its own.
    let other = unit("other", "User=nobody\nPrivateTmp=yes\n");
    let machine = Machine::client(&[
        ("/etc/systemd/system/own.service", own.as_str()),
        ("/etc/systemd/system/asleep.service", own.as_str()),
        ("/etc/systemd/system/other@.service", other.as_str()),
        ("/etc/systemd/system/foreign.service", foreign.as_str()),
    ]);
    machine.answer("apu/1 update").ended(ClientOutcome::Changed);
    machine.sh(NOTE).ok();
    let planned = |request: &str| {
        let answer = machine.answer(request);
        let plan = answer.ended(ClientOutcome::Unchanged).result().plan().cloned();
        plan.unwrap_or_else(|| panic!("no plan: {answer:#?}"))
    };

    let plan = planned("apu/1 upgrade dry_run=yes");
    let expected = Services::new(["own".to_owned()], ["other@one".to_owned()]);
    assert_eq!(plan.services, Some(expected));
    // What it reads makes it no other plan.
    assert_eq!(
        planned("apu/1 upgrade dry_run=yes hold_packages=pkg-b").services,
        plan.services
    );
    let without = planned("apu/1 upgrade dry_run=yes hold_packages=pkg-a");
    assert_eq!(without.services, Some(Services::default()));

    // The old program is gone from the disk: those that have it are still told.
    machine
        .sh("for name in own other; do cp /bin/sleep /usr/lib/lab/new && mv /usr/lib/lab/new /usr/lib/lab/$name; done; systemctl stop own")
        .ok();
    let later = planned("apu/1 upgrade dry_run=yes");
    assert_eq!(later.transaction.id(), plan.transaction.id());
    let expected = Services::new([], ["other@one".to_owned()]);
    assert_eq!(later.services, Some(expected));
    // With the packages there, it looks into them as well.
    assert_eq!((later.changed_conffiles, later.new_questions), (None, None));
    machine
        .answer("apu/1 upgrade download_only=yes")
        .ended(ClientOutcome::Unchanged);
    let ahead = planned("apu/1 upgrade dry_run=yes");
    assert_eq!(
        ahead.changed_conffiles,
        Some(ChangedConffiles::new(true, BTreeSet::new()))
    );
    assert_eq!(ahead.new_questions, Some(NewQuestions::default()));
}
