//! Lists that are read to a bound: what is behind it is passed over and takes no memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};

/// Reads the first `N` elements of a list.
///
/// # Errors
/// Where one of them cannot be read, or it is no list.
pub(crate) fn first<'de, D, T, const N: usize>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_seq(First::<T, N>(PhantomData))
}

/// Whether a number is left out where it is written.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
pub(crate) const fn is_zero(number: &usize) -> bool {
    *number == 0
}

struct First<T, const N: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for First<T, N> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < N {
            match list.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok(elements),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(elements)
    }
}
