//! Checks of a machine's health, each with a verdict, and the verdict over all of them.

use serde::{Deserialize, Serialize};

/// The most checks that a result has.
pub const MAX_CHECKS: usize = 64;

/// The most lines of a check's detail.
pub const MAX_CHECK_LINES: usize = 10;

/// The most characters of a check's detail, and of its name.
pub const MAX_CHECK_TEXT: usize = 2000;

/// The exit status by which a check says that it cannot tell now: EX_TEMPFAIL of sysexits.h.
pub const CANNOT_TELL: i32 = 75;

/// One check and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Wire")]
pub struct Check {
    /// `dpkg`, `units`, `checks.d/NAME`, or `checks.d` where it is about all of them.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// What the check or the system says about it: at most [`MAX_CHECK_LINES`] lines and [`MAX_CHECK_TEXT`] characters, not to
    /// be trusted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All is well.
    Pass,
    /// Something is wrong.
    Fail,
    /// The check cannot tell.
    Inconclusive,
    /// A verdict of a later version, which counts as inconclusive.
    #[serde(other)]
    Unknown,
}

impl Verdict {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive | Self::Unknown => "inconclusive",
        }
    }
}

/// The verdict over all checks: one that fails comes before one that cannot tell, and that before all that pass. Without a check
/// it is pass.
#[must_use]
pub fn overall(checks: &[Check]) -> Verdict {
    let mut overall = Verdict::Pass;
    for check in checks {
        match check.verdict {
            Verdict::Pass => {}
            Verdict::Fail => return Verdict::Fail,
            Verdict::Inconclusive | Verdict::Unknown => overall = Verdict::Inconclusive,
        }
    }
    overall
}

impl Check {
    /// A check with as much of its detail as there is room for: the first line, and the last ones.
    #[must_use]
    pub fn new(name: impl Into<String>, verdict: Verdict, detail: impl AsRef<str>) -> Self {
        Self {
            name: cut(&name.into(), MAX_CHECK_TEXT),
            verdict,
            detail: bounded(detail.as_ref()),
        }
    }

    /// The names of the checks with this verdict.
    pub fn named(checks: &[Self], verdict: Verdict) -> Vec<String> {
        let same = checks
            .iter()
            .filter(|check| check.verdict.as_str() == verdict.as_str());
        same.map(|check| check.name.clone()).collect()
    }
}

/// The first line and the last ones, without empty lines.
fn bounded(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let last = lines.len().saturating_sub(MAX_CHECK_LINES - 1).max(1);
    let first = lines.iter().take(1);
    let kept: Vec<&str> = first.chain(lines.iter().skip(last)).copied().collect();
    cut(&kept.join("\n"), MAX_CHECK_TEXT)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// A check as it is read: one of another version, or a hostile one, is cut to the bounds.
#[derive(Deserialize)]
struct Wire {
    name: String,
    verdict: Verdict,
    #[serde(default)]
    detail: String,
}

impl From<Wire> for Check {
    fn from(wire: Wire) -> Self {
        Self::new(wire.name, wire.verdict, wire.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdict: Verdict) -> Check {
        Check::new("units", verdict, "")
    }

    #[test]
    fn a_failure_comes_before_doubt_and_doubt_before_success() {
        use Verdict::{Fail, Inconclusive, Pass, Unknown};
        for (verdicts, expected) in [
            (&[][..], Pass),
            (&[Pass, Pass], Pass),
            (&[Pass, Inconclusive], Inconclusive),
            (&[Unknown, Pass], Inconclusive),
            (&[Inconclusive, Fail, Pass], Fail),
        ] {
            let checks: Vec<Check> = verdicts.iter().copied().map(check).collect();
            assert_eq!(overall(&checks), expected, "{verdicts:?}");
        }
    }

    #[test]
    fn a_verdict_of_a_later_version_is_read_and_cannot_pass() {
        let read: Check =
            serde_json::from_str(r#"{"name":"units","verdict":"sparkling","since":3}"#).unwrap();
        assert_eq!(read, check(Verdict::Unknown));
        assert_eq!(read.verdict.as_str(), "inconclusive");
        assert_eq!(Check::named(&[read], Verdict::Inconclusive), ["units"]);
        assert!(serde_json::from_str::<Check>(r#"{"name":"units"}"#).is_err());
    }

    #[test]
    fn a_check_reads_back_as_it_was_written() {
        for (detail, expected) in [
            ("", r#"{"name":"dpkg","verdict":"pass"}"#),
            ("a\nb", r#"{"name":"dpkg","verdict":"pass","detail":"a\nb"}"#),
        ] {
            let check = Check::new("dpkg", Verdict::Pass, detail);
            let text = serde_json::to_string(&check).unwrap();
            assert_eq!(text, expected);
            assert_eq!(serde_json::from_str::<Check>(&text).unwrap(), check);
        }
    }

    #[test]
    fn a_detail_keeps_its_first_line_and_its_last_ones() {
        let text: String = (1..=100).map(|number| format!("line {number}\n\n")).collect();
        let lines = |check: &Check| check.detail.lines().map(str::to_owned).collect::<Vec<_>>();
        let check = Check::new("x", Verdict::Fail, text);
        let mut expected = vec!["line 1".to_owned()];
        expected.extend((92..=100).map(|number| format!("line {number}")));
        assert_eq!(lines(&check), expected);
        assert_eq!(lines(&Check::new("x", Verdict::Fail, "a\n")), ["a"]);
        let ten = "x\n".repeat(10);
        assert_eq!(lines(&Check::new("x", Verdict::Fail, ten)).len(), 10);

        let wide = format!(
            r#"{{"name":{:?},"verdict":"fail","detail":{:?}}}"#,
            "n".repeat(9999),
            "é".repeat(9999)
        );
        let read: Check = serde_json::from_str(&wide).unwrap();
        assert_eq!(
            (read.name.len(), read.detail.chars().count()),
            (MAX_CHECK_TEXT, MAX_CHECK_TEXT)
        );
    }
}
