//! What passes between a program and the child that reads .debs: an open file at a time to it, frames from it.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

use crate::deb::compression::Memory;
use crate::deb::depth::Depth;

/// The longest part of an answer, in bytes; names come to no more.
const LONGEST: u32 = 48 << 20;

/// What is to be read of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) depth: Depth,
    pub(super) memory: Memory,
}

impl Job {
    fn byte(self) -> u8 {
        u8::from(self.depth == Depth::Whole) | u8::from(self.memory == Memory::Large) << 1
    }

    fn of(byte: u8) -> Self {
        Self {
            depth: if byte & 1 == 0 {
                Depth::Control
            } else {
                Depth::Whole
            },
            memory: if byte & 2 == 0 {
                Memory::Usual
            } else {
                Memory::Large
            },
        }
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The control file as an index has it, and the names of the files.
    Read {
        control: Vec<u8>,
        names: Vec<u8>,
    },
    Refused(String),
    WantsMemory,
}

/// The two ends of a socket that keeps messages apart.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

pub(super) fn send(to: &OwnedFd, file: &File, job: Job) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(
        to,
        &[IoSlice::new(&[job.byte()])],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(())
}

/// The next job; nothing when there are no more.
pub(super) fn receive(from: impl AsFd) -> io::Result<Option<(File, Job)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let received = recvmsg(from, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut files = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let file = files
        .next()
        .ok_or_else(|| io::Error::other("a job without a file"))?;
    Ok(Some((File::from(file), Job::of(byte[0]))))
}

fn write_part(out: &mut Vec<u8>, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.extend(length.to_le_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn read_part(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("an answer that is too long"));
    }
    let mut bytes = Vec::new();
    from.take(length.into()).read_to_end(&mut bytes)?;
    if bytes.len() != length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// What of its confinement the kernel does not have.
pub(super) fn write_hello(to: &mut impl Write, missing: &str) -> io::Result<()> {
    let mut out = Vec::new();
    write_part(&mut out, missing.as_bytes())?;
    to.write_all(&out)
}

pub(super) fn read_hello(from: &mut impl Read) -> io::Result<Option<String>> {
    let missing = String::from_utf8_lossy(&read_part(from)?).into_owned();
    Ok((!missing.is_empty()).then_some(missing))
}

pub(super) fn write_answer(to: &mut impl Write, answer: &Answer) -> io::Result<()> {
    let mut out = Vec::new();
    match answer {
        Answer::Read { control, names } => {
            out.push(0);
            write_part(&mut out, control)?;
            write_part(&mut out, names)?;
        }
        Answer::Refused(why) => {
            out.push(1);
            write_part(&mut out, why.as_bytes())?;
        }
        Answer::WantsMemory => out.push(2),
    }
    to.write_all(&out)
}

pub(super) fn read_answer(from: &mut impl Read) -> io::Result<Answer> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    match kind {
        [0] => Ok(Answer::Read {
            control: read_part(from)?,
            names: read_part(from)?,
        }),
        [1] => Ok(Answer::Refused(
            String::from_utf8_lossy(&read_part(from)?).into_owned(),
        )),
        [2] => Ok(Answer::WantsMemory),
        _ => Err(io::Error::other("an answer of no known kind")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::{Answer, Depth, Job, Memory, pair, read_answer, receive, send, write_answer};

    #[test]
    fn an_open_file_and_its_job_arrive() {
        let (to, from) = pair().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"bytes").unwrap();
        let job = Job {
            depth: Depth::Whole,
            memory: Memory::Usual,
        };
        send(&to, &file.reopen().unwrap(), job).unwrap();
        drop(to);
        let (mut there, same) = receive(&from).unwrap().unwrap();
        let mut text = String::new();
        there.read_to_string(&mut text).unwrap();
        assert_eq!((text.as_str(), same), ("bytes", job));
        assert!(receive(&from).unwrap().is_none());
    }

    #[test]
    fn answers_come_back_and_half_ones_do_not() {
        let answers = [
            Answer::Read {
                control: b"a".to_vec(),
                names: b"b\n".to_vec(),
            },
            Answer::Refused("why".into()),
            Answer::WantsMemory,
        ];
        for answer in answers {
            let mut bytes = Vec::new();
            write_answer(&mut bytes, &answer).unwrap();
            assert_eq!(read_answer(&mut &bytes[..]).unwrap(), answer);
            for length in 0..bytes.len() {
                assert!(read_answer(&mut &bytes[..length]).is_err(), "{length}");
            }
        }
        assert!(read_answer(&mut &[0, 255, 255, 255, 255][..]).is_err());
    }
}
