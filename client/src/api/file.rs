//! Files on their way, as faces show them.

use serde::{Deserialize, Serialize};

use super::Text;

/// A file on its way, as faces show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Transfer {
    /// Of the message that announces it.
    pub id: String,
    /// `@bob`
    pub conversation: String,
    /// Whether somebody else sent it.
    pub incoming: bool,
    /// Its name; text from strangers.
    pub name: Text,
    /// Its bytes; 0 as long as that is not known.
    pub size: u64,
    /// So many of them are where they belong.
    pub done: u64,
    /// How far it is.
    pub state: Way,
    /// Where it was read, or saved, on the machine of the profile's holder.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub path: Option<String>,
    /// Why it does not go on, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trouble: Option<String>,
}

/// How far a file is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// Somebody sent it, and nobody asked for it yet.
    Offered,
    /// It goes on by itself when it can, and with the same command.
    Waiting,
    /// It is read before it is sent.
    Reading,
    /// It is uploaded or fetched.
    Moving,
    /// The relay has all of it and the message is on its way; or it is saved.
    Done,
    /// It does not go on by itself.
    Failed,
}

impl Way {
    /// As every face writes it.
    pub const fn words(self, incoming: bool) -> &'static str {
        match (self, incoming) {
            (Self::Offered, _) => "not fetched",
            (Self::Waiting, _) => "waiting",
            (Self::Reading, _) => "reading",
            (Self::Moving, true) => "fetching",
            (Self::Moving, false) => "sending",
            (Self::Done, true) => "saved",
            (Self::Done, false) => "sent",
            (Self::Failed, _) => "failed",
        }
    }
}

/// `1.5 MiB`: a size as people say it.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.iter().find(|(bits, _)| bytes >> bits > 0) {
        Some((bits, unit)) => {
            let tenths = (u128::from(bytes) * 10) >> bits;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes_in_words;

    #[test]
    fn a_size_is_told_in_its_greatest_unit() {
        let told = [(0, "0 bytes"), (1_023, "1023 bytes"), (1_536, "1.5 KiB"), (5 << 30, "5.0 GiB")];
        for (bytes, words) in told {
            assert_eq!(bytes_in_words(bytes), words);
        }
        assert_eq!(bytes_in_words(u64::MAX), "17179869183.9 GiB");
    }
}
