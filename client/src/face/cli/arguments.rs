//! The arguments of every command, as `--help` shows them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::face::duration::{self, After};
use crate::face::notify::Notify;
use crate::face::screen::Colour;
use crate::face::tui::Look;
use crate::link::Proxy;

const EXAMPLES: &str = "\
Examples:
  sealpost                               the full-screen interface; F1 shows the keys
  sealpost init                          make a profile, step by step
  sealpost me                            your contact link, to give to people in person
  sealpost add 'sealpost://...'          add somebody by the link they gave you
  sealpost send bob hello                write to somebody, end-to-end encrypted
  sealpost send '#lobby' hello           write to a public room
  sealpost recv --follow                 print what arrives
  sealpost chat                          talk; /help lists what you can type
  sealpost verify bob                    the number to compare with Bob
  sealpost send bob -f photo.jpg         send a file; `sealpost get` fetches one
  echo hi | sealpost --json send bob -   from a script: JSON out, exit codes as below";

const EXITS: &str = "\
Exit codes:
  0 done   1 failed   2 usage   3 relay unreachable or too slow   4 key changed or not trusted, nothing was sent
  5 profile locked, wrong passphrase or in use   6 no such name, room, message or file   7 refused by the relay
  75 queued, and not yet as far as --wait asks   130 interrupted";

/// End-to-end encrypted messages over a relay that can't read them
#[derive(Debug, Parser)]
#[command(name = "sealpost", version, before_long_help = EXAMPLES)]
#[command(after_long_help = EXITS, disable_help_subcommand = true, max_term_width = 100)]
pub(in crate::face) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    /// Without one: the full-screen interface, where there is a terminal.
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,
}

/// What stands before or after every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options everywhere")]
pub(super) struct Global {
    /// Folder that holds everything, instead of the user's data folder
    #[arg(long, value_name = "DIR", env = "SEALPOST_HOME", global = true)]
    pub(super) home: Option<PathBuf>,
    /// Profile
    #[arg(short, long, value_name = "NAME", env = "SEALPOST_PROFILE", default_value = "default", global = true)]
    pub(super) profile: String,
    /// Read the passphrase from this file (- is stdin)
    ///
    /// One line break at its end is not part of the passphrase. Where neither this nor --passphrase-fd is given,
    /// SEALPOST_PASSPHRASE is taken, then you are asked.
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) passphrase_file: Option<PathBuf>,
    /// Read the passphrase from this open file descriptor
    #[arg(long, value_name = "N", global = true, conflicts_with = "passphrase_file")]
    pub(super) passphrase_fd: Option<u32>,
    /// Go through a SOCKS5 proxy, such as Tor: socks5h://127.0.0.1:9050
    #[arg(long, value_name = "URL", env = "SEALPOST_PROXY", global = true)]
    pub(super) proxy: Option<Proxy>,
    /// Print JSON, one object a line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print nothing but data and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Print ids and log what happens; twice for more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(super) color: Colour,
    /// Never ask anything
    #[arg(long, global = true)]
    pub(super) no_input: bool,
    /// How long to wait: 500ms, 10s, 2m
    #[arg(long, value_name = "DUR", value_parser = duration::parse, global = true)]
    pub(super) timeout: Option<Duration>,
}

/// Somebody in a room, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Whom {
    /// #room
    pub(super) room: String,
    /// Whom
    pub(super) name: String,
    /// Everybody in the room reads it
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Make a profile, step by step
    Init,
    /// Make a profile without questions
    #[command(before_long_help = "Examples:\n  sealpost register sealpost://relay.example.org:7443/KEY alice\n  \
        sealpost --passphrase-file pass.txt register ADDRESS alice --invite TOKEN")]
    Register {
        /// The relay's address, the name of a saved one, or a contact link that carries an invite
        address: String,
        /// The name to register
        name: String,
        /// Invite token, where the relay asks for one
        #[arg(long, value_name = "TOKEN")]
        invite: Option<String>,
    },
    /// Show one's own contact link and its QR code
    Me,
    /// Add somebody by the link they gave you; they are verified from the first message on
    Add {
        /// sealpost://HOST:PORT/KEY/NAME?fp=FINGERPRINT
        link: String,
    },
    /// Talk: type lines, /help lists the commands; works in a pipe too
    #[command(before_long_help = "Examples:\n  sealpost chat\n  printf '/dm bob hello\\n' | sealpost chat")]
    Chat {
        /// Tell the desktop of messages, on a terminal: bell, on (nothing of them), content, off
        #[arg(long, value_enum, value_name = "HOW", default_value = "on", env = "SEALPOST_NOTIFY")]
        notify: Notify,
        /// Lock after so long without a line of yours, on a terminal, and ask for the passphrase: 10m, 1h, off
        ///
        /// Where the passphrase is given by a file, a descriptor or the environment, nothing is locked.
        #[arg(long, value_name = "DUR|off", default_value = "15m", env = "SEALPOST_LOCK")]
        lock: After,
    },
    /// Open the full-screen interface, as without a command; F1 shows the keys
    Tui(Look),
    /// Send a message, files, or both
    #[command(before_long_help = "Examples:\n  sealpost send bob hello\n  sealpost send '#lobby' hello everybody\n  \
        date | sealpost send bob -\n  sealpost send --wait delivered bob hello\n  \
        sealpost send bob -f photo.jpg\n  sealpost send bob 'both of them' -f one.pdf -f two.pdf\n\n\
        A file goes to one person, sealed. Where it was interrupted the same command goes on. --timeout is how long it waits \
        while nothing moves.")]
    Send {
        /// bob, @bob or #room
        to: String,
        /// The text; from stdin where there is neither text nor a file, or where it is -
        text: Vec<String>,
        /// Send this file; repeatable
        #[arg(short = 'f', long = "file", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How far the message must come before the command ends
        #[arg(long, value_enum, default_value = "sent")]
        wait: Wait,
        /// Delete it on both sides so long after it was read: 30s, 1h, 7d
        #[arg(long, value_name = "DUR", value_parser = duration::parse)]
        expire: Option<Duration>,
    },
    /// Print messages that have not been printed yet, oldest first
    #[command(before_long_help = "Examples:\n  sealpost recv\n  sealpost --json recv --follow --from bob")]
    Recv {
        /// Go on with what arrives, until --timeout or Ctrl-C
        #[arg(long)]
        follow: bool,
        /// Only from this person or room
        #[arg(long, value_name = "TO")]
        from: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// Print a conversation, oldest first
    History {
        /// bob, @bob or #room
        with: String,
        /// Only the newest so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Only what stands before this message
        #[arg(long, value_name = "ID")]
        before: Option<String>,
    },
    /// List everybody you talk with and every room, with what is unread
    Conversations,
    /// Mark a conversation as read
    Read {
        /// bob, @bob or #room
        with: String,
        /// Only up to this message
        #[arg(long, value_name = "ID")]
        through: Option<String>,
    },
    /// Replace the text of a message of yours
    #[command(before_long_help = "Examples:\n  sealpost edit 4f1c 'see you at nine'\n  \
        sealpost edit --in bob 'see you at nine' (your last message to Bob)")]
    Edit {
        /// The message: its id, or a beginning or end of it that no other one has (at least 4 characters)
        #[arg(required_unless_present = "within")]
        id: Option<String>,
        /// The new text; from stdin where there is none, or where it is -
        text: Vec<String>,
        /// Your last message to this person or in this room
        #[arg(long = "in", value_name = "TO")]
        within: Option<String>,
    },
    /// Take a message of yours back
    #[command(before_long_help = "Examples:\n  sealpost delete 4f1c\n  \
        sealpost delete --in '#lobby' (your last message there)")]
    Delete {
        /// The message: its id, or a beginning or end of it that no other one has (at least 4 characters)
        #[arg(required_unless_present = "within")]
        id: Option<String>,
        /// Your last message to this person or in this room
        #[arg(long = "in", value_name = "TO", conflicts_with = "id")]
        within: Option<String>,
    },
    /// React to a message; without an emoji, take your reaction back
    React {
        /// The message: its id, or a beginning or end of it that no other one has (at least 4 characters)
        id: String,
        /// The emoji
        #[arg(default_value = "")]
        emoji: String,
    },
    /// Answer a message
    Reply {
        /// The message: its id, or a beginning or end of it that no other one has (at least 4 characters)
        id: String,
        /// The text; from stdin where there is none, or where it is -
        text: Vec<String>,
        /// How far the answer must come before the command ends
        #[arg(long, value_enum, default_value = "sent")]
        wait: Wait,
    },
    /// Accept a stranger who has written to you: they learn that it came
    Accept {
        /// Whom
        name: String,
    },
    /// Delete what a stranger has written to you; they learn nothing
    Refuse {
        /// Whom
        name: String,
    },
    /// Let a conversation draw no attention
    Mute {
        /// bob, @bob or #room
        with: String,
    },
    /// Take `mute` back
    Unmute {
        /// bob, @bob or #room
        with: String,
    },
    /// Keep text for later, which `conversations` shows; without text, forget it
    Draft {
        /// bob, @bob or #room
        with: String,
        /// The text
        text: Vec<String>,
    },
    /// Let messages of a conversation be deleted on both sides, some time after they were read
    #[command(before_long_help = "Examples:\n  sealpost expire bob 1d\n  sealpost expire bob off")]
    Expire {
        /// bob or @bob
        with: String,
        /// 30s, 1h, 7d; or off
        #[arg(value_name = "DUR|off")]
        after: After,
    },
    /// Show or change what the people you accepted learn of you
    #[command(before_long_help = "Examples:\n  sealpost settings\n  sealpost settings --read-receipts on --typing off")]
    Settings {
        /// What you have read
        #[arg(long, value_name = "on|off", value_parser = clap::builder::BoolishValueParser::new())]
        read_receipts: Option<bool>,
        /// When you are typing
        #[arg(long, value_name = "on|off", value_parser = clap::builder::BoolishValueParser::new())]
        typing: Option<bool>,
    },
    /// Find messages by their words, on this machine
    #[command(before_long_help = "Examples:\n  sealpost search tea on friday\n  sealpost search --in bob tea")]
    Search {
        /// Words, or parts of them, that a message has; case does not matter
        #[arg(required = true)]
        words: Vec<String>,
        /// Only in this conversation
        #[arg(long = "in", value_name = "TO")]
        with: Option<String>,
        /// The newest so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// Show the safety number with somebody and its QR code; without a name, one's own key
    #[command(before_long_help = "Examples:\n  sealpost verify bob\n  \
        sealpost verify bob --mark '12345 67890 ... (the 60 digits that Bob sees)'")]
    Verify {
        /// With whom
        name: Option<String>,
        /// The number that the other side sees: compare, and mark as verified
        #[arg(long, value_name = "NUMBER", requires = "name")]
        mark: Option<String>,
    },
    /// Accept somebody's changed key
    Trust {
        /// Whose
        name: String,
        /// The new key's fingerprint, as they tell it in person
        fingerprint: String,
    },
    /// Become a member of a public room; it is made where there is none
    Join {
        /// #room
        room: String,
    },
    /// Leave a public room
    Leave {
        /// #room
        room: String,
    },
    /// List the relay's public rooms
    Rooms,
    /// List the members of a room
    Who {
        /// #room
        #[arg(default_value = "#lobby")]
        room: String,
    },
    /// Show what a room is about, or say it in a room that you made
    #[command(
        before_long_help = "Examples:\n  sealpost topic '#garden'\n  sealpost topic '#garden' roses and tulips\n  \
        sealpost topic '#garden' '' (takes it away)"
    )]
    Topic {
        /// #room
        room: String,
        /// What it is about, on one line
        text: Vec<String>,
    },
    /// Put somebody out of a room that you made; they may join again
    #[command(before_long_help = "Examples:\n  sealpost kick '#garden' bob --reason 'off topic'")]
    Kick(Whom),
    /// Put somebody out of a room that you made, and keep them out
    #[command(before_long_help = "Examples:\n  sealpost ban '#garden' bob --reason spam")]
    Ban(Whom),
    /// Let somebody in again whom you have banned
    Unban(Whom),
    /// List everybody you know, with their keys
    Contacts,
    /// Show what is known of somebody: key, label, rooms, devices, since when
    Whois {
        /// Whom
        name: String,
    },
    /// Give somebody a label that nobody else sees; it never replaces their name
    #[command(before_long_help = "Examples:\n  sealpost alias bob Uncle Bob\n  sealpost alias bob '' (takes it away)")]
    Alias {
        /// Whom
        name: String,
        /// The label
        #[arg(required = true)]
        label: Vec<String>,
    },
    /// Say in your rooms what you want to be called, beside your name; everybody there reads it
    #[command(before_long_help = "Examples:\n  sealpost nick Bobby\n  sealpost nick '' (takes it away)")]
    Nick {
        /// On one line
        #[arg(required = true)]
        display: Vec<String>,
    },
    /// Say in your rooms that you are away; without a reason, that you are back. Everybody there reads it
    Away {
        /// Why, on one line
        why: Vec<String>,
    },
    /// Show nothing more of somebody
    Block {
        /// Whom
        name: String,
    },
    /// Take `block` back
    Unblock {
        /// Whom
        name: String,
    },
    /// Fetch a file that somebody sent, and print where it was saved
    #[command(before_long_help = "Examples:\n  sealpost get 4f1c\n  sealpost get 4f1c -o ~/photos\n  \
        sealpost get 4f1c -o - | tar x\n  sealpost get (the newest that was not fetched)\n\n\
        It is saved in the folder for downloads under a name of its own: nothing is overwritten. Where it was interrupted the \
        same command goes on. --timeout is how long it waits while nothing moves.")]
    Get {
        /// The message that announced it: its id, or a beginning or end of it that no other one has (at least 4 characters)
        id: Option<String>,
        /// Save it here: a folder, or a name that nothing has yet; - is stdout
        #[arg(short, long, value_name = "PATH")]
        output: Option<PathBuf>,
        /// Only what this person sent
        #[arg(long = "in", value_name = "NAME")]
        within: Option<String>,
    },
    /// List files that were sent or came, with how far they are
    #[command(before_long_help = "Examples:\n  sealpost files\n  sealpost files --cancel 4f1c")]
    Files {
        /// End one that is on its way: its id, or a beginning of it that no other one has (at least 4 characters)
        ///
        /// A file that comes can be fetched another time, from its beginning. Of one that is sent nobody is told.
        #[arg(long, value_name = "ID")]
        cancel: Option<String>,
    },
    /// Show connection, transport and queue
    Status,
    /// Talk in a browser of this machine
    #[command(before_long_help = "Examples:\n  sealpost web --open\n  sealpost web --listen 127.0.0.1:8080\n\n\
        Prints a link that serves once. The page is reached from this machine alone, loads nothing from elsewhere, and \
        goes with this command.")]
    Web {
        /// Where it listens: an address of this machine alone
        #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
        listen: std::net::SocketAddr,
        /// Open a browser
        #[arg(long)]
        open: bool,
        /// Lock pages after so long without a request of yours, and ask for the passphrase: 10m, 1h, off
        ///
        /// Where the passphrase is given by a file, a descriptor or the environment, nothing is locked.
        #[arg(long, value_name = "DUR|off", default_value = "15m", env = "SEALPOST_LOCK")]
        lock: After,
    },
    /// Hold the profile, so that other commands are quick and ask nothing, and let programs in
    #[command(before_long_help = "Examples:\n  sealpost daemon\n  sealpost daemon --socket /run/user/1000/alice\n\n\
        Prints the path of a socket once it listens. Programs speak JSON-RPC 2.0 there, one object a line: first \
        authorize with a token of `sealpost bot add`, then any command by its name, such as\n  \
        {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"send\",\"params\":{\"to\":\"bob\",\"text\":\"hi\"}}\n\
        After subscribe, what happens comes as notifications named event. TERM and INT end it.")]
    Daemon {
        /// Where the socket is made, instead of `rpc` in the profile's folder
        #[arg(long, value_name = "PATH")]
        socket: Option<PathBuf>,
    },
    /// Check that everything works, to be pasted into a report: it names nobody
    #[command(before_long_help = "Examples:\n  sealpost doctor\n  sealpost --json doctor\n\n\
        Each line is ok, warn or fail, with what to try. Exit code 1 where something fails.")]
    Doctor,
    /// Relays that are saved under a name, for init, register and restore
    Relay {
        #[command(subcommand)]
        relay: Relay,
    },
    /// List the profiles that -p may name
    Profiles,
    /// List your own devices
    Devices,
    /// Several machines of yours: link, add, revoke
    Device {
        #[command(subcommand)]
        device: Device,
    },
    /// Write contacts, marks, settings and history into one sealed file
    #[command(
        before_long_help = "Examples:\n  sealpost backup alice.sealpost\n  sealpost backup - | ssh host 'cat > alice'\n\n\
        It opens with the passphrase that the profile has now, and holds the account's key: keep it as you keep the \
        recovery words. The profile may be in use meanwhile. Queued messages, sessions and prekeys are not in it."
    )]
    Backup {
        /// The file, which must not be there yet (- is stdout)
        file: PathBuf,
    },
    /// Make a profile of a backup, or of the recovery words, as a new device of the same account
    #[command(before_long_help = "Examples:\n  sealpost restore alice.sealpost\n  \
        sealpost restore --words sealpost://relay.example.org:7443/KEY alice\n\n\
        A backup brings back contacts, marks and history. The words bring back name and key alone. Either way this is a \
        new device, and the one before can do nothing any more; people who have verified you keep their mark.")]
    Restore {
        /// A file that backup has written (- is stdin); with --words the relay's address, or your own contact link
        #[arg(required_unless_present = "words", value_name = "FILE|ADDRESS")]
        from: Option<String>,
        /// With --words: the name
        #[arg(requires = "words")]
        name: Option<String>,
        /// Restore by the 24 recovery words, which are asked for
        #[arg(long)]
        words: bool,
        /// Read the words from this file (- is stdin)
        #[arg(long, value_name = "FILE", requires = "words")]
        words_file: Option<PathBuf>,
        /// Read the words from this open file descriptor
        #[arg(long, value_name = "N", requires = "words", conflicts_with = "words_file")]
        words_fd: Option<u32>,
        /// Invite token, where the relay knows the name no more and asks for one
        #[arg(long, value_name = "TOKEN", requires = "words")]
        invite: Option<String>,
    },
    /// Delete the account at the relay: name, keys and what waits there; not what is stored here
    #[command(before_long_help = "Examples:\n  sealpost unregister\n  sealpost unregister alice\n\n\
        The name is free then, and to your contacts whoever takes it has a changed key. Posts in rooms stay; delete them \
        before. History stays on this machine until `sealpost wipe`.")]
    Unregister {
        /// Your name, so that nobody does it by mistake; asked for where it is not given
        name: Option<String>,
    },
    /// Delete the profile on this machine: keys first, then everything
    #[command(before_long_help = "Examples:\n  sealpost wipe\n  sealpost -p old wipe --yes\n\n\
        The relay goes on to know the name and keeps what waits for it: `sealpost unregister` before this deletes that. \
        Backups and the recovery words still restore the account.")]
    Wipe {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// The passphrase that protects the profile on this machine
    Passphrase {
        #[command(subcommand)]
        passphrase: Passphrase,
    },
    /// Programs that may speak for you, each with a token
    Bot {
        #[command(subcommand)]
        bot: Bot,
    },
    /// Print what a shell needs to complete commands
    #[command(
        before_long_help = "Examples:\n  sealpost completions bash > ~/.local/share/bash-completion/completions/sealpost"
    )]
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the JSON Schema of what --json prints, and of what programs may say to the daemon
    #[command(before_long_help = "Examples:\n  sealpost schema > sealpost.schema.json")]
    Schema,
    /// Print the manual page, or write one for each command into a folder
    Man {
        /// The folder, which must be there
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// `relay`
#[derive(Debug, Subcommand)]
pub(super) enum Relay {
    /// Save a relay's address under a name
    #[command(before_long_help = "Examples:\n  sealpost relay add home sealpost://relay.example.org:7443/KEY\n  \
        sealpost register home alice\n\nThe list is kept as plain text, beside the profiles.")]
    Add {
        /// What you call it
        name: String,
        /// The relay's address, or a link to it
        address: String,
    },
    /// List the saved relays
    List,
    /// Forget a saved relay; profiles that are registered there go on
    Remove {
        /// What you call it
        name: String,
    },
}

/// `passphrase`
#[derive(Debug, Subcommand)]
pub(super) enum Passphrase {
    /// Take another passphrase; whoever holds the profile goes on
    #[command(before_long_help = "Examples:\n  sealpost passphrase change\n  \
        sealpost --passphrase-file old.txt passphrase change --new-passphrase-file new.txt\n\n\
        Copies of the profile's folder and backups that were made before still open with the old one.")]
    Change {
        /// Read the new passphrase from this file (- is stdin); else from SEALPOST_NEW_PASSPHRASE, else you are asked
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
        /// Read the new passphrase from this open file descriptor
        #[arg(long, value_name = "N", conflicts_with = "new_passphrase_file")]
        new_passphrase_fd: Option<u32>,
    },
}

/// `device`
#[derive(Debug, Subcommand)]
pub(super) enum Device {
    /// Make this machine a device of your account: typed on the new machine
    #[command(
        before_long_help = "Examples:\n  sealpost device link 'sealpost://relay.example.org:7443/KEY/alice?fp=...'\n\n\
        It makes a profile with keys of its own, shows a request and a device code, and waits for `sealpost device add` on the \
        first device, for ten minutes or --timeout; the same command again goes on waiting. Contacts, marks, rooms and settings \
        come over; what was said before does not."
    )]
    Link {
        /// Your own contact link, as `sealpost me` prints it on the first device
        link: String,
    },
    /// Let another machine be you: typed on the first device
    #[command(before_long_help = "Examples:\n  sealpost device add sealpost-device:...\n  \
        sealpost device add sealpost-device:... --code aaaa-bbbb-cccc-dddd-eeee\n\n\
        Whoever has a device of yours reads what you read and writes as you. So compare the device code with what the new \
        machine shows; --code says that you have. Your contacts are told of the device; your key stays the same.")]
    Add {
        /// What `sealpost device link` shows on the other machine
        request: String,
        /// The device code that it shows there; asked for where it is not given
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
        /// Do not wait until the machine has come; it is told what it must know when this one is connected
        #[arg(long)]
        no_wait: bool,
    },
    /// End what a device may do: a stolen one, or one that you do not use any more
    #[command(before_long_help = "Examples:\n  sealpost devices\n  sealpost device revoke 2\n\n\
        It gets nothing more and says nothing more. What it has, it has: wipe it where you can.")]
    Revoke {
        /// Its number, as `sealpost devices` shows it
        device: u32,
    },
}

/// `bot`
#[derive(Debug, Subcommand)]
pub(super) enum Bot {
    /// Make a token, for some conversations only
    #[command(before_long_help = "Examples:\n  sealpost bot add dice --for '#games'\n  \
        sealpost bot add watcher --for @bob --for '#ops' --read-only\n  sealpost bot add everything --for-all")]
    Add {
        /// What you call it
        name: String,
        /// @name or #room in which it may read and write; repeatable
        #[arg(long = "for", value_name = "CONVERSATION", required_unless_present = "for_all")]
        conversations: Vec<String>,
        /// Every conversation and every command
        #[arg(long, conflicts_with = "conversations")]
        for_all: bool,
        /// It may read and not write
        #[arg(long)]
        read_only: bool,
    },
    /// List the programs that have a token
    List,
    /// Make a token worthless; a program that uses it is cut off
    Remove {
        /// What you call it
        name: String,
    },
}

/// `--wait`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Wait {
    /// Durable at the relay
    Sent,
    /// Stored by a device of the recipient
    Delivered,
    /// Read by the recipient, who tells that only if they want to
    Read,
}

impl Wait {
    /// As the engine is told.
    pub(super) fn told(self) -> crate::api::Wait {
        match self {
            Self::Sent => crate::api::Wait::Sent,
            Self::Delivered => crate::api::Wait::Delivered,
            Self::Read => crate::api::Wait::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Cli, Verb};

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_stand_before_and_after_the_command() {
        for line in [
            &["sealpost", "--json", "--timeout", "2s", "send", "bob", "hi", "there"][..],
            &["sealpost", "send", "--json", "--timeout", "2s", "bob", "hi", "there"],
            &["sealpost", "send", "bob", "hi", "there", "--json", "--timeout=2000ms"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert!(cli.global.json && cli.global.timeout.unwrap().as_secs() == 2);
            assert!(matches!(cli.verb, Some(Verb::Send { to, text, .. }) if to == "bob" && text == ["hi", "there"]));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["sealpost", "nosuch"][..],
            &["sealpost", "send"],
            &["sealpost", "verify", "--mark", "1"],
            &["sealpost", "--proxy", "socks5://127.0.0.1:1", "me"],
            &["sealpost", "--passphrase-file", "a", "--passphrase-fd", "3", "me"],
            &["sealpost", "recv", "--timeout", "soon"],
        ] {
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn help_lists_only_what_exists_and_long_help_begins_with_examples() {
        let long = Cli::command().render_long_help().to_string();
        assert!(long.starts_with("Examples:"));
        assert!(!long.contains("group"), "planned");
    }
}
