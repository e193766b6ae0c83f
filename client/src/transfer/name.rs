//! Names of files, as strangers suggest them and as they are saved. **[FILE-14]**

use crate::api::is_obeyed;

/// Longest name in bytes, with room for a number and what a file system adds: most take 255.
const LONGEST: usize = 200;
/// Longest ending that is kept when a name is cut.
const LONGEST_ENDING: usize = 16;
/// What a file is called whose name has nothing to keep.
const NAMELESS: &str = "file";
/// Names that mean devices on some systems, with whatever ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "clock$", "conin$"];

/// A name that stays in its folder, hides nothing, and that a terminal or a careless script shows and takes as a name: its last
/// part, without leading dots and dashes, and without characters that something might obey.
pub(super) fn safe(suggested: &str) -> String {
    let last = suggested.rsplit(['/', '\\']).find(|part| !part.trim_matches(['.', ' ']).is_empty());
    let cleaned: String = last
        .unwrap_or_default()
        .chars()
        .map(|c| if is_obeyed(c) || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c })
        .collect();
    let kept = cleaned.trim_start_matches(|c: char| matches!(c, '.' | '-' | '~') || c.is_whitespace());
    let kept = kept.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let short = cut(kept);
    let stem = short.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered = ["com", "lpt"].iter().any(|port| {
        stem.strip_prefix(port).is_some_and(|number| number.len() == 1 && number.bytes().all(|d| d.is_ascii_digit()))
    });
    match short.as_str() {
        "" => NAMELESS.to_owned(),
        _ if DEVICES.contains(&stem.as_str()) || numbered => format!("_{short}"),
        _ => short,
    }
}

/// At most [`LONGEST`] bytes, with the ending where it is short.
fn cut(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rfind('.').map(|at| &name[at..]).filter(|ending| ending.len() <= LONGEST_ENDING);
    let ending = ending.unwrap_or_default();
    let stem = &name[..name.floor_char_boundary(LONGEST - ending.len())];
    format!("{}{ending}", stem.trim_end_matches(['.', ' ']))
}

/// The names that are tried one after the other: `a.txt`, `a (2).txt`, and so on.
pub(super) fn candidate(name: &str, number: u32) -> String {
    if number < 2 {
        return name.to_owned();
    }
    match name.rfind('.').filter(|at| *at > 0 && name.len() - at <= LONGEST_ENDING) {
        Some(at) => format!("{} ({number}){}", &name[..at], &name[at..]),
        None => format!("{name} ({number})"),
    }
}

#[cfg(test)]
mod tests {
    use super::{candidate, safe};

    /// [FILE-14] whatever a stranger calls a file, it is saved under a name without separators, control characters and leading
    /// dots, which no shell or system takes for something else.
    #[test]
    fn no_name_leaves_its_folder() {
        let table = [
            ("photo.jpg", "photo.jpg"),
            ("../../.bashrc", "bashrc"),
            ("/etc/x", "x"),
            ("..\\..\\autoexec.bat", "autoexec.bat"),
            ("C:\\Windows\\x", "x"),
            ("c:x", "c_x"),
            ("-rf", "rf"),
            ("--", "file"),
            ("~root", "root"),
            ("~/.ssh/authorized_keys", "authorized_keys"),
            (".", "file"),
            ("..", "file"),
            ("...", "file"),
            ("/", "file"),
            ("a/", "a"),
            ("a/..", "a"),
            ("", "file"),
            ("   ", "file"),
            (".hidden", "hidden"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("nul .txt", "_nul .txt"),
            ("COM1.log", "_COM1.log"),
            ("com.log", "com.log"),
            ("a\u{0}b", "a_b"),
            ("a\nb\u{1b}[2Jc", "a_b_[2Jc"),
            ("invoice\u{202e}fdp.exe", "invoice_fdp.exe"),
            ("a\u{200b}\u{feff}.txt", "a__.txt"),
            ("trailing. . ", "trailing"),
            ("naïve क्षि 👩‍👩‍👧.txt", "naïve क्षि 👩‍👩‍👧.txt"),
            ("a|b>c<d*e?f\"g:h", "a_b_c_d_e_f_g_h"),
        ];
        for (suggested, saved) in table {
            assert_eq!(safe(suggested), saved, "{suggested:?}");
        }
    }

    /// [FILE-14] a long name is cut where a character ends, and keeps a short ending.
    #[test]
    fn long_names_are_cut() {
        for long in ["x".repeat(4_096), "é".repeat(4_096), format!("{}/{}", "a".repeat(99), "👍".repeat(999))] {
            let saved = safe(&format!("{long}.tar"));
            assert!(saved.len() <= 200 && saved.ends_with(".tar"), "{saved}");
            assert!(!saved.contains('/'));
        }
        let endless = safe(&format!("a.{}", "b".repeat(4_096)));
        assert_eq!(endless.len(), 200);
    }

    #[test]
    fn taken_names_get_a_number() {
        assert_eq!(candidate("a.txt", 1), "a.txt");
        assert_eq!(candidate("a.txt", 2), "a (2).txt");
        assert_eq!(candidate("a", 3), "a (3)");
        assert_eq!(candidate("a. b and then some more words", 4), "a. b and then some more words (4)");
    }
}
