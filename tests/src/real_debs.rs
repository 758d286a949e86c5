//! Real packages of Debian's, chosen by a fixed rule and fetched once: what an archive is measured with.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::index::{Paragraph, paragraphs};
use crate::root::{Suite, own_archive};
use crate::store::{self, Inputs};
use crate::tool::run;

const SUITE: Suite = Suite::Bookworm;

/// In bytes: small enough that a file's head counts, large enough that hashing it does.
const SIZES: RangeInclusive<u64> = 10_000..=1_000_000;

/// The names in the order of the rule, with what sha256sum says of each; `sha256sum --check` reads it.
const LIST: &str = "SHA256SUMS";

/// The first `count` .debs of the suite's main for amd64 by the rule, in the rule's order. They are fetched from where
/// this machine gets its own packages, when they are asked for the first time and never again.
pub fn real_debs(count: usize) -> Result<Vec<PathBuf>> {
    let inputs = Inputs::of("recipe 1").and(SUITE.name()).and(SIZES).and(count);
    let name = format!("{}-{count}", SUITE.name());
    let folder = store::entry("debs", &name, &inputs, |draft| fetch(count, draft))?;
    let list = fs::read_to_string(folder.join(LIST))?;
    let names = list.lines().filter_map(|line| line.split_once("  "));
    Ok(names.map(|(_, name)| folder.join(name)).collect())
}

/// One package as the suite's own index has it.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    package: String,
    version: String,
    architecture: String,
    sha256: String,
    /// Its name in Debian's pool.
    file_name: String,
}

impl Choice {
    fn from(paragraph: &Paragraph) -> Option<Self> {
        let field = |name| Some(paragraph.get(name).to_owned()).filter(|value| !value.is_empty());
        let (_, file_name) = paragraph.get("Filename").rsplit_once('/')?;
        Some(Self {
            package: field("Package")?,
            version: field("Version")?,
            architecture: field("Architecture")?,
            sha256: field("SHA256")?,
            file_name: file_name.to_owned(),
        })
    }

    /// What apt-get download calls the file.
    fn as_downloaded(&self) -> String {
        let version = self.version.replace(':', "%3a");
        format!("{}_{version}_{}.deb", self.package, self.architecture)
    }
}

/// The rule: of the packages of fitting size, none of them essential (an archive of apu's refuses those), the first by
/// the SHA-256 of their names. A package that changes, comes or goes does not change the others' order.
fn choose(packages: &str, count: usize) -> Vec<Choice> {
    let mut by_hash = BTreeMap::new();
    for paragraph in paragraphs(packages) {
        let fits = paragraph
            .get("Size")
            .parse()
            .is_ok_and(|size| SIZES.contains(&size));
        if !fits || paragraph.get("Essential") == "yes" {
            continue;
        }
        if let Some(choice) = Choice::from(&paragraph) {
            by_hash.entry(Sha256::digest(&choice.package)).or_insert(choice);
        }
    }
    by_hash.into_values().take(count).collect()
}

fn fetch(count: usize, draft: &Path) -> Result<()> {
    eprintln!("fetching {count} packages of {}: once", SUITE.name());
    let state = draft.join("apt");
    let apt = Apt::of(&state, &format!("deb {} {} main\n", own_archive()?, SUITE.name()))?;
    let choices = choose(&apt.packages()?, count);
    ensure!(
        choices.len() == count,
        "only {} packages in {} fit the rule",
        choices.len(),
        SUITE.name()
    );
    let wanted = choices
        .iter()
        .map(|choice| format!("{}={}", choice.package, choice.version));
    run(apt.get().arg("download").args(wanted).current_dir(draft))?;
    let mut list = String::new();
    for choice in &choices {
        fs::rename(draft.join(choice.as_downloaded()), draft.join(&choice.file_name))
            .with_context(|| format!("apt-get did not download {}", choice.package))?;
        list += &format!("{}  {}\n", choice.sha256, choice.file_name);
    }
    fs::write(draft.join(LIST), list)?;
    run(Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", LIST])
        .current_dir(draft))?;
    fs::remove_dir_all(state)?;
    Ok(())
}

/// The machine's apt with a state and sources of its own, whatever the machine's own are.
pub(crate) struct Apt {
    state: PathBuf,
}

impl Apt {
    /// Fetches the indexes of these sources, which apt checks with Debian's keys.
    pub(crate) fn of(state: &Path, sources: &str) -> Result<Self> {
        let apt = Self {
            state: state.to_owned(),
        };
        for folder in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(state.join(folder))?;
        }
        fs::write(state.join("status"), "")?;
        fs::write(state.join("sources.list"), sources)?;
        run(apt.get().arg("update"))?;
        Ok(apt)
    }

    pub(crate) fn get(&self) -> Command {
        let mut command = Command::new("apt-get");
        let place = |option: &str, name: &str| format!("-o{option}={}", self.state.join(name).display());
        command.args([
            "-qq".to_owned(),
            place("Dir::State::lists", "lists"),
            place("Dir::State::status", "status"),
            place("Dir::Cache", "cache"),
            place("Dir::Etc::sourcelist", "sources.list"),
            place("Dir::Etc::sourceparts", "none"),
            place("Dir::Etc::preferences", "none"),
            place("Dir::Etc::preferencesparts", "none"),
            "-oAPT::Architecture=amd64".to_owned(),
            "-oAPT::Architectures=amd64".to_owned(),
            "-oAPT::Sandbox::User=".to_owned(),
            "-oAcquire::Retries=3".to_owned(),
            "-oAcquire::Languages=none".to_owned(),
        ]);
        command
    }

    /// The text of the indexes.
    pub(crate) fn packages(&self) -> Result<String> {
        let files =
            run(self
                .get()
                .args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]))?;
        run(Command::new("/usr/lib/apt/apt-helper")
            .arg("cat-file")
            .args(files.lines()))
    }
}

#[cfg(test)]
mod tests {
    use super::choose;

    fn paragraph(package: &str, size: u64, more: &str) -> String {
        format!(
            "Package: {package}\nVersion: 1:2\nArchitecture: all\nSize: {size}\nSHA256: ab\n\
             Filename: pool/main/x/{package}_2_all.deb\n{more}\n"
        )
    }

    #[test]
    fn the_choice_does_not_depend_on_the_order_or_on_what_does_not_fit() {
        let names = ["aa", "bb", "cc", "dd"];
        let fitting: Vec<_> = names.iter().map(|name| paragraph(name, 20_000, "")).collect();
        let mut more: Vec<_> = fitting.iter().rev().cloned().collect();
        more.insert(1, paragraph("small", 9_999, ""));
        more.insert(2, paragraph("large", 1_000_001, ""));
        more.insert(3, paragraph("init", 20_000, "Essential: yes\n"));
        let three = choose(&fitting.concat(), 3);
        assert_eq!(three.len(), 3);
        assert_eq!(three, choose(&more.concat(), 3));
        assert_eq!(choose(&more.concat(), 10).len(), 4);
        assert_eq!(
            three[0].as_downloaded(),
            format!("{}_1%3a2_all.deb", three[0].package)
        );
        assert_eq!(three[0].file_name, format!("{}_2_all.deb", three[0].package));
    }
}
