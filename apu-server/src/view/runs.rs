//! The list of runs: a line for each.

use apu_ledger::{Outcomes, Run};
use jiff::tz::TimeZone;

use super::clean::clean;
use super::columns::columns;
use super::paint::Paint;
use super::run_facts::{shorten, state, when};

/// What a cut cell has at least: the room of its head.
const SHORTEST: usize = 9;

/// The most characters of a user's name.
const LONGEST_NAME: usize = 12;

/// Runs as lines of so many columns. With `verbose` nothing is cut, however wide that is.
#[must_use]
pub fn runs(runs: &[(Run, Outcomes)], zone: &TimeZone, width: usize, paint: Paint, verbose: bool) -> String {
    let mut rows = vec![
        ["RUN", "BEGAN", "BY", "TARGET", "OPERATION", "STATE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (run, outcomes) in runs {
        rows.push(vec![
            run.number.to_string(),
            when(run.begun, zone),
            clean(&run.by),
            clean(&run.target),
            clean(&run.operation),
            state(run, outcomes),
        ]);
    }
    if !verbose {
        fit(&mut rows, width, paint.unicode);
    }
    let mut lines = columns(&rows, "  ");
    if let Some(head) = lines.first_mut() {
        *head = paint.strong(head);
    }
    paint.letters(lines.join("\n") + "\n")
}

/// Cuts the targets and operations so far that all of the rest has room.
fn fit(rows: &mut [Vec<String>], width: usize, unicode: bool) {
    for row in rows.iter_mut() {
        row[2] = shorten(&row[2], LONGEST_NAME, unicode);
    }
    let widest = |place: usize| rows.iter().map(|row| row[place].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|place| widest(place).unwrap_or_default()).collect();
    let fixed: usize = [0, 1, 2, 5].map(|place| widths[place]).iter().sum();
    let room = width.saturating_sub(fixed + 5 * 2);
    let most = (SHORTEST..=room).rev();
    let fits = |most: &usize| widths[3].min(*most) + widths[4].min(*most) <= room;
    let most = most.into_iter().find(fits).unwrap_or(SHORTEST);
    for row in rows {
        for cell in &mut row[3..=4] {
            *cell = shorten(cell, most, unicode);
        }
    }
}

#[cfg(test)]
mod tests {
    use apu_fleet::Outcome;
    use apu_ledger::RunStatus;

    use super::super::run_facts::example_run;
    use super::*;

    const PLAIN: Paint = Paint {
        colour: false,
        unicode: true,
    };

    fn listed() -> Vec<(Run, Outcomes)> {
        let long = Run {
            target: "web[01-20],db1,!web07".into(),
            operation: "install a-package-with-a-long-name --yes".into(),
            status: RunStatus::BrokenOff,
            ..example_run(413)
        };
        let outcomes: Outcomes = [(Some(Outcome::Changed), 3), (Some(Outcome::Failed), 1)].into();
        vec![(long, Outcomes::new()), (example_run(412), outcomes)]
    }

    #[test]
    fn each_run_is_one_line_that_fits() {
        assert_eq!(
            runs(&listed(), &TimeZone::UTC, 80, PLAIN, false),
            "RUN  BEGAN             BY     TARGET      OPERATION   STATE\n\
             413  2023-11-14 22:13  alice  web[01-20…  install a…  broken off\n\
             412  2023-11-14 22:13  alice  web         upgrade -…  ended: 3 changed, 1 failed\n"
        );
        let wide = runs(&listed(), &TimeZone::UTC, 100, PLAIN, false);
        assert!(
            wide.contains("  web[01-20],db1,!web…  install a-package-w…  "),
            "{wide}"
        );
        assert!(wide.lines().all(|line| line.chars().count() <= 100), "{wide}");
    }

    #[test]
    fn nothing_is_cut_with_v() {
        let all = runs(&listed(), &TimeZone::UTC, 80, PLAIN, true);
        assert!(
            all.contains("  web[01-20],db1,!web07  install a-package-with-a-long-name --yes  broken off\n"),
            "{all}"
        );
    }

    #[test]
    fn what_was_typed_is_shown_clean() {
        let mut run = example_run(1);
        run.target = "web\u{1b}[2J".into();
        let text = runs(&[(run, Outcomes::new())], &TimeZone::UTC, 80, PLAIN, true);
        assert!(
            !text.contains('\u{1b}') && text.contains("web\u{fffd}[2J"),
            "{text}"
        );
    }
}
