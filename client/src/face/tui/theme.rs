//! Colours and marks. Colour never says anything that a word or a mark does not say too.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// What the terminal's background is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::face) enum Background {
    /// As the terminal says; dark where it does not
    Auto,
    /// Light
    Light,
    /// Dark
    Dark,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What people say.
    Plain,
    /// What matters less: times, hints, borders.
    Quiet,
    /// Names and titles.
    Strong,
    /// Where one is: the open conversation, a chosen line.
    Chosen,
    /// A verified person; online.
    Good,
    /// An unverified person, a public room.
    Careful,
    /// A changed key, an error.
    Alarm,
    /// What waits to be read.
    Unread,
    /// One's own name.
    Own,
}

/// Styles and marks of one terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    /// `None`: no colour at all.
    light: Option<bool>,
    ascii: bool,
}

impl Theme {
    pub(super) const fn new(light: Option<bool>, ascii: bool) -> Self {
        Self { light, ascii }
    }

    pub(super) fn style(self, role: Role) -> Style {
        let style = Style::new();
        let style = match role {
            Role::Chosen => return style.add_modifier(Modifier::REVERSED),
            Role::Strong | Role::Own | Role::Unread | Role::Alarm => style.add_modifier(Modifier::BOLD),
            Role::Plain | Role::Quiet | Role::Good | Role::Careful => style,
        };
        let Some(light) = self.light else { return style };
        let pick = |on_light: Color, on_dark: Color| style.fg(if light { on_light } else { on_dark });
        match role {
            Role::Plain | Role::Strong | Role::Chosen => style,
            Role::Quiet => pick(Color::Indexed(241), Color::Indexed(246)),
            Role::Good => pick(Color::Indexed(22), Color::Indexed(114)),
            Role::Careful => pick(Color::Indexed(94), Color::Indexed(179)),
            Role::Alarm => pick(Color::Indexed(124), Color::Indexed(210)),
            Role::Unread | Role::Own => pick(Color::Indexed(25), Color::Indexed(117)),
        }
    }

    /// Black on white whatever the background is: a QR code that a camera reads.
    pub(super) fn code(self) -> Style {
        if self.light.is_none() { Style::new() } else { Style::new().fg(Color::Indexed(231)).bg(Color::Indexed(16)) }
    }

    /// Whether only ASCII may be drawn beside what people write.
    pub(super) const fn ascii(self) -> bool {
        self.ascii
    }

    pub(super) const fn more(self) -> &'static str {
        if self.ascii { "~" } else { "…" }
    }

    pub(super) const fn dash(self) -> &'static str {
        if self.ascii { "-" } else { "─" }
    }

    pub(super) const fn wall(self) -> &'static str {
        if self.ascii { "|" } else { "│" }
    }

    pub(super) const fn pointer(self) -> &'static str {
        if self.ascii { ">" } else { "›" }
    }

    pub(super) const fn border(self) -> border::Set<'static> {
        if self.ascii { ASCII } else { border::ROUNDED }
    }
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// What `COLORFGBG` says of the background: `15;0` is a dark one.
pub(super) fn light_by_variable(value: &str) -> Option<bool> {
    let background: u8 = value.rsplit(';').next()?.parse().ok()?;
    Some(matches!(background, 7 | 9..=15))
}

/// What a terminal answers when it is asked for its background: `]11;rgb:ffff/ffff/ffff`.
pub(super) fn light_by_answer(answer: &str) -> Option<bool> {
    let (_, colour) = answer.split_once("]11;rgb:")?;
    let mut parts = colour.split('/').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_hexdigit).take(2).collect();
        u32::from_str_radix(&digits, 16).ok()
    });
    let (red, green, blue) = (parts.next()??, parts.next()??, parts.next()??);
    // How bright an eye finds it (ITU-R BT.601).
    Some(red * 299 + green * 587 + blue * 114 > 127_500)
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::{Role, Theme, light_by_answer, light_by_variable};

    /// The background is told from what terminals say of it.
    #[test]
    fn light_and_dark_are_told_apart() {
        assert_eq!(light_by_variable("15;0"), Some(false));
        assert_eq!(light_by_variable("0;default;15"), Some(true));
        assert_eq!(light_by_variable("nonsense"), None);
        assert_eq!(light_by_answer("\u{1b}]11;rgb:ffff/ffff/ffff\u{7}"), Some(true));
        assert_eq!(light_by_answer("\u{1b}]11;rgb:1e1e/1e1e/2e2e\u{1b}\\"), Some(false));
        assert_eq!(light_by_answer("\u{1b}[?62c"), None);
    }

    /// Without colour there is none, in whichever role.
    #[test]
    fn without_colour_there_is_none() {
        let theme = Theme::new(None, false);
        for role in [Role::Plain, Role::Quiet, Role::Strong, Role::Chosen, Role::Good, Role::Careful, Role::Alarm] {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
        assert_eq!(Theme::new(Some(true), false).style(Role::Alarm).fg, Some(Color::Indexed(124)));
    }
}
