//! A macro for types that hold a text which a check accepted: values of a settings file, words of a Release file.

/// Defines a text type. Its arguments are its documentation and name, the check, how a wrong text is shown in the error,
/// and what was expected; the error is a `String`.
#[macro_export]
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $check:path, $shown:path, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text known when the program was written.
            #[must_use]
            pub fn of(text: &'static str) -> Self {
                debug_assert!($check(text));
                Self(text.to_owned())
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                if $check(&text) { Ok(Self(text)) } else { Err(format!("{:?} is not {}", $shown(&text), $expected)) }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
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
