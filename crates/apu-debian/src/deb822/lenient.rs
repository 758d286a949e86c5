//! Reads paragraphs that dpkg, apt and debconf wrote: nothing is an error, and nothing is copied.
//!
//! Only ASCII blanks are blanks, as in the strict reader.

/// One field. The value includes its continuation lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// As it was written.
    pub name: &'a str,
    /// Trimmed at both ends.
    pub value: &'a str,
}

impl Field<'_> {
    /// Whether the field has this name; case does not matter.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The paragraphs of a text, each as its fields. Lines that start with `#` are comments.
pub fn paragraphs(text: &str) -> impl Iterator<Item = Vec<Field<'_>>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let fields = paragraph(&mut rest);
            if !fields.is_empty() {
                return Some(fields);
            }
        }
        None
    })
}

/// Parses the fields up to the next empty line.
fn paragraph<'a>(rest: &mut &'a str) -> Vec<Field<'a>> {
    let mut fields: Vec<Field<'a>> = Vec::new();
    // Offset in `text` of the last field's value.
    let mut value_start = 0;
    let mut at = 0;
    let text = *rest;
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
        let line = &text[at..end];
        let start = at;
        at = (end + 1).min(text.len());
        if line.trim_ascii().is_empty() {
            break;
        }
        if line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some(field) = fields.last_mut() {
                field.value = text[value_start..end].trim_ascii();
            }
        } else if let Some((name, value)) = line.split_once(':') {
            value_start = start + name.len() + 1;
            fields.push(Field {
                name: name.trim_ascii(),
                value: value.trim_ascii(),
            });
        }
    }
    *rest = &text[at..];
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_continuation_lines() {
        let text = "Package: a\nConffiles:\n /etc/a 0\n /etc/b 1\nVersion: 1\n\n\n# comment\nPackage: b\n";
        let all: Vec<_> = paragraphs(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(
            all[0][1],
            Field {
                name: "Conffiles",
                value: "/etc/a 0\n /etc/b 1"
            }
        );
        assert_eq!(all[0][2].value, "1");
        assert!(all[1][0].is("package"));
    }

    #[test]
    fn a_line_of_a_description_that_only_looks_empty_ends_no_paragraph() {
        for letter in ["\u{a0}", "\u{3000}", "\u{b}"] {
            let text = format!("Description: x\n {letter}\nVersion: {letter}\n");
            let all: Vec<_> = paragraphs(&text).collect();
            assert_eq!(all.len(), 1, "{letter:?}");
            assert_eq!(all[0][0].value, format!("x\n {letter}"));
            assert_eq!(all[0][1].value, letter);
        }
    }

    #[test]
    fn a_text_without_fields_has_no_paragraphs() {
        for text in [
            "",
            "\n\n",
            "# only a comment\n",
            "no colon\n",
            " lost continuation\n",
        ] {
            assert_eq!(paragraphs(text).count(), 0, "{text:?}");
        }
    }
}
