//! A command in `apu.toml`: the absolute path of a program, alone or at the head of a list of its arguments.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A program and its arguments. No shell reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine(Vec<String>);

impl CommandLine {
    /// The words, the program first.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for CommandLine {
    type Error = String;

    fn try_from(words: Vec<String>) -> Result<Self, String> {
        let Some(program) = words.first() else {
            return Err("a command needs a program".to_owned());
        };
        if !program.starts_with('/') {
            return Err(format!("{program:?} is not the absolute path of a program"));
        }
        if program.contains(' ') && words.len() == 1 {
            return Err(format!(
                "{program:?} has a blank in it: a command with arguments is a list, such as [\"/usr/local/sbin/check\", \"-v\"]"
            ));
        }
        if words.iter().any(|word| word.contains('\0')) {
            return Err("no word of a command can have a zero byte".to_owned());
        }
        Ok(Self(words))
    }
}

impl<'de> Deserialize<'de> for CommandLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = CommandLine;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the path of a program, or a list of it and its arguments")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CommandLine, E> {
                CommandLine::try_from(vec![text.to_owned()]).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CommandLine, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                CommandLine::try_from(words).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(Words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        #[derive(serde::Deserialize)]
        struct File {
            check: CommandLine,
        }
        let file: Result<File, _> = toml::from_str(text);
        file.map(|file| file.check.words().to_vec())
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_command_is_a_path_or_a_list_and_no_line_of_a_shell() {
        assert_eq!(
            read("check = '/usr/local/sbin/check'").unwrap(),
            ["/usr/local/sbin/check"]
        );
        assert_eq!(
            read("check = ['/bin/sh', '-c', 'exit 0']").unwrap(),
            ["/bin/sh", "-c", "exit 0"]
        );
        for (text, why) in [
            ("check = []", "needs a program"),
            ("check = ''", "is not the absolute path"),
            ("check = 'check'", "is not the absolute path"),
            ("check = '/usr/bin/curl -f http://x/'", "is a list, such as"),
            ("check = [1]", "expected a string"),
            ("check = true", "the path of a program"),
            ("check = [\"/bin/x\", \"\\u0000\"]", "zero byte"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
