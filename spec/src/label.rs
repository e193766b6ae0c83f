//! Every domain-separation string of the protocol, each used in one place only.
//!
//! A label is the first thing that is signed, hashed or given to a key derivation, so that bytes made for one
//! purpose never pass for another **[WIRE-9]**. All are ASCII, begin with `sealpost/1 ` and end with a zero byte,
//! so none is a prefix of another.

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &[u8] = concat!("sealpost/1 ", $text, "\0").as_bytes();)*
        /// All labels, for the test that compares them pairwise.
        pub const ALL: &[(&str, &[u8])] = &[$((stringify!($name), $name)),*];
    };
}

labels! {
    /// Signed by an account key: its device list.
    DEVICE_LIST = "device list";
    /// Signed by an account key: that the account ends.
    LEAVE = "leave";
    /// Signed by a device's signing key: one of its prekeys or box keys.
    PREKEY = "prekey";
    /// Signed by a device's signing key: a login.
    LOGIN = "login";
    /// Signed by a device's signing key: the head of a room post.
    POST = "post";
    /// Signed by the relay's key: a name receipt.
    NAME_RECEIPT = "name receipt";
    /// Signed by the relay's key: a room receipt.
    ROOM_RECEIPT = "room receipt";
    /// Signed by the relay's key: a tree head *(planned)*.
    TREE_HEAD = "tree head";
    /// Hashed: an account key, giving its fingerprint.
    FINGERPRINT = "fingerprint";
    /// Hashed 5,200 times: one side of a safety number.
    SAFETY_NUMBER = "safety number";
    /// Hashed: a device's signing key, giving its mailbox.
    MAILBOX = "mailbox";
    /// Hashed: the keys of a machine that is to become a device, giving what guards them on their way.
    DEVICE_REQUEST = "device request";
    /// Hashed: a delivery token, giving what the relay stores of it.
    DELIVERY_TOKEN = "delivery token";
    /// Hashed: an invite token, giving what the relay stores of it.
    INVITE = "invite";
    /// Hashed: a request and its nonce, as proof of work.
    WORK = "proof of work";
    /// Hashed: the head of a post, named by the author's next one.
    POST_HASH = "post hash";
    /// Hashed: the prekeys of one device as they were served.
    BUNDLE = "prekey bundle";
    /// HKDF info: the root key that PQXDH agrees on.
    PQXDH = "pqxdh X25519 ML-KEM-768 HKDF-SHA256 ChaCha20-Poly1305";
    /// First field of a session's associated data.
    SESSION = "session";
    /// Hashed: the PQXDH part of a message, giving the session id.
    SESSION_ID = "session id";
    /// HKDF info: the first chain of a session, from X25519 alone.
    FIRST_CHAIN = "first chain";
    /// HKDF info: every later chain, from X25519 and ML-KEM.
    RATCHET = "hybrid ratchet";
    /// HKDF info: AEAD key and nonce from a message key and its salt.
    MESSAGE = "message";
    /// HPKE info: a sealed box.
    SEALED_BOX = "sealed box";
    /// First field of what a sealed box authenticates with its contents.
    ENVELOPE = "envelope";
    /// HKDF info: the key that seals rows, from the storage key.
    VAULT_ROWS = "vault rows";
    /// HKDF info: the key that blinds names and lookup keys in a profile.
    VAULT_BLIND = "vault blind";
    /// HKDF info: the key that wraps the storage key and authenticates the vault's header, from the passphrase.
    VAULT_HEADER = "vault header";
    /// First field of the associated data of a row in a profile.
    VAULT_ROW = "vault row";
    /// The same for a row that holds a secret.
    VAULT_SECRET = "vault secret";
    /// HKDF info: an account's Ed25519 key from the entropy of its recovery words.
    RECOVERY = "recovery words";
    /// HKDF info: the key of an attachment's chunk.
    ATTACHMENT = "attachment";
}

#[cfg(test)]
mod tests {
    use super::ALL;

    /// [WIRE-9] no label is a prefix of another, so no two contexts can be confused.
    #[test]
    fn labels_are_pairwise_separate() {
        for (i, (left_name, left)) in ALL.iter().enumerate() {
            assert_eq!(left.last(), Some(&0), "{left_name}");
            for (right_name, right) in ALL.iter().skip(i + 1) {
                assert!(!left.starts_with(right) && !right.starts_with(left), "{left_name} and {right_name}");
            }
        }
    }
}
