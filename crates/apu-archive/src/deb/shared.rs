//! A piece of a text that many share, so that thousands of pieces need not be copied out of it.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The piece; it is equal to another that says the same, whatever stands around it.
#[derive(Clone)]
pub(crate) struct Shared {
    whole: Arc<String>,
    place: Range<usize>,
}

impl Shared {
    /// Nothing where the text has no such piece.
    pub(crate) fn of(whole: &Arc<String>, place: Range<usize>) -> Option<Self> {
        whole.get(place.clone())?;
        let whole = Arc::clone(whole);
        Some(Self { whole, place })
    }
}

impl From<String> for Shared {
    fn from(text: String) -> Self {
        Self {
            place: 0..text.len(),
            whole: Arc::new(text),
        }
    }
}

impl Deref for Shared {
    type Target = str;

    fn deref(&self) -> &str {
        &self.whole[self.place.clone()]
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
