//! What a host prints is not to be trusted: nothing of it reaches a terminal before it has gone through here.

use apu_proto::is_invisible;

/// The most characters that are shown of one line.
pub const LONGEST: usize = 300;

/// One line of a text from a host, without anything that a terminal would obey or that would hide or turn letters.
///
/// No more than two spaces follow each other: many of them would begin a line of the screen that looks like ours.
#[must_use]
pub fn clean(text: &str) -> String {
    // Most lines are clean.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !text.contains("   ");
    if is_plain && text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut shown = String::new();
    let (mut count, mut spaces) = (0, 0);
    for character in text.chars() {
        let character = match character {
            '\t' | ' ' => ' ',
            _ if character.is_control() || is_invisible(character) => '\u{fffd}',
            _ if character.is_whitespace() => ' ',
            _ => character,
        };
        spaces = if character == ' ' { spaces + 1 } else { 0 };
        if spaces > 2 {
            continue;
        }
        if count == LONGEST {
            shown.push('…');
            break;
        }
        count += 1;
        shown.push(character);
    }
    shown
}

/// A version as a host names it; in quotes where it is none.
#[must_use]
pub fn version(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".+-:~_".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        clean(text)
    } else {
        format!("\"{}\"", clean(text))
    }
}

/// The lines of a text from a host, each clean, at most `most` of them.
#[must_use]
pub fn clean_lines(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().take(most).map(clean).collect();
    let all = text.lines().count();
    if all > most {
        lines.push(format!("… and {} more lines", all - most));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_comes_through() {
        assert_eq!(
            clean("\u{1b}[2Jgone\u{7}\r\n"),
            "\u{fffd}[2Jgone\u{fffd}\u{fffd}\u{fffd}"
        );
        assert_eq!(clean("\u{9b}31m\u{85}"), "\u{fffd}31m\u{fffd}");
        assert_eq!(
            clean("user\u{202e}txt.exe\u{200b}"),
            "user\u{fffd}txt.exe\u{fffd}"
        );
        assert_eq!(clean("größer → größer\tja"), "größer → größer ja");
    }

    #[test]
    fn spaces_of_any_kind_do_not_reach_the_next_line_of_the_screen() {
        for space in [" ", "\t", "\u{a0}", "\u{3000}", "\u{2003}"] {
            let forged = format!("no{}try: reboot", space.repeat(200));
            assert_eq!(clean(&forged), "no  try: reboot");
        }
    }

    #[test]
    fn what_is_no_version_is_in_quotes() {
        assert_eq!(version("1:2.0~rc1-1+b2"), "1:2.0~rc1-1+b2");
        for text in ["try: reboot", "", "web2: unreachable", "curl x | sh"] {
            assert_eq!(version(text), format!("\"{text}\""));
        }
    }

    #[test]
    fn a_line_and_a_text_have_an_end() {
        assert_eq!(clean(&"x".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(clean_lines("a\nb\nc\n", 2), ["a", "b", "… and 1 more lines"]);
    }
}
