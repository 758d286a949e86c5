//! A client whose apt would take another version than the one that was just published for it: why, and what to try.
//!
//! The server cannot know it beforehand: what else a client can have is decided by the client's own sources. And the
//! client installs its candidate or nothing, so that no request can choose an old version.

use apu_debian::PackageName;
use apu_fleet::{HostReason, ServerAdvice};
use apu_proto::{Cause, PackageArg, Reason};

/// What to try; nothing where that is not the matter.
pub(super) fn advice(
    reason: &HostReason,
    local: &[PackageArg],
    may_replace: &[PackageName],
) -> Option<ServerAdvice> {
    let HostReason::Client(Reason {
        cause: Cause::NotTheCandidate { package, .. },
        ..
    }) = reason
    else {
        return None;
    };
    let published = local.iter().find(|local| local.name.as_str() == package.name())?;
    let (package, version) = (published.name.clone(), published.version.as_ref()?);
    Some(if may_replace.contains(&package) {
        ServerAdvice::PushMayReplace { package }
    } else {
        ServerAdvice::MayReplace {
            package,
            version: version.to_string(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(package: &str) -> HostReason {
        let cause = Cause::NotTheCandidate {
            package: package.parse().unwrap(),
            asked: "9-1".into(),
            found: "1.22.1-9".into(),
            origin: Some("Debian:12.11/stable".into()),
        };
        HostReason::Client(cause.into())
    }

    #[test]
    fn the_package_that_the_client_names_is_the_one_to_allow() {
        let local: Vec<PackageArg> = vec!["foo=1".parse().unwrap(), "nginx:amd64=9-1".parse().unwrap()];
        let nginx: PackageName = "nginx".parse().unwrap();
        let refused = refused("nginx:amd64");
        let expected = ServerAdvice::MayReplace {
            package: nginx.clone(),
            version: "9-1".into(),
        };
        assert_eq!(advice(&refused, &local, &[]), Some(expected));

        let settings = apu_site::Settings::parse("[archive]\nmay_replace = ['nginx']\n").unwrap();
        let expected = ServerAdvice::PushMayReplace { package: nginx };
        assert_eq!(
            advice(&refused, &local, &settings.archive.may_replace),
            Some(expected)
        );
    }

    #[test]
    fn other_reasons_and_other_packages_have_no_such_advice() {
        let local: Vec<PackageArg> = vec!["foo=1".parse().unwrap()];
        let held = HostReason::Client(Cause::OnHold.into());
        assert_eq!(advice(&held, &local, &[]), None);
        assert_eq!(advice(&refused("foo:amd64"), &[], &[]), None);
        assert_eq!(advice(&refused("bar:amd64"), &local, &[]), None);
    }
}
