//! Where a profile is.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::api::{Error, ErrorCode};

/// The folder of a profile: below `home` where it is given, else in the user's data folder (XDG).
pub(super) fn profile_dir(home: Option<&Path>, profile: &str) -> Result<PathBuf, Error> {
    let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    if !(1..=64).contains(&profile.len()) || !profile.bytes().all(letter) || profile.starts_with(['.', '-']) {
        return Err(Error::new(ErrorCode::Usage, "that is no name for a profile")
            .because("it has 1 to 64 of a-z A-Z 0-9 _ . - and begins with a letter, digit or _")
            .advise("sealpost --profile default"));
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

    use super::profile_dir;

    #[test]
    fn a_profile_stays_inside_its_home() {
        let home = Path::new("/tmp/home");
        assert_eq!(profile_dir(Some(home), "alice").unwrap(), Path::new("/tmp/home/alice"));
        for refused in ["", ".", "..", "../alice", "a/b", "-p", ".hidden", "a\u{1b}"] {
            assert!(profile_dir(Some(home), refused).is_err(), "{refused:?}");
        }
    }
}
