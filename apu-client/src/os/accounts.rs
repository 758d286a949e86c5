//! Looks up users and groups in /etc/passwd and /etc/group themselves: a static program has no name service.

use std::fs;
use std::io;

use super::paths::ClientPaths;

/// Returns the user id of `name`; none where there is no such user.
pub(crate) fn user_id(paths: &ClientPaths, name: &str) -> io::Result<Option<u32>> {
    Ok(numeric_id(&read(paths, "/etc/passwd")?, name))
}

/// Returns the user id of `name` and the id of its own group; none where there is no such user.
pub(crate) fn login(paths: &ClientPaths, name: &str) -> io::Result<Option<(u32, u32)>> {
    Ok(login_ids(&read(paths, "/etc/passwd")?, name))
}

/// Returns the group id of `name`; none where there is no such group.
pub(crate) fn group_id(paths: &ClientPaths, name: &str) -> io::Result<Option<u32>> {
    Ok(numeric_id(&read(paths, "/etc/group")?, name))
}

fn read(paths: &ClientPaths, file: &str) -> io::Result<String> {
    fs::read(paths.path(file)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the third field of the first line whose first field is `name`, as in passwd(5) and group(5).
fn numeric_id(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    fields.nth(1)?.parse().ok()
}

/// Returns the third and the fourth field of the first line whose first field is `name`, as in passwd(5).
fn login_ids(text: &str, name: &str) -> Option<(u32, u32)> {
    let mut lines = text.lines().map(|line| line.split(':'));
    let mut fields = lines.find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let user = fields.nth(1)?.parse().ok()?;
    Some((user, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let text =
            "root:x:0:0::/root:/bin/sh\napuser:x:7:7::/:/bin/sh\napu:x:998:997::/var/lib/apu/home:/bin/sh\n";
        assert_eq!(numeric_id(text, "apu"), Some(998));
        assert_eq!(numeric_id(text, "ap"), None);
        assert_eq!(numeric_id("apu:x:", "apu"), None);
        assert_eq!(login_ids(text, "apu"), Some((998, 997)));
        assert_eq!(login_ids("apu:x:998:", "apu"), None);
    }
}
