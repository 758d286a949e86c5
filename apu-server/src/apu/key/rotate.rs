//! One key after the other, in an order in which no client is ever left with a key that nobody has.
//!
//! Begin: the next key is made; both keys sign, both let apt-all in, both are in the next apu-data. Finish: once every
//! host has that apu-data, the old key goes from the server, and from the clients with the apu-data after that.

use std::sync::Arc;

use apu_fleet::ssh::{Ssh, SshOptions};
use apu_site::{Failure, KeyKind, Ui, say};

use super::lag::{Laggard, laggards};
use super::{KINDS, Rotate, name, offered_data, option, rotation};
use crate::apu::remote::{INTERRUPTED, all_hosts, statuses, wait};
use crate::context::Context;

pub(super) fn run(context: &Context, args: &Rotate) -> Result<u8, Failure> {
    let chosen = |kind: &KeyKind| match kind {
        KeyKind::Push => args.ssh,
        KeyKind::Archive => args.archive,
    };
    let kinds: Vec<KeyKind> = KINDS.into_iter().filter(chosen).collect();
    // The classes are read first: a mistake in one must not be found when half of the work is done.
    let hosts = all_hosts(context)?;
    let (going, fresh): (Vec<KeyKind>, Vec<KeyKind>) = kinds
        .into_iter()
        .partition(|kind| rotation(context, *kind).is_under_way());
    for kind in &fresh {
        rotation(context, *kind).begin()?;
    }
    // Whatever an earlier call did not come to: the apu-data with both keys is there, and the archive signed by both.
    publish(context)?;
    for kind in &fresh {
        begun(context, *kind)?;
    }
    if going.is_empty() {
        return Ok(0);
    }
    let needed = offered_data(context)?
        .ok_or_else(|| Failure::machine("the archive has no apu-data").advise("sudo gen-apu-data-pkg"))?;
    // Everybody is asked before anything is dropped: dropping makes an apu-data that nobody has yet.
    let mut late = Vec::new();
    for kind in going {
        let ssh = way(context, kind)?;
        let Some(endings) = wait(statuses(&ssh, &hosts, context))? else {
            say!(context.ui, "interrupted: both keys stay in use");
            return Ok(INTERRUPTED);
        };
        late.push((kind, laggards(&endings, needed)));
    }
    let (ripe, unripe): (Vec<_>, Vec<_>) = late
        .into_iter()
        .partition(|(_, late)| late.is_empty() || args.force);
    for (kind, _) in &ripe {
        rotation(context, *kind).finish()?;
    }
    if !ripe.is_empty() {
        publish(context)?;
    }
    for (kind, late) in &ripe {
        dropped(&context.ui, *kind, late);
    }
    for (kind, late) in &unripe {
        waits(&context.ui, *kind, late, hosts.len());
    }
    Ok(u8::from(!unripe.is_empty()))
}

/// The way on which the hosts are asked. That a new push key lets us in is best shown by coming in with it.
fn way(context: &Context, kind: KeyKind) -> Result<Arc<Ssh>, Failure> {
    if kind == KeyKind::Archive {
        return context.ssh();
    }
    let options = SshOptions {
        keys: vec![rotation(context, kind).next().to_owned()],
        ..context.ssh_options()?
    };
    context.ssh_by(options)
}

/// Makes the next apu-data, if a key has changed, and signs all archives with the keys that there are now.
fn publish(context: &Context) -> Result<(), Failure> {
    gen_apu_data_pkg::make(&context.ui, &context.site, &context.settings, 1).map_err(|failure| {
        let advice = failure.advice().unwrap_or("mend what is named above").to_owned();
        Failure::machine("there is no apu-data with the new keys")
            .why(failure)
            .advise(format!("{advice}; then do the same once more: nothing is lost"))
    })?;
    crate::repo::publish_others(&context.ui, &context.site, &context.settings)
}

fn begun(context: &Context, kind: KeyKind) -> Result<(), Failure> {
    let data = offered_data(context)?.unwrap_or_default();
    let what = match kind {
        KeyKind::Push => "both let apt-all in",
        KeyKind::Archive => "both sign the archives",
    };
    let (name, again) = (name(kind), format!("sudo apu key rotate {}", option(kind)));
    let ui = &context.ui;
    say!(
        ui,
        "{name}: the next one is made; {what} now, and both are in apu-data {data}"
    );
    say!(
        ui,
        "next: {:<36} brings it to the clients of CLASS",
        "sudo gen-apu-data-pkg --push CLASS"
    );
    say!(
        ui,
        "      {again:<36} once more: drops the old key when all clients have it"
    );
    Ok(())
}

fn dropped(ui: &Ui, kind: KeyKind, late: &[Laggard]) {
    let name = name(kind);
    say!(ui, "{name}: the old one is dropped, the next one is in its place");
    if !late.is_empty() {
        let hosts: Vec<&str> = late.iter().map(|laggard| laggard.host.as_str()).collect();
        say!(
            ui,
            "{name}: left behind, since --force was given: {0}\n  try: sudo apu bootstrap {0}",
            hosts.join(" ")
        );
    }
}

fn waits(ui: &Ui, kind: KeyKind, late: &[Laggard], all: usize) {
    say!(
        ui,
        "{}: both stay in use, since {} of {all} hosts have not got the next one yet",
        name(kind),
        late.len()
    );
    super::status::show(ui, late);
    say!(
        ui,
        "next: sudo gen-apu-data-pkg --push CLASS, or --force, which leaves {} behind",
        if late.len() == 1 { "that one" } else { "those" }
    );
}
