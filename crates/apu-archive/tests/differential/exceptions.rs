//! What dpkg and apt take, and is refused all the same: words of the refusal, and the reason.

/// Each was met by the generated packages.
pub(crate) const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "its last line has no line break",
        "dpkg takes a Control-Z for the end",
    ),
    ("this field cannot stand in a package", "dpkg writes it itself"),
    ("not UTF-8", "Policy 5.1: an index has one encoding"),
    (
        "stands there twice",
        "readers differ about which of two values counts",
    ),
    (
        "it has no Architecture",
        "dpkg guesses; an index would offer it to nobody",
    ),
    ("is not a Package", "a request to a client could not name it"),
    (
        "is not a Version",
        "a request could not name it, or no file's name could hold it",
    ),
    ("is not a Architecture", "an index would offer it to nobody"),
    (
        "is neither `Field: value`",
        "field names as Policy 5.1 has them; no bytes that end a line elsewhere",
    ),
    ("not stay below the root", "dpkg unpacks outside of the root"),
    (
        "no file that came before it",
        "a link to what another package or the machine has",
    ),
    (
        "is no regular file and has a size",
        "readers differ about where the next header is",
    ),
    (
        "damaged header",
        "members with names or sizes that dpkg skips unread",
    ),
    (
        "ends after",
        "bytes behind the last member, which nothing verifies",
    ),
    (
        "is expected there",
        "members behind data.tar, bzip2 and lzma: nothing verifies the one, Debian gave up the others",
    ),
    ("only exact versions", "dpkg took others before Debian 13"),
    ("is no MD5 sum", "apt before Debian 13 stops there"),
    ("which is not a plain file", "control files are plain files"),
    ("pax header that cannot be passed over", "a name in two places"),
];
