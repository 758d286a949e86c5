//! The question before packages change. Ctrl-C is an answer to it, and keys that were pressed before it are none.

use std::io::{self, BufRead, Read};

use apu_fleet::{Approval, Instruction};
use apu_site::{Failure, Ui};
use nix::sys::termios::{FlushArg, tcflush};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

/// Asks on the terminal and waits for a line, or for Ctrl-C.
///
/// # Errors
/// Where the terminal cannot be read.
pub(crate) async fn ask(
    ui: &Ui,
    question: &str,
    instructions: &mut UnboundedReceiver<Instruction>,
) -> Result<Approval, Failure> {
    // Where it is no terminal there is nothing to forget.
    let _ = tcflush(io::stdin(), FlushArg::TCIFLUSH);
    ui.complain(question);
    let (to, answer) = oneshot::channel();
    // A thread of its own: the program may end while it still waits for a key.
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = io::stdin().lock().take(100).read_line(&mut line);
        // Nobody waits for it any more after Ctrl-C.
        let _ = to.send(read.map(|_| line));
    });
    hear(ui, answer, instructions).await
}

async fn hear(
    ui: &Ui,
    answer: oneshot::Receiver<io::Result<String>>,
    instructions: &mut UnboundedReceiver<Instruction>,
) -> Result<Approval, Failure> {
    let line = tokio::select! {
        // Whoever pressed Ctrl-C and then y meant the first.
        biased;
        () = interrupt(instructions) => {
            ui.complain("\n");
            return Ok(Approval::Interrupted);
        }
        line = answer => line,
    };
    let line = line.unwrap_or_else(|_| Err(io::Error::other("the reader is gone")));
    let line = line.map_err(|error| Failure::machine("cannot read the answer").why(error))?;
    Ok(match line.trim() {
        "y" | "Y" | "yes" => Approval::Yes,
        _ => Approval::No,
    })
}

/// Waits for Ctrl-C.
async fn interrupt(instructions: &mut UnboundedReceiver<Instruction>) {
    while let Some(instruction) = instructions.recv().await {
        if instruction == Instruction::Stop {
            return;
        }
    }
    // The channel is closed: no Ctrl-C can come.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    fn heard(line: Option<io::Result<String>>, stopped: bool) -> Result<Approval, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (to, answer) = oneshot::channel();
            let (stop, mut stops) = unbounded_channel();
            if stopped {
                stop.send(Instruction::Stop).unwrap();
            }
            let mut to = Some(to);
            if let Some(line) = line {
                to.take().unwrap().send(line).unwrap();
            }
            hear(&Ui::of_writers(io::sink(), io::sink()), answer, &mut stops).await
        })
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, expected) in [
            ("y\n", Approval::Yes),
            ("yes\n", Approval::Yes),
            ("\n", Approval::No),
            ("", Approval::No),
            ("n\n", Approval::No),
            ("yn\n", Approval::No),
        ] {
            assert_eq!(heard(Some(Ok(line.into())), false).unwrap(), expected, "{line:?}");
        }
        assert!(heard(Some(Err(io::ErrorKind::InvalidData.into())), false).is_err());
    }

    #[test]
    fn ctrl_c_comes_before_a_yes_that_waits_beside_it() {
        assert_eq!(
            heard(Some(Ok("y\n".into())), true).unwrap(),
            Approval::Interrupted
        );
        assert_eq!(heard(None, true).unwrap(), Approval::Interrupted);
    }
}
