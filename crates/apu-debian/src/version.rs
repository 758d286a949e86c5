//! Versions and their order (deb-version(7)).

use std::cmp::Ordering;

use crate::package::PackageError;
use crate::text_value;

text_value!(
    /// A Debian version as a request may name it: to be compared with the candidate, never to be handed to apt, which
    /// reads a `+` at its end (bookworm has one such version) as a verb. Ordered as dpkg orders versions.
    Version,
    is_version_in_request,
    PackageError,
    |_| PackageError::Version
);

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        // 1.0 and 1.00 are one version to dpkg, and two texts.
        compare(self.as_str(), other.as_str()).then_with(|| self.as_str().cmp(other.as_str()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn is_version_in_request(version: &str) -> bool {
    let upstream = match version.split_once(':') {
        Some((epoch, upstream)) => {
            if !(1..=9).contains(&epoch.len()) || !epoch.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            upstream
        }
        None => version,
    };
    upstream.len() <= 128
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && !upstream.ends_with('-')
        && upstream
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+.~-".contains(&byte))
}

/// Whether dpkg takes the version, in a package as in a relation; of at most 256 bytes.
#[must_use]
pub fn is_version(version: &str) -> bool {
    let (upstream, has_epoch) = match version.split_once(':') {
        Some((epoch, rest)) => {
            let is_number = !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
            if !is_number || epoch.parse::<i32>().is_err() {
                return false;
            }
            (rest, true)
        }
        None => (version, false),
    };
    let (upstream, revision) = upstream.rsplit_once('-').unwrap_or((upstream, "0"));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+~".contains(&byte);
    version.len() <= 256
        && upstream.starts_with(|first: char| first.is_ascii_digit())
        && upstream
            .bytes()
            .all(|byte| plain(byte) || byte == b'-' || (has_epoch && byte == b':'))
        && !revision.is_empty()
        && revision.bytes().all(plain)
}

/// Compares two versions as `dpkg --compare-versions` does. Texts that are no versions have some order, too.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (left_epoch, left) = epoch(left);
    let (right_epoch, right) = epoch(right);
    let (left_upstream, left_revision) = revision(left);
    let (right_upstream, right_revision) = revision(right);
    (left_epoch.cmp(&right_epoch))
        .then_with(|| part(left_upstream.as_bytes(), right_upstream.as_bytes()))
        .then_with(|| part(left_revision.as_bytes(), right_revision.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

fn revision(version: &str) -> (&str, &str) {
    version.rsplit_once('-').unwrap_or((version, ""))
}

/// Compares an upstream version or a revision: runs of other characters and runs of digits in turn.
fn part(mut left: &[u8], mut right: &[u8]) -> Ordering {
    loop {
        let letters = |bytes: &[u8]| bytes.iter().take_while(|byte| !byte.is_ascii_digit()).count();
        let (left_letters, rest) = left.split_at(letters(left));
        left = rest;
        let (right_letters, rest) = right.split_at(letters(right));
        right = rest;
        for at in 0..left_letters.len().max(right_letters.len()) {
            let order = weight(left_letters.get(at)).cmp(&weight(right_letters.get(at)));
            if order.is_ne() {
                return order;
            }
        }

        let order = number(&mut left).cmp_number(number(&mut right));
        if order.is_ne() || (left.is_empty() && right.is_empty()) {
            return order;
        }
    }
}

/// `~` sorts before the end, the end before letters, and letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        None => 0,
        Some(b'~') => -1,
        Some(&byte) if byte.is_ascii_alphabetic() => i32::from(byte),
        Some(&byte) => i32::from(byte) + 256,
    }
}

/// Digits without their leading zeros: longer is larger, and equal lengths compare as texts.
struct Digits<'a>(&'a [u8]);

impl Digits<'_> {
    fn cmp_number(&self, other: Digits<'_>) -> Ordering {
        (self.0.len().cmp(&other.0.len())).then_with(|| self.0.cmp(other.0))
    }
}

fn number<'a>(bytes: &mut &'a [u8]) -> Digits<'a> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(length);
    *bytes = rest;
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    Digits(&digits[zeros..])
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn versions_sort_as_dpkg_sorts_them() {
        for (smaller, larger) in [
            ("1.0", "1.1"),
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0", "1.0+b1"),
            ("1.0-1", "1.0-1+deb12u1"),
            ("9.9", "1:0.1"),
            ("1.0a", "1.0+"),
            ("1.0-1", "1.0-1.1"),
            ("6.1.0-9-amd64", "6.1.0-37-amd64"),
            ("2.36-9+deb12u9", "2.36-9+deb12u10"),
            ("1", "99999999999999999999999999"),
        ] {
            assert_eq!(compare(smaller, larger), Ordering::Less, "{smaller} < {larger}");
            assert_eq!(
                compare(larger, smaller),
                Ordering::Greater,
                "{larger} > {smaller}"
            );
        }
        for (one, other) in [("1.0", "1.00"), ("0:1.0", "1.0"), ("1.0-0", "1.0")] {
            assert_eq!(compare(one, other), Ordering::Equal, "{one} = {other}");
        }
    }
    #[test]
    fn a_version_is_ordered_as_a_version_and_equal_as_a_text() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("1.10") > version("1.9"));
        assert!(version("1.0~rc1") < version("1.0"));
        assert_ne!(version("1.0"), version("1.00"));
        assert_ne!(version("1.0").cmp(&version("1.00")), Ordering::Equal);
    }

    proptest::proptest! {
        /// dpkg is asked itself.
        #[test]
        fn the_order_is_dpkgs(one in "([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?",
                              other in "([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?") {
            let relation = match compare(&one, &other) {
                Ordering::Less => "lt",
                Ordering::Equal => "eq",
                Ordering::Greater => "gt",
            };
            let dpkg = Command::new("dpkg").args(["--compare-versions", &one, relation, &other]).status().unwrap();
            proptest::prop_assert!(dpkg.success(), "{one} {relation} {other}");
        }
    }
}
