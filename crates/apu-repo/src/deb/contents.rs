//! The packaged files, looked at one by one: what are they called, and does every name stay below the root?

use std::io::{self, Read};

use super::DebError;

/// Unpacks `reader`, the member called `member`, into nothing. The names of what is no directory, without the leading
/// `./`, each with a line break after it; a name that has one itself is left out.
pub(super) fn names(reader: impl Read, member: &str) -> Result<Vec<u8>, DebError> {
    let damaged = |source| DebError::Damaged {
        member: member.to_owned(),
        source,
    };
    let mut archive = tar::Archive::new(reader);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let mut names = vec![entry.path_bytes().into_owned()];
        if entry.header().entry_type().is_hard_link() {
            names.extend(entry.link_name_bytes().map(|name| name.into_owned()));
        }
        if let Some(name) = names.iter().find(|name| !stays_below(name)) {
            let path = String::from_utf8_lossy(name).into_owned();
            return Err(DebError::Escapes {
                member: member.to_owned(),
                path,
            });
        }
        io::copy(&mut entry, &mut io::sink()).map_err(damaged)?;
        let name = names[0].strip_prefix(b"./").unwrap_or(&names[0]);
        if !(entry.header().entry_type().is_dir() || name.is_empty() || name.contains(&b'\n')) {
            files.extend_from_slice(name);
            files.push(b'\n');
        }
    }
    // The end of the compressed stream carries its checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    Ok(files)
}

fn stays_below(name: &[u8]) -> bool {
    !name.starts_with(b"/")
        && !name.contains(&0)
        && name.split(|&byte| byte == b'/').all(|part| part != b"..")
}

#[cfg(test)]
mod tests {
    use super::names;

    fn tar(name: &str, link: Option<&str>) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        if let Some(link) = link {
            header.set_entry_type(tar::EntryType::Link);
            header.as_gnu_mut().unwrap().linkname[..link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_size(0);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, &b""[..]).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn names_that_leave_the_root_are_refused() {
        for (name, link) in [
            ("./../etc/passwd", None),
            ("/etc/passwd", None),
            ("./usr/../../x", None),
            ("./x", Some("../../etc/shadow")),
        ] {
            let error = names(&tar(name, link)[..], "data.tar").unwrap_err();
            assert!(error.to_string().contains("does not stay below"), "{name}");
        }
        for name in ["./", "./usr/..a/b", "usr/share/x"] {
            names(&tar(name, None)[..], "data.tar").unwrap();
        }
    }
}
