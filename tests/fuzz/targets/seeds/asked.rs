//! Lines that operators and programs really write.

use super::Seed;

/// Each for its own target.
pub fn seeds() -> Vec<Seed> {
    let mut seeds: Vec<Seed> = Vec::new();
    for line in [
        r#"{"command":"status"}"#,
        r#"{"command":"users","after":"alice"}"#,
        r#"{"command":"kick","name":"bob","reason":"too loud"}"#,
        r#"{"command":"ban","name":"bob","reason":"spam"}"#,
        r#"{"command":"unban","name":"bob","account":"00ff"}"#,
        r#"{"command":"bans","after":null}"#,
        r#"{"command":"release","name":"alice"}"#,
        r#"{"command":"invite","uses":3,"expire_s":3600,"label":"for the choir"}"#,
        r#"{"command":"invites"}"#,
        r#"{"command":"withdraw","invite":"0123"}"#,
        r#"{"command":"rooms"}"#,
        r#"{"command":"retention","room":"lobby","posts":1,"age_s":60}"#,
        r#"{"command":"delete-post","post":"00000000000000000000000000000000"}"#,
        r#"{"command":"limits"}"#,
        r#"{"command":"mailbox","name":"bob","envelopes":5,"bytes":9000}"#,
        r#"{"command":"mailbox","name":"bob","reset":true}"#,
        r#"{"command":"notice","text":"back at nine"}"#,
        r#"{"command":"notice","withdraw":true}"#,
        r#"{"command":"drain"}"#,
        r#"{"command":"reopen"}"#,
    ] {
        seeds.push(("operator", line.as_bytes().to_vec()));
        seeds.push((
            "operator",
            [line, "{\"command\":\"ban\",\"name\":\"alice\"}", line, r#"{"command":"users"}"#].join("\n").into(),
        ));
    }
    for (number, call) in (0_u8..).zip([
        r#"{"jsonrpc":"2.0","id":1,"method":"me"}"#,
        r##"{"jsonrpc":"2.0","id":"x","method":"send","params":{"to":"#games","text":"hi"}}"##,
        r#"{"jsonrpc":"2.0","id":2,"method":"history","params":{"with":"bob","limit":5}}"#,
        r#"{"jsonrpc":"2.0","method":"delete","params":{"id":"0123","within":"@bob"}}"#,
        r#"{"jsonrpc":"2.0","id":3,"method":"topic","params":{"room":"\u0023games","text":null}}"#,
        r#"{"jsonrpc":"2.0","id":4,"method":"bot_add","params":{"name":"x","conversations":[],"read_only":false}}"#,
        r#"{"jsonrpc":"2.0","id":5,"method":"verify","params":{"name":"bob","mark":"12345"}}"#,
        r#"{"jsonrpc":"2.0","id":6,"method":"subscribe","params":{}}"#,
    ]) {
        for choice in [number, number + 4] {
            seeds.push(("rpc", [&[choice], call.as_bytes()].concat()));
            seeds.push(("rpc", [&[choice], format!("[{call},{call},1]").as_bytes()].concat()));
        }
    }
    seeds
}
