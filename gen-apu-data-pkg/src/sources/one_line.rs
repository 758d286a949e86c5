//! The old style: `deb [option=value …] URI SUITE [COMPONENT …]`.

use super::{SourcesError, Stanza};

/// The field by which a source says that its suites are meant for all releases.
pub(super) const FOR_ALL: &str = "X-Apu-Releases";

/// Options and the fields that they become.
pub(super) const OPTIONS: [(&str, &str); 19] = [
    ("arch", "Architectures"),
    ("lang", "Languages"),
    ("target", "Targets"),
    ("pdiffs", "PDiffs"),
    ("by-hash", "By-Hash"),
    ("signed-by", "Signed-By"),
    ("trusted", "Trusted"),
    ("allow-insecure", "Allow-Insecure"),
    ("allow-weak", "Allow-Weak"),
    ("allow-downgrade-to-insecure", "Allow-Downgrade-To-Insecure"),
    ("check-valid-until", "Check-Valid-Until"),
    ("valid-until-min", "Valid-Until-Min"),
    ("valid-until-max", "Valid-Until-Max"),
    ("check-date", "Check-Date"),
    ("date-max-future", "Date-Max-Future"),
    ("inrelease-path", "InRelease-Path"),
    ("snapshot", "Snapshot"),
    ("include", "Include"),
    ("exclude", "Exclude"),
];

/// apt starts no comment within the options.
fn without_comment(line: &str) -> &str {
    let mut is_option = false;
    let end = line.find(|c: char| {
        match c {
            '[' => is_option = true,
            ']' => is_option = false,
            _ => {}
        }
        c == '#' && !is_option
    });
    end.map_or(line, |end| &line[..end]).trim()
}

/// Whether a text is in the old style: it has a line that starts with `deb` and goes on after a blank.
pub(super) fn is(text: &str) -> bool {
    text.lines().map(without_comment).any(|line| {
        line.strip_prefix("deb-src")
            .or_else(|| line.strip_prefix("deb"))
            .is_some_and(|rest| rest.starts_with([' ', '\t', '[']))
    })
}

/// Reads all lines.
pub(super) fn parse(text: &str) -> Result<Vec<Stanza>, SourcesError> {
    let mut stanzas = Vec::new();
    for (line, text) in (1..).zip(text.lines().map(without_comment)) {
        if !text.is_empty() {
            let fields = parse_line(text).map_err(|reason| SourcesError::OneLine {
                line,
                text: text.to_owned(),
                reason,
            })?;
            stanzas.push(Stanza::read(line, fields));
        }
    }
    Ok(stanzas)
}

fn parse_line(text: &str) -> Result<Vec<(String, String)>, String> {
    // apt reads these two as the start of a word with blanks and of a character's number.
    if let Some(letter) = text.chars().find(|c| ['"', '%', '\\'].contains(c)) {
        return Err(format!("apt would not read its {letter} as it stands there"));
    }
    let (kind, rest) = text.split_once([' ', '\t']).ok_or("it has one word")?;
    if !["deb", "deb-src"].contains(&kind) {
        return Err("it starts with neither deb nor deb-src".to_owned());
    }
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("the options have no end")?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let uri = words.next().ok_or("it has no address")?;
    let suite = words.next().ok_or("it has no suite")?;
    let components: Vec<&str> = words.collect();
    if suite.ends_with('/') != components.is_empty() {
        return Err("a suite has components, and a path that ends with / has none".to_owned());
    }
    let mut fields: Vec<(String, String)> = vec![
        ("Types".to_owned(), kind.to_owned()),
        ("URIs".to_owned(), uri.to_owned()),
        ("Suites".to_owned(), suite.to_owned()),
    ];
    if !components.is_empty() {
        fields.push(("Components".to_owned(), components.join(" ")));
    }
    if rest.contains(['[', ']']) && !rest.contains("://[") {
        return Err("options stand before the address, once".to_owned());
    }
    if options.contains('#') {
        return Err("apt starts no comment within options".to_owned());
    }
    for option in options.split_whitespace() {
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| format!("{option:?} is no option"))?;
        if value.is_empty() {
            return Err(format!("{name} has no value"));
        }
        if name == "apu-releases" {
            fields.push((FOR_ALL.to_owned(), value.to_owned()));
            continue;
        }
        let (stem, ending) = match name.strip_suffix(['+', '-']) {
            Some(stem) if name.ends_with('+') => (stem, "-Add"),
            Some(stem) => (stem, "-Remove"),
            None => (name, ""),
        };
        let known = OPTIONS.iter().find(|(known, _)| *known == stem);
        let is_list = ["arch", "lang", "target"].contains(&stem);
        let (_, field) = known
            .filter(|_| is_list || ending.is_empty())
            .ok_or_else(|| format!("{name:?} is no option"))?;
        let field = format!("{field}{ending}");
        if fields.iter().any(|(there, _)| *there == field) {
            return Err(format!("{name} stands there twice"));
        }
        // In the value of any other option, a comma is a letter for apt.
        let value = match is_list || stem == "signed-by" {
            true => value.replace(',', " "),
            false => value.to_owned(),
        };
        fields.push((field, value));
    }
    Ok(fields)
}
