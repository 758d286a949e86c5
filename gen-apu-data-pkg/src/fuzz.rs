//! Properties of the readers of this crate for any bytes, for the targets in `fuzz/` and for `cargo test`.

use apu_debian::deb822::{Comments, paragraphs};
use apu_debian::{UNSIGNED_OPTIONS, yes_or_no};

use crate::rendered;

#[cfg(test)]
#[path = "../../fuzz/bounded.rs"]
mod bounded;

/// Sources that are accepted become stanzas that are all signed, name one archive each, and are read as the same sources.
pub fn sources_list(data: &[u8]) {
    let Ok(text) = rendered(&String::from_utf8_lossy(data)) else {
        return;
    };
    let stanzas = paragraphs(&text, Comments::Refused).expect("stanzas");
    for stanza in &stanzas {
        for field in ["Types", "URIs", "Suites", "Signed-By"] {
            assert!(
                stanza.get(field).is_some_and(|value| !value.is_empty()),
                "no {field} in\n{text}"
            );
        }
        for field in ["URIs", "Suites"] {
            assert_eq!(
                stanza.get(field).map(|value| value.split_whitespace().count()),
                Some(1)
            );
        }
        for field in UNSIGNED_OPTIONS {
            let value = stanza.get(field).map(str::trim);
            assert!(
                value.is_none_or(|value| yes_or_no(value) == Some(false)),
                "{field} in\n{text}"
            );
        }
    }
    assert_eq!(rendered(&text).as_deref(), Ok(&*text));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sources_are_signed_and_read_back_for_any_bytes() {
        bounded::check("sources_list", sources_list);
    }
}
