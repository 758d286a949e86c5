//! What apt sees together: it reads no source at all where two name one archive with different options.

use thiserror::Error;

use super::Source;

/// The options in which two sources of one archive have to agree for apt.
const AGREED: [&str; 8] = [
    "Signed-By",
    "Trusted",
    "Check-Valid-Until",
    "Valid-Until-Min",
    "Valid-Until-Max",
    "Check-Date",
    "Date-Max-Future",
    "Snapshot",
];

/// Two sources that make apt refuse all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Conflict {
    #[error("line {line} names {uri} {suite}, which is this server's own archive: apu-data names it anyway")]
    Own { line: usize, uri: String, suite: String },
    #[error(
        "lines {first} and {second} name one archive, {uri} {suite}, with different {option}: apt would read no source \
         at all"
    )]
    Option {
        first: usize,
        second: usize,
        uri: String,
        suite: String,
        option: &'static str,
    },
}

impl Conflict {
    /// What to do about it.
    pub(crate) fn advice(&self, path: &str) -> String {
        match self {
            Self::Own { line, .. } => format!("remove line {line} from {path}"),
            Self::Option {
                first,
                second,
                option,
                ..
            } => format!("write the same {option} on lines {first} and {second} of {path}, or on neither"),
        }
    }
}

/// The first two sources that do not go together.
pub(crate) fn conflict(sources: &[Source]) -> Option<Conflict> {
    for (place, second) in sources.iter().enumerate() {
        let (uri, suite) = key(second);
        for first in sources[..place]
            .iter()
            .filter(|first| key(first) == (uri.clone(), suite))
        {
            let [one, other] = [first, second].map(|source| source.stanza.line());
            if one == 0 && other != 0 {
                return Some(Conflict::Own {
                    line: other,
                    uri: second.uri.clone(),
                    suite: second.suite.clone(),
                });
            }
            let differs = |option: &&&str| value(first, option) != value(second, option);
            if let Some(option) = AGREED.iter().find(differs) {
                return Some(Conflict::Option {
                    first: one,
                    second: other,
                    uri: second.uri.clone(),
                    suite: second.suite.clone(),
                    option,
                });
            }
        }
    }
    None
}

/// An archive as apt tells one from another: a slash at the address's end counts for nothing, nor do `file://` and the
/// host's letters' case, which a client's resolver does not heed; http and https are one for apt since 3.0.
fn key(source: &Source) -> (String, &str) {
    let uri = source.uri.trim_end_matches('/');
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let scheme = if scheme == "https" { "http" } else { scheme };
    let uri = match rest.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            format!("{scheme}://{}/{path}", host.to_ascii_lowercase())
        }
        Some(path) => format!("{scheme}:{path}"),
        None => uri.to_owned(),
    };
    let suite = match source.suite.as_str() {
        // Two names of one path.
        "/" | "./" => "./",
        suite => suite,
    };
    (uri, suite)
}

fn value(source: &Source, option: &str) -> String {
    source
        .stanza
        .words(option)
        .collect::<Vec<_>>()
        .join(" ")
        .to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{Stanza, parse};

    fn found(text: &str) -> Option<String> {
        let own = Stanza::new(&[
            ("Types", "deb"),
            ("URIs", "http://apu.example.org/local"),
            ("Suites", "./"),
            ("Signed-By", "/own.gpg"),
        ]);
        let stanzas = std::iter::once(own).chain(parse(text).unwrap());
        let sources: Vec<Source> = stanzas.flat_map(|stanza| stanza.split()).collect();
        conflict(&sources).map(|conflict| conflict.to_string())
    }

    #[test]
    fn one_archive_with_different_options_is_found_with_both_lines() {
        for (one, other, option) in [
            ("[signed-by=/a.gpg]", "[signed-by=/b.gpg]", "Signed-By"),
            ("[signed-by=/a.gpg]", "[signed-by=/a.gpg trusted=no]", "Trusted"),
            (
                "[signed-by=/a.gpg check-valid-until=no]",
                "[signed-by=/a.gpg]",
                "Check-Valid-Until",
            ),
            (
                "[signed-by=/a.gpg valid-until-max=9]",
                "[signed-by=/a.gpg]",
                "Valid-Until-Max",
            ),
        ] {
            let text = format!(
                "deb {one} http://v.example.org/apt s a\n\ndeb-src {other} http://V.example.org/apt/ s b\n"
            );
            let error = found(&text).expect(&text);
            assert!(error.starts_with("lines 1 and 3 name one archive, "), "{error}");
            assert!(error.contains(&format!("with different {option}")), "{error}");
        }
        let text = "deb [signed-by=/a.gpg] https://v.example.org/apt /\ndeb [signed-by=/b.gpg] http://v.example.org/apt ./\n";
        assert!(found(text).unwrap().starts_with("lines 1 and 2 name one archive"));
    }

    #[test]
    fn sources_that_agree_or_are_of_other_archives_go_together() {
        for text in [
            "deb [signed-by=/a.gpg] http://v.example.org/apt s a\ndeb-src [signed-by=/a.gpg] http://v.example.org/apt s b\n",
            "deb [signed-by=/a.gpg] http://v.example.org/apt s a\ndeb [signed-by=/b.gpg] http://v.example.org/apt t a\n",
            "deb [signed-by=/a.gpg arch=amd64] http://v.example.org/apt s a\ndeb [signed-by=/a.gpg arch=i386] http://v.example.org/apt s a\n",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn the_servers_own_archive_is_named_by_nobody_else() {
        for line in [
            "deb [signed-by=/a.gpg] http://apu.example.org/local ./",
            "deb [signed-by=/own.gpg] http://apu.example.org/local/ ./",
            "deb [signed-by=/a.gpg] http://APU.example.org/local /",
            "deb-src [signed-by=/a.gpg] http://apu.example.org/local ./",
        ] {
            let error = found(line).expect(line);
            assert!(error.starts_with("line 1 names "), "{error}");
            assert!(error.contains("this server's own archive"), "{error}");
        }
    }
}
