//! Lies about messages.

use sealpost_crypto::session::VerifiedBundle;
use sealpost_spec::mailbox::{Envelope, EnvelopeId, MailboxId, Push, Seq};
use sealpost_spec::message::{Body, Receipt};
use sealpost_spec::relay::{Answer, Notice, NoticeId, Request};
use sealpost_spec::wire::Signed;

use crate::mallory::puppet::Puppet;
use crate::mallory::{BendPush, Mallory};

fn pushing(push: BendPush) -> Mallory {
    Mallory { push: Some(push), ..Mallory::default() }
}

/// Bends each envelope that is pushed; other pushes go through.
fn bends_envelopes(mut bend: impl FnMut(&mut EnvelopeId, &mut Vec<u8>) + Send + 'static) -> Mallory {
    pushing(Box::new(move |_, mut push| {
        if let Push::Envelope { id, sealed, .. } = &mut push {
            bend(id, &mut sealed.0);
        }
        vec![push]
    }))
}

/// Says *accepted* and throws away what is for this mailbox.
pub fn drops(mailbox: MailboxId) -> Mallory {
    Mallory {
        request: Some(Box::new(move |_, request| match request {
            Request::Deliver { envelope, .. } if envelope.mailbox == mailbox => {
                Some(Ok(Answer::Accepted { seq: Seq(77) }))
            }
            _ => None,
        })),
        ..Mallory::default()
    }
}

/// Pushes nothing: it stays with her.
pub fn delays() -> Mallory {
    pushing(Box::new(|_, push| match push {
        Push::Envelope { .. } => Vec::new(),
        push => vec![push],
    }))
}

/// Pushes envelopes in twos, the second one first; an odd one waits.
pub fn reorders() -> Mallory {
    let mut first = None;
    pushing(Box::new(move |_, push| match (push, first.take()) {
        (push @ Push::Envelope { .. }, Some(first)) => vec![push, first],
        (push @ Push::Envelope { .. }, None) => {
            first = Some(push);
            Vec::new()
        }
        (push, waiting) => {
            first = waiting;
            vec![push]
        }
    }))
}

/// Pushes everything so many times.
pub fn duplicates(times: usize) -> Mallory {
    pushing(Box::new(move |_, push| vec![push; times]))
}

/// Flips a bit in the middle of each box.
pub fn bends_boxes() -> Mallory {
    bends_envelopes(|_, sealed| {
        let middle = sealed.len() / 2;
        if let Some(byte) = sealed.get_mut(middle) {
            *byte ^= 1;
        }
    })
}

/// Gives each envelope another id.
pub fn relabels() -> Mallory {
    bends_envelopes(|id, _| id.0[0] ^= 1)
}

/// What she has of an envelope, as a push.
pub fn push_of(envelope: &Envelope, seq: u64) -> Push {
    Push::Envelope { seq: Seq(seq), id: envelope.id, sealed: envelope.sealed.clone() }
}

/// Words of her own for somebody, under somebody else's certificate.
pub fn impersonates(puppet: &mut Puppet, victim: &VerifiedBundle, sender: Signed, words: &str, now: u64) -> Push {
    let content = puppet.content(1, now, Body::Text(words.to_owned()));
    push_of(&puppet.first_message(victim, sender, &content).1, 2_000_000)
}

/// A receipt of her own for everything, under somebody else's certificate.
pub fn forges_a_receipt(puppet: &mut Puppet, victim: &VerifiedBundle, sender: Signed, now: u64) -> Push {
    let receipt = Receipt { read: true, through: 1_000, also: Vec::new() };
    let content = puppet.content(0, now, Body::Receipt(receipt));
    push_of(&puppet.first_message(victim, sender, &content).1, 2_000_001)
}

/// An operator's notice with all that a terminal obeys: title, clipboard, screen, 8-bit control, overwriting, direction.
pub fn control_characters(now: u64) -> Push {
    let text = "\u{1b}]0;PWNED\u{7}\u{1b}]52;c;UFdORUQ=\u{7}\u{1b}[2J\u{9b}31mgood\rEVIL \u{202e}desrever";
    Push::Notice(Notice { id: NoticeId([66; 16]), time: now, text: text.to_owned() })
}
