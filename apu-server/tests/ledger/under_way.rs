//! What is said where a run cannot be gone on with, repeated, waited for or told to begin nothing more.

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
