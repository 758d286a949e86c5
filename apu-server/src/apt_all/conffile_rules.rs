//! The rules of apu.toml for configuration files, as a request has them.

use apu_debian::PathGlob;
use apu_proto::{ConffileRule, ConffileRuleFor, MAX_CONFFILE_RULES};
use apu_site::Failure;
use apu_site::settings::ConffilePaths;

/// The rules that a request to these hosts has.
///
/// # Errors
/// Where there are more than a request can have.
pub(super) fn rules(paths: &ConffilePaths) -> Result<Vec<ConffileRuleFor>, Failure> {
    let of = |rule: ConffileRule, globs: &[PathGlob]| {
        let rule = |paths: &PathGlob| ConffileRuleFor {
            rule,
            paths: paths.clone(),
        };
        globs.iter().map(rule).collect::<Vec<_>>()
    };
    let rules = [
        of(ConffileRule::HoldBack, &paths.hold_back),
        of(ConffileRule::Keep, &paths.keep),
        of(ConffileRule::New, &paths.new),
    ]
    .concat();
    if rules.len() > MAX_CONFFILE_RULES {
        return Err(Failure::words(format!(
            "[conffiles.CLASS] of apu.toml has {} patterns for this target",
            rules.len()
        ))
        .why(format!("a request has {MAX_CONFFILE_RULES} at most"))
        .advise("write fewer patterns, with * in them"));
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_come_first_and_more_than_a_request_has_are_refused() {
        let glob = |text: &str| text.parse::<PathGlob>().unwrap();
        let mut paths = ConffilePaths {
            keep: vec![glob("/etc/k")],
            new: vec![glob("/etc/n")],
            hold_back: vec![glob("/etc/h*")],
        };
        let words: Vec<String> = rules(&paths).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(words, ["hold-back:/etc/h*", "keep:/etc/k", "new:/etc/n"]);
        paths.keep = (0..MAX_CONFFILE_RULES)
            .map(|number| glob(&format!("/etc/{number}")))
            .collect();
        assert!(rules(&paths).is_err());
    }
}
