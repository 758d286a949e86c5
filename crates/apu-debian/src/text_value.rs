//! A macro for types that hold a text which a check accepted: package names, values of a settings file, words of a Release file.

/// Defines a text type. Its arguments are its documentation and name, the check, the type of its error, and what makes the
/// error of a refused text. In place of the last two: how a refused text is shown, and what was expected; the error is a
/// `String` then.
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
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text, which the check has accepted.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text known when the program was written.
            #[must_use]
            pub fn of(text: &'static str) -> Self {
                assert!($check(text), "{text:?}");
                Self(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                if $check(&text) { Ok(Self(text)) } else { Err($refuse(&text)) }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
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
