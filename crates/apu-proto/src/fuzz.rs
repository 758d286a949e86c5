//! Properties of the readers of this crate for any bytes, for the targets in `fuzz/` and for `cargo test`.

use crate::{Answers, AnswersSha256, Frame, MAX_ANSWERS, MAX_PACKAGES, MAX_REQUEST, Request};
use apu_debian::debconf::{QuestionKind, selections};
use sha2::{Digest, Sha256};

#[cfg(test)]
#[path = "../../../fuzz/bounded.rs"]
mod bounded;

/// A request that is accepted is bounded, prints back as the same request, and in the words that were read.
pub fn request_line(data: &[u8]) {
    let Ok(request) = Request::parse(data) else {
        return;
    };
    assert!(data.len() <= MAX_REQUEST && request.packages().len() <= MAX_PACKAGES);
    let printed = request.to_string();
    let read: Vec<&[u8]> = data.split(|byte| *byte == b' ').collect();
    for word in printed.split(' ') {
        // Its number may have had zeros before it.
        let is_read = word.starts_with("lock_wait=") || read.contains(&word.as_bytes());
        assert!(is_read, "{word} was not in the request");
    }
    assert_eq!(printed.split(' ').count(), read.len());
    assert_eq!(Request::parse(printed.as_bytes()), Ok(request));
}

/// Answers that are accepted are bounded, each once, and fit on one line of debconf-set-selections(1).
pub fn answers(data: &[u8]) {
    let digest = AnswersSha256::from_bytes(Sha256::digest(data).into());
    let Ok(answers) = Answers::parse(data, digest) else {
        return;
    };
    assert!(data.len() <= MAX_ANSWERS && answers.sha256() == digest);
    for answer in answers.all() {
        let Some(line) = answer.selection_line() else {
            assert!(answer.kind.is_secret());
            continue;
        };
        let read = selections(line.expose().as_bytes());
        // A boolean is checked against its template.
        if answer.kind != QuestionKind::Boolean {
            let read = read.expect("an answer is a line");
            assert_eq!((read.len(), Some(&read[0].value)), (1, answer.value.as_ref()));
        }
    }
    assert!(
        Answers::parse(
            answers.without_secrets().line().as_bytes(),
            answers.without_secrets().sha256()
        )
        .is_ok()
    );
}

/// A frame that is accepted is written as one line without control characters, and reads back as the same frame.
pub fn frame(data: &[u8]) {
    let Ok(frame) = Frame::from_line(data) else {
        return;
    };
    let line = frame.to_line();
    let text = line.strip_suffix('\n').expect("a line");
    assert!(text.bytes().all(|byte| byte >= b' '), "{line:?}");
    let mut again = Frame::from_line(line.as_bytes()).expect("a written frame is a frame");
    if let (Frame::Result(one), Frame::Result(other)) = (&frame, &mut again) {
        // serde_json reads a decimal fraction with an error in the last bits.
        assert!((one.seconds - other.seconds).abs() <= one.seconds.abs() * 1e-12);
        other.seconds = one.seconds;
    }
    assert_eq!(again, frame);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_request_prints_back_for_any_bytes() {
        bounded::check("request_line", request_line);
    }

    #[test]
    fn accepted_answers_are_lines_of_debconf_for_any_bytes() {
        bounded::check("answers", answers);
    }

    #[test]
    fn an_accepted_frame_is_one_clean_line_for_any_bytes() {
        bounded::check("frame", frame);
    }
}
