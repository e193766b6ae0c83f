//! How a person or program asks for each command, in each face.

use sealpost_client::api::Command;

/// A way to ask, or why there is none.
pub(super) type Way<T> = Result<T, &'static str>;

/// How one asks the page.
#[derive(Clone, Debug)]
pub(super) enum OnPage {
    /// In the line, as in every face that has one.
    Typed,
    /// By a form or button: these fields, and `command`.
    Form(Vec<(&'static str, String)>),
    /// By going there.
    Visit(&'static str),
}

/// How one asks for a command in each face, with Bob's conversation open, or another one.
#[derive(Clone, Debug)]
pub(super) struct Ways {
    /// Arguments of `sealpost`.
    pub(super) shell: Way<Vec<String>>,
    /// What is typed in line mode.
    pub(super) line: Way<String>,
    /// What is typed on the whole screen, Enter included.
    pub(super) screen: Way<String>,
    pub(super) page: Way<OnPage>,
    /// By JSON-RPC there is but one way, or none.
    pub(super) program: Way<()>,
    /// The conversation that is open.
    pub(super) here: &'static str,
}

impl Ways {
    /// By these words in a shell, and by this line wherever there is one.
    fn by(shell: &[&str], typed: impl Into<String>) -> Self {
        let typed = typed.into();
        Self {
            shell: Ok(shell.iter().map(|word| (*word).to_owned()).collect()),
            line: Ok(typed.clone()),
            screen: Ok(format!("{typed}\r")),
            page: Ok(OnPage::Typed),
            program: Ok(()),
            here: "@bob",
        }
    }

    /// With another conversation open.
    fn in_room(self, here: &'static str) -> Self {
        Self { here, ..self }
    }

    /// The line that opens the conversation.
    pub(super) fn opened(&self) -> String {
        match self.here.strip_prefix('@') {
            Some(name) => format!("/query {name}"),
            None => format!("/join {}", self.here),
        }
    }

    /// It is nobody's to ask for.
    fn nobodys(why: &'static str) -> Self {
        Self { shell: Err(why), line: Err(why), screen: Err(why), page: Err(why), program: Err(why), here: "" }
    }

    /// Where faces go on, they do it by themselves.
    fn by_itself_where_one_stays(self, why: &'static str) -> Self {
        Self { line: Err(why), screen: Err(why), page: Err(why), ..self }
    }

    fn on_page(self, page: OnPage) -> Self {
        Self { page: Ok(page), ..self }
    }

    fn not_on_page(self, why: &'static str) -> Self {
        Self { page: Err(why), ..self }
    }

    fn not_for_programs(self, why: &'static str) -> Self {
        Self { program: Err(why), ..self }
    }

    /// Whether anybody can ask for it at all.
    pub(super) fn anybodys(&self) -> bool {
        self.shell.is_ok() || self.line.is_ok() || self.screen.is_ok() || self.page.is_ok() || self.program.is_ok()
    }
}

/// The name without its mark.
fn bare(name: &str) -> &str {
    name.trim_start_matches('@')
}

/// Every command, and no wildcard: whoever adds one says here how it is asked for in every face, and adds a step to
/// `script.rs` in which that is done. One line does it where `sealpost WORDS` and `/SLASH` both exist:
/// `Command::Wave { to } => Ways::by(&["wave", to], format!("/wave {}", bare(to)))`. Where a face has no way, the reason stands
/// in its place, as a sentence.
pub(super) fn ways(command: &Command) -> Ways {
    match command {
        Command::Register { .. } => Ways::nobodys(
            "there is a profile before there is a face: `register` and the wizard make it in every world here",
        ),
        Command::DeviceLink { .. } => Ways::nobodys(
            "it makes the profile of another machine, where there is no face yet: `live::devices` links one",
        ),
        Command::Subscribe => Ways::nobodys("a face that stays asks for it by itself, and a program as its first call"),
        Command::Typing { .. } => Ways::nobodys("a face tells it while somebody types"),
        Command::BotCheck { .. } => Ways::nobodys("the daemon asks whose token it was shown"),
        Command::Stop => Ways::nobodys("it ends the holder: for tests, and for what removes a profile"),

        Command::Me => Ways::by(&["me"], "/link"),
        Command::Add { link } => Ways::by(&["add", link], format!("/add {link}")),
        Command::Contacts => Ways::by(&["contacts"], "/contacts"),
        Command::Conversations => Ways::by(&["conversations"], "/chats").on_page(OnPage::Visit("/")),
        Command::Status => Ways::by(&["status"], "/status"),
        Command::Devices => Ways::by(&["devices"], "/devices"),
        // Nobody comes: only a shell would wait for that.
        Command::DeviceAdd { request, code, .. } => {
            let code = code.as_deref().unwrap_or_default();
            let shell = ["device", "add", request, "--code", code, "--no-wait"];
            Ways::by(&shell, format!("/device add {request} {code}"))
                .not_for_programs("a person compares the device code")
        }
        Command::DeviceRevoke { device } => {
            let device = device.to_string();
            Ways::by(&["device", "revoke", &device], format!("/device revoke {device}"))
                .not_for_programs("an account's devices are its person's alone")
        }
        // In a shell it says more: what this machine is like, too.
        Command::Doctor => Ways { shell: Err("it adds checks of its own"), ..Ways::by(&["doctor"], "/doctor") },
        Command::Unregister { name } => Ways::by(&["unregister", name], format!("/unregister {name}"))
            .not_for_programs("an account is ended by its person alone"),
        Command::Settings { read_receipts, typing } => match (read_receipts, typing) {
            (Some(on), _) => {
                let on = if *on { "on" } else { "off" };
                Ways::by(&["settings", "--read-receipts", on], format!("/settings read-receipts {on}"))
            }
            _ => Ways::by(&["settings"], "/settings"),
        },

        Command::Send { to, text, .. } if to == "#garden" => Ways::by(&["send", to, text], text).in_room("#garden"),
        Command::Send { to, text, .. } => Ways::by(&["send", to, text], format!("/dm {} {text}", bare(to))),
        Command::Reply { id, text, .. } => Ways::by(&["reply", id, text], format!("/reply {id} {text}")),
        Command::Edit { id: Some(id), text, .. } => Ways::by(&["edit", id, text], format!("/edit {id} {text}")),
        Command::Edit { id: None, within, text } => {
            Ways::by(&["edit", "--in", within.as_deref().unwrap_or_default(), text], format!("/edit {text}"))
        }
        Command::Delete { id: Some(id), .. } => Ways::by(&["delete", id], format!("/delete {id}")),
        Command::Delete { id: None, within } => {
            Ways::by(&["delete", "--in", within.as_deref().unwrap_or_default()], "/delete")
        }
        Command::React { id, emoji } if emoji.is_empty() => Ways::by(&["react", id], format!("/react {id} -")),
        Command::React { id, emoji } => Ways::by(&["react", id, emoji], format!("/react {id} {emoji}")),
        Command::Recv { .. } => Ways::by(&["recv"], "")
            .by_itself_where_one_stays("what comes is shown as it comes, without being asked for"),
        Command::History { with, .. } => Ways::by(&["history", with], "/history").on_page(OnPage::Visit("/with/bob")),
        Command::Search { words, .. } => Ways::by(&["search", words], format!("/search {words}")),
        Command::Read { with, .. } => Ways::by(&["read", with], "/read"),
        Command::Mute { with, on: true } => Ways::by(&["mute", with], format!("/mute {with}")),
        Command::Mute { with, on: false } => Ways::by(&["unmute", with], format!("/unmute {with}")),
        Command::Draft { with, text } => Ways::by(&["draft", with, text], format!("/draft {text}"))
            .on_page(OnPage::Form(vec![("with", with.clone()), ("text", text.clone())])),
        Command::Expire { with, seconds } => {
            let after = seconds.map_or("off".to_owned(), |seconds| format!("{seconds}s"));
            Ways::by(&["expire", with, &after], format!("/expire {after}"))
        }

        Command::Verify { name: Some(name), mark: Some(mark) } => {
            Ways::by(&["verify", name, "--mark", mark], "/verify ok")
                .on_page(OnPage::Form(vec![("name", bare(name).to_owned()), ("mark", mark.clone())]))
        }
        Command::Verify { name: Some(name), .. } => {
            Ways::by(&["verify", name], format!("/verify {}", bare(name))).on_page(OnPage::Visit("/verify/bob"))
        }
        Command::Verify { name: None, .. } => Ways::by(&["verify"], "/verify").on_page(OnPage::Visit("/verify")),
        Command::Trust { name, fingerprint } => {
            Ways::by(&["trust", name, fingerprint], format!("/trust {} {fingerprint}", bare(name)))
        }
        Command::Block { name } => Ways::by(&["block", name], format!("/block {}", bare(name))),
        Command::Unblock { name } => Ways::by(&["unblock", name], format!("/unblock {}", bare(name))),
        Command::Accept { name } => Ways::by(&["accept", name], format!("/accept {}", bare(name))),
        Command::Refuse { name } => Ways::by(&["refuse", name], format!("/refuse {}", bare(name))),

        Command::SendFile { to, path, .. } => Ways::by(&["send", to, "-f", path], format!("/file {path}")),
        Command::Get { id, .. } => {
            let id = id.as_deref().unwrap_or_default();
            Ways::by(&["get", id], format!("/get {id}"))
        }
        Command::Files => Ways::by(&["files"], "/files"),
        Command::Cancel { id } => Ways::by(&["files", "--cancel", id], format!("/cancel {id}"))
            .on_page(OnPage::Form(vec![("id", id.clone())])),

        Command::Join { room } => Ways::by(&["join", room], format!("/join {room}")),
        Command::Leave { room } => Ways::by(&["leave", room], format!("/part {room}")),
        Command::Rooms => Ways::by(&["rooms"], "/rooms"),
        Command::Who { room } => {
            let room = room.as_deref().unwrap_or("#lobby");
            Ways::by(&["who", room], format!("/who {room}"))
        }

        Command::Topic { room, text: None } => Ways::by(&["topic", room], format!("/topic {room}")),
        Command::Topic { room, text: Some(text) } => {
            Ways::by(&["topic", room, text], format!("/topic {text}")).in_room("#orchard")
        }
        Command::Kick { room, name, reason } => decides("kick", room, name, reason.as_deref()),
        Command::Ban { room, name, reason } => decides("ban", room, name, reason.as_deref()),
        Command::Unban { room, name, reason } => decides("unban", room, name, reason.as_deref()),
        Command::Whois { name } => Ways::by(&["whois", name], format!("/whois {}", bare(name))),
        Command::Alias { name, label } => Ways::by(&["alias", name, label], format!("/alias {} {label}", bare(name))),
        Command::Nick { display } => Ways::by(&["nick", display], format!("/nick {display}")),
        Command::Away { why } if why.is_empty() => Ways::by(&["away"], "/away"),
        Command::Away { why } => Ways::by(&["away", why], format!("/away {why}")),

        Command::BotAdd { name, conversations, .. } => {
            let conversation = conversations.first().map_or("", String::as_str);
            Ways::by(&["bot", "add", name, "--for", conversation], format!("/bot add {name} {conversation}"))
                .not_on_page(TOKENS)
                .not_for_programs(TOKENS)
        }
        Command::Bots => Ways::by(&["bot", "list"], "/bot list").not_on_page(TOKENS).not_for_programs(TOKENS),
        Command::BotRemove { name } => Ways::by(&["bot", "remove", name], format!("/bot remove {name}"))
            .not_on_page(TOKENS)
            .not_for_programs(TOKENS),
    }
}

/// What somebody decides in a room that they made.
fn decides(what: &str, room: &str, name: &str, reason: Option<&str>) -> Ways {
    let mut shell = vec![what, room, name];
    shell.extend(reason.map(|reason| ["--reason", reason]).into_iter().flatten());
    let why = reason.map_or_else(String::new, |reason| format!(" {reason}"));
    Ways::by(&shell, format!("/{what} {room} {}{why}", bare(name)))
}

const TOKENS: &str = "a token outlasts whoever made it: neither a page in a browser nor a program makes or ends one";
