//! The form of a request where the corpus does not reach: its length, its end, and what becomes of a name.

use apu_proto::{ClientOutcome, MAX_REQUEST, ReasonCode};
use apu_tests::Fleet;

use crate::answer::{Connection, ask_at_the_socket, say_at_the_socket};

#[test]
fn a_request_of_4096_bytes_is_judged_and_a_longer_one_is_not() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let connection = Connection::open(&fleet, "web1", &[]);
    let of_length = |length: usize| {
        let mut request = b"apu/1 install dry_run=yes".to_vec();
        for number in 10..43 {
            request.extend(format!(" {number}{}", "x".repeat(120)).bytes());
        }
        request.extend(format!(" 99{}", "y".repeat(length - request.len() - 3)).bytes());
        assert_eq!(request.len(), length);
        request
    };
    let longest = of_length(MAX_REQUEST);
    for answer in [connection.ask(&longest), ask_at_the_socket(web1, &longest)] {
        assert_eq!(answer.code(), Some(ReasonCode::UnknownPackage), "{answer:?}");
    }
    for length in [MAX_REQUEST + 1, MAX_REQUEST + 2, 100_000] {
        let request = [&longest[..], &vec![b'y'; length - MAX_REQUEST]].concat();
        for answer in [connection.ask(&request), ask_at_the_socket(web1, &request)] {
            assert_eq!(answer.code(), Some(ReasonCode::Grammar), "{length}: {answer:?}");
            assert!(answer.why().contains("longer than"), "{length}: {answer:?}");
        }
    }
    // Nor is a line without an end waited for.
    let endless = say_at_the_socket(web1, &[b'y'; 100_000]);
    assert!(endless.why().contains("longer than"), "{endless:?}");
    connection.ask(b"apu/1 ping").is(ClientOutcome::Unchanged);
}

#[test]
fn the_root_side_takes_exactly_one_whole_line() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    say_at_the_socket(web1, b"apu/1 ping\n").is(ClientOutcome::Unchanged);
    for words in [
        &b""[..],
        b"\n",
        b"apu/1 ping",
        b"apu/1 ping\0",
        b"apu/1 ping\r\n",
        b"apu/1 ping\n\n",
        b"apu/1 ping\napu/1 ping\n",
        b"apu/1 ping\nid\n",
        b"\napu/1 ping\n",
        &[0; 100],
    ] {
        let answer = say_at_the_socket(web1, words);
        answer.is(ClientOutcome::Refused);
        assert_eq!(answer.code(), Some(ReasonCode::Grammar), "{words:?}: {answer:?}");
    }
}

#[test]
fn the_lists_of_the_site_are_the_only_ones_that_can_be_asked_for_alone() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    let connection = Connection::open(&fleet, "web1", &[]);
    let before = web1.snapshot().unwrap();
    for words in [
        "update lists_of=",
        "update lists_of",
        "update lists_of=yes",
        "update lists_of=Site",
        "update lists_of=site.sources",
        "update lists_of=/etc/apt/sources.list",
        "update lists_of=../site",
        "update lists_of=http://mirror.example.org/local",
        "update lists_of=site,site",
        "update lists_of=site lists_of=site",
        "update lists_of=site debian",
        "update list_of=site",
        "update lists_of=site=site",
        "status lists_of=site",
        "clean lists_of=site",
        "dist-upgrade lists_of=site",
        "install lists_of=site pkg-x",
        "install pkg-x lists_of=site",
    ] {
        let request = format!("apu/1 {words}");
        for answer in [
            connection.ask(request.as_bytes()),
            ask_at_the_socket(web1, request.as_bytes()),
        ] {
            assert_eq!(answer.code(), Some(ReasonCode::Grammar), "{words}: {answer:?}");
        }
    }
    assert_eq!(web1.snapshot().unwrap(), before);
    ask_at_the_socket(web1, b"apu/1 update lists_of=site").is(ClientOutcome::Changed);
}

#[test]
fn a_name_reaches_apt_as_an_exact_pattern() {
    let fleet = Fleet::of(["web1"]).up();
    let web1 = fleet.host("web1");
    ask_at_the_socket(web1, b"apu/1 install pkg-x+").is(ClientOutcome::Changed);
    assert_eq!(web1.version_of("pkg-x+").as_deref(), Some("1.0"));
    assert_eq!(web1.version_of("pkg-x"), None);
    let history = web1.read("/var/log/apt/history.log").unwrap_or_default();
    let command = history.lines().rfind(|line| line.starts_with("Commandline: "));
    let command = command.unwrap_or_default();
    assert!(
        command.ends_with(" install -- ?and(?exact-name(pkg-x+),?architecture(amd64))"),
        "{command}"
    );
}
