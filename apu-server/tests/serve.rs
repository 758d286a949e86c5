//! `apu serve` as its clients meet it, the hostile ones among them: a process of its own on 127.0.0.0/8.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on fails, and says where it was"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use apu_site::{Site, setup};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// How long anything may take that has to happen.
const PATIENCE: Duration = Duration::from_secs(120);

struct Served {
    dir: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Served {
    /// Serves an archive that has one file: `InRelease`.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::below(dir.path());
        setup(&site).unwrap();
        let archive = dir.path().join("archive");
        fs::create_dir(&archive).unwrap();
        fs::write(archive.join("InRelease"), "0123456789").unwrap();
        let log = dir.path().join("log");
        // As systemd starts it: 1,024 descriptors, and more where it asks for them.
        let mut child = Command::new("prlimit")
            .arg("--nofile=1024:4096")
            .arg(env!("CARGO_BIN_EXE_apu"))
            .arg("--root")
            .arg(dir.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(&archive)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'));
        let address = address.unwrap_or_else(|| panic!("{line}")).0.parse().unwrap();
        Self {
            dir,
            child,
            address,
            log,
        }
    }

    fn archive(&self) -> PathBuf {
        self.dir.path().join("archive")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// The status of one request, and the whole answer.
    fn ask(&self, request: &str) -> (u16, String) {
        answer(TcpStream::connect(self.address).unwrap(), request).unwrap()
    }

    /// The most memory that it ever had, in KiB.
    fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap();
        peak.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// A connection from another address of this machine.
    fn connect_from(&self, from: Ipv4Addr) -> TcpStream {
        let fd = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .unwrap();
        bind(
            std::os::fd::AsRawFd::as_raw_fd(&fd),
            &SockaddrIn::from(std::net::SocketAddrV4::new(from, 0)),
        )
        .unwrap();
        let SocketAddr::V4(address) = self.address else {
            panic!("{}", self.address)
        };
        connect(std::os::fd::AsRawFd::as_raw_fd(&fd), &SockaddrIn::from(address)).unwrap();
        TcpStream::from(fd)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Nothing where the server closed the connection without an answer.
fn answer(mut stream: TcpStream, request: &str) -> Option<(u16, String)> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let sent = stream.write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    if status.is_none() {
        eprintln!("no answer: {sent:?} {read:?}");
    }
    Some((status?, answer))
}

#[test]
fn a_link_in_the_archive_leads_nowhere_and_is_told() {
    let served = Served::new();
    let archive = served.archive();
    fs::write(served.dir.path().join("secret"), "SECRET").unwrap();
    fs::create_dir(archive.join("pool")).unwrap();
    fs::write(archive.join("pool/a"), "a").unwrap();
    symlink("/etc", archive.join("etc")).unwrap();
    symlink(served.dir.path().join("secret"), archive.join("absolute")).unwrap();
    symlink("../secret", archive.join("relative")).unwrap();
    symlink("pool", archive.join("within")).unwrap();
    for path in ["etc/passwd", "absolute", "relative", "within/a"] {
        for method in ["GET", "HEAD"] {
            let (status, answer) = served.ask(&format!("{method} /local/{path} HTTP/1.1"));
            assert_eq!(status, 403, "{path}: {answer}");
            assert!(
                !answer.contains("SECRET") && !answer.contains("root:"),
                "{answer}"
            );
        }
    }
    let log = fs::read_to_string(&served.log).unwrap();
    assert!(
        log.contains("etc/passwd: a symbolic link is in its path"),
        "{log}"
    );
    assert_eq!(served.ask("GET /local/pool/a HTTP/1.1").0, 200);
}

#[test]
fn what_is_no_file_for_everybody_is_not_sent_and_nobody_waits_for_it() {
    let served = Served::new();
    let archive = served.archive();
    mkfifo(&archive.join("pipe"), Mode::from_bits_truncate(0o644)).unwrap();
    fs::write(archive.join("private"), "SECRET").unwrap();
    fs::set_permissions(
        archive.join("private"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )
    .unwrap();
    fs::hard_link(archive.join("private"), archive.join("second-name")).unwrap();
    // More than there are threads that could wait.
    let askers: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(served.address).unwrap())
        .collect();
    for asker in askers {
        let (status, _) = answer(asker, "GET /local/pipe HTTP/1.1").unwrap();
        assert_eq!(status, 403);
    }
    for path in ["private", "second-name"] {
        let (status, answer) = served.ask(&format!("GET /local/{path} HTTP/1.1"));
        assert_eq!((status, answer.contains("SECRET")), (403, false), "{path}");
    }
    assert_eq!(served.ask("GET /local/InRelease HTTP/1.1").0, 200);
}

#[test]
fn a_request_has_bounds() {
    let served = Served::new();
    let long = "a".repeat(60_000);
    let parts = "/a".repeat(3000);
    let many = "X-A: b\r\n".repeat(1000);
    let ranges = (0..1300).map(|at| format!("{at}-{at},")).collect::<String>();
    for (request, allowed) in [
        (format!("GET /local/{long} HTTP/1.1"), vec![414, 431]),
        (format!("GET /local{parts} HTTP/1.1"), vec![414, 431]),
        (format!("GET /local/InRelease HTTP/1.1\r\nX: {long}"), vec![431]),
        (
            format!("GET /local/InRelease HTTP/1.1\r\n{}", many.trim_end()),
            vec![431],
        ),
        (
            format!("GET /local/InRelease HTTP/1.1\r\nRange: bytes={ranges}0-"),
            vec![200],
        ),
        (
            "GET /local/InRelease HTTP/1.1\r\nContent-Length: 5".into(),
            vec![413],
        ),
        (
            "GET /local/InRelease HTTP/1.1\r\nTransfer-Encoding: chunked".into(),
            vec![413],
        ),
        ("GET /local/% HTTP/1.1".into(), vec![400]),
        ("OPTIONS * HTTP/1.1".into(), vec![405]),
        ("CONNECT example.org:443 HTTP/1.1".into(), vec![405]),
        ("TRACE /local/InRelease HTTP/1.1".into(), vec![405]),
        ("GET InRelease HTTP/1.1".into(), vec![400, 404]),
        ("\u{1}\u{2}\u{3}".into(), vec![400]),
    ] {
        let start: String = request.chars().take(60).collect();
        // A head that is too long may be answered while it is still sent, and then the answer may be lost.
        let Some((status, answer)) = answer(TcpStream::connect(served.address).unwrap(), &request) else {
            assert!(request.len() > 16 * 1024, "{start}");
            continue;
        };
        assert!(allowed.contains(&status), "{start}: {answer}");
    }
    assert_eq!(served.ask("GET /local/InRelease HTTP/1.1").0, 200);
    assert!(served.peak() < 128 * 1024, "{} KiB", served.peak());
}

#[test]
fn two_thousand_idle_connections_keep_nobody_out() {
    let served = Served::new();
    fs::write(served.archive().join("Packages"), vec![b'x'; 200_000]).unwrap();
    // From eight addresses, one of them the honest clients' own; half of them with half a request.
    let idle: Vec<TcpStream> = (0..2000_u32)
        .map(|n| {
            let mut stream = served.connect_from(Ipv4Addr::new(127, 0, 0, u8::try_from(n % 8 + 1).unwrap()));
            if n % 2 == 0 {
                let _ = stream.write_all(b"GET /local/InRelease HTTP/1.1\r\nHost: ");
            }
            stream
        })
        .collect();
    let mut slowest = Duration::ZERO;
    // Ten at a time: a client of a fleet, not a second attacker.
    for _ in 0..10 {
        let clients: Vec<_> = (0..10)
            .map(|n| {
                let begun = Instant::now();
                let stream = served.connect_from(Ipv4Addr::new(127, 0, 0, if n % 2 == 0 { 1 } else { 99 }));
                thread::spawn(move || {
                    let (status, answer) = answer(stream, "GET /local/Packages HTTP/1.1").expect("an answer");
                    assert!(status == 200 && answer.len() > 200_000, "{status}");
                    begun.elapsed()
                })
            })
            .collect();
        slowest = (clients.into_iter().map(|client| client.join().unwrap())).fold(slowest, Duration::max);
    }
    println!(
        "100 clients beside {} idle connections: the slowest {slowest:?}, at most {} KiB",
        idle.len(),
        served.peak()
    );
    assert!(slowest < PATIENCE, "{slowest:?}");
    assert!(served.peak() < 128 * 1024, "{} KiB", served.peak());
}

#[test]
fn those_who_ask_and_do_not_read_keep_nobody_out() {
    let served = Served::new();
    let file = fs::File::create(served.archive().join("large.deb")).unwrap();
    file.set_len(1 << 32).unwrap();
    let stuck: Vec<TcpStream> = (0..1500_u32)
        .map(|n| {
            let mut stream = served.connect_from(Ipv4Addr::new(127, 0, 1, u8::try_from(n % 6 + 1).unwrap()));
            let _ = stream.write_all(b"GET /local/large.deb HTTP/1.1\r\nHost: x\r\n\r\n");
            stream
        })
        .collect();
    for _ in 0..50 {
        assert_eq!(served.ask("GET /local/InRelease HTTP/1.1").0, 200);
    }
    println!("{} that do not read: at most {} KiB", stuck.len(), served.peak());
    assert!(served.peak() < 128 * 1024, "{} KiB", served.peak());
}

#[test]
fn a_head_that_never_ends_ends_the_connection() {
    let served = Served::new();
    let mut drip = TcpStream::connect(served.address).unwrap();
    let mut silent = TcpStream::connect(served.address).unwrap();
    let begun = Instant::now();
    let dripped = loop {
        assert!(begun.elapsed() < PATIENCE, "it is still open");
        if drip.write_all(b"G").is_err() {
            break begun.elapsed();
        }
        thread::sleep(Duration::from_millis(250));
    };
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    // Closed, with or without a word; only a timeout would be an error.
    let _ = silent.read_to_end(&mut Vec::new());
    assert!(begun.elapsed() < PATIENCE, "{dripped:?}");
}

#[test]
fn it_ends_when_it_is_told_to_whoever_is_connected() {
    let mut served = Served::new();
    let file = fs::File::create(served.archive().join("large.deb")).unwrap();
    file.set_len(1 << 32).unwrap();
    let _idle = TcpStream::connect(served.address).unwrap();
    let mut stuck = TcpStream::connect(served.address).unwrap();
    stuck
        .write_all(b"GET /local/large.deb HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    stuck.read_exact(&mut [0]).unwrap();
    kill(served.pid(), Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = served.child.try_wait().unwrap() {
            break status;
        }
        assert!(begun.elapsed() < PATIENCE, "it goes on");
        thread::sleep(Duration::from_millis(50));
    };
    assert!(status.success(), "{status:?}");
}
