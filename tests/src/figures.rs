//! What every benchmark says of its figures: the machine, the middle of several rounds, and what became of a promise.

use std::fmt;
use std::fs;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// A promise and what became of it.
pub struct Target {
    /// What is promised, for people.
    pub what: &'static str,
    /// The bound.
    pub wanted: f64,
    /// Of the bound and of what was found.
    pub unit: &'static str,
    /// Whether more is better.
    pub at_least: bool,
    /// What was measured, if it was.
    pub found: Option<f64>,
}

impl Target {
    /// Whether it is kept; nothing where nothing was measured.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        let found = self.found?;
        Some(if self.at_least {
            found >= self.wanted
        } else {
            found <= self.wanted
        })
    }

    /// All of it, for `target/*.json`.
    #[must_use]
    pub fn as_json(&self) -> Value {
        json!({
            "what": self.what,
            "wanted": self.wanted,
            "at_least": self.at_least,
            "unit": self.unit,
            "found": self.found,
            "met": self.met(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { ">=" } else { "<=" };
        let found = self
            .found
            .map_or_else(|| "not measured".to_owned(), |found| format!("{found:.2}"));
        let verdict = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        write!(
            f,
            "  {:<55} {sign} {:>4} {:<2}  {found:>7}  {verdict}",
            self.what, self.wanted, self.unit
        )
    }
}

/// What the figures are of: processor and kernel.
#[must_use]
pub fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let model = read("/proc/cpuinfo");
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    format!(
        "{} cores of {model}, Linux {}",
        cores(),
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// How many processors there are to use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Now, in Unix time.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

/// The middle one, or halfway between the two in the middle.
#[must_use]
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[values.len() / 2 - 1], upper))
}

/// Says what is going on, and how long the benchmark has been running.
pub fn note(text: &str) {
    static BEGIN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGIN.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("{:>2}:{:02}  {text}", seconds / 60, seconds % 60);
}

#[cfg(test)]
mod tests {
    use super::{Target, median};

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0].into_iter()), Some(3.0));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_target_is_met_on_its_own_side_of_the_bound() {
        let target = |at_least, found| Target {
            what: "speed",
            wanted: 4.0,
            unit: "x",
            at_least,
            found,
        };
        assert_eq!(target(true, Some(4.0)).met(), Some(true));
        assert_eq!(target(true, Some(3.9)).met(), Some(false));
        assert_eq!(target(false, Some(4.1)).met(), Some(false));
        assert_eq!(target(true, None).met(), None, "nothing was measured");
        assert!(target(true, Some(3.9)).to_string().ends_with("MISSED"));
    }
}
