//! A macro for types that hold a text which was checked: package and host names, values of a settings file, words of a Release file.

/// Defines a text type. Its arguments are its documentation and name, the type of its error, and a function from a text to
/// the text that the type holds, or an error.
///
/// Where the text is held as it is: the check, the type of its error, and what makes the error of a refused text. In place of
/// the last two: how a refused text is shown, and what was expected; the error is a `String` then.
#[macro_export]
macro_rules! text_value {
    ($(#[$attribute:meta])* $name:ident, $check:path, $shown:path, $expected:literal) => {
        $crate::text_value!(
            $(#[$attribute])*
            $name,
            $check,
            String,
            |text: &str| format!("{:?} is not {}", $shown(text), $expected)
        );
    };
    ($(#[$attribute:meta])* $name:ident, $check:path, $error:ty, $refuse:expr) => {
        $crate::text_value!(
            $(#[$attribute])*
            $name,
            $error,
            |text: &str| if $check(text) { Ok(text.to_owned()) } else { Err($refuse(text)) }
        );
    };
    ($(#[$attribute:meta])* $name:ident, $error:ty, $read:expr) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, as it was accepted.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text known when the program was written.
            #[must_use]
            pub fn of(text: &'static str) -> Self {
                match text.parse() {
                    Ok(value) => value,
                    Err(_) => panic!("{text:?}"),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $read(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
