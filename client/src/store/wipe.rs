//! The end of a profile on this machine: what opens it goes first.

use std::fs::OpenOptions;
use std::path::Path;

use super::{DATABASES, HEADER, LOCK, header, hold, remove, trouble};
use crate::api::Error;

/// Files that others make beside the profile's own.
const OTHERS: [&str; 3] = ["vault.new", "socket", "rpc"];

/// Overwrites and deletes the header, then everything that the program has made in the folder, and the folder where nothing
/// else is in it; returns the names of what is. It need not open for that.
///
/// # Errors
/// `InUse`: a process holds the profile, or changes its passphrase; the disk fails.
pub fn wipe(dir: &Path) -> Result<Vec<String>, Error> {
    let lock = hold(dir)?;
    // A header that is just being written would be there again afterwards.
    let _alone = header::alone(dir)?;
    let path = dir.join(HEADER);
    match OpenOptions::new().write(true).open(&path) {
        // Without the header no row opens, whatever becomes of the rows: the rest is tidiness.
        Ok(file) => header::overwrite(&file).map_err(|cause| trouble(&path, &cause))?,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {}
        Err(cause) => return Err(trouble(&path, &cause)),
    }
    remove(dir, &[HEADER])?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|cause| trouble(dir, &cause))?;
    remove(dir, &DATABASES)?;
    remove(dir, &OTHERS)?;
    let passing: Vec<String> = names(dir)?.into_iter().filter(|name| is_passing(name)).collect();
    remove(dir, &passing.iter().map(String::as_str).collect::<Vec<_>>())?;
    remove(dir, &[LOCK])?;
    drop(lock);
    let mut left = names(dir)?;
    left.sort();
    if left.is_empty() {
        std::fs::remove_dir(dir).map_err(|cause| trouble(dir, &cause))?;
    }
    Ok(left)
}

fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let entries = std::fs::read_dir(dir).map_err(|cause| trouble(dir, &cause))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Whether a file is one that was fetched to be given out on standard output, or some of one: it stays where that was
/// interrupted.
fn is_passing(name: &str) -> bool {
    let whole = name.strip_prefix("stdout-").is_some_and(|process| process.bytes().all(|digit| digit.is_ascii_digit()));
    whole || name.starts_with(".sealpost-") && name.ends_with(".part")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{code, create, home, open};
    use super::wipe;
    use crate::api::ErrorCode;

    #[test]
    fn nothing_of_a_profile_stays_and_nothing_else_goes() {
        let (_dir, home) = home();
        let held = create(&home).unwrap();
        assert_eq!(wipe(&home).unwrap_err().code, ErrorCode::InUse, "somebody holds it");
        drop(held);
        let header = super::header::Header::open(&home, b"right").unwrap();
        assert_eq!(wipe(&home).unwrap_err().code, ErrorCode::InUse, "somebody is about to write the header anew");
        assert!(home.join("vault").exists());
        drop(header);
        let kept = home.join("kept");
        std::fs::hard_link(home.join("vault"), &kept).unwrap();
        std::fs::write(home.join("vault.new"), "half of a header").unwrap();
        for passing in ["stdout-4711", &format!(".sealpost-{}.part", "ab".repeat(16))] {
            std::fs::write(home.join(passing), "of somebody's file").unwrap();
        }
        assert_eq!(wipe(&home).unwrap(), ["kept"]);
        assert!(std::fs::read(&kept).unwrap().iter().all(|byte| *byte == 0), "the header is overwritten first");
        assert_eq!(code(open(&home, b"right")), Some(ErrorCode::NoProfile));
        std::fs::remove_file(&kept).unwrap();
        drop(create(&home).unwrap());
        assert!(wipe(&home).unwrap().is_empty());
        assert!(!home.exists());
    }
}
