//! Checks systemd's units: asks which have failed, and compares with those that had failed before.

use std::collections::BTreeMap;
use std::time::Duration;

use apu_proto::{Check, MAX_CHECK_LINES, Verdict};
use serde::Deserialize;

use crate::os::paths::ClientPaths;
use crate::os::spawn::capture;

const SYSTEMCTL: &str = "/bin/systemctl";
const ENVIRONMENT: [&str; 3] = [
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C.UTF-8",
    "SYSTEMD_COLORS=0",
];

/// Time for systemd to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is known of the failed units at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Units {
    /// systemd is not PID 1, so there are no units.
    None,
    /// systemd does not tell, for this reason.
    Unknown(String),
    /// These have failed, sorted.
    Failed(Vec<String>),
}

/// The units that had failed before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Earlier<'a> {
    /// That is not known.
    Unknown,
    /// These, or none where there is nothing to compare with.
    Failed(&'a [String]),
}

/// Asks systemd which units have failed.
pub(super) fn failed(paths: &ClientPaths) -> Units {
    if !paths.path("/run/systemd/system").is_dir() {
        return Units::None;
    }
    let arguments = [
        "list-units",
        "--state=failed",
        "--all",
        "--no-pager",
        "--output=json",
    ];
    match capture(SYSTEMCTL, &arguments, &ENVIRONMENT, TIMEOUT) {
        Ok(captured) if captured.succeeded() => match parse(&captured.stdout) {
            Ok(units) => Units::Failed(units),
            Err(error) => Units::Unknown(format!("systemctl's answer is not understood: {error}")),
        },
        Ok(captured) => Units::Unknown(format!(
            "systemctl: {}: {}",
            captured.exit,
            captured.stderr.trim()
        )),
        Err(error) => Units::Unknown(error.to_string()),
    }
}

/// A unit in the answer of `systemctl list-units --output=json`.
#[derive(Deserialize)]
struct Unit {
    unit: String,
    active: String,
}

fn parse(answer: &str) -> Result<Vec<String>, serde_json::Error> {
    let units: Vec<Unit> = serde_json::from_str(answer)?;
    // `--state` looks at three states, and this one says whether a unit is well.
    let failed = units.into_iter().filter(|unit| unit.active == "failed");
    let mut names: Vec<String> = failed.map(|unit| unit.unit).collect();
    names.sort();
    Ok(names)
}

/// The check of the units; none where there are no units.
pub(super) fn check(earlier: Earlier<'_>, now: &Units) -> Option<Check> {
    judge(earlier, now, results)
}

/// Compares the failed units. `results` tells of each how it failed, as far as that is known.
fn judge(
    earlier: Earlier<'_>,
    now: &Units,
    results: impl Fn(&[String]) -> BTreeMap<String, String>,
) -> Option<Check> {
    let check = |verdict, detail: &str| Some(Check::new("units", verdict, detail));
    let failed = match now {
        Units::None => return None,
        Units::Unknown(why) => return check(Verdict::Inconclusive, why),
        Units::Failed(failed) => failed,
    };
    match earlier {
        Earlier::Unknown if failed.is_empty() => check(Verdict::Pass, ""),
        Earlier::Unknown => {
            let names = failed.join(", ");
            let text = format!("whether these units had failed before is not known: {names}");
            check(Verdict::Inconclusive, &text)
        }
        Earlier::Failed(earlier) => {
            let new = failed.iter().filter(|unit| !earlier.contains(unit));
            let new: Vec<String> = new.cloned().collect();
            if new.is_empty() {
                return check(Verdict::Pass, "");
            }
            check(Verdict::Fail, &told(&new, &results(&new)))
        }
    }
}

/// A line for each unit, and one for all that have no room.
fn told(units: &[String], results: &BTreeMap<String, String>) -> String {
    let line = |unit: &String| match results.get(unit) {
        Some(result) => format!("{unit} ({result})"),
        None => unit.clone(),
    };
    let room = if units.len() > MAX_CHECK_LINES {
        MAX_CHECK_LINES - 1
    } else {
        MAX_CHECK_LINES
    };
    let mut lines: Vec<String> = units.iter().take(room).map(line).collect();
    if let Some(rest) = units.get(room..).filter(|rest| !rest.is_empty()) {
        lines.push(rest.join(", "));
    }
    lines.join("\n")
}

/// Asks systemd how each of the units failed; nothing where it does not say.
fn results(units: &[String]) -> BTreeMap<String, String> {
    let mut arguments = vec!["show", "--no-pager", "--property=Id,Result", "--"];
    arguments.extend(units.iter().take(MAX_CHECK_LINES).map(String::as_str));
    let captured = capture(SYSTEMCTL, &arguments, &ENVIRONMENT, TIMEOUT);
    captured.map_or_else(|_| BTreeMap::new(), |captured| parse_results(&captured.stdout))
}

fn parse_results(answer: &str) -> BTreeMap<String, String> {
    let of_unit = |paragraph: &str| {
        let value = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key));
        let result = value("Result=").filter(|result| !result.is_empty())?;
        Some((value("Id=")?.to_owned(), result.to_owned()))
    };
    answer.split("\n\n").filter_map(of_unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What systemctl of systemd 247 and later prints.
    const ANSWER: &str = r#"[{"unit":"web.service","load":"loaded","active":"failed","sub":"failed","description":"Web"},{"unit":"a.timer","load":"not-found","active":"failed","sub":"failed","description":"a.timer"}]"#;

    fn failed(names: &[&str]) -> Units {
        Units::Failed(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn judged(earlier: Option<&[&str]>, now: &Units) -> Option<(Verdict, String)> {
        let names: Vec<String> = earlier
            .unwrap_or_default()
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        let earlier = earlier.map_or(Earlier::Unknown, |_| Earlier::Failed(&names));
        let results = |_: &[String]| BTreeMap::from([("web.service".to_owned(), "exit-code".to_owned())]);
        judge(earlier, now, results).map(|check| (check.verdict, check.detail))
    }

    #[test]
    fn the_answer_of_systemctl_is_read_and_another_is_not_understood() {
        assert_eq!(parse(ANSWER).unwrap(), ["a.timer", "web.service"]);
        assert_eq!(parse("[]\n").unwrap(), Vec::<String>::new());
        let other = r#"[{"unit":"x.mount","load":"loaded","active":"active","sub":"failed"}]"#;
        assert_eq!(parse(other).unwrap(), Vec::<String>::new());
        for wrong in [
            "",
            "0 loaded units listed.",
            "{}",
            r#"[{"name":"web.service"}]"#,
            r#"[{"unit":"web.service"}]"#,
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_unit_counts_that_had_not_failed_before() {
        let pass = Some((Verdict::Pass, String::new()));
        let web = Some((Verdict::Fail, "web.service (exit-code)".to_owned()));
        assert_eq!(judged(Some(&[]), &failed(&[])), pass);
        assert_eq!(judged(Some(&["web.service"]), &failed(&["web.service"])), pass);
        assert_eq!(judged(Some(&["old.service"]), &failed(&[])), pass);
        assert_eq!(judged(Some(&[]), &failed(&["web.service"])), web);
        assert_eq!(
            judged(Some(&["a.timer"]), &failed(&["a.timer", "web.service"])),
            web
        );
    }

    #[test]
    fn what_is_not_known_is_inconclusive_and_never_pass() {
        assert_eq!(judged(Some(&[]), &Units::None), None);
        let silent = judged(Some(&[]), &Units::Unknown("no answer".into())).unwrap();
        assert_eq!(silent, (Verdict::Inconclusive, "no answer".to_owned()));
        let (verdict, detail) = judged(None, &failed(&["web.service"])).unwrap();
        assert_eq!(verdict, Verdict::Inconclusive);
        assert!(detail.ends_with("not known: web.service"), "{detail}");
        assert_eq!(judged(None, &failed(&[])).unwrap().0, Verdict::Pass);
    }

    #[test]
    fn every_unit_is_named_however_many_there_are() {
        let names: Vec<String> = (10..42).map(|number| format!("u{number}.service")).collect();
        let text = told(&names, &BTreeMap::new());
        let check = Check::new("units", Verdict::Fail, &text);
        assert_eq!(check.detail, text);
        assert!(names.iter().all(|name| text.contains(name.as_str())), "{text}");
    }

    #[test]
    fn how_a_unit_failed_is_read_where_systemctl_says_it() {
        let found =
            parse_results("Result=exit-code\nId=web.service\n\nId=dev-x.device\n\nResult=\nId=y.service\n");
        assert_eq!(
            found,
            BTreeMap::from([("web.service".to_owned(), "exit-code".to_owned())])
        );
    }
}
