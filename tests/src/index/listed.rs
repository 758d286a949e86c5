//! The differences between apu's index and its peers' that are meant to be, each with its reason.

use super::{FIELDS, Kind, PACKAGE, Peer};

struct Listed {
    /// Nothing: both.
    peer: Option<Peer>,
    /// [`ANY`]: whichever.
    field: &'static str,
    kind: Kind,
    /// Whether ours and theirs differ in just the way that is meant.
    is_it: fn(&str, &str) -> bool,
    why: &'static str,
}

const ANY: &str = "*";

const LISTED: &[Listed] = &[
    missing(
        "MD5sum",
        "SHA256 stands there; apt of every supported suite takes it alone",
    ),
    missing("SHA1", "likewise"),
    Listed {
        peer: Some(Peer::Ftparchive),
        ..missing("SHA512", "likewise")
    },
    Listed {
        peer: None,
        field: "Filename",
        kind: Kind::Value,
        is_it: |ours, theirs| theirs.strip_prefix("./") == Some(ours),
        why: "the same path without ./ before it",
    },
    Listed {
        peer: None,
        field: ANY,
        kind: Kind::Value,
        is_it: |ours, theirs| {
            let trimmed = |text: &str| {
                text.trim()
                    .lines()
                    .map(str::trim_end)
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            ours == trimmed(theirs)
        },
        why: "blanks around a value are none of it (deb-control(5)); apu leaves them out",
    },
    Listed {
        peer: Some(Peer::Scanpackages),
        field: ANY,
        kind: Kind::Value,
        is_it: |ours, theirs| ours.replace("\n\t", "\n ") == theirs,
        why: "a tab before a continued line stays one; apt takes it as it takes a blank",
    },
    Listed {
        peer: None,
        field: ANY,
        kind: Kind::Spelling,
        is_it: str::eq_ignore_ascii_case,
        why: "apu keeps the control file's letters; apt finds fields whatever their case",
    },
    Listed {
        peer: None,
        field: FIELDS,
        kind: Kind::Order,
        is_it: |_, _| true,
        why: "apu keeps the control file's order; apt finds fields by name",
    },
    Listed {
        peer: None,
        field: PACKAGE,
        kind: Kind::Order,
        is_it: |_, _| true,
        why: "apu sorts by name and version, so that the same .debs give the same index; apt does not mind",
    },
];

const fn missing(field: &'static str, why: &'static str) -> Listed {
    Listed {
        peer: None,
        field,
        kind: Kind::Missing,
        is_it: |_, _| true,
        why,
    }
}

/// Why a difference is as it should be; nothing if it is none of the listed.
pub(super) fn why(peer: Peer, field: &str, kind: Kind, ours: &str, theirs: &str) -> Option<&'static str> {
    let meant = LISTED.iter().find(|listed| {
        listed.peer.is_none_or(|only| only == peer)
            && [field, ANY].contains(&listed.field)
            && listed.kind == kind
            && (listed.is_it)(ours, theirs)
    });
    meant.map(|listed| listed.why)
}
