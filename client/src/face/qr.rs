//! QR codes of two modules a character.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A code as lines of text. With colour it is black on white whatever the terminal's theme; without, it is drawn for a
/// dark one. `None`: it is too long for a code.
pub(super) fn draw(text: &str, colour: bool) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let drawn = code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build();
    if !colour {
        return Some(drawn);
    }
    let lines: Vec<String> = drawn.lines().map(|line| format!("\u{1b}[97;40m{line}\u{1b}[0m")).collect();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn a_safety_number_fits_a_small_terminal() {
        let drawn = draw(&"0123456789".repeat(6), false).unwrap();
        assert!(drawn.lines().count() <= 19 && drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        assert!(!drawn.contains('\u{1b}'));
    }
}
