//! Which directory is served under which path, and which file of it a request names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use apu_site::{Failure, Settings, Site};
use hyper::StatusCode;

/// The longest path below an archive, in bytes: Linux's PATH_MAX.
const LONGEST_PATH: usize = 4096;

/// One archive and the path of its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Starts with `/` and does not end with one.
    pub(super) path: String,
    pub(super) dir: PathBuf,
}

/// All that is served.
///
/// # Errors
/// An archive whose address has no path of its own, or a directory that is not there.
pub(super) fn places(dir: Option<&Path>, site: &Site, settings: &Settings) -> Result<Vec<Place>, Failure> {
    let local = match dir {
        Some(dir) => dir.to_owned(),
        None => site.at(&settings.archive.path),
    };
    let mut places = vec![Place {
        path: "/local".to_owned(),
        dir: local,
    }];
    for archive in &settings.archives {
        let below = archive
            .url
            .as_str()
            .splitn(4, '/')
            .nth(3)
            .unwrap_or_default()
            .trim_matches('/');
        let place = Place {
            path: format!("/{below}"),
            dir: site.at(&archive.path),
        };
        // Suites of one directory have one address.
        if places.contains(&place) {
            continue;
        }
        if below.is_empty()
            || place.path.contains(['{', '}', '*', '?'])
            || places.iter().any(|other| other.path == place.path)
        {
            return Err(
                Failure::words(format!("cannot serve the archive {}", archive.name))
                    .why(format!("its url {} has no path of its own", archive.url))
                    .advise(format!(
                        "give it one in {}, such as /{}",
                        site.settings().display(),
                        archive.name
                    )),
            );
        }
        places.push(place);
    }
    for Place { dir, .. } in &places {
        if !dir.is_dir() {
            return Err(Failure::words(format!("there is no directory {}", dir.display()))
                .advise(format!("apu repo publish {}", dir.display())));
        }
    }
    Ok(places)
}

/// The directory that a request's path belongs to, and the file's path below it.
///
/// # Errors
/// The status of the refusal: 404 for what no archive has or shows, 400 for a broken escape, 414 for a path that is longer
/// than any file's.
pub(super) fn locate<'a>(places: &'a [Place], path: &str) -> Result<(&'a Path, PathBuf), StatusCode> {
    let (place, rest) = (places.iter())
        .filter_map(|place| {
            let rest = path.strip_prefix(&place.path)?;
            rest.starts_with('/').then_some((place, rest))
        })
        // One archive's address may be below another's.
        .min_by_key(|(_, rest)| rest.len())
        .ok_or(StatusCode::NOT_FOUND)?;
    Ok((&place.dir, below(rest)?))
}

/// The path of a file below its archive. No client of an archive asks for a hidden file, or hides a dot or a slash behind
/// an escape.
fn below(path: &str) -> Result<PathBuf, StatusCode> {
    if path.ends_with('/') {
        return Err(StatusCode::NOT_FOUND);
    }
    let mut below = PathBuf::new();
    // apt asks for /local/./InRelease.
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let name = decoded(part)?;
        let is_plain = |byte: &u8| *byte >= b' ' && *byte != 0x7f && *byte != b'/' && *byte != b'\\';
        if name.first() == Some(&b'.') || !name.iter().all(is_plain) {
            return Err(StatusCode::NOT_FOUND);
        }
        below.push(OsString::from_vec(name));
    }
    match below.as_os_str().len() {
        0 => Err(StatusCode::NOT_FOUND),
        1..LONGEST_PATH => Ok(below),
        _ => Err(StatusCode::URI_TOO_LONG),
    }
}

/// Takes the percent-encoding of RFC 3986, 2.1, off: once.
fn decoded(part: &str) -> Result<Vec<u8>, StatusCode> {
    let mut bytes = part.bytes();
    let mut decoded = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = char::from(bytes.next()?).to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(StatusCode::BAD_REQUEST);
        };
        decoded.push(high << 4 | low);
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_decoded_once_and_names_a_file_that_is_not_hidden() {
        for (path, file) in [
            ("/InRelease", "InRelease"),
            ("/./InRelease", "InRelease"),
            ("//pool//a", "pool/a"),
            ("/a%2Bb%7e1_1%253a2.deb", "a+b~1_1%3a2.deb"),
            ("/a..b", "a..b"),
            ("/%41%c3%a9", "A\u{e9}"),
        ] {
            assert_eq!(below(path), Ok(PathBuf::from(file)), "{path}");
        }
        for path in [
            "/",
            "",
            "/.",
            "//",
            "/a/",
            "/a/.",
            "/.apu/cache",
            "/%2eapu/cache",
            "/%2Eapu",
            "/a/..",
            "/../x",
            "/%2e%2e/x",
            "/..%2fx",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0ab",
            "/a%7f",
            "/...",
            "/a/.hidden",
        ] {
            let refused = below(path);
            // `a/.` is `a`.
            if path == "/a/." {
                assert_eq!(refused, Ok(PathBuf::from("a")));
                continue;
            }
            assert_eq!(refused, Err(StatusCode::NOT_FOUND), "{path}");
        }
        for path in ["/%", "/%2", "/a%zz", "/%+1", "/%2 "] {
            assert_eq!(below(path), Err(StatusCode::BAD_REQUEST), "{path}");
        }
        assert_eq!(below(&"/a".repeat(2049)), Err(StatusCode::URI_TOO_LONG));
    }

    #[test]
    fn an_address_below_another_is_its_own() {
        let place = |path: &str, dir: &str| Place {
            path: path.into(),
            dir: dir.into(),
        };
        let places = [place("/debs", "/one"), place("/debs/new", "/two")];
        let located = |path| locate(&places, path).map(|(dir, _)| dir);
        assert_eq!(located("/debs/a"), Ok(Path::new("/one")));
        assert_eq!(located("/debs/new/a"), Ok(Path::new("/two")));
        assert_eq!(located("/debs/newer/a"), Ok(Path::new("/one")));
        for path in ["/debsx/a", "/debs", "/a", "*", "/debs/new/"] {
            assert_eq!(located(path), Err(StatusCode::NOT_FOUND), "{path}");
        }
    }
}
