//! Properties of the readers of this crate for any bytes, for the targets in `fuzz/` and for `cargo test`.

use crate::deb822::{Comments, Paragraph, lenient, paragraphs};

#[cfg(test)]
#[path = "../../../fuzz/bounded.rs"]
mod bounded;

/// Paragraphs that are read strictly print back as the same, and the lenient reader finds the same words in them.
pub fn deb822(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for comments in [Comments::Skipped, Comments::Refused] {
        let Ok(read) = paragraphs(&text, comments) else {
            continue;
        };
        let printed: String = read.iter().map(print).collect();
        let again = paragraphs(&printed, Comments::Refused).expect("printed paragraphs are paragraphs");
        let fields = |paragraphs: &[Paragraph]| -> Vec<_> {
            paragraphs
                .iter()
                .map(|paragraph| paragraph.fields.clone())
                .collect()
        };
        assert_eq!(fields(&again), fields(&read));
        // A lenient value holds the comments within it.
        if comments == Comments::Refused {
            let strict: Vec<Vec<_>> = read
                .iter()
                .map(|paragraph| {
                    paragraph
                        .fields
                        .iter()
                        .map(|(name, value)| words(name, value))
                        .collect()
                })
                .collect();
            let lenient: Vec<Vec<_>> = lenient::paragraphs(&text)
                .map(|fields| {
                    fields
                        .iter()
                        .map(|field| words(field.name, field.value))
                        .collect()
                })
                .collect();
            assert_eq!(lenient, strict);
        }
    }
}

fn print(paragraph: &Paragraph) -> String {
    let field = |(name, value): &(String, String)| match value.starts_with('\n') {
        true => format!("{name}:{value}\n"),
        false => format!("{name}: {value}\n"),
    };
    paragraph.fields.iter().map(field).collect::<String>() + "\n"
}

fn words<'a>(name: &'a str, value: &'a str) -> (&'a str, Vec<&'a str>) {
    (name, value.split_ascii_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_print_back_and_both_readers_agree_for_any_bytes() {
        bounded::check("deb822", deb822);
    }
}
