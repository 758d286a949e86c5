//! Values of `apu.toml` that need more than a type of the language: checked here, once.

use serde::de::{Deserialize, Deserializer, Error};

/// Which key exchange ssh asks for first, as apu.toml says it. apu-fleet, which knows no settings, has the same as a type of
/// its own; the match between the two is exhaustive.
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

apu_debian::text_value!(
    /// An http or https address that can stand in a sources file and in apt.conf.
    Url,
    is_url,
    without_user,
    "an address such as http://apu.example.org/local, without blanks, quotes, backslashes, and without a user name or \
     password: apu-data can be read by everybody"
);

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
