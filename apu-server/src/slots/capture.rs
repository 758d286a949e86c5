//! What a push of a slot prints goes to the slot's own output, and is kept for its notice.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use apu_site::Ui;

use crate::context::Context;

/// The most bytes that are kept.
const MOST: usize = 4 << 20;

/// A context whose standard output is kept.
pub(super) struct Captured {
    pub(super) context: Context,
    kept: Arc<Mutex<Vec<u8>>>,
}

struct Both {
    ui: Ui,
    kept: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(kept) = &self.kept else {
            self.ui.complain(&String::from_utf8_lossy(bytes));
            return Ok(bytes.len());
        };
        // Whether anybody reads it is no matter of the push.
        let _ = self.ui.writer().write_all(bytes);
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(kept.len()).min(bytes.len());
        kept.extend_from_slice(&bytes[..room]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.ui.writer().flush();
        Ok(())
    }
}

impl Captured {
    /// The same site, its output kept.
    pub(super) fn of(context: &Context) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let both = |kept| Both {
            ui: context.ui.clone(),
            kept,
        };
        Self {
            context: Context {
                site: context.site.clone(),
                settings: context.settings.clone(),
                ui: Ui::of_writers(both(Some(Arc::clone(&kept))), both(None)),
            },
            kept,
        }
    }

    /// What was printed so far.
    pub(super) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).into_owned()
    }
}
