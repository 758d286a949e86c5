//! Which indexes an archive has, and which .debs each of them names.

use std::collections::BTreeSet;

use super::index::Entry;
use super::layout::Layout;

/// The components and architectures of an archive, in the order in which Release names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// A flat archive has one, without a name.
    pub(super) components: Vec<String>,
    /// Without `all`. Never empty.
    pub(super) architectures: Vec<String>,
}

/// One index to be: its name below Release, and what it names.
pub(super) struct Index<'a> {
    pub(super) name: String,
    pub(super) entries: Vec<&'a Entry>,
}

impl Shape {
    /// `folders` are the components that the pool has, `last` the architectures that clients were told of before: one
    /// whose last package went stays, since a client that follows it would complain about an index that is gone.
    pub(super) fn of(layout: &Layout, folders: &[String], last: &[String], entries: &[&Entry]) -> Self {
        let mut components = BTreeSet::new();
        let mut architectures: BTreeSet<&str> = entries
            .iter()
            .map(|entry| entry.deb.control.architecture())
            .filter(|architecture| *architecture != "all")
            .collect();
        match layout {
            Layout::Flat => {
                components.insert("");
            }
            Layout::Suite(suite) => {
                components.extend(suite.components.iter().map(|word| word.as_str()));
                components.extend(folders.iter().map(String::as_str));
                if components.is_empty() {
                    components.insert("main");
                }
                architectures.extend(suite.architectures.iter().map(|word| word.as_str()));
                architectures.extend(last.iter().map(String::as_str).filter(|last| *last != "all"));
            }
        }
        // Packages for all architectures alone: they have to be in some index, and machines like this one are likely.
        if architectures.is_empty() {
            architectures.insert(native());
        }
        let mut components: Vec<String> = components.into_iter().map(str::to_owned).collect();
        components.sort_by_key(|component| component != "main");
        Self {
            components,
            architectures: architectures.into_iter().map(str::to_owned).collect(),
        }
    }

    /// The Packages files. A flat archive has one for all architectures; a suite has one for each, and each names the
    /// packages for all architectures too.
    pub(super) fn packages<'a>(&self, layout: &Layout, entries: &[&'a Entry]) -> Vec<Index<'a>> {
        match layout {
            Layout::Flat => vec![Index {
                name: "Packages".to_owned(),
                entries: entries.to_vec(),
            }],
            Layout::Suite(_) => self.each(layout, entries, |component, architecture| {
                format!("{component}/binary-{architecture}/Packages")
            }),
        }
    }

    /// The Contents files, one for each architecture.
    pub(super) fn contents<'a>(&self, layout: &Layout, entries: &[&'a Entry]) -> Vec<Index<'a>> {
        self.each(layout, entries, |component, architecture| match component {
            "" => format!("Contents-{architecture}"),
            _ => format!("{component}/Contents-{architecture}"),
        })
    }

    fn each<'a>(
        &self,
        layout: &Layout,
        entries: &[&'a Entry],
        name: impl Fn(&str, &str) -> String,
    ) -> Vec<Index<'a>> {
        let mut indexes = Vec::new();
        for component in &self.components {
            for architecture in &self.architectures {
                let belongs = |entry: &&&Entry| {
                    let its = entry.deb.control.architecture();
                    (its == "all" || its == architecture)
                        && layout.component(&entry.path) == Some(component.as_str())
                };
                indexes.push(Index {
                    name: name(component, architecture),
                    entries: entries.iter().filter(belongs).copied().collect(),
                });
            }
        }
        indexes
    }
}

/// Debian's name for the architecture that this program was built for.
fn native() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "aarch64" => "arm64",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        other => other,
    }
}
