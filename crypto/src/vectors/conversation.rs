//! Vectors of the kind `conversation`: what both sides of a session do, step after step, with what they draw.
use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use sealpost_spec::account::PrekeyRole;

use super::*;

/// Dice that fall as the vector says: each draw takes the next bytes.
struct Drawn(Vec<u8>);

impl TryRng for Drawn {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("a session draws bytes only")
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        panic!("a session draws bytes only")
    }
    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        assert!(to.len() <= self.0.len(), "{} bytes more are drawn than the vector has", to.len() - self.0.len());
        to.copy_from_slice(&self.0.drain(..to.len()).collect::<Vec<u8>>());
        Ok(())
    }
}
impl TryCryptoRng for Drawn {}

/// One person's side of the conversation.
struct Side {
    party: Party,
    device: DeviceSecret,
    session: Option<Session>,
    today: u32,
}

impl Side {
    fn of(vector: &Vector<'_>, name: &str) -> Self {
        let device = vector.device(&format!("{name}-device-seed"), &format!("{name}-identity"));
        Self { party: party(&vector.bytes(name)), device, session: None, today: 20_000 }
    }
    fn session(&self) -> &Session {
        self.session.as_ref().unwrap()
    }
    fn state(&self) -> Vec<u8> {
        self.session().leave(pass()).to_vec()
    }
}

/// Every step comes out as it says, and a message that is refused leaves the state as it was, to the last byte.
/// [MSG-8] [MSG-11] [MSG-13] [MSG-14] [MSG-15] [MSG-16] [MSG-34] [MSG-35]
pub(super) fn holds(vector: &Vector<'_>) -> Result<bool, Refused> {
    let (mut alice, mut bob) = (Side::of(vector, "alice"), Side::of(vector, "bob"));
    let mut made: HashMap<usize, Vec<u8>> = HashMap::new();
    let mut held = true;
    for number in 1.. {
        let Some(step) = vector.0.get(format!("step-{number}").as_str()) else { break };
        let words: Vec<&str> = step.split(' ').collect();
        let (who, does, values) = (words[0], words[1], &words[2..]);
        let value = |at: usize| match values[at] {
            "-" => Vec::new(),
            text => match text.strip_prefix('@') {
                Some(step) => made[&step.parse().unwrap()].clone(),
                None => hex(text),
            },
        };
        let (side, other) = if who == "alice" { (&mut alice, &bob) } else { (&mut bob, &alice) };
        let came_out = match does {
            "begins" => {
                let (mut drawn, bundle) = (Drawn(value(0)), bundle(vector, other));
                let session = Session::initiate(&side.party, &side.device, &bundle, &mut drawn)?;
                side.session = Some(session);
                drawn.0.is_empty()
            }
            "encrypts" => {
                let mut drawn = Drawn(value(0));
                let (next, message) = side.session().encrypt(&value(1), &mut drawn)?;
                side.session = Some(next);
                let same = message == value(2);
                made.insert(number, message);
                same && drawn.0.is_empty()
            }
            "accepts" => {
                let message = value(0);
                let (session, plaintext) = vector
                    .with_prekeys(|keys| Session::accept(&side.party, &side.device, keys, &other.party, &message))?;
                side.session = Some(session);
                *plaintext == value(1)
            }
            "reads" => {
                let (next, plaintext) = side.session().decrypt(&value(0))?;
                side.session = Some(next);
                *plaintext == value(1)
            }
            "waits" => {
                for _ in 0..values[0].parse::<u32>().unwrap() {
                    side.today += 1;
                    side.session = side.session().expire_skipped(side.today).or(side.session.take());
                }
                true
            }
            "refuses" => {
                let before = side.state();
                side.session().decrypt(&value(0)).is_err() && side.state() == before
            }
            other => panic!("nobody {other}"),
        };
        if !came_out {
            eprintln!("{}: step {number}, {who} {does}, did not", vector.text("name"));
        }
        held &= came_out;
    }
    Ok(held)
}

/// Bob's bundle; its box key has no part in a session.
fn bundle(vector: &Vector<'_>, bob: &Side) -> VerifiedBundle {
    let party = &bob.party;
    let key = PrekeySecret::generate(PrekeyRole::Box, PrekeyId(1), 0, &bob.device, &mut Drawn(vec![1; 32]));
    let bundle = DeviceBundle {
        device: party.device.id,
        signed: vector.served("spk"),
        one_time: Some(vector.served("opk")),
        kem: vector.served("pqpk"),
        box_key: key.signed().clone(),
    };
    let list = DeviceList { number: 1, name: party.name.clone(), account: party.account, devices: vec![party.device] };
    VerifiedBundle::verify(&bundle, &list).unwrap()
}
