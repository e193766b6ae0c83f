//! Where a profile is.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use super::plain::said;
use crate::api::{Error, ErrorCode};

/// Where fetched files go below a home that was given, beside its profiles.
const DOWNLOADS: &str = "downloads";

/// The folder of a profile: below `home` where it is given, else in the user's data folder (XDG).
pub(super) fn profile_dir(home: Option<&Path>, profile: &str) -> Result<PathBuf, Error> {
    let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    if !(1..=64).contains(&profile.len()) || !profile.bytes().all(letter) || profile.starts_with(['.', '-']) {
        return Err(Error::new(ErrorCode::Usage, "that is no name for a profile")
            .because("it has 1 to 64 of a-z A-Z 0-9 _ . - and begins with a letter, digit or _")
            .advise("sealpost --profile default"));
    }
    if home.is_some() && profile == DOWNLOADS {
        return Err(Error::new(ErrorCode::Usage, format!("a profile can't be called {DOWNLOADS}"))
            .because("files that were fetched go there, under names that strangers choose")
            .advise("sealpost --profile OTHER"));
    }
    let parent = match home {
        Some(home) => std::path::absolute(home).unwrap_or_else(|_| home.to_owned()),
        None => etcetera::choose_base_strategy()
            .map_err(|error| {
                Error::new(ErrorCode::Failed, "there is no home folder")
                    .because(error.to_string())
                    .advise("sealpost --home DIR")
            })?
            .data_dir()
            .join("sealpost"),
    };
    Ok(parent.join(profile))
}

/// The folder for files that were fetched: below `home` where it is given, else the one that the user's desktop has for downloads.
pub(super) fn downloads(home: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(home) = home {
        return Ok(std::path::absolute(home).unwrap_or_else(|_| home.to_owned()).join(DOWNLOADS));
    }
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        Error::new(ErrorCode::Failed, "there is no home folder")
            .because(error.to_string())
            .advise("sealpost --home DIR")
    })?;
    let chosen = std::env::var_os("XDG_DOWNLOAD_DIR").map(PathBuf::from).filter(|chosen| chosen.is_absolute());
    let configured = || {
        let dirs = std::fs::read_to_string(strategy.config_dir().join("user-dirs.dirs")).ok()?;
        dirs.lines().find_map(|line| configured_downloads(line, strategy.home_dir()))
    };
    Ok(chosen.or_else(configured).unwrap_or_else(|| strategy.home_dir().join("Downloads")))
}

/// `XDG_DOWNLOAD_DIR="$HOME/Downloads"`, as desktops write it.
fn configured_downloads(line: &str, home: &Path) -> Option<PathBuf> {
    let value = line.trim().strip_prefix("XDG_DOWNLOAD_DIR=")?.strip_prefix('"')?.strip_suffix('"')?;
    match value.strip_prefix("$HOME/") {
        Some(below) => Some(home.join(below)),
        None => Some(PathBuf::from(value)).filter(|path| path.is_absolute()),
    }
}

/// The path as whoever holds the profile understands it.
pub(super) fn absolute(path: &Path) -> Result<String, Error> {
    if path == Path::new("-") {
        return Err(Error::new(ErrorCode::Usage, "a file that is sent has a name")
            .because("where sending is interrupted, it is read again")
            .advise("save it first, then: sealpost send NAME -f FILE"));
    }
    let whole = std::path::absolute(path).ok();
    let trailing = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    match whole.and_then(|whole| whole.to_str().map(str::to_owned)) {
        Some(whole) if trailing && !whole.ends_with('/') => Ok(format!("{whole}/")),
        Some(whole) => Ok(whole),
        None => Err(Error::new(ErrorCode::Usage, "the path is empty, or not UTF-8")
            .because(said(&path.to_string_lossy()))
            .advise("give the file, or its folder, another name")),
    }
}

/// Makes the folder above a profile's, for its owner alone.
pub(super) fn make_parent(profile: &Path) -> Result<(), Error> {
    let Some(parent) = profile.parent() else { return Ok(()) };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|error| {
        Error::new(ErrorCode::Failed, format!("{} can't be made", parent.display()))
            .because(error.to_string())
            .advise("sealpost --home DIR")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{configured_downloads, downloads, profile_dir};

    #[test]
    fn downloads_are_where_the_desktop_has_them() {
        assert_eq!(downloads(Some(Path::new("/tmp/home"))).unwrap(), Path::new("/tmp/home/downloads"));
        let found = |line| configured_downloads(line, Path::new("/home/alice"));
        assert_eq!(
            found("XDG_DOWNLOAD_DIR=\"$HOME/Telechargements\"").unwrap(),
            Path::new("/home/alice/Telechargements")
        );
        assert_eq!(found("XDG_DOWNLOAD_DIR=\"/data/in\"").unwrap(), Path::new("/data/in"));
        for other in ["", "# XDG_DOWNLOAD_DIR=\"/x\"", "XDG_DOWNLOAD_DIR=\"x\"", "XDG_DESKTOP_DIR=\"/x\""] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_profile_stays_inside_its_home() {
        let home = Path::new("/tmp/home");
        assert_eq!(profile_dir(Some(home), "alice").unwrap(), Path::new("/tmp/home/alice"));
        for refused in ["", ".", "..", "downloads", "../alice", "a/b", "-p", ".hidden", "a\u{1b}"] {
            assert!(profile_dir(Some(home), refused).is_err(), "{refused:?}");
        }
    }
}
