//! What an archive promises to its clients and to its administrator, kept with real files.

mod compared;
mod contents;
mod flat;
mod place;
mod planted;
mod suites;
