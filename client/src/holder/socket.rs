//! The socket beside the profile: `<profile>/socket`, for its owner alone.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

const NAME: &str = "socket";

/// The kernel's limit is 108 bytes with the final zero.
const LONGEST: usize = 100;

/// A path that fits the kernel's limit, and what keeps it valid.
struct Reachable {
    path: PathBuf,
    _dir: Option<File>,
}

/// A long path is reached through an open folder.
fn reachable(dir: &Path) -> io::Result<Reachable> {
    let path = dir.join(NAME);
    if path.as_os_str().len() <= LONGEST {
        return Ok(Reachable { path, _dir: None });
    }
    let open = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(NAME);
    Ok(Reachable { path, _dir: Some(open) })
}

/// Listens. Only the holder may call this: what is in the way was left behind by one that died.
pub(super) fn listen(dir: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(dir.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let reachable = reachable(dir)?;
    let listener = UnixListener::bind(&reachable.path)?;
    // The folder is 0700, so nobody else came before this line.
    std::fs::set_permissions(dir.join(NAME), Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes the socket away, before the profile is let go.
pub(super) fn remove(dir: &Path) {
    let _ = std::fs::remove_file(dir.join(NAME));
}

/// Connects to the holder; `None` where there is none.
pub(super) async fn connect(dir: &Path) -> Option<UnixStream> {
    let reachable = reachable(dir).ok()?;
    // A holder whose queue of connections is full is as good as none: it does not answer.
    tokio::time::timeout(Duration::from_secs(1), UnixStream::connect(&reachable.path)).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn a_path_longer_than_the_kernel_allows_works_too() {
        let short = tempfile::tempdir().unwrap();
        let long = short.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        for dir in [short.path(), &long] {
            assert!(super::connect(dir).await.is_none());
            let listener = super::listen(dir).unwrap();
            let mode = std::fs::metadata(dir.join("socket")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(super::connect(dir).await.is_some());
            drop(listener);
            assert!(super::connect(dir).await.is_none(), "nobody listens");
            drop(super::listen(dir).expect("what a dead holder left is in nobody's way"));
            super::remove(dir);
        }
    }
}
