//! A client whose apt would take another version than the one that was just published for it: why, and what to try.
//!
//! The server cannot know it beforehand: what else a client can have is decided by the client's own sources. And the
//! client installs its candidate or nothing, so that no request can choose an old version.

use apu_debian::PackageName;
use apu_fleet::{Code, Why};
use apu_proto::{PackageArg, ReasonCode};

/// What to try, with `HOST` for the hosts; nothing where that is not the matter.
pub(super) fn advice(why: &Why, local: &[PackageArg], may_replace: &[PackageName]) -> Option<String> {
    if why.code != Code::Client(ReasonCode::NotTheCandidate) {
        return None;
    }
    // The client names the package with its architecture.
    let is_meant = |package: &&PackageArg| why.text.contains(&format!(" {}:", package.name));
    let package = local.iter().find(is_meant).or_else(|| local.first())?;
    let name = &package.name;
    let version = package.version.as_ref()?;
    Some(if may_replace.iter().any(|other| other == name) {
        format!(
            "gen-apu-data-pkg --push HOST, where {name} is new in may_replace; else give it a version above theirs"
        )
    } else {
        format!(
            "where {name} {version} is to replace theirs: write \"{name}\" into may_replace of [archive] in \
             /etc/apu-server/apu.toml, then: gen-apu-data-pkg --push HOST"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(code: ReasonCode, text: &str) -> Why {
        Why {
            code: Code::Client(code),
            text: text.to_owned(),
            advice: String::new(),
        }
    }

    #[test]
    fn the_package_that_the_client_names_is_the_one_to_allow() {
        let local: Vec<PackageArg> = vec!["foo=1".parse().unwrap(), "nginx:amd64=9-1".parse().unwrap()];
        let text = "the candidate of nginx:amd64 is 1.22.1-9, from Debian:12.11/stable, and not 9-1";
        let refused = why(ReasonCode::NotTheCandidate, text);
        let advised = advice(&refused, &local, &[]).unwrap();
        assert!(
            advised.starts_with("where nginx 9-1 is to replace theirs: "),
            "{advised}"
        );
        assert!(advised.contains("may_replace"), "{advised}");
        assert!(advised.ends_with("gen-apu-data-pkg --push HOST"), "{advised}");

        let settings = apu_site::Settings::parse("[archive]\nmay_replace = ['nginx']\n").unwrap();
        let advised = advice(&refused, &local, &settings.archive.may_replace).unwrap();
        assert!(advised.contains("a version above theirs"), "{advised}");
    }

    #[test]
    fn other_reasons_and_other_pushes_have_no_such_advice() {
        let local: Vec<PackageArg> = vec!["foo=1".parse().unwrap()];
        assert_eq!(advice(&why(ReasonCode::UnknownPackage, "x"), &local, &[]), None);
        assert_eq!(advice(&why(ReasonCode::NotTheCandidate, "x"), &[], &[]), None);
    }
}
