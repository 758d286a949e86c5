//! The maintainer scripts of apu-data: what a client's own /etc/apt decides is decided on the client.

use crate::inputs::Inputs;
use crate::package::NAME;

/// Where the clients' apt finds the sources.
const SOURCES: &str = "/etc/apt/sources.list.d/apu.sources";

/// Where the package carries them, one file each.
pub(crate) const CARRIED: &str = "usr/share/apu-data/sources";

/// Where apu-client looks for sources that it is to use alone.
const EXCLUSIVE: &str = "usr/share/apu-data/exclusive";

/// Where apu-client finds those of the sources that are the site's own archives, to fetch their lists alone.
const SITE: &str = "usr/share/apu-data/site.sources";

/// Releases by the names that their suites start with.
const RELEASES: &str =
    "buster | bullseye | bookworm | trixie | forky | duke | focal | jammy | noble | resolute";

/// The proxy setting's path below the root.
pub(crate) const PROXY: &str = "etc/apt/apt.conf.d/50apu";

/// The file that carries the source of this number.
pub(crate) fn carried(number: usize) -> String {
    format!("{CARRIED}/{number:02}.sources")
}

/// preinst, postinst, prerm and postrm.
pub(crate) fn scripts(inputs: &Inputs, version: u64) -> Vec<(&'static str, String)> {
    let proxy = proxy_gone(inputs, version);
    let mut scripts = vec![
        ("postinst", postinst(inputs, &proxy)),
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

/// Which sources a client gets is decided there. apt stops when two of its files name one archive with different
/// keys ("Conflicting values set for option Signed-By"), so a source that the machine has already stays as the
/// machine has it; and a source of another release of Debian would make a dist-upgrade a release upgrade.
fn postinst(inputs: &Inputs, proxy: &str) -> String {
    let sources = inputs.split_sources();
    let theirs: Vec<String> = sources
        .iter()
        .filter(|source| !source.own)
        .map(|source| format!(" '{}'", source.suite))
        .collect();
    let adds: String = sources
        .iter()
        .enumerate()
        .map(|(number, source)| {
            let whose = if source.own { "own" } else { "foreign" };
            format!("add {number:02} '{}' '{}' {whose}\n", source.uri, source.suite)
        })
        .collect();
    format!(
        r#"#!/bin/sh
set -e
{proxy}
[ "$1" = configure ] || exit 0

release=$(. /etc/os-release 2>/dev/null && echo "$VERSION_CODENAME") || release=

# A source of another release would turn the next dist-upgrade into a release upgrade.
is_other() {{
    case "${{1%%[-/]*}}" in
        "$release") return 1 ;;
        {RELEASES}) [ -n "$release" ] ;;
        *) return 1 ;;
    esac
}}

exclusive={exclusive}
if [ "$exclusive" = yes ]; then
    exclusive=no
    for suite in{theirs}; do
        is_other "$suite" || exclusive=yes
    done
    [ "$exclusive" = yes ] ||
        echo "apu-data: the server names no source for $release; this machine's own stay in use" >&2
fi

if [ "$exclusive" = yes ]; then
    sources=/{EXCLUSIVE}/apu.sources
    rm -f {SOURCES}
    mkdir -p /{EXCLUSIVE}
    theirs=
else
    sources={SOURCES}
    rm -rf /{EXCLUSIVE}
    # A source that this machine names in a file of its own stays as it is there: two files that name one
    # archive with different keys would stop apt.
    others=$(mktemp -d)
    for file in /etc/apt/sources.list.d/*; do
        if [ -e "$file" ] && [ "$file" != {SOURCES} ]; then
            ln -s "$file" "$others/"
        fi
    done
    theirs=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(RELEASE)' \
        -o Dir::Etc::SourceParts="$others" 2>/dev/null) || theirs=
    rm -r "$others"
fi

new=$(mktemp "${{sources%/*}}/.apu.XXXXXX")
site=$(mktemp /usr/share/apu-data/.site.XXXXXX)
cat /{CARRIED}/head >"$new"
cat /{CARRIED}/head >"$site"
stanza() {{
    echo
    cat "/{CARRIED}/$1.sources"
}}
add() {{
    if is_other "$3"; then
        return
    fi
    # Also where this machine names it itself: apu-client compares the two before it fetches anything.
    if [ "$4" = own ]; then
        stanza "$1" >>"$site"
    fi
    if ! printf '%s\n' "$theirs" | grep -qxF -e "$2 $3" -e "${{2%/}}/ $3"; then
        stanza "$1" >>"$new"
    fi
}}
{adds}chmod 0644 "$new" "$site"
mv "$new" "$sources"
mv "$site" /{SITE}
"#,
        exclusive = if inputs.exclusive { "yes" } else { "no" },
        theirs = theirs.concat(),
    )
}

/// What postinst made goes before dpkg removes the folder that it lies in.
fn prerm() -> String {
    format!("#!/bin/sh\nset -e\n[ \"$1\" != remove ] || rm -rf /{SITE} /{EXCLUSIVE}\n")
}

fn postrm(proxy: &str) -> String {
    format!(
        "#!/bin/sh\nset -e\n{proxy}\ncase \"$1\" in\n    remove | purge | disappear)\n        \
         # The keyring that the sources name is gone.\n        rm -f {SOURCES}\n        \
         rm -rf /{SITE} /{EXCLUSIVE}\n        ;;\nesac\n"
    )
}
