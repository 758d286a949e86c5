//! Reads debconf's templates, and says whether an answer fits one, as debconf-devel(7) describes them.

use serde::{Deserialize, Serialize};

use super::{QuestionKind, is_value};
use crate::deb822::lenient::paragraphs;

/// A question as its package describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// How it is answered.
    pub kind: QuestionKind,
    /// What may be chosen; none where the package's script says so only when it asks.
    pub choices: Option<Vec<String>>,
    /// What applies where nobody answers.
    pub default: String,
}

/// Why an answer does not fit a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfit {
    /// No package of the transaction has such a question.
    NoQuestion,
    /// The question is answered in another way.
    OtherType,
    /// The value is neither `true` nor `false`.
    NoBoolean,
    /// The value is not among the choices.
    NoChoice,
    /// The value cannot be given to debconf.
    NoValue,
    /// A reason of a later version.
    #[serde(other)]
    Unknown,
}

impl Template {
    /// The questions among a package's templates, by the field that has their names: `Template` in a package, `Name` in debconf's
    /// database.
    #[must_use]
    pub fn read_all(text: &str, name_field: &str) -> Vec<Self> {
        paragraphs(text)
            .filter_map(|fields| {
                let value = |name: &str| {
                    let field = fields.iter().find(|field| field.is(name));
                    field.map(|field| field.value)
                };
                // Where there are both, these are the words that scripts get.
                let choices = value("Choices-C")
                    .or_else(|| value("Choices"))
                    .unwrap_or_default();
                Some(Self {
                    name: value(name_field)?.to_owned(),
                    kind: QuestionKind::of(value("Type")?)?,
                    choices: (!choices.contains("${")).then(|| items(choices)),
                    default: value("Default").unwrap_or_default().to_owned(),
                })
            })
            .collect()
    }

    /// Whether an answer of this type fits.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check(&self, kind: QuestionKind, value: &str) -> Result<(), Misfit> {
        if kind != self.kind {
            return Err(Misfit::OtherType);
        }
        if !is_value(value) {
            return Err(Misfit::NoValue);
        }
        let is_choice = |item: &String| (self.choices.as_ref()).is_none_or(|choices| choices.contains(item));
        match kind {
            QuestionKind::String | QuestionKind::Password => Ok(()),
            QuestionKind::Boolean if matches!(value, "true" | "false") => Ok(()),
            QuestionKind::Boolean => Err(Misfit::NoBoolean),
            QuestionKind::Select if is_choice(&value.to_owned()) => Ok(()),
            QuestionKind::Multiselect if items(value).iter().all(is_choice) => Ok(()),
            QuestionKind::Select | QuestionKind::Multiselect => Err(Misfit::NoChoice),
        }
    }
}

/// The items of a list as debconf parts them: at a comma with blanks behind it; a backslash takes its meaning from a comma or a
/// blank.
#[must_use]
pub fn items(list: &str) -> Vec<String> {
    let mut items = Vec::new();
    let mut item = String::new();
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(&next @ (',' | ' '))) => {
                item.push(next);
                letters.next();
            }
            (',', Some(next)) if next.is_ascii_whitespace() => {
                while letters.next_if(char::is_ascii_whitespace).is_some() {}
                items.push(std::mem::take(&mut item));
            }
            _ => item.push(letter),
        }
    }
    if !item.is_empty() {
        items.push(item);
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Template: lab/colour
Type: select
Choices: red, deep blue, a\\, b
Choices-de.UTF-8: rot, blau, x
Default: red
Description: Which colour?
 It matters.

Template: lab/extras
Type: multiselect
Choices: one, two, three
Description: Which?

Template: lab/disk
Type: select
Choices: ${disks}
Description: Which?

Template: lab/title
Type: title
Description: A title

Template: lab/really
Type: boolean
Default: false
Description: Really?
";

    fn check(name: &str, kind: QuestionKind, value: &str) -> Result<(), Misfit> {
        let all = Template::read_all(TEXT, "Template");
        let template = all.iter().find(|template| template.name == name).unwrap();
        template.check(kind, value)
    }

    #[test]
    fn an_answer_fits_a_question_of_its_type_and_choices() {
        use QuestionKind::{Boolean, Multiselect, Password, Select, String};
        for (name, kind, value, expected) in [
            ("lab/colour", Select, "deep blue", Ok(())),
            ("lab/colour", Select, "a, b", Ok(())),
            ("lab/colour", Select, "rot", Err(Misfit::NoChoice)),
            ("lab/colour", Select, "", Err(Misfit::NoChoice)),
            ("lab/colour", String, "red", Err(Misfit::OtherType)),
            ("lab/colour", Password, "red", Err(Misfit::OtherType)),
            ("lab/extras", Multiselect, "one, three", Ok(())),
            ("lab/extras", Multiselect, "", Ok(())),
            ("lab/extras", Multiselect, "one,three", Err(Misfit::NoChoice)),
            ("lab/extras", Multiselect, "one, four", Err(Misfit::NoChoice)),
            ("lab/disk", Select, "/dev/sda", Ok(())),
            ("lab/disk", Select, "/dev/sda\\", Err(Misfit::NoValue)),
            ("lab/really", Boolean, "true", Ok(())),
            ("lab/really", Boolean, "yes", Err(Misfit::NoBoolean)),
        ] {
            assert_eq!(check(name, kind, value), expected, "{name} {value}");
        }
        let all = Template::read_all(TEXT, "Template");
        assert_eq!(all.len(), 4, "a title asks nothing");
        assert_eq!((all[0].default.as_str(), all[2].choices.as_ref()), ("red", None));
    }

    #[test]
    fn lists_are_parted_as_debconf_does() {
        assert_eq!(items("a, b,c,  d"), ["a", "b,c", "d"]);
        assert_eq!(items("a\\, b, c\\ d, e\\f"), ["a, b", "c d", "e\\f"]);
        assert!(items("").is_empty());
    }
}
