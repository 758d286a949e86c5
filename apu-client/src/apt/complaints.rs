//! Collects the errors that apt, dpkg and maintainer scripts print, each one with its cause.
//!
//! dpkg prints the cause of an error on the indented lines below it, and apt does so below `Err:`. The output of a
//! maintainer script comes between the step that runs it and dpkg's error, and is always reported as the script's own
//! words.

/// The kind of an error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// dpkg could not do something with a package.
    Dpkg,
    /// A list or a package could not be fetched or verified.
    Fetch,
    /// A hook of the machine's apt configuration failed after apt had done its own work.
    Hook,
    /// Anything else that apt calls an error.
    Other,
    /// A warning about a signature; it explains an error and is not one itself.
    Signature,
}

/// One error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) kind: Kind,
    /// The object first, then the cause; untrusted text.
    pub(crate) text: String,
    /// The cause alone, where it had lines of its own.
    cause: String,
    /// Whether apt repeats it in a line that starts with `E:` or `W:`.
    is_repeated: bool,
}

/// Collects complaints from the lines of an output, in order.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    list: Vec<Complaint>,
    /// Whether an indented line would belong to the last complaint.
    expects_cause: bool,
    /// The last lines of the maintainer script that may be running; none where no script is.
    script: Option<Vec<String>>,
    /// Number of `Hit:` and `Get:` lines: answers of archives.
    fetched: usize,
}

/// Maximal number of complaints; later ones are dropped.
const MAX_COMPLAINTS: usize = 50;
/// Maximal length of one complaint's text, in bytes.
const MAX_TEXT: usize = 1000;
/// Number of a script's last lines that are kept.
const MAX_SCRIPT_LINES: usize = 3;

/// Starts of lines that dpkg prints before it runs a maintainer script.
const STEPS: [&str; 7] = [
    "Setting up ",
    "Preparing to unpack ",
    "Unpacking ",
    "Removing ",
    "Purging configuration files for ",
    "Processing triggers for ",
    "Replacing files in old package ",
];

/// Starts of lines that dpkg or apt print after a script.
const AFTER_A_SCRIPT: [&str; 10] = [
    "dpkg: error ",
    "dpkg: warning: ",
    "dpkg: unrecoverable",
    "dpkg: dependency problems",
    "dpkg-deb: error",
    "dpkg-split: error",
    "Errors were encountered while processing",
    "Selecting previously unselected package ",
    "E: Sub-process ",
    "E: Problem executing scripts DPkg::",
];

impl Complaints {
    /// Reads the next line, given without its line end.
    pub(crate) fn add_line(&mut self, line: &str) {
        if STEPS.iter().any(|step| line.starts_with(step)) {
            self.expects_cause = false;
            self.script = Some(Vec::new());
            return;
        }
        if self.expects_cause && line.starts_with(' ') {
            self.add_cause(line.trim());
            return;
        }
        self.expects_cause = false;
        if let Some(words) = &mut self.script
            && !AFTER_A_SCRIPT.iter().any(|start| line.starts_with(start))
        {
            // This is dpkg's own progress and not the script's output.
            if !line.starts_with("(Reading database") {
                words.push(shortened(line, 200));
                if words.len() > MAX_SCRIPT_LINES {
                    words.remove(0);
                }
            }
            return;
        }
        if line.starts_with("Hit:") || line.starts_with("Get:") {
            self.fetched += 1;
        }
        let Some((kind, text, expects_cause)) = classify(line) else {
            return;
        };
        // Only dpkg's error about a package can be about the script that ran before it.
        if !line.starts_with("dpkg: error processing package") {
            self.script = None;
        }
        self.expects_cause = expects_cause && self.list.len() < MAX_COMPLAINTS;
        if self.list.len() < MAX_COMPLAINTS {
            self.list.push(Complaint {
                kind,
                text: shortened(&text, MAX_TEXT),
                cause: String::new(),
                is_repeated: line.starts_with("Err:"),
            });
        }
    }

    /// Adds what apu-client itself did about a package's script.
    pub(crate) fn add_own(&mut self, text: &str) {
        if self.list.len() < MAX_COMPLAINTS {
            self.list.push(Complaint {
                kind: Kind::Dpkg,
                text: shortened(text, MAX_TEXT),
                cause: String::new(),
                is_repeated: false,
            });
        }
    }

    fn add_cause(&mut self, cause: &str) {
        let Some(last) = self.list.last_mut() else {
            return;
        };
        let joint = if last.cause.is_empty() && !last.text.ends_with(':') {
            ": "
        } else {
            " "
        };
        last.text = shortened(&format!("{}{joint}{cause}", last.text), MAX_TEXT);
        last.cause = shortened(format!("{} {cause}", last.cause).trim(), MAX_TEXT);
        if cause.contains("script subprocess")
            && let Some(words) = self.script.take().filter(|words| !words.is_empty())
        {
            let words = words.join(" | ");
            last.text = shortened(
                &format!("{}; the script's last words: {words}", last.text),
                MAX_TEXT,
            );
        }
    }

    /// Returns all complaints, and the number of answers of archives.
    pub(crate) fn finish(self) -> (Vec<Complaint>, usize) {
        (self.list, self.fetched)
    }
}

/// Returns the kind and the text of a complaint, and whether its cause may follow on indented lines; none where the
/// line is no complaint.
fn classify(line: &str) -> Option<(Kind, String, bool)> {
    if let Some(rest) = line.strip_prefix("Err:") {
        let object = rest.split_once(' ').map_or(rest, |(_, object)| object);
        return Some((Kind::Fetch, object.to_owned(), true));
    }
    if let Some(rest) = line.strip_prefix("dpkg: error processing ") {
        return Some((Kind::Dpkg, object_of(rest), true));
    }
    if let Some(rest) = line.strip_prefix("dpkg: dependency problems ") {
        return Some((Kind::Dpkg, format!("dependency problems {rest}"), true));
    }
    for start in [
        "dpkg: error: ",
        "dpkg: unrecoverable",
        "dpkg-deb: error: ",
        "dpkg-split: error: ",
    ] {
        if line.starts_with(start) {
            return Some((Kind::Dpkg, line.to_owned(), true));
        }
    }
    let (is_error, text) = match line.strip_prefix("E: ") {
        Some(text) => (true, text),
        None => (false, line.strip_prefix("W: ")?),
    };
    let starts = |words: &str| text.starts_with(words);
    let kind = if starts("Failed to fetch")
        || starts("GPG error")
        || starts("The repository '")
        || starts("Repository '")
        || starts("Some index files failed")
        || starts("An error occurred during the signature verification")
        || starts("OpenPGP signature verification failed")
        || starts("Unable to fetch some archives")
    {
        Kind::Fetch
    } else if is_error && starts("Problem executing scripts ") {
        Kind::Hook
    } else if is_error && starts("Sub-process returned an error code") {
        // apt prints this after the line that names the hook.
        Kind::Hook
    } else if is_error {
        Kind::Other
    } else if text.contains("signature") || text.contains("Signature") || text.contains("NO_PUBKEY") {
        Kind::Signature
    } else {
        return None;
    };
    Some((
        kind,
        text.strip_prefix("GPG error: ").unwrap_or(text).to_owned(),
        false,
    ))
}

/// `archive /var/cache/apt/archives/a_1_all.deb (--unpack):` is about `a_1_all.deb`, `package a (--configure):` about `a`.
fn object_of(rest: &str) -> String {
    let rest = rest.trim_end_matches(':');
    let words = rest.split_once(' ').map_or(rest, |(_, object)| object);
    let object = words.rsplit_once(" (--").map_or(words, |(object, _)| object);
    object.rsplit('/').next().unwrap_or(object).to_owned()
}

fn shortened(text: &str, longest: usize) -> String {
    match (0..=longest.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at))
    {
        Some(end) => text[..end].to_owned(),
        None => String::new(),
    }
}

/// Returns at most `most` lines that tell the complaints, causes first, without repetitions.
pub(crate) fn summarize(complaints: &[Complaint], most: usize) -> Vec<String> {
    let is_covered = |complaint: &Complaint| {
        let archive = complaint.text.split(' ').next().unwrap_or_default();
        complaint.is_repeated
            && complaints.iter().any(|other| {
                !other.is_repeated
                    && other.kind == Kind::Fetch
                    && other.text.contains(archive)
                    && other.text.contains(&complaint.cause)
            })
    };
    // These only say that something failed; other lines say what.
    let is_summary = |complaint: &Complaint| {
        [
            "Sub-process ",
            "Some index files failed",
            "Unable to fetch some archives",
        ]
        .iter()
        .any(|start| complaint.text.starts_with(start))
    };
    let rank = |complaint: &Complaint| (is_summary(complaint), complaint.kind != Kind::Dpkg);
    let mut kept: Vec<&Complaint> = complaints
        .iter()
        .filter(|complaint| !is_covered(complaint))
        .collect();
    kept.sort_by_key(|complaint| rank(complaint));
    let mut lines: Vec<String> = Vec::new();
    for complaint in kept {
        if !lines.iter().any(|line| line.contains(&complaint.text)) {
            lines.push(complaint.text.clone());
        }
    }
    lines.truncate(most);
    lines
}

/// Whether a complaint says that a file system or a quota is full.
pub(crate) fn is_disk_full(complaints: &[Complaint]) -> bool {
    complaints.iter().any(|complaint| {
        ["No space left on device", "enough free space", "Disk quota"]
            .iter()
            .any(|words| complaint.text.contains(words))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn parse_complaints(text: &str) -> Vec<Complaint> {
        let mut complaints = Complaints::default();
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .for_each(|line| complaints.add_line(line));
        complaints.finish().0
    }

    fn summary(text: &str) -> Vec<String> {
        summarize(&parse_complaints(text), 10)
    }

    #[test]
    fn the_cause_below_dpkgs_error_is_told_with_it() {
        let text = "Unpacking ovl-b (1.0) ...\n\
            dpkg: error processing archive /var/cache/apt/archives/ovl-b_1.0_all.deb (--unpack):\n \
            trying to overwrite '/usr/share/ovl', which is also in package ovl-a 1.0\n\
            Errors were encountered while processing:\n \
            /var/cache/apt/archives/ovl-b_1.0_all.deb\n\
            E: Sub-process /usr/bin/dpkg returned an error code (1)\n";
        assert_eq!(
            summary(text),
            [
                "ovl-b_1.0_all.deb: trying to overwrite '/usr/share/ovl', which is also in package ovl-a 1.0",
                "Sub-process /usr/bin/dpkg returned an error code (1)"
            ]
        );
    }

    #[test]
    fn a_scripts_words_are_told_as_a_scripts_whatever_they_look_like() {
        let text = "Setting up bad (2.0) ...\nE: The repository 'x' is not signed.\nit was not to be\n\
            dpkg: error processing package bad (--configure):\n \
            installed bad package post-installation script subprocess returned error exit status 1\n";
        assert_eq!(
            summary(text),
            [
                "bad: installed bad package post-installation script subprocess returned error exit status 1; \
                 the script's last words: E: The repository 'x' is not signed. | it was not to be"
            ]
        );
        let hook =
            "Processing triggers for a (1) ...\nE: Problem executing scripts DPkg::Post-Invoke 'false'\n";
        assert_eq!(
            summary(hook),
            ["Problem executing scripts DPkg::Post-Invoke 'false'"]
        );
        // A script that speaks and succeeds complains of nothing.
        assert!(
            summary("Setting up a (1) ...\nE: alas\nProcessing triggers for b (1) ...\nE: alas\n").is_empty()
        );
    }

    #[test]
    fn dependencies_are_told_with_the_package_that_lacks_them() {
        let text = "dpkg: dependency problems prevent configuration of b:\n b depends on a; however:\n  \
            Package a is not configured yet.\n\n\
            dpkg: error processing package b (--configure):\n dependency problems - leaving unconfigured\n";
        assert_eq!(
            summary(text),
            [
                "dependency problems prevent configuration of b: b depends on a; however: Package a is not configured yet.",
                "b: dependency problems - leaving unconfigured"
            ]
        );
    }

    #[test]
    fn the_reason_of_a_bad_signature_comes_before_that_there_is_none() {
        let gpgv = "Err:1 http://x ./ InRelease\n  \
            The following signatures couldn't be verified because the public key is not available: NO_PUBKEY AB12\n\
            Reading package lists...\n\
            W: GPG error: http://x ./ InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY AB12\n\
            E: The repository 'http://x ./ InRelease' is not signed.\n";
        let lines = summary(gpgv);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].ends_with("NO_PUBKEY AB12"), "{lines:?}");
        let sqv = "Err:1 http://x ./ InRelease\n  Sub-process /usr/bin/sqv returned an error code (1), error message is: \
            Signing key on AB12 is not bound: SHA1 is not considered secure\n\
            W: OpenPGP signature verification failed: http://x ./ InRelease: Sub-process /usr/bin/sqv returned an error code (1), error message is: \
            Signing key on AB12 is not bound: SHA1 is not considered secure\n\
            E: The repository 'http://x ./ InRelease' is not signed.\n";
        let lines = summary(sqv);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("SHA1 is not considered secure"), "{lines:?}");
    }

    #[test]
    fn nothing_is_told_twice() {
        let text = "Err:1 http://x a InRelease\n  Could not connect to x:80\n\
            W: Failed to fetch http://x/dists/a/InRelease  Could not connect to x:80\n\
            W: Some index files failed to download. They have been ignored, or old ones used instead.\n";
        assert_eq!(summary(text).len(), 2);
        assert_eq!(
            summary("Err:1 http://x/\nE: Failed to fetch http://x/\n"),
            ["Failed to fetch http://x/"]
        );
        assert_eq!(summary("Err:1 http://x/\n"), ["http://x/"]);
        assert_eq!(
            summary("Err:1 http://x/ a InRelease\nE: Failed to fetch http://y/dists/a/InRelease  404\n")
                .len(),
            2
        );
        assert_eq!(
            summary("dpkg-deb: error: a\ndpkg-deb: error: a\n"),
            ["dpkg-deb: error: a"]
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let line = format!("E: {}\n  {}\n", "x".repeat(5000), "y".repeat(5000));
        let complaints = parse_complaints(&line.repeat(200));
        assert_eq!(complaints.len(), MAX_COMPLAINTS);
        assert!(
            complaints
                .iter()
                .all(|complaint| complaint.text.len() <= MAX_TEXT)
        );
        let chatty = format!("Setting up a (1) ...\n{}", "z\n".repeat(10_000));
        assert!(parse_complaints(&chatty).is_empty());
    }

    #[test]
    fn complaints_are_told_from_chatter() {
        for (line, kind) in [
            ("E: Unable to locate package x", Kind::Other),
            ("Err:1 http://x/ a InRelease", Kind::Fetch),
            (
                "dpkg: error processing package lab-fail (--configure):",
                Kind::Dpkg,
            ),
            (
                "dpkg-deb: error: 'a.deb' is not a Debian format archive",
                Kind::Dpkg,
            ),
            (
                "E: Problem executing scripts APT::Update::Post-Invoke 'false'",
                Kind::Hook,
            ),
            (
                "W: http://x/InRelease: Signature by key AB uses weak algorithm",
                Kind::Signature,
            ),
        ] {
            let found = parse_complaints(line);
            assert_eq!(
                found.first().map(|complaint| complaint.kind),
                Some(kind),
                "{line}"
            );
        }
        for line in [
            "Get:1 http://x/ a InRelease",
            "W: something else",
            " indented",
            "N: a note",
        ] {
            assert!(parse_complaints(line).is_empty(), "{line}");
        }
    }
}
