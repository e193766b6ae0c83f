//! QR codes of two modules a character.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A code as lines of blocks, drawn for a dark terminal. `None`: it is too long for a code.
pub(super) fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn a_safety_number_fits_a_small_terminal() {
        let drawn = draw(&"0123456789".repeat(6)).unwrap();
        assert!(drawn.lines().count() <= 19 && drawn.lines().all(|line| line.chars().count() <= 80), "{drawn}");
        assert!(drawn.chars().all(|c| matches!(c, ' ' | '▀' | '▄' | '█' | '\n')), "{drawn}");
    }
}
