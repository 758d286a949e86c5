//! How a request reaches a host: a trait of ours, so that another way than OpenSSH can come.

use std::future::Future;
use std::path::PathBuf;

use apu_proto::Request;
use tokio::io::AsyncRead;

use crate::host::Host;
use crate::reason::ServerReason;

/// A way to hosts.
pub trait Transport: Send + Sync + 'static {
    /// An answer on its way.
    type Answer: Answer;

    /// Brings the request to the host.
    ///
    /// An error means that the request did not reach it: nothing has happened there.
    fn ask(
        &self,
        host: &Host,
        request: &Request,
    ) -> impl Future<Output = Result<Self::Answer, ServerReason>> + Send;

    /// The same with the bytes of these files behind the request, one after the other.
    fn ask_sending(
        &self,
        host: &Host,
        request: &Request,
        files: &[PathBuf],
    ) -> impl Future<Output = Result<Self::Answer, ServerReason>> + Send {
        debug_assert!(files.is_empty(), "a transport that sends no files");
        self.ask(host, request)
    }

    /// Brings the request to the host over a connection that is made for it: a login that works now, and not one of before.
    fn ask_anew(
        &self,
        host: &Host,
        request: &Request,
    ) -> impl Future<Output = Result<Self::Answer, ServerReason>> + Send;
}

/// What comes back from a host.
pub trait Answer: Send {
    /// The bytes that the client writes.
    type Bytes: AsyncRead + Unpin + Send;

    /// Whether the connection was there before.
    fn reused(&self) -> bool;

    /// The bytes that the client writes.
    fn bytes(&mut self) -> &mut Self::Bytes;

    /// Called when the answer is whole, for what the transport has to put away.
    fn finish(self) -> impl Future<Output = ()> + Send;

    /// Called where the run is silent and another host waits for a connection: nothing of this one is kept.
    fn let_go(self) -> impl Future<Output = ()> + Send;

    /// What the transport has to say about an answer that ended early; from the host, so not to be trusted.
    fn last_words(self) -> impl Future<Output = String> + Send;
}
