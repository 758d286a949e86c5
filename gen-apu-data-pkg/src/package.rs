//! The package itself: a pure function of its inputs and its version.

use std::io::Write;

use apu_archive::DebWriter;
use apu_site::Failure;

use crate::inputs::Inputs;
use crate::name::NAME;
use crate::scripts::{self, CARRIED, PROXY};

/// Every file of every version is from this moment, 2026-01-01, so that the same inputs give the same bytes.
const MTIME: u64 = 1_767_225_600;

const PREFERENCES: &str = "etc/apt/preferences.d/apu.pref";

/// The bytes of apu-data in this version.
pub(crate) fn build(inputs: &Inputs, version: u64) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: &dyn std::error::Error| Failure::machine("cannot write apu-data").why(error.to_string());
    let control = control(inputs, version);
    let control = control
        .parse()
        .map_err(|error: apu_archive::ControlError| failed(&error))?;
    let mut deb = DebWriter::new(control, MTIME);
    for (path, bytes) in files(inputs, version)? {
        deb.file(&path, 0o644, bytes).map_err(|error| failed(&error))?;
    }
    deb.file(scripts::COMPOSE, 0o755, scripts::COMPOSE_TEXT.into())
        .map_err(|error| failed(&error))?;
    for (name, text) in scripts::scripts(inputs, version) {
        deb.script(name, text);
    }
    deb.build().map_err(|error| failed(&error))
}

fn maintainer(inputs: &Inputs) -> String {
    format!("apu-server on {0} <apu-server@{0}>", inputs.host)
}

fn control(inputs: &Inputs, version: u64) -> String {
    format!(
        "Package: {NAME}\nVersion: {version}\nArchitecture: all\nMaintainer: {}\nRecommends: apu-client\n\
         Multi-Arch: foreign\nSection: admin\nPriority: optional\n\
         Description: makes this machine a client of {}\n \
         The key by which that server may have this machine updated, the keyring and\n \
         the addresses of the archives that it is updated from, and their proxy.\n .\n \
         The server made this package with gen-apu-data-pkg; a change made here is\n \
         lost with the next version of it.\n",
        maintainer(inputs),
        inputs.host,
    )
}

fn files(inputs: &Inputs, version: u64) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut files: Vec<(String, Vec<u8>)> = vec![
        (
            "usr/share/apu-data/authorized_keys".into(),
            inputs.authorized_keys.clone().into(),
        ),
        ("usr/share/keyrings/apu-data.gpg".into(), inputs.keyring.clone()),
        (PREFERENCES.into(), preferences(inputs).into()),
        (
            "usr/share/doc/apu-data/changelog.gz".into(),
            gzip(&changelog(inputs, version))?,
        ),
        (
            "usr/share/doc/apu-data/copyright".into(),
            copyright(inputs).into(),
        ),
        (
            "usr/share/lintian/overrides/apu-data".into(),
            lintian_overrides(inputs).into(),
        ),
    ];
    files.push((format!("{CARRIED}/head"), sources_head(inputs).into()));
    files.push((format!("{CARRIED}/table"), scripts::table(inputs).into()));
    files.push((format!("{CARRIED}/releases"), scripts::releases().into()));
    for (number, source) in inputs.split_sources().iter().enumerate() {
        files.push((scripts::carried(number), source.stanza.to_string().into()));
    }
    if let Some(proxy) = &inputs.proxy {
        files.push((PROXY.into(), proxy.clone().into()));
    }
    for (name, bytes) in &inputs.keyrings {
        files.push((format!("usr/share/apu-data/keyrings/{name}"), bytes.clone()));
    }
    Ok(files)
}

fn sources_head(inputs: &Inputs) -> String {
    format!(
        "# Sources of the clients of {0}, written by the package apu-data.\n\
         # What is changed here is lost: change /etc/apu-server/sources.list on {0}.\n",
        inputs.host
    )
}

/// apt takes the newest version of all archives alike. A site's archives are to bring what Debian does not have,
/// and never by accident another openssl.
fn preferences(inputs: &Inputs) -> String {
    let mut text = format!(
        "Explanation: The archives of {} bring their own packages; what Debian has comes from Debian.\n\
         Explanation: may_replace in the server's apu.toml names exceptions.\n",
        inputs.host
    );
    let pins = |packages: &str, priority: u32| -> Vec<String> {
        let pin = |(origin, label): &(String, String)| {
            format!("Package: {packages}\nPin: release o={origin},l={label}\nPin-Priority: {priority}\n")
        };
        inputs.releases.iter().map(pin).collect()
    };
    let mut paragraphs = pins("*", 100);
    if !inputs.may_replace.is_empty() {
        paragraphs.extend(pins(&inputs.may_replace.join(" "), 500));
    }
    text.push_str(&paragraphs.join("\n"));
    text
}

fn changelog(inputs: &Inputs, version: u64) -> String {
    format!(
        "{NAME} ({version}) stable; urgency=medium\n\n  * Made by gen-apu-data-pkg from /etc/apu-server.\n\n \
         -- {}  Thu, 01 Jan 2026 00:00:00 +0000\n",
        maintainer(inputs)
    )
}

fn copyright(inputs: &Inputs) -> String {
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\
         Source: made by gen-apu-data-pkg on {0}\n\n\
         Files: *\nCopyright: 2026 the administrators of {0}\nLicense: GPL-2+\n\n\
         License: GPL-2+\n On Debian systems, the text of the GNU General Public License is in\n \
         /usr/share/common-licenses/GPL-2.\n",
        inputs.host
    )
}

fn lintian_overrides(inputs: &Inputs) -> String {
    let mut text = format!(
        "# To say what the site's archive may bring to its machines is what this package is for.\n\
         {NAME}: package-installs-apt-preferences [{PREFERENCES}]\n"
    );
    if inputs.proxy.is_none() {
        text.push_str(&format!(
            "# No debhelper makes this package: it is written on a server without any build tools.\n\
             {NAME}: maintainer-script-should-not-use-dpkg-maintscript-helper *\n"
        ));
    }
    text
}

fn gzip(text: &str) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::machine("cannot compress the changelog").why(error);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).map_err(failed)?;
    encoder.finish().map_err(failed)
}
