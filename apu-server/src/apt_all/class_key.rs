//! Finds the hosts that a key of apu.toml means by the name of their class; `all` means every host.

use apu_fleet::{Host, HostName};
use apu_site::Failure;

use crate::context::Context;
use crate::failure;

/// The hosts of a class, or all of these. `key` is where the class is named, such as `[maintenance.db]`.
///
/// # Errors
/// Where there is no such class: it cannot be told then for whom the key holds.
pub(super) fn members(
    context: &Context,
    key: &str,
    class: &str,
    hosts: &[Host],
) -> Result<Vec<HostName>, Failure> {
    if class == "all" {
        return Ok(hosts.iter().map(|host| host.name.clone()).collect());
    }
    let inventory = context.inventory()?;
    let name = class
        .parse()
        .map_err(|error| wrong(context, key, &format!("{error}")))?;
    let members = inventory
        .class(&name)
        .map_err(|error| failure::target(&context.site, error))?;
    Ok(members.into_iter().map(|host| host.name).collect())
}

/// The failure where a key of apu.toml cannot be used.
pub(super) fn wrong(context: &Context, key: &str, why: &str) -> Failure {
    let path = context.site.settings();
    Failure::words(format!("{key} in {} cannot be used", path.display()))
        .why(why)
        .advise(format!("correct {}", path.display()))
}
