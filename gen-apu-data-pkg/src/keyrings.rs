//! The keyrings that travel with apu-data: what a source's Signed-By names, unless a distribution's machines have it.

use std::fs;
use std::path::Path;

use apu_archive::public_certificates;
use apu_site::{Failure, Site};

use crate::cannot_read::cannot_read;
use crate::sources::{Distribution, SignedBy, Stanza};

/// Where they are on a client.
const FOLDER: &str = "/usr/share/apu-data/keyrings";

/// More than any keyring has.
const LARGEST: u64 = 4 * 1024 * 1024;

/// Keyrings by their names below [`FOLDER`].
#[derive(Debug, Default)]
pub(crate) struct Keyrings(Vec<(String, Vec<u8>)>);

impl Keyrings {
    /// Names and bytes, in the order in which they were shipped.
    pub(crate) fn into_files(self) -> Vec<(String, Vec<u8>)> {
        self.0
    }

    /// Takes what a source's Signed-By names, and has the source name it where it will be on a client.
    ///
    /// A key within the source becomes a file: apt before 2.3.10 would read no source at all.
    pub(crate) fn ship(&mut self, site: &Site, stanza: &mut Stanza) -> Result<(), Failure> {
        let list = site.sources_list();
        let list = list.display();
        let words = match stanza.signed_by() {
            None => return Ok(()),
            Some(SignedBy::Block(text)) => {
                let shown = format!("the key on line {} of {list}", stanza.line());
                let bytes = text.into_bytes();
                certificates(&bytes, &shown, &format!("correct that key in {list}"))?;
                vec![self.add("embedded", "asc", bytes)]
            }
            Some(SignedBy::Named(words)) => {
                let ship = |word: String| {
                    if !word.starts_with('/') || Distribution::of_keyring(&word).is_some() {
                        return Ok(word);
                    }
                    self.ship_file(site, &word)
                };
                words.into_iter().map(ship).collect::<Result<_, Failure>>()?
            }
        };
        stanza.set_signed_by(&words);
        Ok(())
    }

    fn ship_file(&mut self, site: &Site, path: &str) -> Result<String, Failure> {
        let file = site.at(Path::new(path));
        let shown = file.display().to_string();
        let advice = format!(
            "put the archive's keyring there, or name another in {}",
            site.sources_list().display()
        );
        let size = fs::metadata(&file)
            .map_err(|error| cannot_read(&file, error, &advice))?
            .len();
        if size > LARGEST {
            return Err(Failure::words(format!("{shown} is not an OpenPGP keyring"))
                .why(Failure::words(format!("it has {size} bytes")))
                .advise(advice));
        }
        let bytes = fs::read(&file).map_err(|error| cannot_read(&file, error, &advice))?;
        let bytes = certificates(&bytes, &shown, &advice)?;
        // apt tells the two forms by the name's end, whatever the file was called here.
        let ending = if bytes.starts_with(b"-----BEGIN PGP") {
            "asc"
        } else {
            "gpg"
        };
        let stem: String = Path::new(path)
            .file_stem()
            .map(|stem| {
                stem.to_string_lossy()
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c))
                    .take(50)
                    .collect()
            })
            .unwrap_or_default();
        Ok(self.add(&stem, ending, bytes))
    }

    /// The path on a client. Two files of one name from two directories keep apart by their number.
    fn add(&mut self, stem: &str, ending: &str, bytes: Vec<u8>) -> String {
        let stem = if stem.is_empty() { "keyring" } else { stem };
        let name = match self.0.iter().position(|(_, there)| *there == bytes) {
            Some(at) => self.0[at].0.clone(),
            None => {
                let taken = |name: &str| self.0.iter().any(|(there, _)| there == name);
                let mut name = format!("{stem}.{ending}");
                let mut number = 2;
                while taken(&name) {
                    name = format!("{stem}-{number}.{ending}");
                    number += 1;
                }
                self.0.push((name.clone(), bytes));
                name
            }
        };
        format!("{FOLDER}/{name}")
    }
}

/// The bytes that apt can use, if they are certificates and nothing else; text before an armored block is left out.
fn certificates(bytes: &[u8], shown: &str, advice: &str) -> Result<Vec<u8>, Failure> {
    let armor: &[u8] = b"-----BEGIN PGP";
    let at = bytes.windows(armor.len()).position(|window| window == armor);
    let is_binary = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let bytes = match at {
        Some(at) if !is_binary => &bytes[at..],
        _ => bytes,
    };
    let not_a_keyring = |why: String| {
        Failure::words(format!("{shown} is not an OpenPGP keyring"))
            .why(Failure::words(why))
            .advise(advice.to_owned())
    };
    if !is_binary && at.is_none() {
        let why = if bytes.starts_with(b"KBXf") || bytes.get(8..12) == Some(b"KBXf") {
            "it is a keybox of gpg's, which apt does not read; gpg --export makes a keyring of it"
        } else {
            "it is neither armored nor binary"
        };
        return Err(not_a_keyring(why.to_owned()));
    }
    match public_certificates(bytes) {
        Ok(0) => Err(not_a_keyring("there is no certificate in it".to_owned())),
        Ok(_) => Ok(bytes.to_vec()),
        Err(apu_archive::KeyError::Secret) => Err(Failure::words(format!("{shown} holds a SECRET key"))
            .why(Failure::words(
                "apu-data goes to every client, over plain http, and can be read by everybody",
            ))
            .advise(format!(
                "export the public part alone: gpg --no-default-keyring --keyring {shown} --export >NEW.gpg"
            ))),
        Err(error) => Err(not_a_keyring(error.to_string())),
    }
}
