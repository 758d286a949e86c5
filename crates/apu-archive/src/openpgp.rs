//! The archive's OpenPGP key: one v4 Ed25519 key that signs, in the forms that gpgv and sqv both accept.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sequoia_openpgp::armor;
use sequoia_openpgp::cert::{CertBuilder, CertParser, CipherSuite};
use sequoia_openpgp::crypto::KeyPair;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationHelper, VerifierBuilder,
};
use sequoia_openpgp::parse::{PacketParser, PacketParserResult, Parse};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::types::{HashAlgorithm, KeyFlags, SignatureType};
use sequoia_openpgp::{Cert, KeyHandle, Packet, Profile};
use thiserror::Error;

/// How long a new key is good for.
const GOOD_FOR: Duration = Duration::from_secs(5 * 365 * 24 * 60 * 60);

/// A client whose clock is a little behind must not take the key for one of the future.
const BACKDATED: Duration = Duration::from_secs(15 * 60);

/// Why a key could not be made, read or used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What the OpenPGP library says.
    #[error("{0:#}")]
    OpenPgp(sequoia_openpgp::anyhow::Error),
    /// There is a key, but none that can sign now.
    #[error("the archive key {0} holds no unencrypted secret key that can sign now; it may have expired")]
    CannotSign(String),
    /// There is a secret key where only certificates may be.
    #[error("there is a secret key in it")]
    Secret,
}

impl From<sequoia_openpgp::anyhow::Error> for KeyError {
    fn from(error: sequoia_openpgp::anyhow::Error) -> Self {
        Self::OpenPgp(error)
    }
}

/// The key that signs an archive, with its secret part.
#[derive(Debug, Clone)]
pub struct ArchiveKey {
    cert: Cert,
}

impl ArchiveKey {
    /// Makes a new key.
    pub fn generate(user_id: &str) -> Result<Self, KeyError> {
        let (cert, _revocation) = CertBuilder::new()
            .set_profile(Profile::RFC4880)?
            .set_cipher_suite(CipherSuite::Cv25519)
            .set_creation_time(SystemTime::now() - BACKDATED)
            .add_userid(user_id)
            .set_primary_key_flags(KeyFlags::empty().set_certification().set_signing())
            .set_validity_period(GOOD_FOR)
            .generate()?;
        Ok(Self { cert })
    }

    /// Reads a key with its secret part, armored or binary.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let bytes = fs::read(path).map_err(|source| KeyError::Read {
            path: path.display().to_string(),
            source,
        })?;
        Ok(Self {
            cert: Cert::from_bytes(&bytes)?,
        })
    }

    /// The key with its secret part, armored. Keep it 0600.
    pub fn secret(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.cert.as_tsk().armored().to_vec()?)
    }

    /// The fingerprint, in hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.cert.fingerprint().to_hex()
    }

    /// When it was made; a few minutes earlier than it was, for clients whose clock is behind.
    #[must_use]
    pub fn created(&self) -> SystemTime {
        self.cert.primary_key().key().creation_time()
    }

    /// From when on it is good for nothing, if there is such a time.
    #[must_use]
    pub fn expires(&self) -> Option<SystemTime> {
        let policy = StandardPolicy::new();
        // An expired key is still a key that says when it expired.
        let valid = self.cert.with_policy(&policy, self.created() + BACKDATED).ok()?;
        valid.primary_key().key_expiration_time()
    }

    /// Whether it can sign now.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        self.key_pair().is_ok()
    }

    /// The certificate, binary.
    ///
    /// # Errors
    /// For want of memory.
    pub fn certificate(&self) -> Result<Vec<u8>, KeyError> {
        Ok(self.cert.clone().strip_secret_key_material().to_vec()?)
    }

    fn key_pair(&self) -> Result<KeyPair, KeyError> {
        let policy = StandardPolicy::new();
        let mut keys = self
            .cert
            .keys()
            .with_policy(&policy, None)
            .supported()
            .alive()
            .revoked(false);
        keys = keys.for_signing();
        match keys.secret().next() {
            Some(key) => Ok(key.key().clone().into_keypair()?),
            None => Err(KeyError::CannotSign(self.fingerprint())),
        }
    }
}

/// A keyring of the keys' certificates, binary, as apt's Signed-By wants it.
pub fn certificates(keys: &[ArchiveKey]) -> Result<Vec<u8>, KeyError> {
    let certificates: Vec<Vec<u8>> = keys
        .iter()
        .map(ArchiveKey::certificate)
        .collect::<Result<_, _>>()?;
    Ok(certificates.concat())
}

/// How many certificates a keyring has, armored or binary. Every packet is looked at, also those behind a certificate that
/// an OpenPGP library would pass over.
///
/// # Errors
/// [`KeyError::Secret`] where it has a secret key, or a part of one; otherwise that it cannot be read.
pub fn public_certificates(bytes: &[u8]) -> Result<usize, KeyError> {
    let marks: [&[u8]; 2] = [b"PGP PRIVATE KEY BLOCK", b"PGP SECRET KEY BLOCK"];
    if marks
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark))
    {
        return Err(KeyError::Secret);
    }
    let mut certificates = 0;
    let mut parsed = PacketParser::from_bytes(bytes)?;
    while let PacketParserResult::Some(packet) = parsed {
        match &packet.packet {
            Packet::SecretKey(_) | Packet::SecretSubkey(_) => return Err(KeyError::Secret),
            Packet::PublicKey(_) => certificates += 1,
            _ => {}
        }
        parsed = packet.next()?.1;
    }
    Ok(certificates)
}

/// The same, armored: one block, since not every reader looks for a second one.
pub fn certificates_armored(keys: &[ArchiveKey]) -> Result<Vec<u8>, KeyError> {
    let failed = sequoia_openpgp::anyhow::Error::from;
    let mut writer = armor::Writer::new(Vec::new(), armor::Kind::PublicKey).map_err(failed)?;
    writer.write_all(&certificates(keys)?).map_err(failed)?;
    Ok(writer.finalize().map_err(failed)?)
}

/// `text`, which ends with a line break, with a signature of each key around it, as InRelease has it.
pub(crate) fn sign_inline(keys: &[&ArchiveKey], text: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (first, more) = keys
        .split_first()
        .ok_or_else(|| KeyError::CannotSign("(none)".to_owned()))?;
    let mut signed = Vec::new();
    let template = SignatureBuilder::new(SignatureType::Text);
    let mut signer = Signer::with_template(Message::new(&mut signed), first.key_pair()?, template)?;
    for key in more {
        signer = signer.add_signer(key.key_pair()?)?;
    }
    let mut signer = signer.cleartext().hash_algo(HashAlgorithm::SHA512)?.build()?;
    // The line break before the signature belongs to the frame; as gpg does it, it is the text's own.
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    signer
        .write_all(text)
        .map_err(sequoia_openpgp::anyhow::Error::from)?;
    signer.finalize()?;
    Ok(signed)
}

/// The armored signatures of `text` alone, as Release.gpg has them.
pub(crate) fn sign_detached(keys: &[&ArchiveKey], text: &[u8]) -> Result<Vec<u8>, KeyError> {
    let (first, more) = keys
        .split_first()
        .ok_or_else(|| KeyError::CannotSign("(none)".to_owned()))?;
    let mut signature = Vec::new();
    let armorer = Armorer::new(Message::new(&mut signature))
        .kind(armor::Kind::Signature)
        .build()?;
    let mut signer = Signer::new(armorer, first.key_pair()?)?;
    for key in more {
        signer = signer.add_signer(key.key_pair()?)?;
    }
    let mut signer = signer.hash_algo(HashAlgorithm::SHA512)?.detached().build()?;
    signer
        .write_all(text)
        .map_err(sequoia_openpgp::anyhow::Error::from)?;
    signer.finalize()?;
    Ok(signature)
}

/// The certificates that signatures are checked with, as a client's Signed-By keyring has them.
#[derive(Debug, Clone)]
pub struct Keyring {
    certs: Vec<Cert>,
}

impl Keyring {
    /// Reads a keyring, armored or binary.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        Ok(Self {
            certs: CertParser::from_bytes(bytes)?.collect::<Result<_, _>>()?,
        })
    }

    /// The keys' fingerprints, in hexadecimal, in the order of the keyring.
    #[must_use]
    pub fn fingerprints(&self) -> Vec<String> {
        self.certs
            .iter()
            .map(|cert| cert.fingerprint().to_hex())
            .collect()
    }

    /// The text within an inline signature, if one of the keyring's keys made it.
    pub fn open_inline(&self, signed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let policy = StandardPolicy::new();
        let mut verifier =
            VerifierBuilder::from_bytes(signed)?.with_policy(&policy, None, Helper(&self.certs))?;
        let mut text = Vec::new();
        std::io::copy(&mut verifier, &mut text).map_err(sequoia_openpgp::anyhow::Error::from)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Whether one of the keyring's keys made `signature` of `text`.
    pub fn verify_detached(&self, text: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let policy = StandardPolicy::new();
        let mut verifier = DetachedVerifierBuilder::from_bytes(signature)?.with_policy(
            &policy,
            None,
            Helper(&self.certs),
        )?;
        Ok(verifier.verify_bytes(text)?)
    }
}

struct Helper<'a>(&'a [Cert]);

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, _ids: &[KeyHandle]) -> sequoia_openpgp::Result<Vec<Cert>> {
        Ok(self.0.to_vec())
    }

    fn check(&mut self, structure: MessageStructure<'_>) -> sequoia_openpgp::Result<()> {
        let mut reason = None;
        for layer in structure {
            let MessageLayer::SignatureGroup { results } = layer else {
                continue;
            };
            for result in results {
                match result {
                    Ok(_) => return Ok(()),
                    Err(error) => reason = Some(error.to_string()),
                }
            }
        }
        Err(sequoia_openpgp::anyhow::anyhow!(
            reason.unwrap_or_else(|| "there is no signature".to_owned())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{ArchiveKey, Keyring, certificates_armored, sign_detached, sign_inline};

    const RELEASE: &[u8] = b"Origin: apu\nSHA256:\n abc 12 Packages\n";

    #[test]
    fn what_is_signed_opens_to_the_same_bytes() {
        let key = ArchiveKey::generate("test").unwrap();
        let keyring = Keyring::parse(&key.certificate().unwrap()).unwrap();
        let signed = sign_inline(&[&key], RELEASE).unwrap();
        assert!(signed.starts_with(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: apu\n"));
        assert_eq!(keyring.open_inline(&signed).unwrap(), RELEASE);
        keyring
            .verify_detached(RELEASE, &sign_detached(&[&key], RELEASE).unwrap())
            .unwrap();
    }

    #[test]
    fn a_changed_byte_and_a_foreign_key_are_seen() {
        let key = ArchiveKey::generate("test").unwrap();
        let keyring = Keyring::parse(&certificates_armored(std::slice::from_ref(&key)).unwrap()).unwrap();
        let other = ArchiveKey::generate("other").unwrap();
        let mut signed = sign_inline(&[&key], RELEASE).unwrap();
        let at = signed.windows(3).position(|window| window == b"apu").unwrap();
        signed[at] = b'A';
        assert!(keyring.open_inline(&signed).is_err());
        assert!(
            keyring
                .open_inline(&sign_inline(&[&other], RELEASE).unwrap())
                .is_err()
        );
        assert!(
            keyring
                .verify_detached(b"else", &sign_detached(&[&key], RELEASE).unwrap())
                .is_err()
        );
        assert!(
            keyring
                .verify_detached(RELEASE, &sign_detached(&[&other], RELEASE).unwrap())
                .is_err()
        );
    }

    #[test]
    fn the_public_forms_hold_no_secret() {
        let key = ArchiveKey::generate("test").unwrap();
        assert!(
            String::from_utf8(key.secret().unwrap())
                .unwrap()
                .contains("PRIVATE KEY")
        );
        assert!(
            String::from_utf8(certificates_armored(std::slice::from_ref(&key)).unwrap())
                .unwrap()
                .contains("PUBLIC KEY")
        );
        let public = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(public.path(), key.certificate().unwrap()).unwrap();
        assert!(sign_inline(&[&ArchiveKey::read(public.path()).unwrap()], RELEASE).is_err());
    }
}
