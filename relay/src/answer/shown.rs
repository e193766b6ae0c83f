//! Rows as an operator reads them: which fields each kind has, and what stands in one.

use bytes::Bytes;
use serde_json::Value;

use super::row::{Row, decoded};
use crate::store::{self, Rev};

/// A kind of row.
pub(crate) struct Kind {
    /// The table in which it stands.
    pub(crate) table: &'static str,
    /// The names of its fields; none where it is a thing without.
    #[cfg(test)]
    pub(crate) fields: fn() -> &'static [&'static str],
    /// What stands in one, where it can be read.
    pub(crate) shown: fn(&[u8]) -> Option<Value>,
}

pub(crate) use super::row::KINDS;

impl Kind {
    pub(super) const fn of<R: Row>() -> Self {
        Self {
            table: R::TABLE,
            #[cfg(test)]
            fields: fields::of::<R>,
            shown: shown::<R>,
        }
    }
}

fn shown<R: Row>(bytes: &[u8]) -> Option<Value> {
    let value = store::Value { rev: Rev(0), bytes: Bytes::copy_from_slice(bytes) };
    serde_json::to_value(decoded::<R>(value).ok()?.row).ok()
}

/// How a kind's fields are found out, for the test that holds the entries to them.
#[cfg(test)]
mod fields {
    use serde::de::value::Error;
    use serde::de::{DeserializeOwned, Deserializer, Visitor};
    use serde::forward_to_deserialize_any;

    pub(super) fn of<R: DeserializeOwned>() -> &'static [&'static str] {
        let mut fields: &'static [&'static str] = &[];
        // It fails once it has been asked for its fields.
        let _ = R::deserialize(Asked(&mut fields));
        fields
    }

    /// Is asked for a struct, and remembers its fields.
    struct Asked<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Asked<'_> {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(serde::de::Error::custom("there is nothing"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }
}
