//! Accepts connections, within bounds of number and time, and serves each in a task of its own.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{sleep, timeout};

use super::activity::Activity;
use super::admission::{Admission, Held, Most, Source, admit};
use super::reply::Shelf;
use super::stall::{Pace, Stall};

/// Bounds of what clients can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) most: Most,
    /// How long a client may take for the head of a request, the wait for the next one included.
    pub(super) head: Duration,
    pub(super) pace: Pace,
    /// How long answers that are on their way may take when the server is told to stop.
    pub(super) farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most: Most {
                in_all: 1024,
                of_one_source: 256,
            },
            head: Duration::from_secs(15),
            pace: Pace {
                window: Duration::from_secs(60),
                bytes: 8 * 1024,
            },
            farewell: Duration::from_secs(10),
        }
    }
}

/// Bytes of a request's head: more than apt's longest path, and the least that hyper allows is 8 KiB.
const LONGEST_HEAD: usize = 16 * 1024;
const MOST_HEADERS: usize = 64;

/// Descriptors of a connection: itself, the file, and its directory while the file is opened.
const DESCRIPTORS: u64 = 3;
/// Descriptors of everything else.
const RESERVED: u64 = 64;

impl Limits {
    /// Fewer connections where this process may not have as many descriptors.
    pub(super) fn within_descriptors(mut self) -> io::Result<Self> {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        let room = hard.saturating_sub(RESERVED) / DESCRIPTORS;
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.most.in_all = self.most.in_all.min(room).max(1);
        Ok(self)
    }
}

/// Serves until `stop` is done; then what is on its way, for a while.
pub(super) async fn serve(
    listener: TcpListener,
    shelf: Arc<Shelf>,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let start = Instant::now();
    let (farewell, told) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut held: HashMap<Id, (Source, Arc<Activity>, AbortHandle)> = HashMap::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            Some(ended) = tasks.join_next_with_id() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                held.remove(&id);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Of a connection that was gone at once, or of a machine that is full: for neither is haste a cure.
                shelf
                    .log
                    .tell(format_args!("cannot accept a connection: {error}"));
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let source = Source::from(address.ip());
        let list: Vec<_> = (held.iter())
            .map(|(id, (source, activity, _))| Held {
                id: *id,
                source: *source,
                idle_since: activity.idle_since(),
            })
            .collect();
        match admit(&list, source, limits.most) {
            Admission::Admitted => {}
            Admission::InsteadOf(id) => {
                if let Some((.., task)) = held.remove(&id) {
                    task.abort();
                }
            }
            Admission::Refused => {
                turn_away(&stream);
                shelf
                    .log
                    .tell(format_args!("turned {} away: too many connections", address.ip()));
                continue;
            }
        }
        let activity = Activity::new(start);
        let task = tasks.spawn(converse(
            stream,
            Arc::clone(&shelf),
            Arc::clone(&activity),
            limits,
            told.clone(),
        ));
        held.insert(task.id(), (source, activity, task));
    }
    let _ = farewell.send(true);
    let _ = timeout(limits.farewell, async {
        while tasks.join_next().await.is_some() {}
    })
    .await;
}

/// All requests of one connection.
async fn converse(
    stream: TcpStream,
    shelf: Arc<Shelf>,
    activity: Arc<Activity>,
    limits: Limits,
    mut farewell: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let answer = service_fn(move |request| {
        let (shelf, busy) = (Arc::clone(&shelf), activity.work());
        async move { Ok::<_, std::convert::Infallible>(shelf.answer(request, busy).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MOST_HEADERS)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(Stall::new(stream, limits.pace)), answer);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is its client's affair.
    tokio::select! {
        _ = connection.as_mut() => {}
        _ = farewell.changed() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// Without waiting: the answer fits into the buffer of a new connection.
fn turn_away(stream: &TcpStream) {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let _ = stream.try_write(answer.as_bytes());
}
