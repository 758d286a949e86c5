//! The classes of a site, and what the words of a command line mean among them.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::class::{ClassFile, Entry, Fault, LineError, meant};
use crate::host::Host;
use crate::name::{ClassName, HostName, NameError};
use crate::nearest::nearest;
use crate::range::{RangeError, expand};

/// Why a target names no hosts.
#[derive(Debug, Error)]
pub enum TargetError {
    /// The directory of classes cannot be read.
    #[error("cannot read the classes in {}", path.display())]
    Directory {
        /// Where they should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A class file cannot be read.
    #[error("cannot read class `{class}`")]
    File {
        /// Which.
        class: ClassName,
        /// Why.
        source: io::Error,
    },
    /// A class file with wrong lines.
    #[error("cannot use class `{class}`")]
    Class {
        /// Which.
        class: ClassName,
        /// Each of its wrong lines.
        errors: Vec<LineError>,
    },
    /// A class without a host.
    #[error("class `{0}` names no host")]
    Empty(ClassName),
    /// Neither a class nor a host.
    #[error("there is no class or host `{word}`{}", meant(.nearest))]
    Nothing {
        /// As it was given.
        word: String,
        /// The class or host that was most likely meant.
        nearest: Option<String>,
    },
    /// Not even a name.
    #[error("{word:?} is neither a class nor a host")]
    NoName {
        /// As it was given.
        word: String,
        /// What is wrong with it.
        source: NameError,
    },
    /// Brackets without a range.
    #[error("{word:?} is not a range of hosts")]
    Range {
        /// As it was given.
        word: String,
        /// What is wrong with it.
        source: RangeError,
    },
    /// Two classes know the same host differently.
    #[error(
        "{host} is not the same host everywhere: class `{one}` has `{first}`, class `{other}` has `{second}`"
    )]
    Ambiguous {
        /// The host.
        host: HostName,
        /// A class that has it.
        one: ClassName,
        /// As it is there.
        first: String,
        /// Another class that has it.
        other: ClassName,
        /// As it is there.
        second: String,
    },
    /// Excluding what is not there is most likely a slip, and a costly one.
    #[error("{0} cannot be excluded: it is not among the hosts")]
    NotAmong(HostName),
    /// Everything was excluded.
    #[error("no host is left after the exclusions")]
    NoneLeft,
}

/// All class files, read once.
#[derive(Debug, Default)]
pub struct Inventory {
    files: BTreeMap<ClassName, io::Result<ClassFile>>,
}

/// Names that editors and dpkg give to copies: no classes.
fn is_a_copy(name: &str) -> bool {
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
                let text = std::fs::read_to_string(entry.path());
                files.insert(class, text.map(|text| ClassFile::parse(&text)));
            }
        }
        Ok(Self { files })
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
        let mut hosts = Vec::new();
        self.collect(class, &mut Vec::new(), &mut hosts, &mut HashMap::new())?;
        Ok(hosts)
    }

    fn collect(
        &self,
        class: &ClassName,
        path: &mut Vec<ClassName>,
        hosts: &mut Vec<Host>,
        known: &mut HashMap<HostName, usize>,
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
                Entry::Host(host) => merge(host, hosts, known),
                Entry::Include(line, other) => {
                    if let Some(fault) = self.no_include(other, path) {
                        errors.push(LineError { line: *line, fault });
                        continue;
                    }
                    for host in self.class_within(other, path)? {
                        if let Some(here) = known
                            .get(&host.name)
                            .map(|&at| &hosts[at])
                            .filter(|here| **here != host)
                        {
                            let (here, there) = (here.to_string(), host.to_string());
                            let class = other.clone();
                            let fault = Fault::Conflict { class, there, here };
                            errors.push(LineError { line: *line, fault });
                        }
                        merge(&host, hosts, known);
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

    fn class_within(&self, class: &ClassName, path: &mut Vec<ClassName>) -> Result<Vec<Host>, TargetError> {
        let mut hosts = Vec::new();
        self.collect(class, path, &mut hosts, &mut HashMap::new())?;
        Ok(hosts)
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

    /// The hosts that a target names, without the excluded ones; each once, in the order of the words.
    ///
    /// # Errors
    /// Where a word is neither a class nor a host, a class cannot be used, or no host is left.
    pub fn resolve(&self, target: &str, exclude: &[String]) -> Result<Vec<Host>, TargetError> {
        let mut hosts = Vec::new();
        let mut known = HashMap::new();
        for word in words(target) {
            for host in self.word(word)? {
                merge(&host, &mut hosts, &mut known);
            }
        }
        for word in exclude.iter().flat_map(|words| self::words(words)) {
            let is_class = self.is_class(word);
            for host in self.word(word)? {
                let before = hosts.len();
                hosts.retain(|other| other.name != host.name);
                if hosts.len() == before && !is_class && known.contains_key(&host.name) {
                    continue; // Excluded by an earlier word already.
                }
                if hosts.len() == before && !is_class {
                    return Err(TargetError::NotAmong(host.name));
                }
            }
        }
        if hosts.is_empty() {
            return Err(TargetError::NoneLeft);
        }
        Ok(hosts)
    }

    fn is_class(&self, word: &str) -> bool {
        word.parse()
            .is_ok_and(|class: ClassName| self.files.contains_key(&class))
    }

    fn word(&self, word: &str) -> Result<Vec<Host>, TargetError> {
        if let Ok(class) = word.parse::<ClassName>()
            && self.files.contains_key(&class)
        {
            let hosts = self.class(&class)?;
            return if hosts.is_empty() {
                Err(TargetError::Empty(class))
            } else {
                Ok(hosts)
            };
        }
        let owned = || word.to_owned();
        let names = expand(word).map_err(|source| TargetError::Range {
            word: owned(),
            source,
        })?;
        let mut hosts = Vec::new();
        for name in names {
            let name: HostName = name.parse().map_err(|source| TargetError::NoName {
                word: owned(),
                source,
            })?;
            hosts.push(match self.listed(&name)? {
                Some(host) => host,
                // Without a class to vouch for it, a bare word is more likely a slip than a host.
                None if name.is_address() || name.as_str().contains('.') => Host::plain(name),
                None => return Err(self.nothing(name.as_str())),
            });
        }
        Ok(hosts)
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
                let Entry::Host(host) = entry else { continue };
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

    fn nothing(&self, word: &str) -> TargetError {
        let hosts = self.files.values().flatten().flat_map(|file| &file.entries);
        let hosts = hosts.filter_map(|entry| match entry {
            Entry::Host(host) => Some(host.name.as_str()),
            Entry::Include(..) => None,
        });
        let classes: Vec<&str> = self.files.keys().map(ClassName::as_str).collect();
        let nearest = nearest(word, classes)
            .or_else(|| nearest(word, hosts))
            .map(str::to_owned);
        let word = word.to_owned();
        TargetError::Nothing { word, nearest }
    }
}

fn merge(host: &Host, hosts: &mut Vec<Host>, known: &mut HashMap<HostName, usize>) {
    known.entry(host.name.clone()).or_insert_with(|| {
        hosts.push(host.clone());
        hosts.len() - 1
    });
}

/// The words between commas; a comma in brackets belongs to a range.
fn words(target: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    target
        .split(move |c| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            c == ',' && depth <= 0
        })
        .map(str::trim)
}

#[cfg(test)]
impl Inventory {
    /// An inventory of these class files.
    pub(crate) fn of<const N: usize>(files: [(&str, &str); N]) -> Self {
        let file = |(name, text): (&str, &str)| (name.parse().unwrap(), Ok(ClassFile::parse(text)));
        Self {
            files: files.into_iter().map(file).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Inventory {
        Inventory::of([
            ("web", "web[1-3] port=2222\n@db\n"),
            ("db", "db1\n"),
            ("all", "@web\n@db\nnas.example.org address=10.0.0.9\n"),
            ("empty", "# nobody yet\n"),
            ("bad", "ok\nnot ok\n"),
        ])
    }

    fn names(target: &str, exclude: &[&str]) -> Result<String, String> {
        let exclude: Vec<String> = exclude.iter().map(|&word| word.to_owned()).collect();
        let hosts = site()
            .resolve(target, &exclude)
            .map_err(|error| error.to_string())?;
        Ok(hosts
            .iter()
            .map(|host| host.name.as_str())
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn a_target_is_classes_and_hosts_each_host_once() {
        assert_eq!(names("web", &[]).unwrap(), "web1 web2 web3 db1");
        assert_eq!(
            names("all,db1,web2", &[]).unwrap(),
            "web1 web2 web3 db1 nas.example.org"
        );
        assert_eq!(
            names("web[1,3],192.168.1.192", &[]).unwrap(),
            "web1 web3 192.168.1.192"
        );
        assert_eq!(names("other.example.org", &[]).unwrap(), "other.example.org");
    }

    #[test]
    fn a_host_brings_what_its_class_says_of_it() {
        let hosts = site().resolve("web2,nas.example.org", &[]).unwrap();
        assert_eq!(hosts[0].to_string(), "web2 port=2222");
        assert_eq!(hosts[1].to_string(), "nas.example.org address=10.0.0.9");
    }

    #[test]
    fn exclusions_take_hosts_and_classes_out() {
        assert_eq!(names("all", &["db", "web[1-2]"]).unwrap(), "web3 nas.example.org");
        assert_eq!(names("web", &["web1,web1"]).unwrap(), "web2 web3 db1");
        assert_eq!(
            names("db", &["db1"]).unwrap_err(),
            "no host is left after the exclusions"
        );
        assert_eq!(
            names("db", &["web1"]).unwrap_err(),
            "web1 cannot be excluded: it is not among the hosts"
        );
    }

    #[test]
    fn what_is_neither_class_nor_host_is_an_error_with_the_nearest_name() {
        for (target, text) in [
            ("wbe", "there is no class or host `wbe` (`web`?)"),
            ("databases", "there is no class or host `databases`"),
            ("web9", "there is no class or host `web9` (`web`?)"),
            ("../x", "\"../x\" is neither a class nor a host"),
            (
                "-oProxyCommand=id",
                "\"-oProxyCommand=id\" is neither a class nor a host",
            ),
            ("", "\"\" is neither a class nor a host"),
            ("web,", "\"\" is neither a class nor a host"),
            ("web[1-", "\"web[1-\" is not a range of hosts"),
            ("empty", "class `empty` names no host"),
            ("bad", "cannot use class `bad`"),
        ] {
            assert_eq!(names(target, &[]).unwrap_err(), text, "{target}");
        }
    }

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
        let site = Inventory::of([("a", "h port=1\n"), ("b", "h port=2\n"), ("c", "@a\n@b\n")]);
        assert_eq!(
            site.resolve("h", &[]).unwrap_err().to_string(),
            "h is not the same host everywhere: class `a` has `h port=1`, class `b` has `h port=2`"
        );
        let TargetError::Class { errors, .. } = site.resolve("c", &[]).unwrap_err() else {
            panic!("no error of the class");
        };
        assert_eq!(
            errors[0].to_string(),
            "line 2: @b has `h port=2`, which stands here as `h port=1`"
        );
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
