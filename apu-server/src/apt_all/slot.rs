//! The pushes of a slot: its hosts fetch their lists, make a plan that is kept, and fetch its packages ahead.

use apu_proto::{Operation, PackageGlob, Request, RequestOption};
use apu_site::Failure;

use super::args::{Args, Shown};
use super::start::{Pushed, push_in};
use crate::context::Context;

/// What a slot asks, and of whom.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The words of its target.
    pub(crate) target: String,
    /// What is done there.
    pub(crate) operation: Operation,
    /// Whether only packages with a security update are upgraded.
    pub(crate) security: bool,
    /// The packages that stay at their version.
    pub(crate) hold: Vec<PackageGlob>,
}

impl Asked {
    /// The words of the command line that ask this.
    ///
    /// # Errors
    /// Where no client would take it.
    pub(crate) fn args(&self) -> Result<Args, Failure> {
        let options = [
            self.security.then_some(RequestOption::OnlySecurity),
            (!self.hold.is_empty()).then(|| RequestOption::Hold(self.hold.clone())),
        ];
        let request = Request::new(self.operation, options.into_iter().flatten(), []);
        let request =
            request.map_err(|error| Failure::words("that cannot be asked of a client").why(error))?;
        let args = Args::of_request(&self.target, &request, Shown::default());
        args.request(&[])?;
        Ok(args)
    }
}

/// Has the hosts fetch their lists.
///
/// # Errors
/// As apt-all.
pub(crate) fn refresh(context: &Context, asked: &Asked) -> Result<Pushed, Failure> {
    let update = Request::new(Operation::Update, [], []);
    let update = update.map_err(|error| Failure::machine("cannot ask for the lists").why(error))?;
    let args = Args::of_request(&asked.target, &update, Shown::default());
    push_in(context, &args, &asked.target, None)
}

/// Has the hosts say what they would do, and keeps that as a plan.
///
/// # Errors
/// As apt-all.
pub(crate) fn plan(context: &Context, asked: &Asked) -> Result<Pushed, Failure> {
    let mut args = asked.args()?;
    args.yes = false;
    args.plan = true;
    push_in(context, &args, &asked.target, None)
}

/// Has the hosts fetch the packages, and install none.
///
/// # Errors
/// As apt-all.
pub(crate) fn download(context: &Context, asked: &Asked) -> Result<Pushed, Failure> {
    let mut args = asked.args()?;
    args.download_only = true;
    push_in(context, &args, &asked.target, None)
}
