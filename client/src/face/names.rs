//! What stands beside an account's name, and never in its place: one's own label, and what it calls itself. And what a
//! room's creator decided, in words.

use super::plain::{account, said};
use crate::api::{Kind, Message, Text};

/// ` [Mum] "Bobby"`: a label in brackets, a display name in quotes, whatever is in them; nothing where there are none.
pub(super) fn beside(label: Option<&Text>, display: Option<&Text>) -> String {
    let label = label.map(|label| format!(" [{}]", plain(label, ['[', ']'])));
    let display = display.map(|display| format!(" \"{}\"", plain(display, ['"', '"'])));
    format!("{}{}", label.unwrap_or_default(), display.unwrap_or_default())
}

/// Without the marks that would end it.
fn plain(text: &Text, marks: [char; 2]) -> String {
    text.on_one_line().replace(marks, "'")
}

/// What was decided in a room; `None` of what else is said there.
pub(super) fn decision(message: &Message) -> Option<String> {
    let whom = message.whom.as_deref().map_or_else(|| "somebody".into(), account);
    let words = match message.kind {
        Kind::Topic if message.text.as_raw().is_empty() => "took the topic away".to_owned(),
        Kind::Topic => return Some(format!("set the topic: {}", message.text.on_one_line())),
        Kind::Kick => format!("put {whom} out of the room"),
        Kind::Ban => format!("banned {whom} from the room"),
        Kind::Unban => format!("let {whom} in again"),
        Kind::Remove => format!("removed {}", message.target.as_deref().map(said).unwrap_or_default()),
        Kind::Name | Kind::Away => "said something of themselves".to_owned(),
        _ => return None,
    };
    let why = message.text.on_one_line();
    Some(if why.is_empty() { words } else { format!("{words}: {why}") })
}

/// `is called "Bobby", is away: lunch`: what somebody has said of themselves.
pub(super) fn of_oneself(display: Option<&Text>, away: Option<&Text>) -> String {
    let display =
        display.map_or_else(|| "has no display name".to_owned(), |_| format!("is called{}", beside(None, display)));
    let away = away.map_or_else(|| "is here".to_owned(), |why| format!("is away: {}", why.on_one_line()));
    format!("{display}, {away}")
}

#[cfg(test)]
mod tests {
    use super::beside;
    use crate::api::Text;

    /// [ROOM-19] a display name can't pass for a label, nor a label for a name: each ends where its marks say.
    #[test]
    fn marks_end_where_they_seem_to() {
        let text = |text: &str| Some(Text::new(text));
        assert_eq!(beside(text("Mum").as_ref(), text("Bobby").as_ref()), " [Mum] \"Bobby\"");
        assert_eq!(beside(None, text("x\" [Mum").as_ref()), " \"x' [Mum\"");
        assert_eq!(beside(text("a] @alice").as_ref(), None), " [a' @alice]");
        assert_eq!(beside(None, text("a\n\u{1b}[2J\u{202e}").as_ref()), " \"a<U+000A><U+001B>[2J<U+202E>\"");
        assert_eq!(beside(None, None), "");
    }
}
