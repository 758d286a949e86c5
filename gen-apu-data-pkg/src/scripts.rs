//! The maintainer scripts of apu-data: what a client's own /etc/apt decides is decided on the client.

use crate::inputs::Inputs;
use crate::name::NAME;
use crate::sources::{DEBIAN, Source, UBUNTU};

/// Where the package carries them, one file each.
pub(crate) const CARRIED: &str = "usr/share/apu-data/sources";

/// The program that composes a client's sources: what a client's own /etc/apt decides is decided there.
pub(crate) const COMPOSE: &str = "usr/share/apu-data/compose-sources";

/// Its text.
pub(crate) const COMPOSE_TEXT: &str = include_str!("compose-sources");

/// The proxy setting's path below the root.
pub(crate) const PROXY: &str = "etc/apt/apt.conf.d/50apu";

/// The file that carries the source of this number.
pub(crate) fn carried(number: usize) -> String {
    format!("{CARRIED}/{number:02}.sources")
}

/// What [`COMPOSE`] reads: a line for each source with its number, whose it is, its address and its suite.
pub(crate) fn table(inputs: &Inputs) -> String {
    let exclusive = if inputs.exclusive { "exclusive yes\n" } else { "" };
    let line = |(number, source): (usize, &Source)| {
        format!(
            "{number:02} {} {} {}\n",
            source.kind.word(),
            source.uri,
            source.suite
        )
    };
    let lines: String = inputs.split_sources().iter().enumerate().map(line).collect();
    format!("{exclusive}{lines}")
}

/// The names that a suite of another release may start with, a line each.
pub(crate) fn releases() -> String {
    DEBIAN
        .iter()
        .chain(&UBUNTU)
        .map(|name| format!("{name}\n"))
        .collect()
}

/// The line of a script that what takes a conffile away stands in for.
const RM_CONFFILE: &str = "#RM_CONFFILE#";

/// The package is configured whatever becomes of the sources: otherwise no next one could mend them.
const POSTINST: &str = include_str!("scripts/postinst");

/// What postinst made goes before dpkg removes the folder that it lies in.
const PRERM: &str = include_str!("scripts/prerm");

const POSTRM: &str = include_str!("scripts/postrm");

/// preinst, postinst, prerm and postrm.
pub(crate) fn scripts(inputs: &Inputs, version: u64) -> Vec<(&'static str, String)> {
    let proxy = proxy_gone(inputs, version);
    let mut scripts = vec![
        ("postinst", POSTINST.replace(RM_CONFFILE, &proxy)),
        ("prerm", PRERM.to_owned()),
        ("postrm", POSTRM.replace(RM_CONFFILE, &proxy)),
    ];
    if !proxy.is_empty() {
        scripts.push(("preinst", format!("#!/bin/sh\nset -e\n{proxy}")));
    }
    scripts
}

/// A conffile stays on a client when the next version has it no more, unless it is taken away by name.
fn proxy_gone(inputs: &Inputs, version: u64) -> String {
    match inputs.proxy {
        Some(_) => String::new(),
        None => format!("dpkg-maintscript-helper rm_conffile /{PROXY} {version}~ {NAME} -- \"$@\"\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The absolute paths that a shell text names.
    fn paths(text: &str) -> Vec<&str> {
        let is_end = |c: char| c.is_whitespace() || ";\"'>=".contains(c);
        text.split(is_end)
            .filter(|word| word.starts_with("/usr/share/") || word.starts_with("/etc/"))
            .collect()
    }

    #[test]
    fn the_scripts_clear_away_what_compose_sources_writes() {
        let composes = paths(COMPOSE_TEXT);
        for (script, text, count) in [
            ("postinst", POSTINST, 2),
            ("prerm", PRERM, 3),
            ("postrm", POSTRM, 4),
        ] {
            let named = paths(text);
            assert_eq!(named.len(), count, "{script}: {named:?}");
            for path in named {
                assert!(
                    composes.contains(&path) || path == format!("/{COMPOSE}"),
                    "{script}: {path}: {composes:?}"
                );
            }
        }
    }
}
