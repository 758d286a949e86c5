//! The site's archive as http://SERVER/local: apache2 and nginx as their examples set them up, and `apu serve`.

use apu_tests::{Fleet, Host, Service};

const SERVER: &str = "127.9.0.1:80";
const ARCHIVE: &str = "/var/lib/apu-data/repo/local";

/// Where something else than the archive could be found, if a server were careless.
const ASTRAY: [&str; 17] = [
    "/local/",
    "/local/sub/",
    "/local/.apu/",
    "/local/.apu/cache",
    "/local/.apu/lock",
    "/local/.apu/generations",
    "/local/%2eapu/cache",
    "/local/./.apu/cache",
    "/local//.apu/cache",
    "/local/.InRelease.unfinished",
    "/local/by-hash/SHA256/.half",
    "/local/sub/.hidden",
    "/local../secret",
    "/local/../secret",
    "/local/%2e%2e/secret",
    "/local/..%2fsecret",
    "/local/sub/../../secret",
];

/// Words where no client is to find them, readable for every user of the server.
fn hide_secrets(server: &Host) {
    let script = format!(
        "cd {ARCHIVE} && echo SECRET >../secret && mkdir sub && echo SECRET >sub/.hidden && chmod 755 .apu \
         && for file in .apu/cache .apu/lock .apu/generations; do echo SECRET >>$file; chmod 644 $file; done \
         && echo SECRET >.InRelease.unfinished && echo SECRET >by-hash/SHA256/.half"
    );
    server.sh(&script).ok();
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    head.lines().find_map(|line| {
        let (field, value) = line.split_once(": ")?;
        field.eq_ignore_ascii_case(name).then_some(value)
    })
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[track_caller]
fn status(answer: &str) -> &str {
    let status = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
    status.unwrap_or_else(|| panic!("no answer: {answer}"))
}

fn clients_install_from_it(fleet: &Fleet) {
    fleet.site_offers("site-tool", "1.0");
    // With a web server on port 80 there is no other archive in this network.
    let one = fleet.host("one");
    one.sh("rm /etc/apt/sources.list.d/upstream.sources").ok();
    one.sh("apt-get -q update -o APT::Update::Error-Mode=any").ok();
    fleet.apt_all("one update").exited(0);
    fleet
        .apt_all("one install site-tool --yes")
        .ended("one", "changed")
        .exited(0);
    assert_eq!(one.version_of("site-tool").as_deref(), Some("1.0"));
}

fn it_answers_as_apt_needs_it(server: &Host) {
    let release = server.read(&format!("{ARCHIVE}/InRelease")).expect("InRelease");
    let ask = |request: &str| server.ask(SERVER, request);
    for path in ["/local/InRelease", "/local/./InRelease"] {
        let whole = ask(&format!("GET {path} HTTP/1.1"));
        assert_eq!((status(&whole), body(&whole)), ("200", &*release), "{path}");
    }
    let head = ask("HEAD /local/InRelease HTTP/1.1");
    assert_eq!((status(&head), body(&head)), ("200", ""));
    let part = ask("GET /local/InRelease HTTP/1.1\r\nRange: bytes=10-19");
    assert_eq!((status(&part), body(&part)), ("206", &release[10..20]));
    let modified = header(&head, "Last-Modified").expect("a date");
    let again = ask(&format!(
        "GET /local/InRelease HTTP/1.1\r\nIf-Modified-Since: {modified}"
    ));
    assert_eq!((status(&again), body(&again)), ("304", ""));
    // Compressed on disk is compressed on the wire, for any client.
    for request in [
        "HEAD /local/Packages.gz HTTP/1.1\r\nAccept-Encoding: gzip",
        "HEAD /local/Packages HTTP/1.1\r\nAccept-Encoding: gzip",
    ] {
        let packages = ask(request);
        assert_eq!(status(&packages), "200", "{packages}");
        assert_eq!(header(&packages, "Content-Encoding"), None, "{packages}");
    }
    assert_eq!(status(&ask("GET /local/no-such-file HTTP/1.1")), "404");
}

fn it_serves_nothing_else(server: &Host) {
    hide_secrets(server);
    for path in ASTRAY {
        let answer = server.ask(SERVER, &format!("GET {path} HTTP/1.1"));
        assert!(!answer.contains("SECRET"), "{path}: {answer}");
        assert!(
            ["301", "400", "403", "404"].contains(&status(&answer)),
            "{path}: {answer}"
        );
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = server.ask(
            SERVER,
            &format!("{method} /local/InRelease HTTP/1.1\r\nContent-Length: 0"),
        );
        assert!(["403", "405"].contains(&status(&answer)), "{method}: {answer}");
    }
    server.sh(&format!("test -s {ARCHIVE}/InRelease")).ok();
}

fn the_archive_is_served_and_nothing_else(fleet: &Fleet) {
    clients_install_from_it(fleet);
    it_answers_as_apt_needs_it(fleet.server());
    it_serves_nothing_else(fleet.server());
}

#[test]
fn apache2_serves_the_archive_and_nothing_else() {
    the_archive_is_served_and_nothing_else(&Fleet::of(["one"]).beside(Service::Apache2).up());
}

#[test]
fn nginx_serves_the_archive_and_nothing_else() {
    the_archive_is_served_and_nothing_else(&Fleet::of(["one"]).beside(Service::Nginx).up());
}

#[test]
fn apu_serve_serves_the_archive_and_nothing_else() {
    the_archive_is_served_and_nothing_else(&Fleet::of(["one"]).up());
}
