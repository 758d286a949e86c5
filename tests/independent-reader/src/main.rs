//! Reads an archive that apu made with code that is not apu's: another parser of Release, Packages and .debs, another
//! OpenPGP, another digest. It compares what the index says with what the files are, and ends with 1 at any difference.
//!
//! usage: independent-reader ARCHIVE KEYRING.asc

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use debian_packaging::control::ControlFile;
use debian_packaging::deb::reader::resolve_control_file;
use debian_packaging::repository::release::{ChecksumType, ReleaseFile};
use pgp::{Deserializable, SignedPublicKey};

/// What an index adds to the fields of the package itself.
const ADDED: [&str; 3] = ["Filename", "Size", "SHA256"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [archive, keyring] = words.as_slice() else {
        eprintln!("usage: independent-reader ARCHIVE KEYRING.asc");
        return ExitCode::from(2);
    };
    match read(Path::new(archive), Path::new(keyring)) {
        Ok(packages) => {
            println!("{archive}: read by other code, {packages} packages, no difference");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("independent-reader: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn read(archive: &Path, keyring: &Path) -> Result<usize> {
    let release = release(archive, keyring)?;
    let files = release
        .iter_index_files(ChecksumType::Sha256)
        .context("Release has no SHA256")?;
    for file in files {
        let file = file?;
        let bytes = fs::read(archive.join(file.path))?;
        ensure!(bytes.len() as u64 == file.size, "{}: another size", file.path);
        ensure!(
            sha256(&bytes) == file.digest.digest_bytes(),
            "{}: another SHA-256",
            file.path
        );
        let by_hash = fs::read(archive.join(file.by_hash_path()))?;
        ensure!(bytes == by_hash, "{}: another file by hash", file.path);
    }
    let index = ControlFile::parse_reader(&mut BufReader::new(File::open(archive.join("Packages"))?))?;
    let mut packages = 0;
    for entry in index.paragraphs() {
        let path = entry.required_field_str("Filename")?;
        compare(
            &archive.join(path),
            &entry.as_str_hash_map().into_iter().collect(),
        )
        .with_context(|| path.to_owned())?;
        packages += 1;
    }
    Ok(packages)
}

/// The Release within InRelease, with a good signature, and the same as the detached one.
fn release(archive: &Path, keyring: &Path) -> Result<ReleaseFile<'static>> {
    let (key, _) = SignedPublicKey::from_armor_single(File::open(keyring)?)?;
    let inline = fs::read(archive.join("InRelease"))?;
    let release = ReleaseFile::from_armored_reader(inline.as_slice())?;
    let signatures = release.signatures().context("InRelease has no signature")?;
    ensure!(
        signatures.verify(&key)? > 0,
        "InRelease is not signed by the key of {}",
        keyring.display()
    );
    let plain = ReleaseFile::from_reader(File::open(archive.join("Release")).map(BufReader::new)?)?;
    ensure!(
        plain.as_str_hash_map() == release.as_str_hash_map(),
        "Release and InRelease differ"
    );
    ensure!(release.acquire_by_hash() == Some(true), "no Acquire-By-Hash");
    let (date, until) = (release.date(), release.valid_until());
    ensure!(
        date.context("no Date")?? < until.context("no Valid-Until")??,
        "Valid-Until before Date"
    );
    Ok(release)
}

/// Every field of the index is that of the package, and every field of the package is in the index.
fn compare(deb: &Path, entry: &BTreeMap<&str, &str>) -> Result<()> {
    let bytes = fs::read(deb)?;
    ensure!(
        entry.get("Size") == Some(&bytes.len().to_string().as_str()),
        "another size"
    );
    let hex: String = sha256(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(entry.get("SHA256") == Some(&hex.as_str()), "another SHA-256");
    let control = resolve_control_file(bytes.as_slice())?;
    let control: BTreeMap<&str, &str> = control.as_str_hash_map().into_iter().collect();
    for (name, value) in &control {
        match entry.get(name) {
            Some(there) if there.trim_end() == value.trim_end() => {}
            Some(there) => bail!("{name} is {there:?} in the index and {value:?} in the package"),
            None => bail!("{name} is not in the index"),
        }
    }
    for name in entry.keys().filter(|name| !control.contains_key(*name)) {
        ensure!(ADDED.contains(name), "{name} is in the index alone");
    }
    Ok(())
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = ChecksumType::Sha256.new_hasher();
    hasher.update(bytes);
    hasher.finish()
}
