//! The end of a hold.

/// Returns a shell script that lets the hold of a package of amd64 end long ago, in what apu-client keeps of it. A test that waits for
/// the end instead has to put the package on hold before that, and a busy machine may be later.
#[must_use]
pub fn let_hold_end(package: &str) -> String {
    format!(
        r#"perl -0pi -e '$done = s/("{package}:amd64":\{{[^}}]*"until":)\d+/${{1}}1/; END {{ $? = !$done }}' /var/lib/apu-client/holds.json"#
    )
}
