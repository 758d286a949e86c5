//! A small signed archive on the machine's own disk: of the next version of apu-client, or of any packages.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::host::Host;
use crate::layer::copy_in;
use crate::product::Product;
use crate::tool::run;

const SOURCES: &str = "\
Types: deb
URIs: file:/srv/next
Suites: ./
Signed-By: /usr/share/keyrings/next.gpg
";

/// Puts the archive on the host's disk; the version that it has.
pub(super) fn offer_the_next_client(host: &Host) -> Result<String> {
    let desk = tempfile::tempdir()?;
    let archive = desk.path().join("archive");
    fs::create_dir(&archive)?;
    let version = build_next(&Product::built()?.client, &desk.path().join("tree"), &archive)?;
    offer(host, desk.path(), &archive)?;
    Ok(version)
}

/// Signs an archive of the .debs in a folder, and puts it on the host's disk. `desk` is for the key.
pub(super) fn offer(host: &Host, desk: &Path, archive: &Path) -> Result<()> {
    let packages = run(Command::new("apt-ftparchive")
        .args(["packages", "."])
        .current_dir(archive))?;
    fs::write(archive.join("Packages"), packages)?;
    let release = run(Command::new("apt-ftparchive")
        .args(["-o", "APT::FTPArchive::Release::Origin=next", "release", "."])
        .current_dir(archive))?;
    sign(&release, desk, &archive.join("InRelease"))?;

    host.sh("mkdir -p /srv/next").ok();
    for file in fs::read_dir(archive)? {
        let file = file?;
        copy_in(
            host,
            &file.path(),
            &format!("/srv/next/{}", file.file_name().display()),
        )?;
    }
    copy_in(host, &desk.join("next.gpg"), "/usr/share/keyrings/next.gpg")?;
    host.write("/etc/apt/sources.list.d/next.sources", SOURCES);
    Ok(())
}

/// The same package under a higher version; that version.
fn build_next(deb: &Path, tree: &Path, into: &Path) -> Result<String> {
    run(Command::new("dpkg-deb").arg("--raw-extract").args([deb, tree]))?;
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let field = text
        .lines()
        .find(|line| line.starts_with("Version: "))
        .context("no version")?;
    let next = format!("{field}+next");
    fs::write(&control, text.replacen(field, &next, 1))?;
    run(Command::new("dpkg-deb")
        .args(["-Zgzip", "-z1", "--build"])
        .args([tree, into]))?;
    Ok(next.trim_start_matches("Version: ").to_owned())
}

/// Signs with a new key, which becomes `next.gpg` on the desk.
fn sign(release: &str, desk: &Path, to: &Path) -> Result<()> {
    let home = desk.join("gnupg");
    fs::DirBuilder::new().mode(0o700).create(&home)?;
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.env("GNUPGHOME", &home).args([
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ]);
        gpg
    };
    fs::write(desk.join("Release"), release)?;
    run(gpg().args([
        "--quick-generate-key",
        "next@example.org",
        "ed25519",
        "sign",
        "never",
    ]))?;
    run(gpg().arg("--output").arg(desk.join("next.gpg")).arg("--export"))?;
    run(gpg()
        .arg("--output")
        .arg(to)
        .arg("--clearsign")
        .arg(desk.join("Release")))?;
    // The agent would live on.
    run(Command::new("gpgconf")
        .args(["--kill", "all"])
        .env("GNUPGHOME", &home))?;
    Ok(())
}
