//! The maintainer scripts of apu-data: what a client's own /etc/apt decides is decided on the client.

use crate::inputs::Inputs;
use crate::package::NAME;
use crate::sources::{DEBIAN, Source, UBUNTU};

/// Where the clients' apt finds the sources.
const SOURCES: &str = "/etc/apt/sources.list.d/apu.sources";

/// Where the package carries them, one file each.
pub(crate) const CARRIED: &str = "usr/share/apu-data/sources";

/// Where apu-client looks for sources that it is to use alone.
const EXCLUSIVE: &str = "usr/share/apu-data/exclusive";

/// Where apu-client finds those of the sources that are the site's own archives, to fetch their lists alone.
const SITE: &str = "usr/share/apu-data/site.sources";

/// Which sources did not go with the machine's own: a line each, for `status`.
const LEFT_OUT: &str = "usr/share/apu-data/left-out";

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

/// preinst, postinst, prerm and postrm.
pub(crate) fn scripts(inputs: &Inputs, version: u64) -> Vec<(&'static str, String)> {
    let proxy = proxy_gone(inputs, version);
    let mut scripts = vec![
        ("postinst", postinst(&proxy)),
        ("prerm", prerm()),
        ("postrm", postrm(&proxy)),
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

/// The package is configured whatever becomes of the sources: otherwise no next one could mend them.
fn postinst(proxy: &str) -> String {
    format!(
        r#"#!/bin/sh
set -e
{proxy}
[ "$1" = configure ] || exit 0
if ! /{COMPOSE}; then
    echo "apu-data: the sources could not be composed; those of before stay" >&2
    printf 'the sources of this apu-data\t\tcompose-sources failed\n' >/{LEFT_OUT} || :
fi
"#
    )
}

/// What postinst made goes before dpkg removes the folder that it lies in.
fn prerm() -> String {
    format!("#!/bin/sh\nset -e\n[ \"$1\" != remove ] || rm -rf /{SITE} /{EXCLUSIVE} /{LEFT_OUT}\n")
}

fn postrm(proxy: &str) -> String {
    format!(
        "#!/bin/sh\nset -e\n{proxy}\ncase \"$1\" in\n    remove | purge | disappear)\n        \
         # The keyring that the sources name is gone.\n        rm -f {SOURCES}\n        \
         rm -rf /{SITE} /{EXCLUSIVE} /{LEFT_OUT}\n        ;;\nesac\n"
    )
}
