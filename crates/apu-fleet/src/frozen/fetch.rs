//! Fetches kept .debs from a client: a frame with their sizes, then their bytes, each checked while it is written.

use apu_proto::{
    Cause, DebSha256, Frame, MAX_FRAME, Operation, Reason, Request, RequestError, RequestOption, RunId,
    SentDeb,
};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::store::Store;
use crate::host::Host;
use crate::reason::{HostReason, ServerCause, ServerReason};
use crate::reply::old_client;
use crate::transport::{Answer, Transport};

/// The most lines before the bytes: `hello`, the frame, and what a login shell may print.
const MOST_LINES: usize = 100;

/// Fetches these .debs, which a run of the host has kept, into the folder.
///
/// # Errors
/// Where the host does not give them, or gives others.
pub(super) async fn fetch<T: Transport>(
    transport: &T,
    host: &Host,
    run: RunId,
    debs: &[DebSha256],
    store: &Store,
) -> Result<(), HostReason> {
    let request = send_debs(run, debs).map_err(|_| ServerReason::from(ServerCause::Bug))?;
    let mut answer = transport.ask(host, &request).await?;
    let mut bytes = BufReader::new(answer.bytes());
    let sent = announced(&mut bytes, &request).await?;
    let is_asked = sent.iter().map(|deb| &deb.sha256).eq(debs) && sent.iter().all(SentDeb::is_within_bounds);
    if !is_asked {
        return Err(ServerReason::from(ServerCause::ConnectedAndFailed).into());
    }
    for deb in sent {
        write(&mut bytes, deb, store).await?;
    }
    drop(bytes);
    answer.finish().await;
    Ok(())
}

fn send_debs(run: RunId, debs: &[DebSha256]) -> Result<Request, RequestError> {
    let options = [RequestOption::RunId(run), RequestOption::Debs(debs.to_vec())];
    Request::new(Operation::SendDebs, options, [])
}

/// Reads up to the frame that says which bytes follow.
async fn announced<R: AsyncRead + Unpin>(
    bytes: &mut BufReader<R>,
    request: &Request,
) -> Result<Vec<SentDeb>, HostReason> {
    let mut client = (String::new(), Vec::new());
    for _ in 0..MOST_LINES {
        let mut line = Vec::new();
        let mut bounded = bytes.take(MAX_FRAME as u64);
        let read = bounded.read_until(b'\n', &mut line).await;
        if read.is_err() || line.last() != Some(&b'\n') {
            break;
        }
        match Frame::from_line(&line) {
            Ok(Frame::Hello {
                client: version,
                features,
                ..
            }) => client = (version, features),
            Ok(Frame::Debs { debs }) => return Ok(debs),
            Ok(Frame::Result(result)) => {
                return Err(match (old_client(request, &client.0, &client.1), result.reason) {
                    (Some(old), _) => old.into(),
                    (None, Some(reason)) => HostReason::Client(reason),
                    (None, None) => ServerReason::from(ServerCause::ConnectedAndFailed).into(),
                });
            }
            _ => {}
        }
    }
    Err(ServerReason::from(ServerCause::ConnectedAndFailed).into())
}

async fn write<R: AsyncRead + Unpin>(bytes: &mut R, deb: SentDeb, store: &Store) -> Result<(), HostReason> {
    let here = |error: std::io::Error| {
        let why = error.to_string();
        HostReason::from(ServerReason::from(ServerCause::NotRecorded { why }))
    };
    let wrong = || HostReason::Client(Reason::from(Cause::WrongDeb { sha256: deb.sha256 }));
    let mut draft = store.begin(deb).map_err(here)?;
    let mut left = deb.size;
    let mut buffer = vec![0; 64 * 1024];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(buffer.len()).min(buffer.len());
        match bytes.read(&mut buffer[..most]).await {
            Ok(length) if length > 0 => {
                draft.write(&buffer[..length]).map_err(here)?;
                left -= length as u64;
            }
            _ => return Err(wrong()),
        }
    }
    if draft.finish().map_err(here)? {
        Ok(())
    } else {
        Err(wrong())
    }
}
