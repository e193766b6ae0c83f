//! Events as text for people. What others wrote is shown through [`Text`] alone, whichever field it stands in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::{beside, decision, of_oneself};
use super::screen::Screen;
use super::{qr, slash};
use crate::api::{
    Bot, Error, Event, Found, Kind, Message, Shown, State, Text, Transfer, Trust, Way, bytes_in_words, in_words,
};

/// The lines of an event; `None` where there is nothing to say.
pub(super) fn line(event: &Event, screen: &Screen) -> Option<Shown> {
    match event {
        Event::Me { name, fingerprint, link, relay } => Some(me(name, fingerprint, link, relay, screen)),
        Event::Safety { name, number, code, trust } => Some(safety(name, number, code, *trust, screen)),
        Event::DeviceRequest { request, code } => Some(device_request(request, code, screen)),
        event => words(event, screen).map(Shown::from),
    }
}

fn words(event: &Event, screen: &Screen) -> Option<String> {
    Some(match event {
        Event::Me { .. } | Event::Safety { .. } | Event::DeviceRequest { .. } => return None,
        Event::Message(message) => self::message(message, screen),
        Event::Queued { .. } | Event::Taken | Event::Done | Event::End => return None,
        Event::State { conversation, state, .. } => {
            format!("  {} {}", said(conversation), moved(*state)?)
        }
        Event::Gap { conversation, from, missing } => {
            let noun = if *missing == 1 { "message" } else { "messages" };
            format!("--- {}: {missing} {noun} of {} missing here ---", said(conversation), said(from))
        }
        Event::Refused { conversation, reason } => {
            let place = conversation.as_deref().map_or_else(String::new, |place| format!("{}: ", said(place)));
            format!("--- {place}something was refused: {} ---", said(reason))
        }
        Event::KeyChanged { name, old, new } => key_changed(name, old, new, screen.slash),
        Event::NewDevice { name, device, replaces } => {
            let before = if *replaces { "; the one before is gone" } else { "" };
            format!("--- {} has a new device, number {device}, of the same key{before} ---", account(name))
        }
        Event::Restored { name } => format!("--- {} ---", restored(name.as_deref())),
        Event::Contact { name, fingerprint, trust, blocked, accepted, unread, changed, label, display } => {
            let mut marks = vec![trust.words().to_owned()];
            if let Some(changed) = changed {
                marks.push(format!("now {}", said(changed)));
            }
            if *blocked {
                marks.push("blocked".to_owned());
            }
            if !accepted {
                marks.push("has written to you, not answered yet".to_owned());
            }
            if *unread > 0 {
                marks.push(format!("{unread} unread"));
            }
            let beside = beside(label.as_ref(), display.as_ref());
            format!("{:<20} {}  {}{beside}", account(name), said(fingerprint), marks.join(", "))
        }
        Event::Person { .. } => person(event)?,
        Event::About { conversation, from, display, away } => {
            format!("--- {}: {} {} ---", said(conversation), said(from), of_oneself(display.as_ref(), away.as_ref()))
        }
        Event::Typing { from, on, .. } => {
            format!("  {} {}", said(from), if *on { "is typing" } else { "stopped typing" })
        }
        Event::Settings { read_receipts, typing } => {
            let told = |on: &bool| if *on { "told to people you accepted" } else { "told to nobody" };
            format!("what you read      {}\nwhen you type      {}", told(read_receipts), told(typing))
        }
        Event::Conversation { .. } => conversation(event, screen)?,
        Event::Room { name, members, posts, joined, topic, creator } => {
            let joined = if *joined { "  joined" } else { "" };
            let (members, posts) = (count(u64::from(*members), "member"), count(*posts, "post"));
            let creator = creator.as_ref().map_or_else(String::new, |name| format!("  made by {}", account(name)));
            let topic = topic.as_ref().map_or_else(String::new, |topic| format!("\n    {}", topic.on_one_line()));
            format!("{:<24} PUBLIC  {members}, {posts}{joined}{creator}{topic}", said(name))
        }
        Event::Presence { room, name, online, creator, label, display, away } => {
            let online = if *online { "online " } else { "offline" };
            let creator = if *creator { "  made the room" } else { "" };
            let away = away.as_ref().map_or_else(String::new, |why| format!("  away: {}", why.on_one_line()));
            let beside = beside(label.as_ref(), display.as_ref());
            format!("{:<24} {online}  {}{creator}{beside}{away}", account(name), said(room))
        }
        Event::Status { name, relay, connection, transport, queued, unconfirmed, drained } => format!(
            "name         {}\nrelay        {}\nconnection   {}\ntransport    {}\nqueued       {queued}\n\
             unconfirmed  {unconfirmed}\nmailbox      {}",
            account(name),
            said(relay),
            said(connection),
            if transport.is_empty() { said("none") } else { said(transport) },
            if *drained { "read to its end" } else { "not read to its end yet" },
        ),
        Event::Progress(transfer) => self::transfer(transfer),
        Event::Check { what, found, detail, advice } => {
            let mark = match found {
                Found::Ok => "ok  ",
                Found::Warn => "warn",
                Found::Fail => "FAIL",
            };
            let line = format!("{mark}  {:<14} {}", said(what), said(detail));
            match advice {
                Some(advice) => format!("{line}\n      try: {}", said(&advised(advice, screen.slash))),
                None => line,
            }
        }
        Event::Device { device, this, code } => {
            let code = code.as_ref().map_or_else(String::new, |code| format!("  {}", said(code)));
            format!("device {device}{code}{}", if *this { ", this one" } else { "" })
        }
        Event::Relay { name, address } => format!("{:<20} {}", said(name), said(address)),
        Event::Profile { name, held } => {
            format!("{}{}", said(name), if *held { "  in use" } else { "" })
        }
        Event::Listening { at } => said(at).to_string(),
        Event::Bot(bot) => self::bot(bot),
        Event::BotRemoved { name } => format!("--- the program {} has no token any more ---", said(name)),
        Event::Notice { time, text, .. } => {
            format!("--- {}, the relay's operator to everybody: {} ---", self::time(time), text.on_one_line())
        }
        Event::Connection { online, detail } => {
            format!("--- {}: {} ---", if *online { "online" } else { "offline" }, said(detail))
        }
        Event::Error(error) => self::error(error, screen.slash).trim_end().to_owned(),
    })
}

/// A program, with its token where it has just been made.
fn bot(bot: &Bot) -> String {
    let places: Vec<String> = bot.conversations.iter().map(|one| said(one).to_string()).collect();
    let places = if places.is_empty() { "everything".to_owned() } else { places.join(" ") };
    let may = if bot.read_only { "reads" } else { "reads and writes" };
    let line = format!("{:<20} {may} {places}", said(&bot.name));
    match &bot.token {
        Some(token) => {
            format!("{line}\n{}\nThe token is shown once. Whoever has it can do the same.", said(token))
        }
        None => line,
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Text that may have come from somebody else, on one line.
pub(super) fn said(text: &str) -> Shown {
    Text::new(text).on_one_line()
}

/// A name with its `@`.
pub(super) fn account(name: &str) -> Shown {
    let name = said(name);
    if name.starts_with('@') { name } else { format!("@{name}").into() }
}

/// That somebody's profile, or one's own, goes on from an older copy.
pub(super) fn restored(name: Option<&str>) -> String {
    match name {
        Some(name) => {
            format!("{} goes on from an older copy of their profile, and may lack what was said since", account(name))
        }
        None => "this profile was copied or restored: all sessions start anew".to_owned(),
    }
}

/// What stands beside every conversation.
pub(super) fn privacy(conversation: &str) -> &'static str {
    if conversation.starts_with('#') { "PUBLIC" } else { "E2E" }
}

/// The three parts of an error, each on its line.
pub(super) fn error(error: &Error, slash: bool) -> Shown {
    let mut shown = format!("error: {}\n", said(&error.message));
    if let Some(cause) = &error.cause {
        shown.push_str(&format!("cause: {}\n", said(cause)));
    }
    if let Some(advice) = &error.advice {
        shown.push_str(&format!("try: {}\n", said(&advised(advice, slash))));
    }
    shown.into()
}

/// Where there is a line to type in, `sealpost trust bob X` is `/trust bob X`.
fn advised(advice: &str, slash: bool) -> String {
    let bare = advice.strip_prefix("sealpost ").filter(|_| slash);
    let known = bare.filter(|bare| slash::knows(bare.split(' ').next().unwrap_or_default()));
    known.map_or_else(|| advice.to_owned(), |bare| format!("/{bare}"))
}

/// A line of the list of conversations.
fn conversation(event: &Event, screen: &Screen) -> Option<String> {
    let Event::Conversation {
        name,
        trust,
        unread,
        mentions,
        muted,
        request,
        blocked,
        joined,
        topic,
        creator,
        label,
        display,
        draft,
        expire_after,
        last,
    } = event
    else {
        return None;
    };
    let mut marks = Vec::new();
    marks.extend(trust.map(|trust| trust.words().to_owned()));
    if *unread > 0 {
        marks.push(format!("{unread} unread"));
    }
    if *mentions > 0 {
        marks.push(format!("{mentions} mention you"));
    }
    let flags = [
        (*request, "a stranger: accept, refuse or block"),
        (*blocked, "blocked"),
        (*muted, "muted"),
        (*joined == Some(false), "left"),
    ];
    marks.extend(flags.iter().filter(|(on, _)| *on).map(|(_, words)| (*words).to_owned()));
    marks.extend(expire_after.map(|seconds| format!("deleted after {}", in_words(seconds))));
    if draft.is_some() {
        marks.push("a draft".to_owned());
    }
    marks.extend(creator.as_ref().map(|name| format!("made by {}", account(name))));
    let beside = beside(label.as_ref(), display.as_ref());
    let marks = format!("{}{beside}", marks.join(", "));
    let mut shown = format!("{:<20} {:<6}  {marks}", said(name), privacy(name)).trim_end().to_owned();
    if let Some(topic) = topic {
        shown.push_str(&format!("\n    topic: {}", topic.on_one_line()));
    }
    if let Some(last) = last {
        shown.push_str(&format!("\n    {}", self::message(last, screen).replace('\n', "\n    ")));
    }
    if let Some(draft) = draft {
        shown.push_str(&format!("\n    draft: {}", draft.shown().replace('\n', "\n    ")));
    }
    Some(shown)
}

fn message(message: &Message, screen: &Screen) -> String {
    let own = message.state != State::Received;
    let public = message.conversation.starts_with('#');
    let from = account(&message.from);
    let named = format!("{from}{}", beside(message.label.as_ref(), message.display.as_ref()));
    let place = said(&message.conversation);
    let who = match (public, own) {
        (true, _) => format!("{place} {named}"),
        (false, true) => format!("{from} to {place}"),
        (false, false) => named,
    };
    let mark = if own { moved(message.state).unwrap_or("queued") } else { message.trust.words() };
    let request = if message.request { ", a stranger: accept, refuse or block" } else { "" };
    let id = if screen.verbose { format!("{} ", said(&message.id)) } else { String::new() };
    let head = format!("{id}{} {} {who} ({mark}{request})", time(&message.sent_at), privacy(&message.conversation));
    // Further lines are indented, so that none can pass for a message of somebody else.
    let text = message.text.shown().replace('\n', "\n    ");
    let target = message.target.as_deref().map(short).unwrap_or_default();
    let edited = if message.edited { " (edited)" } else { "" };
    let text = if message.action { format!("* {from} {text}{edited} *") } else { format!("{text}{edited}") };
    let shown = match message.kind {
        Kind::Text => format!("{head}: {text}"),
        Kind::Reply => format!("{head}, to {target}: {text}"),
        Kind::Edit => format!("{head} changed {target}: {text}"),
        Kind::Delete => format!("{head} deleted {target}"),
        Kind::Reaction if message.text.as_raw().is_empty() => format!("{head} took the reaction to {target} back"),
        Kind::Reaction => format!("{head} reacted to {target}: {}", message.text.on_one_line()),
        Kind::Join => format!("{head} joined"),
        Kind::Leave => format!("{head} left"),
        Kind::Removed => format!("{head}: ({text})"),
        Kind::Timer => format!("{head} set: {text}"),
        Kind::File => format!("{head}: {}", file(message, screen.slash)),
        Kind::Topic | Kind::Kick | Kind::Ban | Kind::Unban | Kind::Remove | Kind::Name | Kind::Away => {
            format!("{head} {}", decision(message).unwrap_or_default())
        }
    };
    shown + &reactions(message)
}

/// What a message says that announces a file.
pub(super) fn file(message: &Message, slash: bool) -> String {
    let Some(file) = &message.file else { return format!("file {}", message.text.on_one_line()) };
    let id: String = message.id.chars().take(8).collect();
    let shown = format!("file {} ({})", file.name.on_one_line(), bytes_in_words(file.size));
    let path = file.path.as_deref().map(said).unwrap_or_default();
    match (file.state, file.incoming) {
        (Way::Offered, _) => {
            format!("{shown}; to fetch it: {}", advised(&format!("sealpost get {}", said(&id)), slash))
        }
        (Way::Done, true) => format!("{shown}, saved as {path}"),
        (Way::Done, false) => shown,
        (Way::Moving, incoming) => {
            let percent = (u128::from(file.done) * 100).checked_div(u128::from(file.size)).unwrap_or(100);
            format!("{shown}, {} {percent} %", Way::Moving.words(incoming))
        }
        (way, incoming) => {
            let trouble = file.trouble.as_deref().map_or_else(String::new, |trouble| format!(": {}", said(trouble)));
            format!("{shown}, {}{trouble}", way.words(incoming))
        }
    }
}

/// A line of the list of files.
pub(super) fn transfer(transfer: &Transfer) -> String {
    let Transfer { id, conversation, incoming, name, size, done, state, path, trouble } = transfer;
    let way = if *incoming { "from" } else { "to" };
    let far = match state {
        Way::Waiting | Way::Reading | Way::Moving => {
            format!(", {} of {}", bytes_in_words(*done), bytes_in_words(*size))
        }
        _ => format!(", {}", bytes_in_words(*size)),
    };
    let id: String = id.chars().take(8).collect();
    let trouble = trouble.as_deref().map_or_else(String::new, |trouble| format!(": {}", said(trouble)));
    let at = path.as_deref().filter(|_| *incoming).map_or_else(String::new, |path| format!("  {}", said(path)));
    let (name, words) = (name.on_one_line(), state.words(*incoming));
    format!("{}  {way} {}  {name}  {words}{far}{trouble}{at}", said(&id), said(conversation))
}

/// All that is known of somebody, a line each.
fn person(event: &Event) -> Option<String> {
    let Event::Person {
        name,
        fingerprint,
        trust,
        label,
        display,
        away,
        blocked,
        accepted,
        changed,
        rooms,
        devices,
        first_seen,
        verified_since,
    } = event
    else {
        return None;
    };
    let mut lines = vec![account(name).to_string()];
    let mut tell = |what: &str, is: Shown| lines.push(format!("{what:<15}{is}"));
    let known = if *accepted { "" } else { ", nobody you have written to" };
    tell("key", format!("{}{known}", trust.words()).into());
    tell("fingerprint", said(fingerprint));
    if let Some(changed) = changed {
        tell("now", said(changed));
    }
    let texts = [("label", label), ("calls itself", display), ("away", away)];
    for (what, text) in texts {
        if let Some(text) = text {
            tell(what, text.on_one_line());
        }
    }
    for (what, at) in [("first seen", first_seen), ("verified since", verified_since)] {
        if let Some(at) = at {
            tell(what, time(at));
        }
    }
    if *blocked {
        tell("blocked", "yes".into());
    }
    let devices: Vec<String> = devices.iter().map(u32::to_string).collect();
    for (what, all) in [("rooms", rooms), ("devices", &devices)] {
        if !all.is_empty() {
            tell(what, all.iter().map(|one| said(one).to_string()).collect::<Vec<_>>().join(" ").into());
        }
    }
    Some(lines.join("\n"))
}

/// `[👍 2, ❤ 1]`: how many think so of a message.
fn reactions(message: &Message) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for reaction in &message.reactions {
        let emoji = reaction.emoji.on_one_line();
        match counts.iter_mut().find(|(known, _)| *known == *emoji) {
            Some((_, count)) => *count += 1,
            None => counts.push((emoji.to_string(), 1)),
        }
    }
    let counts: Vec<String> = counts.iter().map(|(emoji, count)| format!("{emoji} {count}")).collect();
    if counts.is_empty() { String::new() } else { format!("  [{}]", counts.join(", ")) }
}

/// The end of an id: ids of posts begin with their time, and look alike there.
fn short(id: &str) -> String {
    let id = said(id);
    id.chars().skip(id.chars().count().saturating_sub(8)).collect()
}

/// As every face writes it; `None` of what somebody else wrote.
pub(super) fn moved(state: State) -> Option<&'static str> {
    match state {
        State::Queued => Some("queued"),
        State::Sent => Some("sent"),
        State::Delivered => Some("delivered"),
        State::Read => Some("read"),
        State::NotDelivered => Some("not delivered"),
        State::Received => None,
    }
}

/// The time where the reader is; as it came where it is none.
pub(super) fn time(sent_at: &str) -> Shown {
    match sent_at.parse::<Timestamp>() {
        Ok(at) => at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string().into(),
        Err(_) => said(sent_at),
    }
}

fn key_changed(name: &str, old: &str, new: &str, slash: bool) -> String {
    let name = account(name);
    let bare = name.trim_start_matches('@').to_owned();
    format!(
        "--- The key of {name} has changed. Nothing is sent to {name} until you accept the new one. ---\n\
         was  {}\nis   {}\n\
         Ask {name} in person or by phone whether this is the new fingerprint; then: {}",
        said(old),
        said(new),
        advised(&format!("sealpost trust {bare} {}", said(new)), slash)
    )
}

fn me(name: &str, fingerprint: &str, link: &str, relay: &str, screen: &Screen) -> Shown {
    let (fingerprint, relay) = (said(fingerprint), said(relay));
    let about =
        format!("{}\nrelay        {relay}\nfingerprint  {fingerprint}\nlink         {}", account(name), said(link));
    with_code(about, link, screen).above("Give the link to people in person: who adds it knows that it is you.")
}

/// With its QR code below, where there is a terminal to show one.
fn with_code(shown: String, code: &str, screen: &Screen) -> Shown {
    match qr::draw(code).filter(|_| screen.terminal) {
        Some(code) => Shown::from(shown).above_code(&code, screen.colour),
        None => shown.into(),
    }
}

/// What is to be typed on the first device, and what both machines show.
fn device_request(request: &str, code: &str, screen: &Screen) -> Shown {
    let (request, code) = (said(request), said(code));
    let typed = advised(&format!("sealpost device add {request}"), screen.slash);
    let about = format!("device code  {code}\ntype         {typed}");
    with_code(about, &request, screen)
        .above("On the first device, type this, and add the machine only where both show the same device code.")
}

fn safety(name: &str, number: &str, code: &str, trust: Trust, screen: &Screen) -> Shown {
    let groups: Vec<&str> = number.split_whitespace().collect();
    let digits = groups.len() == 12;
    let number = match digits {
        true => groups.chunks(4).map(|row| said(&row.join(" ")).to_string()).collect::<Vec<_>>().join("\n"),
        false => said(number).to_string(),
    };
    if digits {
        let name = account(name);
        let bare = name.trim_start_matches('@').to_owned();
        let next = match trust {
            Trust::Verified => "You have compared keys; it stays verified until the key changes.".to_owned(),
            Trust::Unverified | Trust::KeyChanged => format!(
                "Compare it with what {name} sees, in person or by phone. If all 60 digits are equal: {}",
                if screen.slash { "/verify ok".to_owned() } else { format!("sealpost verify {bare} --mark NUMBER") }
            ),
        };
        with_code(format!("{name} ({})\n{number}", trust.words()), code, screen).above(next)
    } else {
        let try_this = if screen.slash { "/verify NAME" } else { "sealpost verify NAME" };
        with_code(format!("{} (you)\n{number}", account(name)), code, screen)
            .above(format!("This is your own key; {try_this} shows the number to compare."))
    }
}

#[cfg(test)]
#[path = "plain_tests.rs"]
pub(super) mod tests;
