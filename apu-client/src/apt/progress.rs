//! Parses apt's progress lines, such as `pmstatus:PACKAGE:PERCENT:TEXT`, and limits how many are sent on.

use std::time::{Duration, Instant};

use apu_proto::{Frame, Phase};

/// Parses one line; none where it is of another kind.
pub(crate) fn parse(line: &str) -> Option<Frame> {
    let (kind, rest) = line.split_once(':')?;
    let phase = match kind {
        "dlstatus" => Phase::Download,
        "pmstatus" => Phase::Install,
        _ => return None,
    };
    // The package's name may contain a colon, so the percentage is the first field that is a number with a point.
    let mut start = 0;
    for word in rest.split(':') {
        if start > 0
            && word.contains('.')
            && let Ok(percent) = word.parse::<f32>()
        {
            let package = match phase {
                Phase::Install => &rest[..start - 1],
                _ => "",
            };
            return percent.is_finite().then(|| Frame::Progress {
                phase,
                percent: percent.clamp(0.0, 100.0),
                package: package.chars().take(256).collect(),
            });
        }
        start += word.len() + 1;
    }
    None
}

/// Limits progress to one frame per interval.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    last: Option<(Instant, Frame)>,
    waiting: Option<Frame>,
}

impl Throttle {
    const INTERVAL: Duration = Duration::from_millis(250);

    /// Takes the newest frame, if there is one, and returns the newest unsent frame once the interval is over.
    pub(crate) fn next_frame(&mut self, newest: Option<Frame>, now: Instant) -> Option<Frame> {
        if newest.is_some() {
            self.waiting = newest;
        }
        let is_time = |(then, last): &(Instant, Frame)| {
            now.duration_since(*then) >= Self::INTERVAL && self.waiting.as_ref() != Some(last)
        };
        if !self.last.as_ref().is_none_or(is_time) {
            return None;
        }
        let frame = self.waiting.take()?;
        self.last = Some((now, frame.clone()));
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(phase: Phase, percent: f32, package: &str) -> Frame {
        Frame::Progress {
            phase,
            percent,
            package: package.into(),
        }
    }

    #[test]
    fn installing_names_the_package_with_its_architecture() {
        assert_eq!(
            parse("pmstatus:libc6:amd64:20.0000:Preparing libc6 (amd64)"),
            Some(progress(Phase::Install, 20.0, "libc6:amd64"))
        );
        assert_eq!(
            parse("pmstatus:dpkg-exec:0.0000:Running dpkg"),
            Some(progress(Phase::Install, 0.0, "dpkg-exec"))
        );
    }

    #[test]
    fn fetching_counts_files() {
        assert_eq!(
            parse("dlstatus:1:33.5:Retrieving file 1 of 3"),
            Some(progress(Phase::Download, 33.5, ""))
        );
    }

    #[test]
    fn other_lines_are_passed_over() {
        for line in [
            "",
            "pmerror:x:1.0:broke",
            "pmstatus",
            "pmstatus:x",
            "pmstatus:x:nan:y",
            "pmstatus:x:1:y",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn a_flood_becomes_a_trickle() {
        let mut throttle = Throttle::default();
        let start = Instant::now();
        let frame = |percent| Some(progress(Phase::Install, percent, "a"));
        let mut pass = |newest, after| throttle.next_frame(newest, start + Duration::from_millis(after));
        assert_eq!(pass(frame(1.0), 0), frame(1.0));
        assert_eq!(pass(frame(2.0), 10), None);
        assert_eq!(pass(frame(3.0), 20), None);
        assert_eq!(
            pass(None, 300),
            frame(3.0),
            "the last of a burst is told late, and told"
        );
        assert_eq!(pass(frame(3.0), 900), None);
        assert_eq!(pass(frame(4.0), 1000), frame(4.0));
    }
}
