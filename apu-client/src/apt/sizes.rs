//! Parses how much a transaction downloads and how much disk space it uses, in apt's own figures.

use apu_proto::Sizes;

/// Parses what `apt-get --print-uris` prints before the addresses in the C locale; none where it prints something else.
/// The sizes are only displayed.
pub(crate) fn sizes(stdout: &str) -> Option<Sizes> {
    let between = |start: &str, end: &str| {
        let line = stdout.lines().find_map(|line| line.strip_prefix(start))?;
        let figure = line.strip_suffix(end)?;
        is_figure(figure).then(|| figure.to_owned())
    };
    let fetched = between("Need to get ", " of archives.")?;
    // Before the slash is what is still to be downloaded, behind it the size of all archives.
    let download = fetched.rsplit('/').next().unwrap_or_default().to_owned();
    let after = "After this operation, ";
    let more = between(after, " of additional disk space will be used.").map(|size| format!("{size} more"));
    let less = || between(after, " disk space will be freed.").map(|size| format!("{size} less"));
    Some(Sizes {
        download,
        disk: more.or_else(less)?,
    })
}

/// Whether a text is a figure such as `5396 kB` or `0 B/18.4 MB`.
fn is_figure(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 40
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " ,./".contains(c) || "kMGTPEiB".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apts_own_figures_are_taken_and_nothing_else() {
        let text = |get: &str, after: &str| {
            format!("Reading…\nNeed to get {get}\nAfter this operation, {after}\n'http://x' y 1\n")
        };
        let read =
            |get: &str, after: &str| sizes(&text(get, after)).map(|sizes| (sizes.download, sizes.disk));
        let some = |download: &str, disk: &str| Some((download.to_owned(), disk.to_owned()));
        let more = "20.0 MB of additional disk space will be used.";
        assert_eq!(
            read("5396 kB of archives.", more),
            some("5396 kB", "20.0 MB more")
        );
        assert_eq!(
            read("0 B/5,396 kB of archives.", more),
            some("5,396 kB", "20.0 MB more")
        );
        assert_eq!(
            read("0 B of archives.", "36.9 kB disk space will be freed."),
            some("0 B", "36.9 kB less")
        );
        assert_eq!(read("x; try: y of archives.", more), None);
        assert_eq!(read("5 kB of archives.", "something else"), None);
        assert_eq!(sizes(""), None);
    }
}
