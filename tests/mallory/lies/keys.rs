//! Lies about keys.

use sealpost_crypto::identity::RelaySecret;
use sealpost_spec::account::{Bundle, Name, NameReceipt};
use sealpost_spec::relay::{Answer, Refusal, Request};
use sealpost_spec::wire::Signed;

use crate::mallory::{BendAnswer, Mallory};

fn answering(answer: BendAnswer) -> Mallory {
    Mallory { answer: Some(answer), ..Mallory::default() }
}

/// Whoever asks for this name gets these keys.
pub fn swaps_keys(name: Name, bundle: Bundle) -> Mallory {
    shows_others(name, bundle, |_| true)
}

/// Those for whom this is true get these keys when they ask for this name, everybody else the real ones.
pub fn shows_others(name: Name, bundle: Bundle, to: impl Fn(&str) -> bool + Send + 'static) -> Mallory {
    answering(Box::new(move |asker, request, answer| match request {
        Request::FetchBundle(asked) if *asked == name && to(asker) => Ok(Answer::Bundle(bundle.clone())),
        Request::FetchDevices(asked) if *asked == name && to(asker) => Ok(Answer::Devices(bundle.list.clone())),
        _ => answer,
    }))
}

/// Whoever is the first to ask for this name gets these keys, the others the real ones.
pub fn shows_the_first_others(name: Name, bundle: Bundle) -> Mallory {
    let mut left = true;
    answering(Box::new(move |_, request, answer| match request {
        Request::FetchBundle(asked) if *asked == name && std::mem::take(&mut left) => {
            Ok(Answer::Bundle(bundle.clone()))
        }
        _ => answer,
    }))
}

/// Bends each bundle that is asked for.
fn bends_bundles(mut bend: impl FnMut(&mut Bundle) + Send + 'static) -> Mallory {
    answering(Box::new(move |_, _, mut answer| {
        if let Ok(Answer::Bundle(bundle)) = &mut answer {
            bend(bundle);
        }
        answer
    }))
}

/// Puts the elliptic prekey where the post-quantum one belongs.
pub fn leaves_out_the_post_quantum_half() -> Mallory {
    bends_bundles(|bundle| {
        for device in &mut bundle.devices {
            device.kem = device.signed.clone();
        }
    })
}

/// Hands out no one-time keys: the last resort is all that is left.
pub fn withholds_one_time_keys(last_resort: Signed) -> Mallory {
    bends_bundles(move |bundle| {
        for device in &mut bundle.devices {
            device.one_time = None;
            device.kem = last_resort.clone();
        }
    })
}

/// Answers who registers with a name receipt that this key signed, and that says another time.
pub fn forges_name_receipts(signs: RelaySecret) -> Mallory {
    answering(Box::new(move |_, request, answer| match (request, answer) {
        (Request::Register(_), Ok(Answer::Registered { receipt, generation, keys })) => {
            let Ok(mut real) = NameReceipt::parse(&receipt.body.0) else {
                return Ok(Answer::Registered { receipt, generation, keys });
            };
            real.time = 1;
            Ok(Answer::Registered { receipt: signs.sign_receipt(&real), generation, keys })
        }
        (_, answer) => answer,
    }))
}

/// Says hello in another protocol version than was agreed on.
pub fn rewrites_the_version(version: u16) -> Mallory {
    Mallory { version: Some(version), ..Mallory::default() }
}

/// Says that nobody has this mailbox.
pub fn shuts_a_mailbox(mailbox: sealpost_spec::mailbox::MailboxId) -> Mallory {
    Mallory {
        request: Some(Box::new(move |_, request| match request {
            Request::Deliver { envelope, .. } if envelope.mailbox == mailbox => Some(Err(Refusal::NoSuchMailbox)),
            _ => None,
        })),
        ..Mallory::default()
    }
}
