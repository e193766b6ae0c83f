use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use sealpost_crypto::attachment::{Chunks, FileHash};
use sealpost_spec::attachment::{BlobId, CHUNK};
use sealpost_spec::message::FilePointer;
use tokio::sync::mpsc;

use super::folder::{Partial, To, forget};
use super::source::{self, Read};
use super::{FileNews, FileTrouble, Told};
use crate::engine::{FileJob, Stamp};

const BLOB: BlobId = BlobId([0xab; 16]);

fn hash(bytes: &[u8]) -> [u8; 32] {
    let mut hash = FileHash::default();
    hash.update(bytes);
    hash.finish()
}

fn pointer(name: &str, bytes: &[u8]) -> FilePointer {
    FilePointer { blob: BLOB, name: name.to_owned(), size: bytes.len() as u64, hash: hash(bytes), key: [1; 32] }
}

fn chunks(pointer: &FilePointer) -> Chunks {
    Chunks::new(&pointer.key, pointer.blob, pointer.size).unwrap()
}

fn open(to: &Path, pointer: &FilePointer) -> Result<(Partial, u32), FileTrouble> {
    Partial::open(To::Path(to.to_owned()), pointer, &chunks(pointer), |_| {})
}

/// Writes what is missing, and gives the file its name.
fn save(to: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, FileTrouble> {
    let pointer = pointer(name, bytes);
    let (mut partial, from) = open(to, &pointer)?;
    partial.write(bytes.get(from as usize * CHUNK..).unwrap_or_default())?;
    partial.finish(&pointer.hash)
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn partial(folder: &Path) -> PathBuf {
    folder.join(format!(".sealpost-{}.part", "ab".repeat(16)))
}

/// [FILE-14] what a stranger calls a file stays in the folder; a link there is not followed and nothing is replaced, and the file is
/// for its owner alone.
#[test]
fn strangers_names_stay_in_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let (folder, outside) = (home.path().join("in"), home.path().join("outside"));
    fs::create_dir(&folder).unwrap();
    fs::write(&outside, "precious").unwrap();
    symlink(&outside, folder.join("x")).unwrap();
    symlink("/nowhere", folder.join("dangling")).unwrap();
    fs::create_dir(folder.join("taken")).unwrap();
    let table = [
        ("../../.bashrc", "bashrc"),
        ("../outside", "outside"),
        ("/etc/x", "x (2)"),
        ("dangling", "dangling (2)"),
        ("taken", "taken (2)"),
        ("..", "file"),
        ("a\u{0}b", "a_b"),
        ("-rf", "rf"),
        ("CON", "_CON"),
    ];
    for (name, saved) in table {
        let at = save(&folder, name, name.as_bytes()).unwrap();
        assert_eq!(at, folder.join(saved), "{name:?}");
        let found = fs::symlink_metadata(&at).unwrap();
        assert!(found.is_file() && found.permissions().mode() & 0o777 == 0o600);
    }
    let long = save(&folder, &"é".repeat(4_096), b"long").unwrap();
    assert!(long.file_name().unwrap().len() <= 200);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    assert_eq!(names(home.path()), ["in", "outside"]);
    assert_eq!(names(&folder).len(), 3 + table.len() + 1);
}

/// [FILE-14] nor does what lies under the partial file's name lead elsewhere.
#[test]
fn a_partial_file_is_ones_own() {
    let home = tempfile::tempdir().unwrap();
    let outside = home.path().join("outside");
    fs::write(&outside, "precious").unwrap();
    let refused = |make: &dyn Fn(&Path)| {
        make(&partial(home.path()));
        let error = save(home.path(), "a", b"a").unwrap_err();
        assert!(matches!(error, FileTrouble::Unwritable(_)), "{error:?}");
        fs::remove_file(partial(home.path())).unwrap();
    };
    refused(&|at| symlink(&outside, at).unwrap());
    refused(&|at| fs::hard_link(&outside, at).unwrap());
    refused(&|at| {
        rustix::fs::mknodat(rustix::fs::CWD, at, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    });
    assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    // Two at once would write over each other.
    let pointer = pointer("a", b"a");
    let first = open(home.path(), &pointer).unwrap();
    assert!(matches!(open(home.path(), &pointer), Err(FileTrouble::Unwritable(_))));
    drop(first);
    assert!(save(home.path(), "a", b"a").is_ok());
}

/// [FILE-13] what was written before is gone on with, whole parts of it; what it turns out not to be gets no name.
#[test]
fn a_file_gets_its_name_when_it_is_whole() {
    let home = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..CHUNK * 2 + 100).map(|at| (at % 251) as u8).collect();
    let pointer = pointer("a.bin", &bytes);
    for (there, from) in [(0, 0), (CHUNK - 1, 0), (CHUNK, 1), (CHUNK * 2 + 99, 2), (bytes.len(), 3)] {
        fs::write(partial(home.path()), &bytes[..there]).unwrap();
        let (mut partial, first) = open(home.path(), &pointer).unwrap();
        assert_eq!(first, from, "{there}");
        partial.write(&bytes[(from as usize * CHUNK).min(bytes.len())..]).unwrap();
        let at = partial.finish(&pointer.hash).unwrap();
        assert!(fs::read(&at).unwrap() == bytes);
        fs::remove_file(at).unwrap();
    }
    // Longer than it may be, or altered: it begins anew, or it is thrown away.
    fs::write(partial(home.path()), vec![0; bytes.len() + 1]).unwrap();
    assert_eq!(open(home.path(), &pointer).unwrap().1, 0);
    fs::write(partial(home.path()), vec![9; CHUNK]).unwrap();
    let (mut altered, first) = open(home.path(), &pointer).unwrap();
    assert_eq!(first, 1);
    altered.write(&bytes[CHUNK..]).unwrap();
    assert_eq!(altered.finish(&pointer.hash), Err(FileTrouble::Stale), "what was there, or what came: it begins anew");
    let (mut altered, first) = open(home.path(), &pointer).unwrap();
    assert_eq!(first, 0);
    altered.write(&vec![9; bytes.len()]).unwrap();
    assert_eq!(altered.finish(&pointer.hash), Err(FileTrouble::Damaged), "all of it came like this");
    assert_eq!(names(home.path()), [""; 0]);
}

/// A name of one's own is taken as it is, and only where nothing has it, also where that came meanwhile.
#[test]
fn a_name_of_ones_own_is_taken_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().join("-mine..");
    assert_eq!(save(&at, "a", b"a"), Ok(at.clone()));
    assert!(matches!(save(&at, "a", b"a"), Err(FileTrouble::Taken(_))));
    let later = home.path().join("later");
    let pointer = pointer("a", b"a");
    let (mut partial, _) = open(&later, &pointer).unwrap();
    partial.write(b"a").unwrap();
    symlink("/nowhere", &later).unwrap();
    assert!(matches!(partial.finish(&pointer.hash), Err(FileTrouble::Taken(_))));
    assert!(fs::symlink_metadata(&later).unwrap().is_symlink());
    forget(To::Path(later), &BLOB).unwrap();
    assert_eq!(names(home.path()), ["-mine..", "later"]);
}

async fn measured(path: &Path) -> Result<FileNews, FileTrouble> {
    let (events, _heard) = mpsc::channel(1_000);
    source::measure(path.to_owned(), &mut Told { job: FileJob(1), events, last: None }).await
}

/// All that the reading thread gives: how many parts, and the end.
async fn read(path: &Path, stamp: Stamp, size: u64, from: u32) -> (u32, Result<(u64, [u8; 32]), FileTrouble>) {
    let chunks = Chunks::new(&[1; 32], BLOB, size).unwrap();
    let mut source = source::start(path.to_owned(), stamp, chunks, from);
    let mut parts = 0;
    loop {
        match source.recv().await.unwrap() {
            Ok(Read::Passed) => assert!(from > 0),
            Ok(Read::Part(number, _)) => {
                assert_eq!(number, from + parts);
                parts += 1;
            }
            Ok(Read::End { size, hash }) => return (parts, Ok((size, hash))),
            Err(trouble) => return (parts, Err(trouble)),
        }
    }
}

/// [FILE-9] what is sealed is told with its size and hash, also where it is gone on with; a file that is another one by then is not.
#[tokio::test]
async fn what_is_sealed_is_what_was_measured() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a");
    let bytes: Vec<u8> = (0..CHUNK * 3 + 5).map(|at| (at % 253) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let Ok(FileNews::Measured { size, hash: found, stamp }) = measured(&path).await else { panic!("it is measured") };
    assert_eq!((size, found, stamp.inode), (bytes.len() as u64, hash(&bytes), fs::metadata(&path).unwrap().ino()));
    assert_eq!(read(&path, stamp, size, 0).await, (4, Ok((size, found))));
    assert_eq!(read(&path, stamp, size, 3).await, (1, Ok((size, found))));
    assert_eq!(read(&path, stamp, size, 4).await, (0, Ok((size, found))));
    let link = home.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(read(&link, stamp, size, 0).await, (4, Ok((size, found))), "one's own link leads there");

    // The same bytes in another file, at another time, or more and less of them.
    fs::copy(&path, home.path().join("copy")).unwrap();
    assert_eq!(read(&home.path().join("copy"), stamp, size, 0).await, (0, Err(FileTrouble::Changed)));
    fs::write(&path, &bytes).unwrap();
    assert_eq!(read(&path, stamp, size, 0).await, (0, Err(FileTrouble::Changed)));
    for length in [bytes.len() - 1, CHUNK] {
        fs::write(&path, &bytes[..length]).unwrap();
        let Ok(FileNews::Measured { stamp, .. }) = measured(&path).await else { panic!("it is measured") };
        assert_eq!(read(&path, stamp, size, 0).await.1, Err(FileTrouble::Changed));
    }
    for other in [home.path(), Path::new("/dev/null"), &home.path().join("missing")] {
        assert!(matches!(measured(other).await, Err(FileTrouble::Unreadable(_))), "{other:?}");
    }
}
