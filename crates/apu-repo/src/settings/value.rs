//! Values of `apu.toml` that need more than a type of the language: judged here, once.

use serde::de::{Deserialize, Deserializer, Error};

/// Which key exchange ssh asks for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyExchange {
    /// The cheap ones first, among them a post-quantum one where both ends have it.
    #[default]
    Fast,
    /// Only post-quantum ones first, whatever they cost.
    PostQuantum,
    /// What the system's ssh does.
    System,
}

macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $check:ident, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $check(&text) { Ok(Self(text)) } else { Err(format!("{:?} is not {}", without_user(&text), $expected)) }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_value!(
    /// A user's name, which can never be read as an option.
    UserName,
    is_user,
    "a user name: 1 to 32 of a-z 0-9 _ -, starting with a letter or _"
);
text_value!(
    /// A word of a Release file.
    Label,
    is_label,
    "a word of a Release file: 1 to 64 of A-Z a-z 0-9 _ . + - /, starting with a letter or digit"
);
text_value!(
    /// The name of a suite or a component: one part of a path.
    Word,
    is_word,
    "a suite or component: 1 to 64 of A-Z a-z 0-9 _ . + -, starting with a letter or digit"
);
text_value!(
    /// An architecture of machines, so not `all`.
    Architecture,
    is_machine,
    "an architecture such as amd64 or arm64"
);
text_value!(
    /// An http or https address that can stand in a sources file and in apt.conf.
    Url,
    is_url,
    "an address such as http://apu.example.org/local, without blanks, quotes, backslashes, and without a user name or \
     password: apu-data can be read by everybody"
);

text_value!(
    /// A package's name, never a pattern.
    PackageName,
    is_package,
    "a package name: 2 to 128 of a-z 0-9 + . -, starting with a letter or digit"
);

impl Default for UserName {
    fn default() -> Self {
        Self("apu".to_owned())
    }
}

impl Word {
    /// A word known when the program was written.
    pub(crate) fn of(word: &'static str) -> Self {
        debug_assert!(is_word(word));
        Self(word.to_owned())
    }
}

impl Label {
    /// A word known when the program was written.
    pub(super) fn of(word: &'static str) -> Self {
        debug_assert!(is_label(word));
        Self(word.to_owned())
    }
}

fn is_package(name: &str) -> bool {
    let lower = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (2..=128).contains(&name.len())
        && name.bytes().next().is_some_and(lower)
        && name.bytes().all(|byte| lower(byte) || b"+.-".contains(&byte))
}

fn is_user(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
}

fn is_label(word: &str) -> bool {
    word.len() <= 64
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.+-/".contains(&b))
        && !word.split('/').any(|part| part.is_empty() || part == "..")
}

fn is_word(word: &str) -> bool {
    is_label(word) && !word.contains('/')
}

fn is_machine(name: &str) -> bool {
    !["all", "any", "source", "native"].contains(&name)
        && name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A text without what may be a password in it.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => text.to_owned(),
    }
}

fn is_url(url: &str) -> bool {
    let host = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
        && without_user(url) == url
        && url.len() <= 2048
        && url
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"'\\<>{}|^`;#".contains(&b))
}

/// An empty word says that there is none.
pub(super) fn url_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    Url::try_from(text).map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::Url;

    #[test]
    fn an_address_with_a_password_is_refused_and_the_password_not_repeated() {
        for url in [
            "http://user:pa55word@proxy.example.org:3128",
            "https://pa55word@apu.example.org/local",
            "http://user:pa55@pa55word@apu.example.org",
        ] {
            let error = url.parse::<Url>().unwrap_err();
            assert!(error.contains("without a user name"), "{error}");
            assert!(!error.contains("pa55word"), "{error}");
        }
        assert!("http://apu.example.org/home@site".parse::<Url>().is_ok());
    }
}
