//! The old style: `deb [option=value …] URI SUITE [COMPONENT …]`.

use super::{SourcesError, Stanza};

/// Options and the fields that they become.
const OPTIONS: [(&str, &str); 18] = [
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
];

fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
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
            stanzas.push(Stanza { line, fields });
        }
    }
    Ok(stanzas)
}

fn parse_line(text: &str) -> Result<Vec<(String, String)>, String> {
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
    for option in options.split_whitespace() {
        let (name, value) = option
            .split_once('=')
            .ok_or_else(|| format!("{option:?} is no option"))?;
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
        fields.push((field, value.replace(',', " ")));
    }
    Ok(fields)
}
