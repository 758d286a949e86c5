//! What apt prints as an error.

/// apt's own errors, without their mark.
pub(crate) fn errors(stderr: &str) -> String {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("E: "));
    lines.collect::<Vec<_>>().join("\n")
}
