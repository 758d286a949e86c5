//! What the words of a command line mean: classes, hosts, ranges, and what is left out of them.

use apu_debian::nearest;

use crate::class::Entry;
use crate::host::Host;
use crate::inventory::{Hosts, Inventory};
use crate::name::{ClassName, HostName};
use crate::range::expand;
use crate::target_error::TargetError;
use crate::words::Word;

/// The word for the hosts of all classes, where no class is called so.
const ALL: &str = "all";

/// Whether a host may be named that is in no class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strangers {
    /// By an address or a name with a dot.
    OnlyInFull,
    /// By any name.
    Welcome,
}

impl Inventory {
    /// The hosts that a target names, without the excluded ones; each once, in the order of the words.
    ///
    /// A word is a class, a host, a range such as `web[01-20]`, or `all` for the hosts of all classes. Commas and blanks
    /// part words; `!WORD` leaves out, `@FILE` and `-` (standard input) are lists of words. `run:412:failed` are the hosts that
    /// ended so in that run, `run:412` all of its hosts.
    ///
    /// # Errors
    /// Where a word is neither a class nor a host, a class cannot be used, or no host is left.
    pub fn resolve(&self, target: &[String], exclude: &[String]) -> Result<Vec<Host>, TargetError> {
        self.select(target, exclude, Strangers::OnlyInFull)
    }

    /// The same for hosts that need not be in a class: they may be about to come into one.
    ///
    /// # Errors
    /// As [`Inventory::resolve`].
    pub fn resolve_new(&self, target: &[String], exclude: &[String]) -> Result<Vec<Host>, TargetError> {
        self.select(target, exclude, Strangers::Welcome)
    }

    fn select(
        &self,
        target: &[String],
        exclude: &[String],
        strangers: Strangers,
    ) -> Result<Vec<Host>, TargetError> {
        let (mut out, within): (Vec<Word>, Vec<Word>) = self
            .written_out(target)?
            .into_iter()
            .partition(|word| word.is_out);
        let mut found = Hosts::default();
        for word in &within {
            for host in self
                .word(&word.text, strangers)
                .map_err(|error| word.wrong(error))?
            {
                found.add(&host);
            }
        }
        if let Some(word) = out.first().filter(|_| within.is_empty()) {
            return Err(TargetError::OnlyOut(word.text.clone()));
        }
        out.extend(self.written_out(exclude)?);
        let mut hosts = found.all.clone();
        for word in &out {
            let out = match self.word(&word.text, Strangers::Welcome) {
                // A class may well have nobody in it, or nobody who is meant here.
                Err(TargetError::Empty(_)) => continue,
                out => out.map_err(|error| word.wrong(error))?,
            };
            let missing = out.iter().find(|host| !found.has(&host.name));
            if let Some(missing) = missing.filter(|_| !self.is_class(&word.text)) {
                let error = match self.word(&word.text, strangers) {
                    Err(error @ TargetError::Nothing { .. }) => error,
                    _ => TargetError::NotAmong(missing.name.clone()),
                };
                return Err(word.wrong(error));
            }
            hosts.retain(|host| out.iter().all(|other| other.name != host.name));
        }
        if hosts.is_empty() {
            return Err(TargetError::NoneLeft);
        }
        Ok(hosts)
    }

    pub(crate) fn is_class(&self, word: &str) -> bool {
        word.parse()
            .is_ok_and(|class: ClassName| self.files.contains_key(&class))
    }

    /// The hosts of all classes, each once.
    ///
    /// # Errors
    /// Where a class cannot be used, or two of them know a host differently.
    pub fn all(&self) -> Result<Vec<Host>, TargetError> {
        let mut hosts = Hosts::default();
        for class in self.files.keys() {
            for host in self.class(class)? {
                // Two classes may know it differently.
                hosts.add(&self.listed(&host.name)?.unwrap_or(host));
            }
        }
        Ok(hosts.all)
    }

    fn word(&self, word: &str, strangers: Strangers) -> Result<Vec<Host>, TargetError> {
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
        if let (Some(of_run), Some(hosts)) = (word.strip_prefix("run:"), &self.runs) {
            let names = (hosts.0)(of_run).map_err(|why| TargetError::Run {
                word: word.to_owned(),
                why,
            })?;
            return names.iter().map(|name| self.host(name)).collect();
        }
        if word == ALL {
            let hosts = self.all()?;
            return if hosts.is_empty() {
                Err(TargetError::NoClasses)
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
                None if strangers == Strangers::Welcome => Host::plain(name),
                // Without a class to vouch for it, a bare word is more likely a slip than a host.
                None if name.is_address() || name.as_str().contains('.') => Host::plain(name),
                None => return Err(self.nothing(name.as_str())),
            });
        }
        Ok(hosts)
    }

    /// The error for a word that is neither class nor host.
    pub(crate) fn nothing(&self, word: &str) -> TargetError {
        let hosts = self.files.values().flatten().flat_map(|file| &file.entries);
        let hosts = hosts.filter_map(|entry| match entry {
            Entry::Host(_, host) => Some(host.name.as_str()),
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
            .resolve(&[target.to_owned()], &exclude)
            .map_err(|error| error.to_string())?;
        Ok(hosts
            .iter()
            .map(|host| host.name.as_str())
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn the_hosts_of_a_run_are_a_word_like_any_other() {
        let site = site().with_runs(|word| match word {
            "412:failed" => Ok(vec!["web2".parse().unwrap(), "gone".parse().unwrap()]),
            _ => Err("there is no such run".to_owned()),
        });
        let resolve = |words: &str| {
            let hosts = site.resolve(&[words.to_owned()], &[])?;
            Ok::<_, TargetError>(
                hosts
                    .iter()
                    .map(|host| (host.name.to_string(), host.port))
                    .collect::<Vec<_>>(),
            )
        };
        // With the options of its class, and also where no class has it any more.
        assert_eq!(
            resolve("run:412:failed").unwrap(),
            [("web2".to_owned(), Some(2222)), ("gone".to_owned(), None)]
        );
        let others = resolve("web,!run:412:failed,!gone");
        assert!(others.is_err(), "{others:?}");
        let error = resolve("run:9").unwrap_err().to_string();
        assert_eq!(error, "\"run:9\" names no hosts: there is no such run");
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
        let hosts = site()
            .resolve(&["web2".to_owned(), "nas.example.org".to_owned()], &[])
            .unwrap();
        assert_eq!(hosts[0].to_string(), "web2 port=2222");
        assert_eq!(hosts[1].to_string(), "nas.example.org address=10.0.0.9");
    }

    #[test]
    fn exclusions_take_hosts_and_classes_out() {
        assert_eq!(names("all", &["db", "web[1-2]"]).unwrap(), "web3 nas.example.org");
        assert_eq!(names("web", &["web1,web1"]).unwrap(), "web2 web3 db1");
        assert_eq!(names("db", &["empty"]).unwrap(), "db1");
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
    fn a_word_with_an_exclamation_mark_leaves_out() {
        assert_eq!(names("all,!db,!web[1-2]", &[]).unwrap(), "web3 nas.example.org");
        assert_eq!(names("!web1 web", &[]).unwrap(), "web2 web3 db1");
        assert_eq!(
            names("!web1", &[]).unwrap_err(),
            "!web1 leaves a host out, and no word names the others"
        );
        assert_eq!(
            names("web,!wbe", &[]).unwrap_err(),
            "there is no class or host `wbe` (`web`?)"
        );
        assert_eq!(
            names("web,!web", &[]).unwrap_err(),
            "no host is left after the exclusions"
        );
    }

    #[test]
    fn all_is_every_host_of_every_class_unless_a_class_is_called_so() {
        let site = Inventory::of([("web", "web[1-2]\n"), ("db", "db1\nweb1\n"), ("empty", "")]);
        let all = site.resolve(&["all".to_owned()], &[]).unwrap();
        let all: Vec<&str> = all.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(all, ["db1", "web1", "web2"]);
        let nobody = Inventory::of([("empty", "")]);
        let error = nobody.resolve(&["all".to_owned()], &[]).unwrap_err();
        assert_eq!(error.to_string(), "there is no class that names a host");
    }

    #[test]
    fn a_list_is_read_from_a_file_and_its_lines_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("list");
        let word = format!("@{}", list.display());
        std::fs::write(&list, "web1 # first\n!web2\nweb[2-3],db1\n").unwrap();
        assert_eq!(names(&word, &[]).unwrap(), "web1 web3 db1");
        std::fs::write(&list, "web1\n\nwbe\n").unwrap();
        assert_eq!(
            names(&word, &[]).unwrap_err(),
            format!("line 3 of {}", list.display())
        );
        std::fs::remove_file(&list).unwrap();
        assert_eq!(
            names(&word, &[]).unwrap_err(),
            format!("cannot read the targets in {}", list.display())
        );
        // As in a class file, where no file is called so.
        assert_eq!(names("@db", &[]).unwrap(), "db1");
        assert!(names("@/dev/zero", &[]).is_err());
    }

    #[test]
    fn hosts_without_a_class_are_named_where_they_may_be_new() {
        let words = ["new1,new2".to_owned(), "web[1-2]".to_owned()];
        let hosts = site().resolve_new(&words, &[]).unwrap();
        assert_eq!(hosts.len(), 4);
        assert_eq!(hosts[2].to_string(), "web1 port=2222");
        assert!(site().resolve(&words, &[]).is_err());
    }
}
