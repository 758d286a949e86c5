//! Extracts error lines from apt's standard error.

/// Returns the lines that start with `E: `, without that mark.
pub(crate) fn errors(stderr: &str) -> String {
    let lines = stderr.lines().filter_map(|line| line.strip_prefix("E: "));
    lines.collect::<Vec<_>>().join("\n")
}
