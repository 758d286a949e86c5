//! What people see. Texts come from pure functions; only [`live`] writes by itself.

pub mod advice;
pub mod body;
pub mod changes;
pub mod clean;
pub mod columns;
pub mod groups;
pub mod live;
pub mod note;
pub mod paint;
pub mod plans;
pub mod reason;
pub mod server_reason;
pub mod status;
pub mod summary;
