//! The maintainer scripts of apu-data: what a client's own /etc/apt decides is decided on the client.

use crate::inputs::Inputs;
use crate::package::NAME;

/// Where the clients' apt finds the sources.
const SOURCES: &str = "/etc/apt/sources.list.d/apu.sources";

/// Where the package carries them, one file each.
pub(crate) const CARRIED: &str = "usr/share/apu-data/sources";

/// The proxy setting's path below the root.
pub(crate) const PROXY: &str = "etc/apt/apt.conf.d/50apu";

/// The file that carries the source of this number.
pub(crate) fn carried(number: usize) -> String {
    format!("{CARRIED}/{number:02}.sources")
}

/// preinst, postinst and postrm.
pub(crate) fn scripts(inputs: &Inputs, version: u64) -> Vec<(&'static str, String)> {
    let proxy = proxy_gone(inputs, version);
    let mut scripts = vec![("postinst", postinst(inputs, &proxy)), ("postrm", postrm(&proxy))];
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

/// apt stops when two of its files name one archive with different keys ("Conflicting values set for option
/// Signed-By"). So a source that the machine has already stays as the machine has it.
fn postinst(inputs: &Inputs, proxy: &str) -> String {
    let mut text = format!("#!/bin/sh\nset -e\n{proxy}\n[ \"$1\" = configure ] || exit 0\n");
    if inputs.exclusive {
        text.push_str(&format!(
            "# apu's own runs use {CARRIED} alone.\nrm -f {SOURCES}\n"
        ));
        return text;
    }
    text.push_str(&format!(
        r#"# A source that this machine names in a file of its own stays as it is there: two files that name one
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

new=$(mktemp /etc/apt/sources.list.d/.apu.XXXXXX)
cat /{CARRIED}/head >"$new"
add() {{
    if ! printf '%s\n' "$theirs" | grep -qxF -e "$2 $3" -e "${{2%/}}/ $3"; then
        echo
        cat "/{CARRIED}/$1.sources"
    fi >>"$new"
}}
"#
    ));
    for (number, (uri, suite, _)) in inputs.split_sources().iter().enumerate() {
        text.push_str(&format!("add {number:02} '{uri}' '{suite}'\n"));
    }
    text.push_str(&format!("chmod 0644 \"$new\"\nmv \"$new\" {SOURCES}\n"));
    text
}

fn postrm(proxy: &str) -> String {
    format!(
        "#!/bin/sh\nset -e\n{proxy}\ncase \"$1\" in\n    remove | purge | disappear)\n        \
         # The keyring that the sources name is gone.\n        rm -f {SOURCES}\n        ;;\nesac\n"
    )
}
