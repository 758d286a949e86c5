//! Slots: at times that come again, a class is updated without a hand. A plan is made and told ahead; at its time that plan is carried
//! out, and no other.

mod apply;
mod calendar;
mod capture;
mod clock;
mod decide;
mod find_out;
mod prepare;
mod run;
mod slot;
mod state;
mod store;
mod words;
mod work;

pub(crate) use self::clock::{now, time};
pub(crate) use self::run::run;
pub(crate) use self::slot::Slot;
pub(crate) use self::state::{End, Occurrence, SlotState, State};
pub(crate) use self::words::ended;
