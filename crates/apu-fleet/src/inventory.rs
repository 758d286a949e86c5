//! The classes of a site, read from their files.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::class::{ClassFile, Entry, Fault, LineError};
use crate::host::Host;
use crate::name::{ClassName, HostName};
use crate::target_error::TargetError;
use apu_debian::nearest;

/// All class files, read once.
#[derive(Debug, Default)]
pub struct Inventory {
    pub(crate) files: BTreeMap<ClassName, io::Result<ClassFile>>,
    pub(crate) runs: Option<RunHosts>,
}

type HostsOfRun = dyn Fn(&str) -> Result<Vec<HostName>, String>;

/// Says which hosts a word such as `412:failed` means, which stands behind `run:`; or why none.
pub(crate) struct RunHosts(pub(crate) Box<HostsOfRun>);

impl fmt::Debug for RunHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunHosts")
    }
}

/// The most bytes of a class file.
const MOST: u64 = 16 << 20;

fn read(path: &Path) -> io::Result<ClassFile> {
    let file = File::open(path)?;
    // A pipe or a device may never end.
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::other(format!("it is longer than {MOST} bytes")));
    }
    Ok(ClassFile::read(&bytes))
}

/// Names that editors and dpkg give to copies: no classes.
#[must_use]
pub fn is_a_copy(name: &str) -> bool {
    let dpkg = [".dpkg-old", ".dpkg-dist", ".dpkg-new", ".dpkg-tmp", ".dpkg-bak"];
    name.ends_with('~')
        || [".bak", ".swp", ".orig"]
            .iter()
            .chain(&dpkg)
            .any(|end| name.ends_with(end))
}

impl Inventory {
    /// Reads every class file of a directory; files whose name is no class name, and copies, are passed over.
    ///
    /// # Errors
    /// Where the directory cannot be read. A file that cannot be read is an error only when it is wanted.
    pub fn load(directory: &Path) -> Result<Self, TargetError> {
        let failed = |source| TargetError::Directory {
            path: directory.to_owned(),
            source,
        };
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let class = name
                .to_str()
                .filter(|name| !is_a_copy(name))
                .and_then(|name| name.parse().ok());
            if let Some(class) = class.filter(|_: &ClassName| !entry.path().is_dir()) {
                files.insert(class, read(&entry.path()));
            }
        }
        Ok(Self { files, runs: None })
    }

    /// Lets a target have words such as `run:412:failed`. `hosts` gets `412:failed` and returns the hosts, or why there are none.
    #[must_use]
    pub fn with_runs(mut self, hosts: impl Fn(&str) -> Result<Vec<HostName>, String> + 'static) -> Self {
        self.runs = Some(RunHosts(Box::new(hosts)));
        self
    }

    /// A host by its name, as the classes have it; one that is in none of them is reached by its name.
    ///
    /// # Errors
    /// Where a class cannot be used, or two of them know the host differently.
    pub fn host(&self, name: &HostName) -> Result<Host, TargetError> {
        Ok(self.listed(name)?.unwrap_or_else(|| Host::plain(name.clone())))
    }

    /// The names of all classes.
    pub fn classes(&self) -> impl Iterator<Item = &ClassName> {
        self.files.keys()
    }

    /// The hosts of a class, those of the classes that it includes among them; each once, in the order of the files.
    ///
    /// # Errors
    /// Where there is no such class, it cannot be read, or any line of it or of an included class is wrong.
    pub fn class(&self, class: &ClassName) -> Result<Vec<Host>, TargetError> {
        let mut hosts = Hosts::default();
        self.collect(class, &mut Vec::new(), &mut hosts)?;
        Ok(hosts.all)
    }

    fn collect(
        &self,
        class: &ClassName,
        path: &mut Vec<ClassName>,
        hosts: &mut Hosts,
    ) -> Result<(), TargetError> {
        let file = match self.files.get(class) {
            Some(Ok(file)) => file,
            Some(Err(error)) => {
                let source = io::Error::new(error.kind(), error.to_string());
                let class = class.clone();
                return Err(TargetError::File { class, source });
            }
            None => return Err(self.nothing(class.as_str())),
        };
        let mut errors = file.errors.clone();
        path.push(class.clone());
        for entry in &file.entries {
            match entry {
                Entry::Host(line, host) => errors.extend(hosts.take(*line, host, None)),
                Entry::Include(line, other) => {
                    if let Some(fault) = self.no_include(other, path) {
                        errors.push(LineError { line: *line, fault });
                        continue;
                    }
                    let mut within = Hosts::default();
                    self.collect(other, path, &mut within)?;
                    for host in &within.all {
                        errors.extend(hosts.take(*line, host, Some(other)));
                    }
                }
            }
        }
        path.pop();
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|error| error.line);
        let class = class.clone();
        Err(TargetError::Class { class, errors })
    }

    fn no_include(&self, class: &ClassName, path: &[ClassName]) -> Option<Fault> {
        if let Some(start) = path.iter().position(|other| other == class) {
            let way: Vec<&str> = path[start..]
                .iter()
                .chain([class])
                .map(ClassName::as_str)
                .collect();
            return Some(Fault::Cycle(way.join(" -> ")));
        }
        if self.files.contains_key(class) {
            return None;
        }
        let nearest = nearest(class.as_str(), self.files.keys().map(ClassName::as_str)).map(str::to_owned);
        let class = class.clone();
        Some(Fault::NoClass { class, nearest })
    }

    /// The host as the classes have it. What is wrong elsewhere in their files does not matter here.
    ///
    /// # Errors
    /// Where two classes know it differently.
    pub fn listed(&self, name: &HostName) -> Result<Option<Host>, TargetError> {
        let mut found: Option<(&ClassName, &Host)> = None;
        for (class, file) in &self.files {
            let entries = file
                .as_ref()
                .map(|file| file.entries.as_slice())
                .unwrap_or_default();
            for entry in entries {
                let Entry::Host(_, host) = entry else { continue };
                match found {
                    _ if host.name != *name => {}
                    None => found = Some((class, host)),
                    Some((one, first)) if first != host => {
                        return Err(TargetError::Ambiguous {
                            host: name.clone(),
                            one: one.clone(),
                            first: first.to_string(),
                            other: class.clone(),
                            second: host.to_string(),
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        Ok(found.map(|(_, host)| host.clone()))
    }
}

/// Hosts, each once.
#[derive(Default)]
pub(crate) struct Hosts {
    pub(crate) all: Vec<Host>,
    places: HashMap<HostName, usize>,
}

impl Hosts {
    /// Takes a host that is not there yet.
    pub(crate) fn add(&mut self, host: &Host) {
        self.places.entry(host.name.clone()).or_insert_with(|| {
            self.all.push(host.clone());
            self.all.len() - 1
        });
    }

    pub(crate) fn has(&self, name: &HostName) -> bool {
        self.places.contains_key(name)
    }

    /// The same, from a line; a host that is there and is reached in another way is what is wrong with the line.
    fn take(&mut self, line: usize, host: &Host, class: Option<&ClassName>) -> Option<LineError> {
        let before = self.places.get(&host.name).map(|&place| &self.all[place]);
        if let Some(before) = before.filter(|before| *before != host) {
            let fault = Fault::Conflict {
                class: class.cloned(),
                here: host.to_string(),
                before: before.to_string(),
            };
            return Some(LineError { line, fault });
        }
        self.add(host);
        None
    }
}

#[cfg(test)]
impl Inventory {
    /// An inventory of these class files.
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let file = |(name, text): (&str, &str)| (name.parse().unwrap(), Ok(ClassFile::parse(text)));
        Self {
            runs: None,
            files: files.into_iter().map(file).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_includes_itself_or_nothing_is_named_with_the_line() {
        let site = Inventory::of([("a", "x\n@b\n"), ("b", "@c\n"), ("c", "@a\n"), ("d", "@aa\n")]);
        let text = |class: &str| match site.class(&class.parse().unwrap()).unwrap_err() {
            TargetError::Class { class, errors } => format!("{class}: {}", errors[0]),
            other => other.to_string(),
        };
        assert_eq!(
            text("a"),
            "c: line 1: the class includes itself: a -> b -> c -> a"
        );
        assert_eq!(text("d"), "d: line 1: there is no class `aa` (`a`?)");
    }

    #[test]
    fn two_classes_that_know_a_host_differently_are_an_error() {
        let site = Inventory::of([
            ("a", "h port=1\n"),
            ("b", "h port=2\n"),
            ("c", "@a\n@b\n"),
            ("d", "@a\nh port=3\n"),
        ]);
        assert_eq!(
            site.resolve(&["h".to_owned()], &[]).unwrap_err().to_string(),
            "h is not the same host everywhere: class `a` has `h port=1`, class `b` has `h port=2`"
        );
        for (class, text) in [
            ("c", "line 2: `h port=2` of @b came before as `h port=1`"),
            ("d", "line 2: `h port=3` came before as `h port=1`"),
        ] {
            let TargetError::Class { errors, .. } = site.resolve(&[class.to_owned()], &[]).unwrap_err()
            else {
                panic!("no error of the class");
            };
            assert_eq!(errors[0].to_string(), text);
        }
    }

    #[test]
    fn copies_and_hidden_files_are_no_classes() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["web", "web~", "web.dpkg-old", ".hidden", "db.bak"] {
            std::fs::write(directory.path().join(name), "h\n").unwrap();
        }
        let site = Inventory::load(directory.path()).unwrap();
        assert_eq!(site.classes().map(ClassName::as_str).collect::<Vec<_>>(), ["web"]);
    }
}
