//! What a push shows of its plan and of its end.

use std::io::{self, Write};

use apu_fleet::{Ending, HostName};
use apu_proto::Transaction;

use super::candidate::advice;
use super::ended::{Ended, transaction_of, transactions_of};
use super::push::Button;
use crate::view::body::HOST;
use crate::view::live::Telling;
use crate::view::status::table;
use crate::view::summary::summary;
use crate::view::transactions::transactions;

impl Button<'_> {
    pub(super) fn show_plan(&self, planned: &Ended) {
        if self.words.json {
            return;
        }
        let ready: Vec<(HostName, &Transaction)> = transactions_of(planned)
            .map(|(host, transaction)| (host.clone(), transaction))
            .collect();
        print(&transactions(&ready, self.telling.paint, self.words.verbose));
        let others: Vec<(HostName, Ending)> = planned
            .endings
            .iter()
            .filter(|(_, ending)| transaction_of(ending).is_none())
            .cloned()
            .collect();
        if !others.is_empty() {
            print(&summary(
                self.words.operation,
                &others,
                planned.seconds,
                self.telling.paint,
                self.words.verbose,
            ));
        }
    }

    pub(super) fn show(&self, mut ended: Ended) -> u8 {
        self.explain(&mut ended);
        if !self.words.json {
            let Telling { paint, verbose, .. } = self.telling;
            print(&table(&ended.endings, paint, verbose));
            print(&summary(
                self.words.operation,
                &ended.endings,
                ended.seconds,
                paint,
                verbose,
            ));
        }
        self.close(&ended)
    }

    /// Names what went wrong with the output; the exit status is what comes back.
    pub(super) fn close(&self, ended: &Ended) -> u8 {
        if self.words.json {
            // The events are the clients' own words, and this is ours.
            let ours = ended.endings.iter().filter_map(|(host, ending)| {
                let advice = advice(ending.reason.as_ref()?, &self.local, self.may_replace)?;
                Some(format!("{host}: try: {}\n", advice.replace(HOST, host.as_str())))
            });
            complain(&ours.collect::<String>());
        }
        for (sink, error) in &ended.failed {
            let _ = writeln!(
                io::stderr(),
                "error: cannot write to {sink}; the hosts went on\n  why: {error}"
            );
        }
        ended.status()
    }
}

/// For what is neither an answer nor an event.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Whoever reads our output may go away; the run is not theirs.
pub(super) fn print(text: &str) {
    let _ = io::stdout()
        .write_all(text.as_bytes())
        .and_then(|()| io::stdout().flush());
}
