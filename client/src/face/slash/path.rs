//! Paths as people type them, and as terminals paste what was dropped on them.

use std::path::PathBuf;

use crate::api::Error;
use crate::face::place;

/// The absolute path that is meant: in quotes or with backslashes before spaces, as a `file://` URL, from one's home or from the
/// folder that the program was started in.
///
/// # Errors
/// It is none that can be sent on.
pub(super) fn meant(typed: &str) -> Result<String, Error> {
    let typed = typed.trim();
    let quoted = ['\'', '"'].iter().find_map(|quote| typed.strip_prefix(*quote)?.strip_suffix(*quote));
    let path = match (quoted, typed.strip_prefix("file://")) {
        (Some(quoted), _) => quoted.to_owned(),
        (None, Some(url)) => unescaped_url(url),
        (None, None) => unescaped(typed),
    };
    let below_home = path.strip_prefix("~/").filter(|_| quoted.is_none());
    let home = || std::env::var_os("HOME").map(PathBuf::from);
    let whole = below_home.and_then(|below| Some(home()?.join(below))).unwrap_or_else(|| path.into());
    place::absolute(&whole)
}

/// Without the backslashes that keep a shell from taking a character for its own.
fn unescaped(typed: &str) -> String {
    let mut path = String::with_capacity(typed.len());
    let mut escapes = false;
    for c in typed.chars() {
        escapes = c == '\\' && !escapes;
        if !escapes {
            path.push(c);
        }
    }
    if escapes {
        path.push('\\');
    }
    path
}

/// `/a%20b` and `localhost/a%20b` are `/a b`. What is no escape, or no UTF-8 then, stays as it is.
fn unescaped_url(url: &str) -> String {
    let escaped = url.strip_prefix("localhost").unwrap_or(url).as_bytes();
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut at = 0;
    while let Some(byte) = escaped.get(at) {
        let digits = escaped.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn a_path_is_what_was_meant() {
        let table = [
            ("/a/b.txt", "/a/b.txt"),
            (" /a/my film.mkv ", "/a/my film.mkv"),
            ("'/a/my film.mkv'", "/a/my film.mkv"),
            ("\"/a/b c\"", "/a/b c"),
            ("/a/my\\ film\\\\.mkv", "/a/my film\\.mkv"),
            ("file:///a/my%20film.mkv", "/a/my film.mkv"),
            ("file://localhost/a/100%25%zz", "/a/100%%zz"),
            ("'~/x'", &std::env::current_dir().unwrap().join("~/x").display().to_string()),
            ("x", &std::env::current_dir().unwrap().join("x").display().to_string()),
        ];
        for (typed, path) in table {
            assert_eq!(meant(typed).unwrap(), path, "{typed}");
        }
        let home = std::env::var("HOME").unwrap_or_default();
        if home.starts_with('/') {
            assert_eq!(meant("~/x").unwrap(), format!("{}/x", home.trim_end_matches('/')));
        }
    }
}
