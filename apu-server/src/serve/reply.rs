//! Answers a request: RFC 9110, as far as apt and browsers need it to read files.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use hyper::body::{Body, Incoming};
use hyper::header::{
    ACCEPT_RANGES, ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Request, Response, StatusCode};
use tokio::task::spawn_blocking;

use super::activity::Busy;
use super::body::Part;
use super::log::Log;
use super::open::{Closed, open_below};
use super::places::{Place, locate};
use super::range::{Range, of_header};

/// What is served, and where refusals are told.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) places: Vec<Place>,
    pub(super) log: Log,
}

impl Shelf {
    /// The answer to one request.
    pub(super) async fn answer(self: Arc<Self>, request: Request<Incoming>, busy: Busy) -> Response<Part> {
        let is_head = request.method() == Method::HEAD;
        if !is_head && request.method() != Method::GET {
            let mut response = bare(StatusCode::METHOD_NOT_ALLOWED, busy);
            set(&mut response, ALLOW, "GET, HEAD");
            return closing(response);
        }
        // Nothing that we answer has a use for one, and reading it would be waiting for it.
        if !request.body().is_end_stream() {
            return closing(bare(StatusCode::PAYLOAD_TOO_LARGE, busy));
        }
        let (dir, file) = match locate(&self.places, request.uri().path()) {
            Ok((dir, file)) => (dir.to_owned(), file),
            Err(status) => return bare(status, busy),
        };
        let opened = spawn_blocking(move || {
            let opened = open_below(&dir, &file);
            (dir.join(file), opened)
        });
        let (path, opened) = match opened.await {
            Ok(opened) => opened,
            Err(_) => return bare(StatusCode::INTERNAL_SERVER_ERROR, busy),
        };
        let (file, about) = match opened {
            Ok(opened) => opened,
            Err(closed) => return bare(self.told(&path, closed), busy),
        };
        let (length, modified) = (about.len(), about.modified());
        let plan = plan(request.headers(), length, modified.as_ref().ok().copied());
        let part = match plan.part {
            Some((at, left)) if !is_head => Part::of(file, at, left, busy),
            _ => Part::empty(busy),
        };
        let mut response = Response::new(part);
        *response.status_mut() = plan.status;
        set(&mut response, ACCEPT_RANGES, "bytes");
        if let Some(modified) = plan.modified {
            set(&mut response, LAST_MODIFIED, &modified);
        }
        if let Some(range) = plan.content_range {
            set(&mut response, CONTENT_RANGE, &range);
        }
        if let Some((_, left)) = plan.part {
            set(&mut response, CONTENT_LENGTH, &left.to_string());
            set(&mut response, CONTENT_TYPE, media_type(&path));
            // A page or a script in an archive is a file like any other.
            set(&mut response, X_CONTENT_TYPE_OPTIONS, "nosniff");
        }
        response
    }

    fn told(&self, path: &Path, closed: Closed) -> StatusCode {
        match closed {
            Closed::Missing => StatusCode::NOT_FOUND,
            Closed::Refused(why) => {
                self.log.tell(format_args!("refused {}: {why}", path.display()));
                StatusCode::FORBIDDEN
            }
            Closed::Failed(error) => {
                let error = io::Error::from(error);
                self.log
                    .tell(format_args!("cannot open {}: {error}", path.display()));
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

/// What is sent of a file that is there.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    status: StatusCode,
    /// First byte and number of bytes; nothing where the answer has no body.
    part: Option<(u64, u64)>,
    content_range: Option<String>,
    modified: Option<String>,
}

/// RFC 9110, 13.2.2, for files that have a date and no tag.
fn plan(headers: &HeaderMap, length: u64, modified: Option<SystemTime>) -> Plan {
    let date = modified.map(httpdate::fmt_http_date);
    let mut plan = Plan {
        status: StatusCode::OK,
        part: Some((0, length)),
        content_range: None,
        modified: date.clone(),
    };
    let since = only(headers, &IF_MODIFIED_SINCE).and_then(|since| httpdate::parse_http_date(since).ok());
    if !headers.contains_key(IF_NONE_MATCH) && since.is_some() {
        // To the second, as the client has it.
        let as_sent = date
            .as_deref()
            .and_then(|date| httpdate::parse_http_date(date).ok());
        if as_sent.is_some() && as_sent <= since {
            plan.status = StatusCode::NOT_MODIFIED;
            plan.part = None;
            return plan;
        }
    }
    // 13.1.5: a part is sent only where the file is still the one that the client has the beginning of. apt goes on so with
    // what a broken fetch left, and would take a list that was changed on its way for the whole new one for ever.
    if headers.contains_key(IF_RANGE) && (date.is_none() || only(headers, &IF_RANGE) != date.as_deref()) {
        return plan;
    }
    match only(headers, &RANGE).and_then(|range| of_header(range, length)) {
        Some(Range::Part { first, last }) => {
            plan.status = StatusCode::PARTIAL_CONTENT;
            plan.part = Some((first, last - first + 1));
            plan.content_range = Some(format!("bytes {first}-{last}/{length}"));
        }
        Some(Range::Outside) => {
            plan.status = StatusCode::RANGE_NOT_SATISFIABLE;
            plan.part = None;
            plan.content_range = Some(format!("bytes */{length}"));
        }
        None => {}
    }
    plan
}

/// The text of a header that stands once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    value.to_str().ok().filter(|_| values.next().is_none())
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("deb") => "application/vnd.debian.binary-package",
        Some("gz") => "application/gzip",
        Some("xz") => "application/x-xz",
        _ => "application/octet-stream",
    }
}

fn bare(status: StatusCode, busy: Busy) -> Response<Part> {
    let mut response = Response::new(Part::empty(busy));
    *response.status_mut() = status;
    response
}

fn closing(mut response: Response<Part>) -> Response<Part> {
    set(&mut response, CONNECTION, "close");
    response
}

/// Every value that we send is plain ASCII.
fn set(response: &mut Response<Part>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn planned(headers: &[(HeaderName, &str)]) -> (u16, Option<(u64, u64)>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_000_900);
        let plan = plan(&map, 10, Some(modified));
        (plan.status.as_u16(), plan.part)
    }

    const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const LATER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";
    const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        for (since, status) in [
            (DATE, 304),
            (LATER, 304),
            (EARLIER, 200),
            ("yesterday", 200),
            ("", 200),
        ] {
            assert_eq!(planned(&[(IF_MODIFIED_SINCE, since)]).0, status, "{since}");
        }
        // A tag of another server, which we cannot compare.
        assert_eq!(
            planned(&[(IF_MODIFIED_SINCE, DATE), (IF_NONE_MATCH, "\"x\"")]).0,
            200
        );
    }

    #[test]
    fn a_part_is_sent_only_of_the_same_file() {
        let range = (RANGE, "bytes=3-");
        assert_eq!(planned(std::slice::from_ref(&range)), (206, Some((3, 7))));
        assert_eq!(planned(&[range.clone(), (IF_RANGE, DATE)]), (206, Some((3, 7))));
        for other in [LATER, EARLIER, "\"tag\"", ""] {
            assert_eq!(
                planned(&[range.clone(), (IF_RANGE, other)]),
                (200, Some((0, 10))),
                "{other}"
            );
        }
        assert_eq!(
            planned(&[range.clone(), (IF_RANGE, DATE), (IF_RANGE, DATE)]),
            (200, Some((0, 10)))
        );
    }

    #[test]
    fn several_ranges_are_one_whole_file() {
        assert_eq!(planned(&[(RANGE, "bytes=0-1,3-4")]), (200, Some((0, 10))));
        assert_eq!(
            planned(&[(RANGE, "bytes=0-1"), (RANGE, "bytes=3-4")]),
            (200, Some((0, 10)))
        );
        assert_eq!(planned(&[(RANGE, "bytes=10-")]), (416, None));
    }
}
