//! What is said where a run cannot be gone on with, repeated, waited for or told to begin nothing more.

use apu_fleet::{Event, PauseCause, Sink};

use crate::recorded::{Push, apu, broken_off_run, hosts, site, two_runs};

#[test]
fn a_run_that_does_not_fit_is_answered_with_what_fits() {
    let site = site();
    two_runs(site.path());
    broken_off_run(site.path());
    let mut living = Push::new(site.path(), 4, hosts(&["db2"]));
    living.start(&hosts(&["db2"])[0]);
    for (words, said, code) in [
        ("resume 1", "error: run 1 has ended\n  try: apu retry 1\n", 2),
        ("resume", "error: run 4 is under way\n  try: apu wait 4\n", 2),
        (
            "resume 9",
            "error: there is no run 9\n  try: apu runs, which lists them\n",
            2,
        ),
        (
            "retry 3",
            "error: run 3 was broken off\n  why: what became of its hosts is found out first\n  try: apu resume 3\n",
            2,
        ),
        ("retry 4", "error: run 4 is under way\n  try: apu wait 4\n", 2),
        (
            "retry 2 --failed",
            "run 2 has no such host: nothing is to be done again\n",
            0,
        ),
        // The site has no class with that host.
        (
            "retry 1 --failed",
            "error: db1 is in no class any more\n  why: so there is nobody to ask again\n  \
             try: write the hosts into a class again\n",
            2,
        ),
        ("pause 1", "error: run 1 is not under way\n  try: apu show 1\n", 2),
        (
            "promote 4",
            "error: run 4 waits for no decision\n  \
             why: a wave is promoted where it cannot be told whether its hosts are well\n  try: apu show 4\n",
            2,
        ),
        (
            "pause 4",
            "run 4 of alice was told to begin nothing new; to have it go on: apu resume 4\n",
            0,
        ),
        ("abort 1", "error: run 1 is not under way\n  try: apu show 1\n", 2),
        (
            "abort 4",
            "run 4 of alice was told to begin nothing more; to wait for its end: apu wait 4\n",
            0,
        ),
        ("wait 2", "", 0),
        (
            "wait 3",
            "error: run 3 was broken off\n  why: its apt-all was killed\n  try: apu resume 3\n",
            3,
        ),
    ] {
        assert_eq!(apu(site.path(), words), (said.to_owned(), code), "{words}");
    }
}

#[test]
fn a_run_that_is_paused_says_what_ends_its_pause() {
    let site = site();
    let mut living = Push::new(site.path(), 1, hosts(&["db2"]));
    living.start(&hosts(&["db2"])[0]);
    let mut pause = |cause| {
        living.tell(Event::Paused {
            cause,
            wave: 2,
            hosts: Vec::new(),
            by: "carol".into(),
            limit: 60.0,
        });
        living.recorder.settle().unwrap();
    };
    let decision = "error: run 1 waits for a decision\n  why: whether the hosts of wave 2 are well cannot be told\n  \
                    try: apu show 1, and then apu promote 1 or apu abort 1\n";
    let paused = "error: run 1 is paused\n  try: apu resume 1, or apu abort 1\n";
    let told = "wave 2 of run 1 of alice counts as well; to follow the next one: apu attach 1\n";
    let goes_on = "run 1 of alice goes on\n";
    for (cause, expected) in [
        (
            PauseCause::Inconclusive,
            [
                ("pause", decision, 2),
                ("resume", decision, 2),
                ("promote", told, 0),
            ],
        ),
        (
            PauseCause::Asked,
            [
                ("pause", paused, 2),
                ("promote", paused, 2),
                ("resume", goes_on, 0),
            ],
        ),
    ] {
        pause(cause);
        for (command, said, code) in expected {
            let words = format!("{command} 1");
            assert_eq!(apu(site.path(), &words), (said.to_owned(), code), "{words}");
        }
    }
}
