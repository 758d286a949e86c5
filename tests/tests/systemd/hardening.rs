//! How much of the machine the units of both packages leave to what runs in them, as systemd itself counts it.

use std::fs;
use std::path::Path;

use apu_tests::systemd::Machine;

/// A unit, its file in `debian/`, and the highest score of `systemd-analyze security` that it may have, in tenths.
const SCORES: [(&str, &str, u32); 5] = [
    ("apu-client@.service", "apu-client.apu-client@.service", 30),
    ("apu-holds.service", "apu-client.apu-holds.service", 20),
    ("apu-publish.service", "apu-server.apu-publish.service", 20),
    ("apu-serve.service", "apu-server.apu-serve.service", 15),
    // It starts ssh, and a mail server's own program.
    ("apu-slots.service", "apu-server.apu-slots.service", 33),
];

fn shipped(file: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../debian")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The number of tenths in `→ Overall exposure level for x.service: 1.5 OK`.
fn score(told: &str) -> u32 {
    let line = told.lines().find(|line| line.contains("Overall exposure level"));
    let number = line.and_then(|line| line.rsplit_once(": ")?.1.split(' ').next());
    let tenths = number.map(|number| number.replace('.', "").parse());
    tenths.unwrap_or_else(|| panic!("no score in {told:?}")).unwrap()
}

#[test]
fn no_unit_leaves_more_of_the_machine_open_than_it_needs() {
    let machine = Machine::bare();
    machine.sh("mkdir -p /root/units").ok();
    for (unit, file, most) in SCORES {
        let path = format!("/root/units/{unit}");
        machine.write(&path, &shipped(file));
        let told = machine
            .exec(&[
                "systemd-analyze",
                "security",
                "--offline=true",
                "--no-pager",
                &path,
            ])
            .ok();
        let score = score(&told);
        println!("{unit}: {}.{}", score / 10, score % 10);
        assert!(score <= most, "{unit}: {told}");
        // A unit without a single directive has 9.6: what is measured is the unit that was written.
        machine.write(&path, "[Service]\nExecStart=/bin/true\n");
        let bare = machine
            .exec(&[
                "systemd-analyze",
                "security",
                "--offline=true",
                "--no-pager",
                &path,
            ])
            .ok();
        assert!(self::score(&bare) > 90, "{bare}");
    }
}

#[test]
fn every_unit_has_bounds_and_every_directive_is_known() {
    let machine = Machine::bare();
    // `verify` looks for the programs, and for the slices.
    machine
        .sh("mkdir -p /root/units && for name in apu apu-client; do ln -s /bin/true /usr/sbin/$name; done")
        .ok();
    for slice in ["apu-client.slice", "apu-server.slice"] {
        let text = shipped(slice);
        assert!(
            text.contains("\nMemoryMax=") && text.contains("\nTasksMax="),
            "{slice}: {text}"
        );
        machine.write(&format!("/root/units/{slice}"), &text);
    }
    for (unit, file, _) in SCORES {
        let text = shipped(file);
        for bound in ["Slice", "MemoryMax", "TasksMax", "LimitNOFILE"] {
            assert!(text.contains(&format!("\n{bound}=")), "{unit} has no {bound}");
        }
        machine.write(&format!("/root/units/{unit}"), &text);
    }
    for unit in ["apu-run@.service", "apu-health@.service"] {
        machine.write(
            &format!("/root/units/{unit}"),
            &shipped(&format!("apu-client.{unit}")),
        );
    }
    let verified = machine.sh("cd /root/units && systemd-analyze verify --man=no *.service *.slice");
    assert_eq!((verified.code, verified.stderr.as_str()), (0, ""), "{verified:?}");
}

#[test]
fn a_run_goes_on_where_the_kernel_ends_one_of_its_processes_for_want_of_memory() {
    let text = shipped("apu-client.apu-run@.service");
    assert!(text.contains("\nOOMPolicy=continue\n"), "{text}");
    // Its slice would bound what maintainer scripts may use.
    assert!(!text.contains("Slice=") && !text.contains("MemoryMax="), "{text}");
}
