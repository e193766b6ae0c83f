//! Where the corpora began: the test vectors, and what two people and a relay really say.

mod asked;

use data_encoding::HEXLOWER_PERMISSIVE;
use sealpost_crypto::identity::delivery_token;
use sealpost_spec::mailbox::{Envelope, EnvelopeId, MailboxId, Push, Seq};
use sealpost_spec::message::{Body, Content, ContentId, Receipt, Sealing};
use sealpost_spec::relay::{
    Answer, ClientHello, LinkKind, Notice, NoticeId, Refusal, Registering, RelayHello, Request, WorkPrice,
};
use sealpost_spec::room::{Post, RoomName};
use sealpost_spec::transparency::TreeHead;
use sealpost_spec::wire::{Bytes, ClientFrame, RelayFrame, VERSION, encode, frame};

use super::key::locker;
use super::people::{self, NOW, couple, dice};

/// One input of a target.
pub type Seed = (&'static str, Vec<u8>);

/// All of them. `vectors`: the texts of `spec/vectors`.
pub fn all(vectors: &[String]) -> Vec<Seed> {
    let mut seeds = from_vectors(vectors);
    seeds.extend(wire());
    seeds.extend(layouts());
    seeds.extend(others());
    seeds.extend(asked::seeds());
    seeds.extend(files());
    seeds
}

fn with(kind: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[kind], bytes.as_ref()].concat()
}

fn from_vectors(vectors: &[String]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for block in vectors.iter().flat_map(|text| text.split("\n\n")) {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let hex = |name: &str| HEXLOWER_PERMISSIVE.decode(field(name).as_bytes()).unwrap_or_default();
        let signed = || [&(hex("body").len() as u64).to_le_bytes()[..], &hex("body"), &hex("signature")].concat();
        let trimmed = |mut bytes: Vec<u8>| {
            // Zeros at the end come back by themselves.
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.truncate(end);
            [&[0], &bytes[..]].concat()
        };
        let seed = match field("kind").as_str() {
            "name" | "skeleton" => ("text", with(0, field("text"))),
            "contact-link" => ("text", with(3, field("text"))),
            "device-list" => ("layouts", with(2, hex("bytes"))),
            "prekey" => ("layouts", with(3, hex("bytes"))),
            "signed-device-list" | "signed-prekey" | "signed-receipt" => ("layouts", with(10, signed())),
            "session-message" => ("layouts", with(7, hex("bytes"))),
            "accept" => ("session", with(0x60, hex("message"))),
            "sealing" => ("layouts", with(9, trimmed(hex("bytes")))),
            "sealed-box" => ("layouts", with(8, trimmed(hex("bytes")))),
            "client-hello" => ("layouts", with(0, hex("bytes"))),
            "relay-hello-none" | "relay-hello" => ("layouts", with(1, hex("bytes"))),
            "client-frame" => ("wire", with(0, hex("bytes"))),
            "relay-frame" => ("wire", with(1, hex("bytes"))),
            "content" => ("wire", with(4, hex("bytes"))),
            "post" => ("wire", with(9, hex("bytes"))),
            _ => continue,
        };
        seeds.push(seed);
    }
    seeds
}

fn wire() -> Vec<Seed> {
    let couple = couple();
    let (alice, bob) = (&couple.alice, &couple.bob);
    let content = |body| Content {
        id: ContentId([1; 16]),
        number: 1,
        sent_at: NOW,
        expire_after: Some(60),
        token: Some(delivery_token(&mut dice(1))),
        tree_head: TreeHead::NONE,
        body,
    };
    let target = ContentId([2; 16]);
    let bodies = [
        Body::Text("hello".into()),
        Body::Edit { target, text: "hallo".into() },
        Body::Delete { target },
        Body::Reply { target, text: "yes".into() },
        Body::Reaction { target, emoji: "👍".into() },
        Body::Receipt(Receipt { read: true, through: 7, also: vec![9, 11] }),
        Body::Timer(None),
        Body::DeviceSync(Bytes(vec![1, 2])),
        Body::Repair(vec![EnvelopeId([3; 16])]),
    ];
    let mut seeds: Vec<Seed> =
        bodies.into_iter().map(|body| ("wire", with(4, encode(&content(body)).unwrap()))).collect();
    let envelope = Envelope { mailbox: MailboxId([4; 16]), id: EnvelopeId([5; 16]), sealed: Bytes(vec![6; 32]) };
    let post = Post { head: people::post_head().clone(), author: alice.list.clone(), body: Some(Bytes(Vec::new())) };
    let room = RoomName::lobby();
    let requests = [
        Request::Publish(bob.published()),
        Request::Acknowledge(vec![(Seq(1), EnvelopeId([5; 16]))]),
        Request::FetchBundle(bob.party.name.clone()),
        Request::Deliver { token: None, envelope: envelope.clone() },
        Request::Post(post.clone()),
        Request::Follow { room: room.clone(), after: Seq(3) },
        Request::Members { room: room.clone(), after: None },
        Request::Room { room: room.clone(), receipt: None },
    ];
    for request in requests {
        let body = Bytes(encode(&request).unwrap());
        let asked = encode(&ClientFrame::Request { id: 1, work: None, body }).unwrap();
        seeds.push(("wire", with(23, frame(&asked).unwrap())));
        seeds.push(("link", [&[5, 1][..], &[asked.len().min(255) as u8], &asked].concat()));
        seeds.push(("wire", with(0, asked)));
    }
    let answers = [
        RelayFrame::Answer { id: 1, answer: Ok(Answer::Accepted { seq: Seq(1) }) },
        RelayFrame::Answer { id: 2, answer: Err(Refusal::WorkNeeded { bits: 18 }) },
        RelayFrame::Answer { id: 3, answer: Ok(Answer::Devices(bob.list.clone())) },
        RelayFrame::Push(Push::Envelope { seq: Seq(1), id: envelope.id, sealed: envelope.sealed.clone() }),
        RelayFrame::Push(Push::Post { room, seq: Seq(1), post: post.clone() }),
        RelayFrame::Push(Push::Notice(Notice { id: NoticeId([2; 16]), time: 3, text: "back at 9".into() })),
        RelayFrame::Ping(7),
        RelayFrame::Goodbye(Refusal::Kicked { reason: "late".into() }),
        RelayFrame::Redirect("b.example:7443".into()),
    ];
    seeds.extend(answers.iter().map(|answer| ("wire", with(1, encode(answer).unwrap()))));
    seeds.push(("wire", with(9, encode(&post).unwrap())));
    seeds.push(("layouts", with(11, encode(&post).unwrap())));
    seeds
}

fn layouts() -> Vec<Seed> {
    let couple = couple();
    let mut seeds: Vec<Seed> = Vec::new();
    for kind in [LinkKind::Authenticated, LinkKind::Anonymous] {
        let hello = ClientHello { lowest: 1, highest: 2, kind }.layout();
        seeds.push(("link", [&[0, 0][..], &frame(&hello).unwrap()].concat()));
        seeds.push(("layouts", with(0, hello)));
    }
    let hello = RelayHello {
        store: sealpost_spec::mailbox::StoreId([1; 16]),
        challenge: [2; 32],
        time: NOW,
        registering: Registering::Open,
        work: WorkPrice { fetch: 18, deliver: 18 },
        tree_head: TreeHead::NONE,
    };
    seeds.push(("layouts", with(1, hello.layout(VERSION).unwrap())));
    for signed in couple.alice.signed().chain([people::receipt(), people::post_head()]) {
        seeds.push(("layouts", with(10, encode(signed).unwrap())));
    }
    seeds.push(("layouts", with(4, &people::receipt().body.0)));
    seeds.push(("layouts", with(5, &people::post_head().body.0)));
    for message in couple.first.iter().chain([&couple.exhausted, &couple.to_alice]) {
        seeds.push(("layouts", with(7, message)));
        seeds.push(("layouts", with(6, &message[2..])));
    }
    let list = couple.alice.list.clone();
    let sealing = Sealing { device: sealpost_spec::account::DeviceId::FIRST, list, message: couple.to_bob.clone() };
    let padded = sealing.padded().unwrap();
    let used = padded.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    seeds.push(("layouts", [&[9, 0][..], &padded[..used]].concat()));
    seeds
}

fn others() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for choice in 0..8_u8 {
        // Undamaged, one bit of the header and one byte of the rest.
        for damage in [&[][..], &[0, 0, 40, 0], &[0, 1, 255, 8, 9]] {
            seeds.push(("session", with(choice << 4, damage)));
            seeds.push(("sealed", with(choice, damage)));
            seeds.push(("state", with(choice << 3, damage)));
            seeds.push(("vault", with(choice % 4, damage)));
        }
    }
    for choice in 8..10_u8 {
        seeds.push(("state", with(choice << 3 | (choice - 6), [])));
    }
    for kind in 5..8_u8 {
        seeds.push(("state", with(kind << 3 | 1, [])));
    }
    seeds.push(("state", with(0, locker().bytes_of(&couple().bobs))));
    seeds.push(("sealed", [&[0][..], &super::sealed::genuine()[..1200]].concat()));
    for line in [
        "/dm bob hello there",
        "//slash",
        " /dm bob",
        "/jion x",
        "/trust bob abc",
        "/help dm",
        "hello",
        "/verify ok",
        "",
    ] {
        seeds.push(("lines", with(2, line)));
    }
    for line in [
        r#"{"v":1,"id":1,"command":{"command":"send","to":"bob","text":"hi\n","wait":"sent","timeout_ms":1}}"#,
        r#"{"v":1,"id":2,"command":{"command":"recv","from":null,"limit":3,"follow":false,"timeout_ms":0}}"#,
        r#"{"v":1,"id":3,"command":{"command":"verify","name":"bob","mark":"12345"}}"#,
        r#"{"v":1,"id":4,"command":{"command":"me"}}"#,
    ] {
        seeds.push(("lines", with(0, line)));
    }
    for line in [
        r#"{"event":"state","id":"00ff","conversation":"@bob","state":"sent"}"#,
        r#"{"event":"error","code":"usage","exit":2,"message":"no","try":"yes"}"#,
        r#"{"event":"message","id":"1","conversation":"@a","from":"@a","verified":true,"trust":"verified","sent_at":"x","text":"t","kind":"text","state":"received"}"#,
    ] {
        seeds.push(("lines", with(1, line)));
    }
    let key = "a".repeat(52);
    for (kind, text) in [
        (0, "alice".to_owned()),
        (0, "rn0_vv.c1".to_owned()),
        (1, "#lobby".to_owned()),
        (2, format!("sealpost://a.example.org,[::1]:7443/{key}")),
        (3, format!("sealpost://a:1/{key}/alice?fp={key}&invite=A-1")),
        (4, key.clone()),
        (5, "[::1]".to_owned()),
        (6, "abandon ".repeat(24)),
        (7, "a\u{1b}]52;c;\u{7}\u{202e}x\r\n\u{301}👩‍👩‍👧".to_owned()),
    ] {
        seeds.push(("text", with(kind, text)));
    }
    for text in [
        "register = 'closed'\nlisten = '127.0.0.1:1'\n[work]\nfetch = 1\n",
        "host = ['a.example', '[::1]']\ndata = '/tmp/x'\ndumpable = true\n",
        "[rates.logins]\nburst = 1\nevery_ms = 4294967295\n[links]\nhandshakes = 7\n",
        "[rates.fetches]\nburst = 4294967295\nevery_ms = 4294967295\n",
        "listn = 'x'",
    ] {
        seeds.push(("config", text.as_bytes().to_vec()));
    }
    // Say, answer, restart, turn by turn; then at once, shuffled, damaged; then to the limits.
    for acts in [
        &[0x00, 0x04, 0x10, 0x04, 0x0b, 0x1b, 0x00, 0x04, 0x10, 0x04][..],
        &[0x3d, 0x00, 0x10, 0x20, 0x30, 0x0a, 0x0c, 0x1c, 0x09, 0x04, 0x04, 0xf4, 0x04, 0x04],
        &[0x00, 0x04, 0xaf, 0x04, 0x04, 0x10, 0x04, 0xbf, 0x04, 0xcf, 0x04, 0xf4],
        // The last of 1,001 and of 1,002 messages before any other, in a first chain and in a later one.
        &[0xaf, 0xf4, 0x04],
        &[0xcf, 0xf4, 0x04],
        &[0x00, 0x04, 0x10, 0x04, 0xaf, 0xf4, 0x04, 0x10, 0x04, 0xcf, 0xf4, 0x04],
        &[0x00, 0x04, 0x0d, 0x00, 0x20, 0x09, 0x09, 0x04, 0x04, 0x7e, 0x04, 0x0e, 0x00, 0x10, 0x04],
    ] {
        seeds.push(("talk", acts.to_vec()));
    }
    // Link by link: log in, ask, deliver, post; the numbers are those of the target's acts.
    for acts in [
        &[0, 0, 0, 1, 6, 0, 1, 0, 1, 0, 5, 1, 0, 1][..],
        &[0, 0, 1, 1, 6, 0, 1, 0, 2, 7, 0, 1, 0, 3, 1, 1, 1, 0],
        &[1, 0, 1, 1, 6, 0, 1, 0, 2, 5, 1, 1, 80, 2, 30, 3, 4],
    ] {
        seeds.push(("relay", acts.to_vec()));
        seeds.push(("relay", acts.repeat(3)));
    }
    seeds
}

/// Files that are whole, cut short, or altered in one place; and chunks in their order, and not.
fn files() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for kind in 0..4_u8 {
        for damage in [&[][..], &[0, 0, 40, 0], &[0, 2, 40, 1], &[0, 1, 255, 8, 9]] {
            for target in ["archive", "copy", "segments"] {
                seeds.push((target, with(kind, damage)));
            }
        }
    }
    let size = 100_000_u64.to_le_bytes();
    for chunks in [&[0, 0, 2, 1, 1, 2, 2, 2, 2][..], &[0, 0, 0, 0, 0, 40, 0, 1, 0, 2], &[0, 3, 2, 1, 7, 2]] {
        seeds.push(("blob", [&size, chunks].concat()));
    }
    seeds.push(("page", with(0, "GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")));
    for path in 0..12_u8 {
        for (method, choice) in [(0, 0xff), (1, 0xff), (1, 0x0f)] {
            seeds.push(("page", vec![1, method, path, path % 6, choice, 0, path % 4]));
        }
    }
    // Log in, ask, and say what is none.
    for acts in
        [&[0, 0, 1, 7, 0, 0, 14, 0, 7, 1, 0, 6][..], &[2, 0, 7, 0, 5, 1, 3, 1, 2, 9, 9], &[1, 1, 1, 0, 0, 7, 0, 3]]
    {
        seeds.push(("login", acts.to_vec()));
        seeds.push(("login", acts.repeat(3)));
    }
    seeds
}
