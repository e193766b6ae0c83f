//! Pictures of a terminal's screen: text on a grid, with its colours, as SVG.

use std::fmt::Write as _;
use std::path::Path;

use sealpost_tests::processes::refresh;

/// Size of a cell, and of the letters in it.
const CELL: (f32, f32) = (8.4, 17.0);
const LETTERS: f32 = 14.0;

/// Space around the screen.
const MARGIN: f32 = 12.0;

/// The colours of a dark terminal.
const PAPER: &str = "#1b1f27";
const INK: &str = "#dfe3ea";
const SIXTEEN: [&str; 16] = [
    "#1b1f27", "#e06c75", "#98c379", "#d7af5f", "#61afef", "#c678dd", "#56b6c2", "#dfe3ea", "#5c6370", "#ff8787",
    "#87d787", "#e5c07b", "#87d7ff", "#d7afff", "#87d7d7", "#ffffff",
];

/// Keeps a picture of a screen below the target folder, and in place of the one in the folder that `SEALPOST_PICTURES` names.
pub(super) fn keep(screen: &vt100::Screen, name: &str) {
    let picture = draw(screen);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pictures");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.svg")), &picture).unwrap();
    refresh(&format!("{name}.svg"), picture.as_bytes());
}

fn draw(screen: &vt100::Screen) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let width = f32::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"{LETTERS}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{PAPER}\"/>"
    );
    for row in 0..rows {
        let mut column = 0;
        while column < columns {
            let run = run(screen, row, column, columns);
            paint(&mut svg, row, column, &run);
            column += run.columns;
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// Neighbouring cells that look alike.
struct Run {
    text: String,
    columns: u16,
    ink: String,
    paper: String,
    bold: bool,
}

fn run(screen: &vt100::Screen, row: u16, from: u16, columns: u16) -> Run {
    let look = |cell: &vt100::Cell| {
        let (ink, paper) = (colour(cell.fgcolor(), INK), colour(cell.bgcolor(), PAPER));
        let (ink, paper) = if cell.inverse() { (paper, ink) } else { (ink, paper) };
        (ink, paper, cell.bold())
    };
    let first = screen.cell(row, from).expect("it is on the screen");
    let (ink, paper, bold) = look(first);
    let mut run = Run { text: String::new(), columns: 0, ink, paper, bold };
    for column in from..columns {
        let cell = screen.cell(row, column).expect("it is on the screen");
        if !cell.is_wide_continuation() && look(cell) != (run.ink.clone(), run.paper.clone(), run.bold) {
            break;
        }
        // A wide letter and whatever follows it stand where the terminal has them, not where a font would.
        if cell.is_wide() && run.columns > 0 || !cell.is_wide_continuation() && run.text.chars().any(is_wide) {
            break;
        }
        run.columns += 1;
        if !cell.is_wide_continuation() {
            run.text.push_str(if cell.has_contents() { cell.contents() } else { " " });
        }
    }
    run
}

fn is_wide(letter: char) -> bool {
    u32::from(letter) >= 0x1100 && !matches!(letter, '\u{2000}'..='\u{2bff}')
}

fn paint(svg: &mut String, row: u16, column: u16, run: &Run) {
    let (x, y) = (MARGIN + f32::from(column) * CELL.0, MARGIN + f32::from(row) * CELL.1);
    let width = f32::from(run.columns) * CELL.0;
    if run.paper != PAPER {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{}\" fill=\"{}\"/>",
            CELL.1, run.paper
        );
    }
    if run.text.trim().is_empty() {
        return;
    }
    let letters = run.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let weight = if run.bold { " font-weight=\"bold\"" } else { "" };
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\" fill=\"{}\"{weight}>{letters}</text>",
        y + 13.0,
        run.ink
    );
}

/// A colour as a browser writes it; the cube and the greys as xterm has them.
fn colour(colour: vt100::Color, otherwise: &str) -> String {
    match colour {
        vt100::Color::Default => otherwise.to_owned(),
        vt100::Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
        vt100::Color::Idx(at @ 0..=15) => SIXTEEN[usize::from(at)].to_owned(),
        vt100::Color::Idx(at @ 16..=231) => {
            let level = |part: u8| if part == 0 { 0 } else { 55 + part * 40 };
            let at = at - 16;
            format!("#{:02x}{:02x}{:02x}", level(at / 36), level(at / 6 % 6), level(at % 6))
        }
        vt100::Color::Idx(at) => {
            let grey = 8 + (at - 232) * 10;
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}
