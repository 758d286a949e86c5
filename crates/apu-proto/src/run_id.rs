//! The name of a run: 128 bits that the server chooses, so that asking twice starts it once.

use thiserror::Error;

apu_debian::hex_value!(
    /// A run's identity, written as 32 lower-case hexadecimal digits.
    RunId,
    16,
    RunIdError
);

/// A text that is not a run's identity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a run's id is 32 lower-case hexadecimal digits")]
pub struct RunIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_written() {
        let id = RunId::from_bytes(*b"\x00\x01\xfe\xff0123456789ab");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn a_path_is_not_an_id() {
        for text in [
            "",
            "../../etc/passwd",
            "0123456789ABCDEF0123456789ABCDEF",
            "0123456789abcdef0123456789abcde",
        ] {
            assert_eq!(text.parse::<RunId>(), Err(RunIdError), "{text}");
        }
    }
}
