//! Hosts of which something is known from the run that this one goes on with: those whose end is known are not asked again, and those
//! that may be at work are asked for the same run, whatever stops the others.

use super::{Action, Carried, Moment, State};

impl State {
    /// Ends the hosts of this wave that have ended before, and asks those again that may be at work: no limit holds for them, since
    /// they have started already.
    pub(super) fn take_carried(&mut self, now: Moment, actions: &mut Vec<Action>) {
        if self.carried.is_empty() || self.carried_until > self.wave {
            return;
        }
        self.carried_until = self.wave + 1;
        for host in self.current_wave().hosts {
            self.take_carried_host(host, now, actions);
        }
    }

    /// Whether something is known of the host from before; then it ends, or starts.
    pub(super) fn take_carried_host(&mut self, host: usize, now: Moment, actions: &mut Vec<Action>) -> bool {
        let name = self.tasks[host].host.name.clone();
        if !self.run.is_queued(host) {
            return false;
        }
        match self.carried.get(&name) {
            None => return false,
            Some(Carried::Open) => self.start(host, now, actions),
            Some(Carried::Ended(ending)) => {
                let ending = (**ending).clone();
                self.started[host] = now.elapsed;
                self.finish(host, ending, now, actions);
            }
        }
        true
    }
}
