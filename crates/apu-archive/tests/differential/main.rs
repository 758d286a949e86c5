//! Thousands of .debs, generated and damaged, checked here and by dpkg and apt: whatever one of them refuses is refused.
//!
//! `APU_DIFFERENTIAL` says how many (400 unless told), `APU_DIFFERENTIAL_SEED` where the sequence starts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod build;
mod cases;
mod exceptions;
mod readers;
mod values;

use std::collections::BTreeMap;
use std::env;
use std::fs;

use apu_archive::Deb;
use cases::{Case, Random};
use exceptions::EXCEPTIONS;

fn number(name: &str, usual: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => usual,
    }
}

#[test]
fn what_dpkg_or_apt_refuse_is_refused_and_what_both_take_is_taken() {
    let count = number("APU_DIFFERENTIAL", 400);
    let mut random = Random::new(number("APU_DIFFERENTIAL_SEED", 1));
    let dir = tempfile::tempdir().unwrap();
    let cases: Vec<Case> = (0..count).map(|index| Case::make(index, &mut random)).collect();
    for case in &cases {
        fs::write(dir.path().join(case.file()), &case.bytes).unwrap();
    }
    let dpkg = readers::dpkg(dir.path(), &cases);

    let mut wrong = Vec::new();
    let mut taken = Vec::new();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    for case in &cases {
        let path = dir.path().join(case.file());
        let ours = Deb::examine(&path);
        match (ours, dpkg.get(&case.file())) {
            (Ok(deb), None) => taken.push((case, deb)),
            (Ok(deb), Some(why)) if readers::takes_root(why) => taken.push((case, deb)),
            (Err(_), Some(_)) => {}
            (Ok(_), Some(why)) => wrong.push(format!("{case}: taken here, and dpkg says: {why}")),
            (Err(error), None) => {
                let text = error.to_string();
                if let Some((words, _)) = EXCEPTIONS.iter().find(|(words, _)| text.contains(words)) {
                    *used.entry(words).or_default() += 1;
                } else if readers::apt(&[readers::paragraph_by_dpkg(&path)]).is_none() {
                    wrong.push(format!("{case}: dpkg and apt take it, and here: {text}"));
                }
            }
        }
    }
    let paragraphs: Vec<String> = taken.iter().map(|(_, deb)| readers::paragraph(deb)).collect();
    if readers::apt(&paragraphs).is_some() {
        for ((case, _), paragraph) in taken.iter().zip(&paragraphs) {
            if let Some(why) = readers::apt(std::slice::from_ref(paragraph)) {
                wrong.push(format!("{case}: taken here, and apt says: {why}"));
            }
        }
    }
    let refused = cases.len() - taken.len();
    println!(
        "{} taken, {refused} refused, {} of them by exceptions: {used:?}",
        taken.len(),
        used.values().sum::<usize>()
    );
    assert!(
        wrong.is_empty(),
        "{} of {count} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // A generator whose packages are all good, or all bad, tests nothing.
    assert!(taken.len() * 10 > cases.len() && refused * 10 > cases.len());
}
