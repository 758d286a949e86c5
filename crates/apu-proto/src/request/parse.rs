//! Reads a request line.

use super::Request;
use super::error::{MAX_REQUEST, RequestError, VERSION_WORD};
use super::option::{NoOption, RequestOption};

impl Request {
    /// Reads a request line, given without its line end.
    ///
    /// # Errors
    /// The first thing that is wrong with it; nothing of a wrong line is ever used.
    pub fn parse(line: &[u8]) -> Result<Self, RequestError> {
        if line.is_empty() {
            return Err(RequestError::Empty);
        }
        if line.len() > MAX_REQUEST {
            return Err(RequestError::TooLong);
        }
        if let Some(at) = line.iter().position(|byte| !(b' '..=b'~').contains(byte)) {
            return Err(RequestError::Byte { at: at + 1 });
        }
        let line = std::str::from_utf8(line).map_err(|_| RequestError::Byte { at: 1 })?;
        let mut words = (1..).zip(line.split(' ')).peekable();
        if line.split(' ').any(str::is_empty) {
            return Err(RequestError::EmptyWord);
        }
        if words.next().is_none_or(|(_, version)| version != VERSION_WORD) {
            return Err(RequestError::Version);
        }
        let (word, name) = words.next().ok_or(RequestError::NoOperation)?;
        let operation = name.parse().map_err(|()| RequestError::Operation { word })?;

        let mut request = Self::unchecked(operation);
        while let Some((word, text)) = words.next_if(|(_, text)| is_option(text)) {
            let option = RequestOption::read(text).map_err(|wrong| match wrong {
                NoOption::Key => RequestError::Key { word, operation },
                NoOption::Value => RequestError::Value { word },
            })?;
            request.add_option(word, option)?;
        }
        for (word, text) in words {
            if is_option(text) {
                return Err(RequestError::Key { word, operation });
            }
            let package = text
                .parse()
                .map_err(|source| RequestError::Package { word, source })?;
            request.add_package(word, package)?;
        }
        request.checked()
    }
}

fn is_option(word: &str) -> bool {
    word.split('=').next().is_some_and(|key| key.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debs::MAX_DEBS;
    use crate::operation::Operation;
    use crate::request::MAX_PACKAGES;
    use proptest::prelude::*;

    fn parse(line: &str) -> Result<Request, RequestError> {
        Request::parse(line.as_bytes())
    }

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        for line in [
            "apu/1 ping",
            "apu/1 update",
            "apu/1 update run_id=0123456789abcdef0123456789abcdef lists_of=site lock_wait=600",
            "apu/1 dist-upgrade run_id=0123456789abcdef0123456789abcdef allow_remove=yes lock_wait=600",
            "apu/1 upgrade only_security=yes",
            "apu/1 dist-upgrade dry_run=yes allow_remove=yes only_security=yes",
            "apu/1 upgrade hold_packages=linux-*",
            "apu/1 dist-upgrade only_security=yes hold_packages=g++,lib[!a-c]?",
            "apu/1 install hold_packages=vim expect",
            "apu/1 install dry_run=yes only_upgrade=yes hold_packages=vim expect libc6:i386",
            "apu/1 upgrade hold_packages=vim too_young=bash,libc6",
            "apu/1 dist-upgrade too_young=*",
            "apu/1 install conffile_rules=new:/etc/a?,hold-back:/etc/nginx/* vim",
            "apu/1 upgrade source_packages=openssl,g++ hold_packages=vim",
            "apu/1 upgrade only_security=yes download_only=yes",
            "apu/1 upgrade keep_debs=yes lock_wait=5",
            "apu/1 send-debs run_id=0123456789abcdef0123456789abcdef debs_sha256=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 take-debs run_id=0123456789abcdef0123456789abcdef debs_follow=0000000000000000000000000000000000000000000000000000000000000000:17",
            "apu/1 upgrade answers_sha256=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 install dry_run=yes expect libc6:i386 vim=2:9.0.1378-2+deb12u2",
            "apu/1 attach run_id=0123456789abcdef0123456789abcdef",
            "apu/1 showhold",
            "apu/1 unhold vim libc6:i386",
            "apu/1 hold hold_reason=waits%20for%20#412 g++",
            "apu/1 hold run_id=0123456789abcdef0123456789abcdef hold_reason=Gr%C3%BC%C3%9Fe hold_until=1798066800 hold_by=j.doe lock_wait=600 vim",
            "apu/1 restart-services run_id=0123456789abcdef0123456789abcdef lock_wait=600",
            "apu/1 restart-services dry_run=yes",
            "apu/1 conffile conffile_path=/etc/a%20b conffile_decision=undo",
            "apu/1 conffile run_id=0123456789abcdef0123456789abcdef conffile_path=/etc/app.conf conffile_decision=new conffile_versions=.dpkg-dist:fcbc800d:ed9c86a6,.dpkg-old:00000000:ed9c86a6 lock_wait=600",
            "apu/1 conffiles with_diffs=yes",
            "apu/1 health",
            "apu/1 health run_id=0123456789abcdef0123456789abcdef",
        ] {
            assert_eq!(parse(line).expect(line).to_string(), line);
        }
    }

    #[test]
    fn what_is_only_upgraded_is_named_without_a_version() {
        assert_eq!(
            parse("apu/1 install only_upgrade=yes vim hello=2"),
            Err(RequestError::VersionToUpgrade)
        );
    }

    #[test]
    fn an_option_is_taken_only_where_it_means_something() {
        for line in [
            "apu/1 ping run_id=0123456789abcdef0123456789abcdef",
            "apu/1 update dry_run=yes",
            "apu/1 remove conffile_rules=keep:/etc/x vim",
            "apu/1 upgrade conffile_rules=keep:/etc/x conffile_rules=keep:/etc/y",
            "apu/1 upgrade allow_remove=yes",
            "apu/1 install only_security=yes hello",
            "apu/1 autoremove only_security=yes",
            "apu/1 upgrade only_security=yes only_security=yes",
            "apu/1 remove hold_packages=vim hello",
            "apu/1 remove only_upgrade=yes hello",
            "apu/1 upgrade only_upgrade=yes",
            "apu/1 install only_upgrade=yes only_upgrade=yes hello",
            "apu/1 upgrade hold_packages=vim hold_packages=vim",
            "apu/1 install too_young=vim hello",
            "apu/1 install source_packages=vim hello",
            "apu/1 upgrade source_packages=vim source_packages=vim",
            "apu/1 upgrade too_young=vim too_young=vim",
            "apu/1 autoremove download_only=yes",
            "apu/1 unhold hold_reason=x vim",
            "apu/1 showhold hold_by=alice",
            "apu/1 upgrade hold_until=1798066800",
            "apu/1 hold hold_reason=x hold_reason=x vim",
            "apu/1 hold dry_run=yes hold_reason=x vim",
            "apu/1 showhold run_id=0123456789abcdef0123456789abcdef",
            "apu/1 update download_only=yes",
            "apu/1 upgrade even_if_not_needed=yes",
            "apu/1 reboot even_if_not_needed=yes even_if_not_needed=yes",
            "apu/1 reboot plan_sha256=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 reboot allow_remove=yes",
            "apu/1 remove answers_sha256=0000000000000000000000000000000000000000000000000000000000000000 vim",
            "apu/1 status answers_sha256=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 remove keep_debs=yes vim",
            "apu/1 upgrade keep_debs=yes keep_debs=yes",
            "apu/1 upgrade debs_follow=0000000000000000000000000000000000000000000000000000000000000000:1",
            "apu/1 send-debs lock_wait=5",
            "apu/1 restart-services even_if_not_needed=yes",
            "apu/1 restart-services plan_sha256=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 restart-services hold_packages=ssh",
            "apu/1 status lists_of=site",
            "apu/1 status lock_wait=5",
            "apu/1 check with_obsolete=yes",
            "apu/1 status with_diffs=yes",
            "apu/1 conffiles with_diffs=yes with_diffs=yes",
            "apu/1 conffiles conffile_path=/etc/shadow",
            "apu/1 status with_obsolete=yes with_obsolete=yes",
            "apu/1 health dry_run=yes",
            "apu/1 health run_id=0123456789abcdef0123456789abcdef lock_wait=5",
            "apu/1 attach run_id=0123456789abcdef0123456789abcdef lock_wait=5",
            "apu/1 install lists_of=site hello",
            "apu/1 dist-upgrade lists_of=site",
            "apu/1 update lists_of=site lists_of=site",
            "apu/1 update lists_of",
            "apu/1 install hello dry_run=yes",
            "apu/1 install dry_run=yes dry_run=yes hello",
            "apu/1 install dpkg_options=--force-all hello",
            "apu/1 install dry_run hello",
        ] {
            assert!(
                matches!(parse(line), Err(RequestError::Key { .. })),
                "{line}: {:?}",
                parse(line)
            );
        }
        for line in [
            "apu/1 upgrade dry_run=no",
            "apu/1 reboot even_if_not_needed=no",
            "apu/1 status with_obsolete=no",
            "apu/1 conffiles with_diffs=/etc/shadow",
            "apu/1 update lock_wait=+1",
            "apu/1 upgrade only_security=no",
            "apu/1 install only_upgrade=no hello",
            "apu/1 upgrade hold_packages=",
            "apu/1 hold hold_reason= vim",
            "apu/1 hold hold_reason=%1B[31m vim",
            "apu/1 hold hold_reason=%61 vim",
            "apu/1 hold hold_reason=x hold_until=tomorrow vim",
            "apu/1 hold hold_reason=x hold_until=01 vim",
            "apu/1 hold hold_reason=x hold_until=253402207201 vim",
            "apu/1 hold hold_reason=x hold_by=-l vim",
            "apu/1 upgrade hold_packages=vim,",
            "apu/1 upgrade hold_packages=vim,vim",
            "apu/1 upgrade hold_packages=/vim/",
            "apu/1 upgrade hold_packages=src:vim",
            "apu/1 upgrade too_young=",
            "apu/1 upgrade source_packages=",
            "apu/1 upgrade source_packages=vim,vim",
            "apu/1 upgrade source_packages=lib*",
            "apu/1 upgrade source_packages=vim:amd64",
            "apu/1 upgrade too_young=vim,vim",
            "apu/1 upgrade answers_sha256=hunter2",
            "apu/1 upgrade download_only=1",
            "apu/1 upgrade keep_debs=no",
            "apu/1 send-debs debs_sha256=../../etc/shadow",
            "apu/1 send-debs debs_sha256=",
            "apu/1 take-debs debs_follow=0000000000000000000000000000000000000000000000000000000000000000",
            "apu/1 take-debs debs_follow=0000000000000000000000000000000000000000000000000000000000000000:4294967297",
            "apu/1 take-debs debs_follow=0000000000000000000000000000000000000000000000000000000000000000:1,0000000000000000000000000000000000000000000000000000000000000000:2",
            "apu/1 update lists_of=",
            "apu/1 update lists_of=yes",
            "apu/1 update lists_of=Site",
            "apu/1 update lists_of=site,debian",
            "apu/1 update lists_of=http://mirror.example.org/",
            "apu/1 update lists_of=/usr/share/apu-data/site.sources",
            "apu/1 update lock_wait=86401",
        ] {
            assert!(
                matches!(parse(line), Err(RequestError::Value { .. })),
                "{line}: {:?}",
                parse(line)
            );
        }
    }

    #[test]
    fn packages_go_with_install_and_remove_and_with_nothing_else() {
        assert_eq!(
            parse("apu/1 install"),
            Err(RequestError::NoPackage(Operation::Install))
        );
        assert_eq!(
            parse("apu/1 upgrade hello"),
            Err(RequestError::NoneTaken(Operation::Upgrade))
        );
        // No service is named by a request: the client knows which ones are stale.
        assert_eq!(
            parse("apu/1 restart-services ssh"),
            Err(RequestError::NoneTaken(Operation::RestartServices))
        );
        assert_eq!(
            parse("apu/1 install hello hello=1"),
            Err(RequestError::Twice { word: 4 })
        );
        let many: String = (0..=MAX_PACKAGES).map(|n| format!(" pkg{n}")).collect();
        assert_eq!(parse(&format!("apu/1 install{many}")), Err(RequestError::TooMany));
    }

    #[test]
    fn a_hold_wants_a_reason_and_exact_names_without_a_version() {
        assert_eq!(parse("apu/1 hold vim"), Err(RequestError::NoReason));
        assert_eq!(
            parse("apu/1 hold hold_reason=x"),
            Err(RequestError::NoPackage(Operation::Hold))
        );
        assert_eq!(
            parse("apu/1 showhold vim"),
            Err(RequestError::NoneTaken(Operation::Showhold))
        );
        for (line, operation) in [
            ("apu/1 hold hold_reason=x vim=1", Operation::Hold),
            ("apu/1 unhold vim=1", Operation::Unhold),
        ] {
            assert_eq!(parse(line), Err(RequestError::VersionToHold(operation)));
        }
        for name in ["vim*", "?upgradable", "~n.", "vim-", "/vim/"] {
            let line = format!("apu/1 unhold {name}");
            assert!(
                matches!(parse(&line), Err(RequestError::Package { .. })),
                "{line}"
            );
        }
    }

    #[test]
    fn a_decision_names_a_file_and_the_versions_that_it_was_made_for() {
        let (path, versions) = (
            "conffile_path=/etc/x",
            "conffile_versions=.dpkg-dist:fcbc800d:ed9c86a6",
        );
        for words in [
            String::new(),
            path.to_owned(),
            format!("conffile_decision=keep {versions}"),
            format!("{path} conffile_decision=keep"),
            format!("{path} {versions}"),
            format!("{path} conffile_decision=undo {versions}"),
        ] {
            let line = format!("apu/1 conffile {words}");
            assert_eq!(parse(line.trim_end()), Err(RequestError::NoDecision), "{line}");
        }
        for words in [
            "conffile_path=/etc/../root/x conffile_decision=undo",
            "conffile_path=etc/x conffile_decision=undo",
            "conffile_path=/etc/x conffile_decision=delete",
            "conffile_path=/etc/x conffile_decision=new conffile_versions=.bak:fcbc800d:ed9c86a6",
            "conffile_path=/etc/x conffile_decision=new conffile_versions=",
        ] {
            let line = format!("apu/1 conffile {words}");
            assert!(matches!(parse(&line), Err(RequestError::Value { .. })), "{line}");
        }
        let twice =
            format!("apu/1 conffile {path} conffile_decision=new {versions},.dpkg-dist:fcbc800d:ed9c86a6");
        assert_eq!(parse(&twice), Err(RequestError::Value { word: 5 }));
    }

    #[test]
    fn debs_are_asked_for_of_a_run_and_sent_for_a_run() {
        let run = "run_id=0123456789abcdef0123456789abcdef";
        let sum = "0".repeat(64);
        for words in [
            "send-debs".to_owned(),
            format!("send-debs {run}"),
            format!("send-debs debs_sha256={sum}"),
            format!("take-debs {run}"),
            format!("take-debs debs_follow={sum}:1"),
        ] {
            let operation = words.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(
                parse(&format!("apu/1 {words}")),
                Err(RequestError::NoDebs(operation))
            );
        }
        let sums: Vec<String> = (0..=MAX_DEBS).map(|n| format!("{n:064x}:4294967296")).collect();
        let most = format!("apu/1 take-debs {run} debs_follow={}", sums[..MAX_DEBS].join(","));
        assert_eq!(parse(&most).unwrap().debs_follow().len(), MAX_DEBS);
        let more = format!("apu/1 take-debs {run} debs_follow={}", sums.join(","));
        assert_eq!(parse(&more), Err(RequestError::Value { word: 4 }));
    }

    #[test]
    fn attach_wants_a_run() {
        assert_eq!(parse("apu/1 attach"), Err(RequestError::NoRun));
    }

    #[test]
    fn a_line_is_at_most_4096_bytes_of_printable_ascii_with_single_spaces() {
        assert_eq!(
            parse(&format!("apu/1 install {}", "a".repeat(MAX_REQUEST))),
            Err(RequestError::TooLong)
        );
        assert_eq!(parse("apu/1 update\nid"), Err(RequestError::Byte { at: 13 }));
        assert_eq!(parse("apu/1 install h\u{e9}"), Err(RequestError::Byte { at: 16 }));
        for line in ["apu/1  update", " apu/1 update", "apu/1 update "] {
            assert_eq!(parse(line), Err(RequestError::EmptyWord));
        }
        assert_eq!(parse(""), Err(RequestError::Empty));
        assert_eq!(parse("update"), Err(RequestError::Version));
        assert_eq!(parse("apu/2 update"), Err(RequestError::Version));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::parse(&line);
        }

        #[test]
        fn what_is_accepted_is_written_back_unchanged(words in proptest::collection::vec("[a-z0-9+.:=~-]{1,12}", 1..6)) {
            let line = format!("apu/1 install {}", words.join(" "));
            if let Ok(request) = parse(&line) {
                prop_assert_eq!(request.to_string(), line);
            }
        }
    }
}
