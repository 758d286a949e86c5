//! Every command on a large fleet.

use apu_fleet::HostName;

use crate::recorded::{Push, apu, changed, failed, json, site};

/// How many hosts a large fleet has.
const MANY: usize = 10_000;

#[test]
fn three_runs_of_ten_thousand_hosts_are_shown_by_every_command() {
    let site = site();
    let names: Vec<HostName> = (0..MANY)
        .map(|n| format!("node{n:05}").parse().unwrap())
        .collect();
    for run in 1..=3 {
        let mut push = Push::new(site.path(), run, names.clone());
        for (place, name) in names.iter().enumerate() {
            let is_failed = run == 2 && place % 100 == 0;
            push.end(name, if is_failed { failed() } else { changed(&["a:all"]) });
        }
        push.finish(u8::from(run == 2));
    }
    let mut push = Push::new(site.path(), 4, names.clone());
    push.start(&names[0]);
    push.recorder.close().unwrap();
    for (words, part) in [
        (
            "runs",
            "\n2    2023-11-14 22:15  alice  web,db1  upgrade …  ended: 9900 changed, 100 failed\n",
        ),
        (
            "show 2",
            "\n9900 changed, 100 failed, in 12.3 s\n\ntry: apu retry 2 --failed\n",
        ),
        ("log 2", "no host printed anything in run 2\n"),
        ("history node00100", "\n2    2023-11-14 22:15  alice  failed "),
        ("diff 1 2", "changed → failed\n  - a:all  1 → 2\n"),
        ("locks", "\nnode[00001-09999]  4    alice  "),
    ] {
        let (text, code) = apu(site.path(), words);
        assert_eq!(code, 0, "{words}: {text}");
        assert!(text.contains(part), "{words}: {}", &text[..text.len().min(4000)]);
        assert!(
            text.lines().count() < 20,
            "{words}: {} lines",
            text.lines().count()
        );
    }
    assert_eq!(
        json(site.path(), "show 2")[0]["ends"].as_array().unwrap().len(),
        MANY
    );
    assert_eq!(json(site.path(), "locks").len(), MANY);
    assert_eq!(json(site.path(), "history node00001").len(), 4);
}
