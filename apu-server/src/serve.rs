//! `apu serve`: the archives over HTTP, for a site that has no web server of its own. Read-only.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use apu_repo::say;
use apu_repo::{Failure, Settings, Site};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{IF_RANGE, LAST_MODIFIED};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::services::ServeDir;

/// Serve the archives over HTTP, for a site without apache2 or nginx.
///
/// The site's own archive is http://SERVER/local, as apu-data tells the clients; the others of apu.toml are found
/// under the path of their url. Nothing else is served, and nothing can be written.
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
pub fn run(args: &ServeArgs, site: &Site) -> Result<u8, Failure> {
    let settings = Settings::read(site)?;
    let places = places(args, site, &settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::machine("cannot start").why(error))?;
    runtime.block_on(async {
        let listener = listen(args.listen).await?;
        if let Ok(address) = listener.local_addr() {
            for (path, dir) in &places {
                say!("serving {} as http://{address}{path}", dir.display());
            }
        }
        let served = axum::serve(listener, router(&places)).with_graceful_shutdown(told_to_stop());
        served
            .await
            .map_err(|error| Failure::machine("cannot serve any longer").why(error))
    })?;
    Ok(0)
}

/// Which directory is found under which path.
fn places(args: &ServeArgs, site: &Site, settings: &Settings) -> Result<Vec<(String, PathBuf)>, Failure> {
    let local = match &args.dir {
        Some(dir) => dir.clone(),
        None => site.at(&settings.archive.path),
    };
    let mut places = vec![("/local".to_owned(), local)];
    for archive in &settings.archives {
        let below = archive
            .url
            .as_str()
            .splitn(4, '/')
            .nth(3)
            .unwrap_or_default()
            .trim_matches('/');
        let path = format!("/{below}");
        let dir = site.at(&archive.path);
        // Suites of one directory have one address.
        if places.contains(&(path.clone(), dir.clone())) {
            continue;
        }
        if below.is_empty()
            || path.contains(['{', '}', '*', '?'])
            || places.iter().any(|(there, _)| *there == path)
        {
            return Err(
                Failure::words(format!("cannot serve the archive {}", archive.name))
                    .why(format!("its url {} has no path of its own", archive.url))
                    .advise(format!(
                        "give it one in {}, such as /{}",
                        site.settings().display(),
                        archive.name
                    )),
            );
        }
        places.push((path, dir));
    }
    for (_, dir) in &places {
        if !dir.is_dir() {
            return Err(Failure::words(format!("there is no directory {}", dir.display()))
                .advise(format!("apu repo publish {}", dir.display())));
        }
    }
    Ok(places)
}

fn router(places: &[(String, PathBuf)]) -> Router {
    let mut router = Router::new();
    for (path, dir) in places {
        let files = ServeDir::new(dir).append_index_html_on_directories(false);
        router = router.nest_service(path, files);
    }
    router
        .layer(from_fn(a_part_of_the_same))
        .layer(from_fn(only_plain_paths))
}

/// RFC 9110, 13.1.5: a part is sent only where the file is still the one that the client has the beginning of. apt goes on
/// so with whatever a broken fetch left, and would take a list that was changed on its way for the whole new one for ever.
async fn a_part_of_the_same(mut request: Request, next: Next) -> Response {
    let Some(known) = request.headers_mut().remove(IF_RANGE) else {
        return next.run(request).await;
    };
    let mut whole = Request::new(Body::empty());
    whole.method_mut().clone_from(request.method());
    whole.uri_mut().clone_from(request.uri());
    let part = next.clone().run(request).await;
    if part.headers().get(LAST_MODIFIED) == Some(&known) {
        return part;
    }
    next.run(whole).await
}

/// No client of an archive asks for a hidden file, or hides a dot or a slash behind an escape.
async fn only_plain_paths(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_ascii_lowercase();
    let hides = ["%2e", "%2f", "%5c", "%00", "\\"]
        .iter()
        .any(|escape| path.contains(escape));
    // apt asks for /local/./InRelease.
    if hides || path.split('/').any(|part| part.starts_with('.') && part != ".") {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(request).await
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
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::{TcpListener, router};

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
        let places = [("/local".to_owned(), archive)];
        runtime.spawn(async move { axum::serve(listener, router(&places)).await });
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
