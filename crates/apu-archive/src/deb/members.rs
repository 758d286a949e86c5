//! The members of control.tar that dpkg parses when it unpacks a package, checked as it checks them.

/// Most bytes of the members that are checked here; the largest of Debian's have a tenth of this.
pub(super) const LIMIT: u64 = 16 << 20;

/// Checks the member `name` of control.tar; fine if dpkg does not parse it.
pub(super) fn check(name: &[u8], bytes: &[u8]) -> Result<(), String> {
    let line: fn(&[u8]) -> Result<(), &'static str> = match name {
        b"conffiles" => conffile,
        b"triggers" => trigger,
        _ => return Ok(()),
    };
    if bytes.last().is_some_and(|&last| last != b'\n') {
        return Err("its last line has no line break at its end".into());
    }
    let lines = bytes
        .strip_suffix(b"\n")
        .unwrap_or(bytes)
        .split(|&byte| byte == b'\n');
    for (number, text) in (1..).zip(lines.filter(|_| !bytes.is_empty())) {
        line(text).map_err(|why| {
            let text = String::from_utf8_lossy(&text[..text.len().min(200)]).into_owned();
            format!("line {number} {why}: {text:?}")
        })?;
    }
    Ok(())
}

/// Whether dpkg has to be given this member.
pub(super) fn is_checked(name: &[u8]) -> bool {
    matches!(name, b"conffiles" | b"triggers")
}

fn conffile(line: &[u8]) -> Result<(), &'static str> {
    if line.len() > 990 {
        return Err("is longer than dpkg reads");
    }
    let mut path = line.trim_ascii_end();
    if let Some(rest) = path.strip_prefix(b"remove-on-upgrade") {
        if !rest.starts_with(b" ") && !rest.starts_with(b"\t") {
            return Err("is no absolute path");
        }
        path = rest.trim_ascii_start();
    }
    match path.first() {
        None if line.trim_ascii().is_empty() => Ok(()),
        Some(b'/') => Ok(()),
        _ => Err("is no absolute path"),
    }
}

fn trigger(line: &[u8]) -> Result<(), &'static str> {
    if line.len() > 250 {
        return Err("is longer than dpkg reads");
    }
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(());
    }
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    let known: [&[u8]; 6] = [
        b"interest",
        b"interest-await",
        b"interest-noawait",
        b"activate",
        b"activate-await",
        b"activate-noawait",
    ];
    let (directive, name) = line.split_at(end);
    if !known.contains(&directive) {
        return Err("has no directive that dpkg knows");
    }
    let name = name.trim_ascii_start();
    let is_good = match name {
        [b'/', path @ ..] => path.split(|&byte| byte == b'/').all(|part| !part.is_empty()),
        [first, ..] => {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-+.".contains(byte);
            first.is_ascii_alphanumeric() && name.iter().all(plain)
        }
        [] => false,
    };
    match is_good && name.iter().all(u8::is_ascii_graphic) {
        true => Ok(()),
        false => Err("names no trigger"),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn what_dpkg_parses_without_complaint_is_taken() {
        for (name, text) in [
            ("conffiles", "/etc/a\nremove-on-upgrade /etc/b\n\n"),
            ("conffiles", ""),
            ("md5sums", "rubbish"),
            (
                "triggers",
                "# x\ninterest-noawait /usr/share\nactivate ldconfig\n",
            ),
            ("postinst", "no line break"),
        ] {
            assert_eq!(
                check(name.as_bytes(), text.as_bytes()),
                Ok(()),
                "{name}: {text:?}"
            );
        }
    }

    #[test]
    fn what_stops_dpkg_is_refused_with_its_line() {
        for (name, text, why) in [
            ("conffiles", "/etc/a", "its last line has no line break"),
            (
                "conffiles",
                "/etc/a\netc/b\n",
                "line 2 is no absolute path: \"etc/b\"",
            ),
            ("conffiles", "remove-on-upgrade/etc/b\n", "is no absolute path"),
            ("triggers", "intrest x\n", "has no directive"),
            ("triggers", "interest\n", "names no trigger"),
            ("triggers", "interest a/b\n", "names no trigger"),
            ("triggers", "interest /a # x\n", "names no trigger"),
            ("triggers", "interest /a", "no line break"),
        ] {
            let error = check(name.as_bytes(), text.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{name}: {text:?}: {error}");
        }
    }
}
