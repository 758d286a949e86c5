//! Reads what a check script says of itself in a comment: `# apu: user=NAME timeout=90s`.

use std::time::Duration;

/// Lines of a script in which the comment may be.
const LINES: usize = 20;

/// Time limit of a script that says none.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time limit that a script may ask for, in seconds.
const MAX_TIMEOUT: u64 = 600;

/// How a script is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    /// Whose rights it gets; root's where none is named.
    pub(super) user: Option<String>,
    pub(super) timeout: Duration,
}

/// Reads the options of a script's first lines. Fails with the word that is not understood.
pub(super) fn parse(text: &str) -> Result<Options, String> {
    let (mut user, mut timeout) = (None, None);
    let comments = text.lines().take(LINES).filter_map(|line| {
        let comment = line.trim_start().strip_prefix('#')?;
        comment.trim_start().strip_prefix("apu:")
    });
    for word in comments.flat_map(str::split_whitespace) {
        let was_set = match word.split_once('=') {
            Some(("user", name)) if !name.is_empty() => user.replace(name.to_owned()).is_some(),
            Some(("timeout", value)) => {
                let limit = seconds(value).ok_or_else(|| format!("{word}: not 1s to {MAX_TIMEOUT}s"))?;
                timeout.replace(limit).is_some()
            }
            _ => return Err(format!("{word}: neither user=NAME nor timeout=SECONDSs")),
        };
        if was_set {
            return Err(format!("{word}: said twice"));
        }
    }
    Ok(Options {
        user,
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
    })
}

fn seconds(value: &str) -> Option<Duration> {
    let digits = value.strip_suffix('s')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    (1..=MAX_TIMEOUT)
        .contains(&number)
        .then(|| Duration::from_secs(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(user: Option<&str>, seconds: u64) -> Result<Options, String> {
        Ok(Options {
            user: user.map(str::to_owned),
            timeout: Duration::from_secs(seconds),
        })
    }

    #[test]
    fn a_script_says_its_user_and_its_time_in_its_first_twenty_lines() {
        assert_eq!(parse("#!/bin/sh\ntrue\n"), options(None, 30));
        assert_eq!(
            parse("#!/bin/sh\n# apu: user=nobody timeout=90s\n"),
            options(Some("nobody"), 90)
        );
        assert_eq!(
            parse("#!/bin/sh\n  #apu: timeout=600s\n# apu: user=www-data"),
            options(Some("www-data"), 600)
        );
        let far = format!("#!/bin/sh\n{}# apu: user=nobody\n", "\n".repeat(19));
        assert_eq!(parse(&far), options(None, 30));
        let near = format!("#!/bin/sh\n{}# apu: user=nobody\n", "\n".repeat(18));
        assert_eq!(parse(&near), options(Some("nobody"), 30));
        assert_eq!(parse("echo apu: user=root # apu: user=root\n"), options(None, 30));
    }

    #[test]
    fn a_word_that_is_not_understood_is_named_and_never_passed_over() {
        for (line, word) in [
            ("# apu: user=nobody nice=5", "nice=5:"),
            ("# apu: usr=nobody", "usr=nobody:"),
            ("# apu: user=", "user=:"),
            ("# apu: timeout=90", "timeout=90:"),
            ("# apu: timeout=2m", "timeout=2m:"),
            ("# apu: timeout=0s", "timeout=0s:"),
            ("# apu: timeout=601s", "timeout=601s:"),
            ("# apu: timeout=+5s", "timeout=+5s:"),
            ("# apu: user=a user=b", "user=b: said twice"),
            ("# apu: timeout=5s\n# apu: timeout=5s", "timeout=5s: said twice"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.starts_with(word), "{line}: {error}");
        }
    }
}
