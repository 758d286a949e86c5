//! What an administrator tells a push that is under way.

/// One message to a push. Each but [`Stop`](Self::Stop) names who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Ctrl-C, or `apu abort`: the first begins nothing new, the second waits for nothing more. What was begun on a client goes on
    /// there.
    Stop,
    /// Begin nothing new until [`Resume`](Self::Resume).
    Pause {
        /// Who.
        by: String,
    },
    /// Go on after [`Pause`](Self::Pause).
    Resume {
        /// Who.
        by: String,
    },
    /// Let the next wave start, although whether the hosts of this one are well cannot be told.
    Promote {
        /// The wave, counted from 1. One that is not the wave in which the push is paused is passed over.
        wave: usize,
        /// Who.
        by: String,
    },
}
