//! `apu serve`: the archives over HTTP, for a site that has no web server of its own. Read-only.

mod activity;
mod admission;
mod body;
mod connections;
mod log;
mod open;
mod places;
mod range;
mod reply;
mod stall;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use apu_site::{Failure, Settings, Site, Ui, say};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use connections::{Limits, serve};
use log::Log;
use places::places;
use reply::Shelf;

/// Threads that open and read files, and may have to wait for a disk.
const READERS: usize = 16;

/// Serve the archives over HTTP, for a site without apache2 or nginx.
///
/// The site's own archive is http://SERVER/local, as apu-data tells the clients; the others of apu.toml are found
/// under the path of their url. Nothing else is served, and nothing can be written. No symbolic link below an archive is
/// followed, hidden files and files that not everybody may read are not sent, and the log names what was refused.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen here; by default on port 80 of every address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,

    /// Serve this directory as /local instead of the archive that apu.toml names.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Serves until it is told to stop.
///
/// # Errors
/// Where the address is taken or there is nothing to serve.
pub fn run(ui: &Ui, args: &ServeArgs, site: &Site) -> Result<u8, Failure> {
    let settings = Settings::read(site)?;
    let places = places(args.dir.as_deref(), site, &settings)?;
    let limits = Limits::default().within_descriptors();
    let limits = limits.map_err(|error| Failure::machine("cannot start").why(error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(READERS)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::machine("cannot start").why(error))?;
    runtime.block_on(async {
        let listener = listen(args.listen).await?;
        if let Ok(address) = listener.local_addr() {
            for place in &places {
                say!(
                    ui,
                    "serving {} as http://{address}{}",
                    place.dir.display(),
                    place.path
                );
            }
        }
        let shelf = Shelf {
            places,
            log: Log::new(ui),
        };
        serve(listener, Arc::new(shelf), limits, told_to_stop()).await;
        Ok::<_, Failure>(())
    })?;
    Ok(0)
}

async fn listen(address: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let bound = match address {
        Some(address) => TcpListener::bind(address).await,
        // A machine without IPv6 has no [::].
        None => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, 80)).await {
            Err(error) if error.raw_os_error().is_some_and(is_without_ipv6) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, 80)).await
            }
            bound => bound,
        },
    };
    let name = address.map_or_else(|| "port 80".to_owned(), |address| address.to_string());
    bound.map_err(|error| {
        let what = format!("cannot listen on {name}");
        match error.kind() {
            io::ErrorKind::PermissionDenied => {
                Failure::words(what).advise("systemctl enable --now apu-serve, or a port from 1024 on")
            }
            io::ErrorKind::AddrInUse => Failure::words(what)
                .advise("apu serve --listen with another port, or stop what is there: ss -ltnp"),
            _ => Failure::machine(what),
        }
        .why(error)
    })
}

fn is_without_ipv6(errno: i32) -> bool {
    [
        nix::errno::Errno::EAFNOSUPPORT as i32,
        nix::errno::Errno::EADDRNOTAVAIL as i32,
    ]
    .contains(&errno)
}

async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use apu_site::Ui;

    use super::TcpListener;
    use super::connections::{Limits, serve};
    use super::log::Log;
    use super::places::Place;
    use super::reply::Shelf;

    /// The whole answer to one request, on a connection of its own.
    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream
            .write_all(format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn served(check: impl FnOnce(SocketAddr)) {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        fs::create_dir_all(archive.join(".apu")).unwrap();
        fs::create_dir_all(archive.join("sub")).unwrap();
        fs::write(dir.path().join("secret"), "SECRET").unwrap();
        fs::write(archive.join(".apu/cache"), "SECRET").unwrap();
        fs::write(archive.join("InRelease"), "0123456789").unwrap();
        fs::write(archive.join("sub/index.html"), "SECRET").unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Shelf {
            places: vec![Place {
                path: "/local".to_owned(),
                dir: archive,
            }],
            log: Log::new(&Ui::of_writers(io::sink(), io::sink())),
        };
        let never = std::future::pending();
        runtime.spawn(async move { serve(listener, shelf.into(), Limits::default(), never).await });
        check(address);
    }

    #[test]
    fn a_file_is_served_whole_in_part_and_not_again() {
        served(|address| {
            let whole = ask(address, "GET /local/InRelease HTTP/1.1");
            assert!(
                whole.starts_with("HTTP/1.1 200 OK") && whole.ends_with("\r\n\r\n0123456789"),
                "{whole}"
            );
            let part = ask(address, "GET /local/InRelease HTTP/1.1\r\nRange: bytes=3-5");
            assert!(
                part.starts_with("HTTP/1.1 206") && part.ends_with("\r\n\r\n345"),
                "{part}"
            );
            let modified = whole
                .lines()
                .find(|line| line.to_ascii_lowercase().starts_with("last-modified:"))
                .unwrap();
            let date = modified.split_once(": ").unwrap().1;
            let again = ask(
                address,
                &format!("GET /local/InRelease HTTP/1.1\r\nIf-Modified-Since: {date}"),
            );
            assert!(again.starts_with("HTTP/1.1 304"), "{again}");
            assert!(ask(address, "GET /local/./InRelease HTTP/1.1").starts_with("HTTP/1.1 200"));
            assert!(ask(address, "HEAD /local/InRelease HTTP/1.1").starts_with("HTTP/1.1 200"));
        });
    }

    #[test]
    fn a_part_of_what_is_another_file_by_now_is_not_sent() {
        served(|address| {
            let whole = ask(address, "GET /local/InRelease HTTP/1.1");
            let modified = whole
                .lines()
                .find_map(|line| line.strip_prefix("last-modified: "))
                .unwrap();
            for (range, date, status, end) in [
                ("bytes=3-", modified, "206", "\r\n\r\n3456789"),
                // apt asks so for what comes after a file that it has whole.
                ("bytes=10-", modified, "416", "\r\n\r\n"),
                (
                    "bytes=3-",
                    "Thu, 01 Jan 2026 00:00:00 GMT",
                    "200",
                    "\r\n\r\n0123456789",
                ),
                (
                    "bytes=10-",
                    "Thu, 01 Jan 2026 00:00:00 GMT",
                    "200",
                    "\r\n\r\n0123456789",
                ),
                ("bytes=3-", "\"an-etag\"", "200", "\r\n\r\n0123456789"),
            ] {
                let answer = ask(
                    address,
                    &format!("GET /local/InRelease HTTP/1.1\r\nRange: {range}\r\nIf-Range: {date}"),
                );
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{range} {date}: {answer}"
                );
                assert!(answer.ends_with(end), "{range} {date}: {answer}");
            }
            let gone = ask(
                address,
                "GET /local/no HTTP/1.1\r\nRange: bytes=1-\r\nIf-Range: x",
            );
            assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
        });
    }

    #[test]
    fn nothing_but_the_archive_is_served() {
        served(|address| {
            for path in [
                "/local/.apu/cache",
                "/local/%2eapu/cache",
                "/local/.apu%2fcache",
                "/local/x%2f..%2f.apu%2Fcache",
                "/local/../secret",
                "/local/%2e%2e/secret",
                "/local/..%2fsecret",
                "/local/..%5csecret",
                "/local//../../secret",
                "/secret",
                "/local/sub/",
                "/local/sub",
                "/local/",
                "/",
                "/local/InRelease%00",
            ] {
                let answer = ask(address, &format!("GET {path} HTTP/1.1"));
                assert!(!answer.contains("SECRET"), "{path}: {answer}");
                assert!(!answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
            }
        });
    }

    #[test]
    fn nothing_can_be_written() {
        served(|address| {
            for method in ["PUT", "POST", "DELETE", "PATCH"] {
                let answer = ask(address, &format!("{method} /local/InRelease HTTP/1.1"));
                assert!(answer.starts_with("HTTP/1.1 405"), "{method}: {answer}");
            }
        });
    }

    #[test]
    fn a_connection_is_kept_for_the_next_request() {
        served(|address| {
            let mut stream = TcpStream::connect(address).unwrap();
            for _ in 0..3 {
                stream
                    .write_all(b"GET /local/InRelease HTTP/1.1\r\nHost: x\r\n\r\n")
                    .unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\n0123456789") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    answer.push(byte[0]);
                }
            }
        });
    }
}
