//! What `apu repo` says.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use apu_repo::Failure;
use apu_repo::archive::{Checked, Published};
use apu_repo::deb822::{Comments, paragraphs};

fn packages(count: usize) -> String {
    if count == 1 {
        "1 package".to_owned()
    } else {
        format!("{count} packages")
    }
}

/// After publishing.
pub(super) fn published(dir: &Path, published: &Published) -> String {
    let until = published.valid_until.strftime("%Y-%m-%d");
    let what = if published.changed {
        "published"
    } else {
        "no package has changed; signed again"
    };
    format!(
        "{}: {what}, {}, signed until {until}\n",
        dir.display(),
        packages(published.packages)
    )
}

/// After a check.
pub(super) fn checked(dir: &Path, checked: &Checked) -> String {
    let mut text: String = checked.faults.iter().map(|fault| format!("{fault}\n")).collect();
    let until = checked
        .valid_until
        .map(|until| format!(", signed until {}", until.strftime("%Y-%m-%d")));
    let dir = dir.display();
    text.push_str(&match checked.faults.len() {
        0 => format!(
            "{dir}: in order, {}{}\n",
            packages(checked.packages),
            until.unwrap_or_default()
        ),
        1 => format!("{dir}: 1 fault; publish it again: apu repo publish {dir}\n"),
        count => format!("{dir}: {count} faults; publish it again: apu repo publish {dir}\n"),
    });
    text
}

/// What the published index names, in columns.
pub(super) fn list(dir: &Path) -> Result<String, Failure> {
    let path = dir.join("Packages");
    let text = fs::read_to_string(&path).map_err(|error| {
        let failure = Failure::words(format!("{} is not a published archive", dir.display()));
        let failure = if error.kind() == ErrorKind::NotFound {
            failure.advise(format!("apu repo publish {}", dir.display()))
        } else {
            failure
        };
        failure.why(error)
    })?;
    let unreadable = |error| Failure::machine(format!("cannot read {}", path.display())).why(error);
    let index = paragraphs(&text, Comments::Refused).map_err(unreadable)?;
    let field =
        |name| move |paragraph: &apu_repo::deb822::Paragraph| paragraph.get(name).unwrap_or("").to_owned();
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
