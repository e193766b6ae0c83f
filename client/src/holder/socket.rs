//! Sockets for their owner alone: the one beside the profile, `<profile>/socket`, and those of faces.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::umask;
use tokio::net::{UnixListener, UnixStream};

/// The holder's.
pub(super) const NAME: &str = "socket";

/// The kernel's limit is 108 bytes with the final zero.
const LONGEST: usize = 100;

/// A path that fits the kernel's limit, and what keeps it valid.
struct Reachable {
    path: PathBuf,
    _dir: Option<File>,
}

/// A long path is reached through an open folder.
fn reachable(dir: &Path, name: &str) -> io::Result<Reachable> {
    let path = dir.join(name);
    if path.as_os_str().len() <= LONGEST {
        return Ok(Reachable { path, _dir: None });
    }
    let open = File::open(dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd())).join(name);
    Ok(Reachable { path, _dir: Some(open) })
}

/// Listens. What is in the way was left behind by one that died: only the holder of the profile may call this, with a name
/// that no other process uses.
pub(crate) fn listen(dir: &Path, name: &str) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(dir.join(name)) {
        Ok(left) if left.file_type().is_socket() => std::fs::remove_file(dir.join(name))?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else than a socket is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let reachable = reachable(dir, name)?;
    // Nobody else may come before the mode is set, whoever may enter the folder: so it never is another one.
    let before = umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(&reachable.path);
    umask(before);
    std::fs::set_permissions(dir.join(name), Permissions::from_mode(0o600))?;
    listener
}

/// Takes the socket away, before the profile is let go.
pub(crate) fn remove(dir: &Path, name: &str) {
    let _ = std::fs::remove_file(dir.join(name));
}

/// Connects to the holder; `None` where there is none.
pub(super) async fn connect(dir: &Path, name: &str) -> Option<UnixStream> {
    let reachable = reachable(dir, name).ok()?;
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
            assert!(super::connect(dir, "socket").await.is_none());
            let listener = super::listen(dir, "socket").unwrap();
            let mode = std::fs::metadata(dir.join("socket")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            assert!(super::connect(dir, "socket").await.is_some());
            drop(listener);
            assert!(super::connect(dir, "socket").await.is_none(), "nobody listens");
            drop(super::listen(dir, "socket").expect("what a dead holder left is in nobody's way"));
            super::remove(dir, "socket");
        }
    }

    /// A file that somebody put where the socket belongs is kept, and said to be in the way.
    #[tokio::test]
    async fn only_a_socket_is_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("socket"), "a letter").unwrap();
        assert_eq!(super::listen(dir.path(), "socket").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(dir.path().join("socket")).unwrap(), b"a letter");
    }
}
