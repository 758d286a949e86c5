//! What `apu repo` says.

use std::collections::HashSet;
use std::io::ErrorKind;

use apu_archive::{Checked, Published};
use apu_debian::deb822::{Comments, Paragraph, paragraphs};
use apu_site::Failure;

use super::target::Target;

fn packages(count: usize) -> String {
    if count == 1 {
        "1 package".to_owned()
    } else {
        format!("{count} packages")
    }
}

/// After publishing.
pub(super) fn published(target: &Target, published: &Published) -> String {
    let until = published.valid_until.strftime("%Y-%m-%d");
    let what = if published.changed {
        "published"
    } else {
        "no package has changed; signed again"
    };
    format!(
        "{target}: {what}, {}, signed until {until}\n",
        packages(published.packages)
    )
}

/// After a check.
pub(super) fn checked(target: &Target, checked: &Checked) -> String {
    let mut text: String = checked.faults.iter().map(|fault| format!("{fault}\n")).collect();
    let until = checked
        .valid_until
        .map(|until| format!(", signed until {}", until.strftime("%Y-%m-%d")));
    text.push_str(&match checked.faults.len() {
        0 => format!(
            "{target}: in order, {}{}\n",
            packages(checked.packages),
            until.unwrap_or_default()
        ),
        1 => format!("{target}: 1 fault; publish it again: {}\n", command(target)),
        count => format!(
            "{target}: {count} faults; publish it again: {}\n",
            command(target)
        ),
    });
    text
}

/// The command that publishes it.
fn command(target: &Target) -> String {
    let suite = target.suite().map(|suite| format!(" --suite {suite}"));
    format!(
        "apu repo publish {}{}",
        target.dir.display(),
        suite.unwrap_or_default()
    )
}

/// What the published indexes name, in columns.
pub(super) fn list(target: &Target) -> Result<String, Failure> {
    let not_published = |error: std::io::Error| {
        let failure = Failure::words(format!("{target} is not a published archive"));
        let failure = if error.kind() == ErrorKind::NotFound {
            failure.advise(command(target))
        } else {
            failure
        };
        failure.why(error)
    };
    let mut index: Vec<Paragraph> = Vec::new();
    for (path, text) in apu_archive::indexes(&target.dir, target.suite()).map_err(not_published)? {
        let unreadable = |error| Failure::machine(format!("cannot read {}", path.display())).why(error);
        index.extend(paragraphs(&text, Comments::Refused).map_err(unreadable)?);
    }
    // What is for all architectures stands in the index of each.
    let mut seen = HashSet::new();
    index.retain(|paragraph| seen.insert(paragraph.get("Filename").unwrap_or("").to_owned()));
    let field = |name| move |paragraph: &Paragraph| paragraph.get(name).unwrap_or("").to_owned();
    let columns = ["Package", "Version", "Architecture", "Filename"]
        .map(|name| index.iter().map(field(name)).collect::<Vec<String>>());
    let widths = columns
        .each_ref()
        .map(|column| column.iter().map(String::len).max().unwrap_or(0));
    let mut text = String::new();
    for row in 0..index.len() {
        let [package, version, architecture, file] = columns.each_ref().map(|column| column[row].as_str());
        let [first, second, third, _] = widths;
        text.push_str(&format!(
            "{package:<first$}  {version:<second$}  {architecture:<third$}  {file}\n"
        ));
    }
    Ok(text)
}
