//! What administrators tell a run that is under way: other programs write it down, and the process that works on the run reads it.

use apu_fleet::Instruction;
use jiff::Timestamp;
use rusqlite::params;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::read::damaged;
use crate::run::RunNumber;

/// An instruction, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub by: String,
    /// What.
    pub instruction: Instruction,
}

impl Ledger {
    /// Tells the process that works on a run what to do. To tell it to begin nothing more counts once.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub fn instruct(&self, run: RunNumber, told: &Told) -> Result<(), LedgerError> {
        let (what, wave) = match told.instruction {
            Instruction::Stop => ("stop", None),
            Instruction::Pause { .. } => ("pause", None),
            Instruction::Resume { .. } => ("resume", None),
            Instruction::Promote { wave, .. } => ("promote", i64::try_from(wave).ok()),
        };
        self.connection.execute(
            "INSERT INTO instruction (run, what, wave, by, at) SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?2 <> 'stop' OR NOT EXISTS \
             (SELECT 1 FROM instruction WHERE run = ?1 AND what = 'stop')",
            params![run.0, what, wave, told.by, Timestamp::now().as_millisecond()],
        )?;
        Ok(())
    }

    /// What a run was told after the instruction with this number, in order, each with its own.
    pub(crate) fn told_since(&self, run: RunNumber, last: i64) -> Result<Vec<(i64, Told)>, LedgerError> {
        let mut query = self.connection.prepare(
            "SELECT number, what, wave, by FROM instruction WHERE run = ? AND number > ? ORDER BY number",
        )?;
        let rows = query.query_map(params![run.0, last], |row| {
            let number: i64 = row.get(0)?;
            let what: String = row.get(1)?;
            let wave: Option<i64> = row.get(2)?;
            let by: String = row.get(3)?;
            Ok((number, what, wave, by))
        })?;
        let mut told = Vec::new();
        for row in rows {
            let (number, what, wave, by) = row?;
            let who = by.clone();
            let instruction = match (what.as_str(), wave.and_then(|wave| usize::try_from(wave).ok())) {
                ("stop", _) => Instruction::Stop,
                ("pause", _) => Instruction::Pause { by: who },
                ("resume", _) => Instruction::Resume { by: who },
                ("promote", Some(wave)) => Instruction::Promote { wave, by: who },
                _ => return Err(damaged(run.0, "an instruction", &what)),
            };
            told.push((number, Told { by, instruction }));
        }
        Ok(told)
    }
}
