use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;

use tempfile::TempDir;

use super::listing::{Listing, TRAILER};
use super::record::{HEAD, HEADER};
use super::*;

const SERIES: Series = [7; 16];

/// A folder of segments, and what is in them.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("mailboxes")
    }

    fn file(&self, number: u32) -> PathBuf {
        path(&self.folder(), Number::new(number).unwrap())
    }

    fn open(&self, limit: u64, tables: u64) -> std::result::Result<(Journal, Contents), SegmentError> {
        let contents = RefCell::new(Contents::default());
        let journal = open(&self.folder(), SERIES, tables, limit, |segment, listing| {
            contents.borrow_mut().take(segment, listing);
        })?;
        Ok((journal, contents.into_inner()))
    }

    fn reopened(&self) -> Contents {
        self.open(SEGMENT, 0).unwrap().1
    }
}

/// By seqs where entries are, and all seqs that trims took.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    entries: BTreeMap<u64, (u32, u32)>,
    gone: Vec<u64>,
}

impl Contents {
    fn take(&mut self, segment: Number, listing: &Listing) {
        for item in listing.items() {
            match item {
                Item::Entry { seq, size, .. } => _ = self.entries.insert(*seq, (segment.get(), *size)),
                Item::Trim { gone, .. } => self.gone.extend(gone.iter().map(|(_, seq)| *seq)),
            }
        }
    }

    fn seqs(&self) -> Vec<u64> {
        self.entries.keys().copied().collect()
    }
}

/// A group with these entries, of 100 bytes each.
fn group(journal: &mut Journal, seqs: impl IntoIterator<Item = u64>) -> Vec<Place> {
    journal.begin().unwrap();
    let places = seqs.into_iter().map(|seq| journal.entry(b"bob", seq, [seq as u8; 16], &[seq as u8; 100])).collect();
    journal.commit(None).unwrap();
    places
}

/// [STORE-1] [STORE-8] what was written is found again, across segments, each byte where it was said to be.
#[test]
fn what_was_written_is_found_again() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(1_000, 0).unwrap();
    let mut places = Vec::new();
    for seq in 1..=20 {
        places.extend(group(&mut journal, [seq]));
    }
    journal.begin().unwrap();
    journal.trim(b"bob", 2, 5, vec![([1; 16], 1), ([2; 16], 2)]);
    journal.commit(None).unwrap();
    let files = journal.files();
    drop(journal);
    assert!(numbers(&disk.folder()).unwrap().len() > 3, "they are short");
    let contents = disk.reopened();
    assert_eq!(contents.seqs(), (1..=20).collect::<Vec<_>>());
    assert_eq!(contents.gone, [1, 2]);
    for (seq, place) in (1..).zip(places) {
        assert_eq!(contents.entries[&seq], (place.segment.get(), 100));
        assert_eq!(files.read(place, b"bob", seq, 100).unwrap().unwrap(), [seq as u8; 100].as_slice());
        assert!(files.read(place, b"eve", seq, 100).is_err(), "it is of another log");
        assert!(files.read(place, b"bob", seq + 1, 100).is_err(), "it is another entry");
    }
}

/// [STORE-1] a power cut tears what was not synced, at any byte: what stood before it is whole, and the store goes on from there.
#[test]
fn a_torn_group_is_cut_off_at_any_byte() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    group(&mut journal, 1..=2);
    let before = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    group(&mut journal, 3..=4);
    drop(journal);
    let whole = std::fs::read(disk.file(1)).unwrap();
    for length in before..whole.len() {
        for others in [0, 50] {
            let torn = [&whole[..length], &vec![0xa5; others]].concat();
            std::fs::write(disk.file(1), torn).unwrap();
            let (mut journal, contents) = disk.open(SEGMENT, 0).unwrap();
            assert_eq!(contents.seqs(), [1, 2], "{length} bytes");
            group(&mut journal, [9]);
            drop(journal);
            assert_eq!(disk.reopened().seqs(), [1, 2, 9], "{length} bytes");
        }
    }
    std::fs::write(disk.file(1), &whole).unwrap();
    assert_eq!(disk.reopened().seqs(), [1, 2, 3, 4]);
}

/// A power cut may also have written the end of what was not synced and not its beginning: that is torn, not damaged.
#[test]
fn a_hole_in_the_last_group_is_cut_off() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    group(&mut journal, [1]);
    let before = std::fs::metadata(disk.file(1)).unwrap().len();
    group(&mut journal, 2..=5);
    drop(journal);
    let file = std::fs::OpenOptions::new().write(true).open(disk.file(1)).unwrap();
    file.write_all_at(&[0; 60], before).unwrap();
    assert_eq!(disk.reopened().seqs(), [1]);
}

/// A bit that the disk has altered in what was synced is told, wherever it is: the store is not opened, or the entry is
/// not given out. Nothing is passed over in silence.
#[test]
fn a_flipped_bit_in_the_middle_is_told() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    group(&mut journal, [1]);
    let middle = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    group(&mut journal, [2]);
    let end = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    group(&mut journal, [3]);
    drop(journal);
    let whole = std::fs::read(disk.file(1)).unwrap();
    for at in 0..end {
        let mut altered = whole.clone();
        altered[at] ^= 1 << (at % 8);
        std::fs::write(disk.file(1), &altered).unwrap();
        let opened = disk.open(SEGMENT, 0).map(|(_, contents)| contents.seqs());
        assert!(matches!(opened, Err(SegmentError::Damaged { .. })), "byte {at} of {middle} and {end}: {opened:?}");
        assert!(check(&disk.folder(), SERIES, 0).is_err(), "byte {at}");
        assert_eq!(std::fs::read(disk.file(1)).unwrap(), altered, "nothing was cut off");
    }
}

/// The same in a segment that is complete: its listing says what it holds, and each entry is compared when it is read. The
/// listing itself is made again.
#[test]
fn a_flipped_bit_in_a_complete_segment_is_told() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    let places: Vec<Place> = (1..=4).flat_map(|seq| group(&mut journal, [seq])).collect();
    drop(journal);
    assert_eq!(places[1].segment.get(), 1);
    let whole = std::fs::read(disk.file(1)).unwrap();
    let listed = places[1].offset as usize + HEAD + 3 + 24 + 100 + HEAD + 8;
    let mut told = [0; 3];
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1 << (at % 8);
        std::fs::write(disk.file(1), &altered).unwrap();
        assert_eq!(check(&disk.folder(), SERIES, 0).is_err(), at < listed, "byte {at}");
        match disk.open(300, 0) {
            Err(SegmentError::Damaged { .. }) => told[0] += 1,
            Err(error) => panic!("byte {at}: {error}"),
            Ok((journal, contents)) => {
                assert_eq!(contents.seqs(), [1, 2, 3, 4], "the listing is as it was, or was made again");
                let files = journal.files();
                let reads = (1..).zip(&places).map(|(seq, place)| files.read(*place, b"bob", seq, 100));
                let entry = |offset: u32| (offset as usize..offset as usize + HEAD + 3 + 24 + 100).contains(&at);
                let within = places.iter().filter(|place| place.segment.get() == 1 && entry(place.offset)).count();
                assert_eq!(reads.filter(|read| read.is_err()).count(), within, "byte {at}");
                told[1] += within;
                if at >= listed {
                    assert!(std::fs::read(disk.file(1)).unwrap() == whole, "byte {at}");
                    told[2] += 1;
                }
            }
        }
    }
    assert!(told.iter().all(|told| *told > 50), "{told:?}");
}

/// What somebody puts into an envelope is never taken for a record, though it looks like one of the next group.
#[test]
fn an_envelope_is_no_record() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    let mut forged = Vec::new();
    record::Mark { salt: 0, group: 9 }.write(&mut forged, record::Kind::Entry, b"bob", &[&[0; 24]]);
    journal.begin().unwrap();
    journal.entry(b"bob", 1, [1; 16], &forged);
    journal.commit(None).unwrap();
    drop(journal);
    let whole = std::fs::read(disk.file(1)).unwrap();
    std::fs::write(disk.file(1), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(disk.reopened().seqs(), [0; 0]);
}

/// [STORE-2] a group whose tables did not come to be there is cut off, and only where it is the last one: tables that are older
/// than the segments are told.
#[test]
fn a_group_without_its_tables_is_cut_off() {
    let disk = Disk::new();
    let both = |journal: &mut Journal, seq, tables| {
        journal.begin().unwrap();
        journal.entry(b"bob", seq, [seq as u8; 16], &[1; 100]);
        journal.commit(Some(tables)).unwrap();
    };
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    both(&mut journal, 1, 1);
    group(&mut journal, [2]);
    both(&mut journal, 3, 2);
    drop(journal);
    assert!(matches!(disk.open(SEGMENT, 0), Err(SegmentError::Older(_))));
    assert!(matches!(check(&disk.folder(), SERIES, 0), Err(SegmentError::Older(_))));
    check(&disk.folder(), SERIES, 1).unwrap();
    assert_eq!(disk.open(SEGMENT, 2).unwrap().1.seqs(), [1, 2, 3]);
    let (mut journal, contents) = disk.open(SEGMENT, 1).unwrap();
    assert_eq!(contents.seqs(), [1, 2]);
    both(&mut journal, 4, 2);
    group(&mut journal, [5]);
    drop(journal);
    assert_eq!(disk.open(SEGMENT, 2).unwrap().1.seqs(), [1, 2, 4, 5]);
}

/// What is taken back is not there, and what follows stands in its place.
#[test]
fn a_group_is_taken_back() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    group(&mut journal, [1]);
    let length = journal.bytes();
    group(&mut journal, [2]);
    journal.take_back().unwrap();
    assert_eq!(journal.bytes(), length);
    let place = group(&mut journal, [3])[0];
    assert_eq!(u64::from(place.offset), length);
    drop(journal);
    assert_eq!(disk.reopened().seqs(), [1, 3]);
}

/// A crash while the next segment is made: whether its listing, its header or nothing of it is there, all is found, and it goes on.
#[test]
fn a_crash_between_two_segments_loses_nothing() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    group(&mut journal, 1..=3);
    let before = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    group(&mut journal, [4]);
    drop(journal);
    let (first, second) = (std::fs::read(disk.file(1)).unwrap(), std::fs::read(disk.file(2)).unwrap());
    for length in before..=first.len() {
        std::fs::write(disk.file(1), &first[..length]).unwrap();
        std::fs::remove_file(disk.file(2)).unwrap();
        let (mut journal, contents) = disk.open(300, 0).unwrap();
        assert_eq!(contents.seqs(), [1, 2, 3], "{length} bytes of the first");
        group(&mut journal, [9]);
        drop(journal);
        assert_eq!(disk.reopened().seqs(), [1, 2, 3, 9]);
    }
    std::fs::write(disk.file(1), &first).unwrap();
    for length in 0..=HEADER {
        std::fs::write(disk.file(2), &second[..length]).unwrap();
        check(&disk.folder(), SERIES, 0).unwrap();
        assert_eq!(disk.reopened().seqs(), [1, 2, 3], "{length} bytes of the second");
    }
    std::fs::write(disk.file(2), [0; HEADER]).unwrap();
    assert_eq!(disk.reopened().seqs(), [1, 2, 3], "its length was written, and its bytes were not");
}

/// A power cut while a listing is written may leave its end and not its middle: it is none then, and the segment goes on.
#[test]
fn a_hole_in_the_last_listing_is_cut_off() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    group(&mut journal, 1..=3);
    let before = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    group(&mut journal, [4]);
    drop(journal);
    let first = std::fs::read(disk.file(1)).unwrap();
    for at in (before..first.len() - TRAILER).step_by(64) {
        let mut torn = first.clone();
        torn[at..(at + 64).min(first.len() - TRAILER)].fill(0);
        std::fs::write(disk.file(1), torn).unwrap();
        std::fs::remove_file(disk.file(2)).unwrap();
        let (mut journal, contents) = disk.open(300, 0).unwrap();
        assert_eq!(contents.seqs(), [1, 2, 3], "from byte {at}");
        group(&mut journal, [9]);
        drop(journal);
        assert_eq!(disk.reopened().seqs(), [1, 2, 3, 9], "from byte {at}");
    }
}

/// A listing that is lost, or torn, though the next segment is there: where nothing is missing between the two it is written
/// again, as it was; where a group is, that is told.
#[test]
fn a_lost_listing_is_written_again() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    group(&mut journal, 1..=2);
    let one = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    drop(journal);
    let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
    group(&mut journal, [3]);
    let before = std::fs::metadata(disk.file(1)).unwrap().len() as usize;
    drop(journal);
    let (mut journal, _) = disk.open(300, 0).unwrap();
    group(&mut journal, [4]);
    drop(journal);
    let first = std::fs::read(disk.file(1)).unwrap();
    let again = |torn: &[u8], what: &str| {
        std::fs::write(disk.file(1), torn).unwrap();
        assert_eq!(disk.reopened().seqs(), [1, 2, 3, 4], "{what}");
        assert!(std::fs::read(disk.file(1)).unwrap() == first, "{what}");
    };
    for length in before..=first.len() {
        again(&first[..length], &format!("{length} bytes"));
    }
    for at in (before..first.len()).step_by(64) {
        let mut torn = first.clone();
        torn[at..(at + 64).min(first.len())].fill(0);
        again(&torn, &format!("a hole at {at}"));
    }
    for length in one..before {
        std::fs::write(disk.file(1), &first[..length]).unwrap();
        assert!(matches!(disk.open(300, 0), Err(SegmentError::Damaged { .. })), "{length} bytes: a group is missing");
        assert_eq!(std::fs::metadata(disk.file(1)).unwrap().len() as usize, length, "nothing was cut off");
    }
}

/// A start promises what it has read, also where a sync of it failed before: then its pages are clean, and a sync alone
/// would write nothing. So the last group is written once more, as it is.
#[test]
fn a_start_writes_the_last_group_again() {
    let disk = Disk::new();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for groups in 0..3 {
        let (mut journal, _) = disk.open(SEGMENT, 0).unwrap();
        if groups > 0 {
            group(&mut journal, [groups]);
        }
        drop(journal);
        let whole = std::fs::read(disk.file(1)).unwrap();
        std::fs::OpenOptions::new().write(true).open(disk.file(1)).unwrap().set_modified(long_ago).unwrap();
        assert_eq!(disk.reopened().seqs(), (1..=groups).collect::<Vec<_>>());
        assert!(std::fs::metadata(disk.file(1)).unwrap().modified().unwrap() > long_ago, "{groups} groups");
        assert!(std::fs::read(disk.file(1)).unwrap() == whole, "{groups} groups");
    }
}

/// A segment that is missing is told; those of another store are kept under another name, and none of them is read.
#[test]
fn what_is_missing_or_strange_is_told() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    (1..=9).for_each(|seq| drop(group(&mut journal, [seq])));
    drop(journal);
    std::fs::rename(disk.file(2), disk.0.path().join("away")).unwrap();
    assert!(matches!(disk.open(300, 0), Err(SegmentError::Missing(path)) if path == disk.file(2)));
    let missing = check(&disk.folder(), SERIES, 0);
    assert!(matches!(missing, Err(SegmentError::Missing(path)) if path == disk.file(2)));
    std::fs::rename(disk.0.path().join("away"), disk.file(2)).unwrap();
    check(&disk.folder(), SERIES, 0).unwrap();
    assert!(matches!(check(&disk.folder(), [8; 16], 0), Err(SegmentError::Damaged { .. })));
    let read = |_: Number, _: &Listing| panic!("it is another store's");
    drop(open(&disk.folder(), [8; 16], 0, 300, read).unwrap());
    let aside = disk.0.path().join("mailboxes.other-1");
    assert!(numbers(&aside).unwrap().len() > 2);
    assert_eq!(numbers(&disk.folder()).unwrap(), [Number::MIN]);
}

/// A copy of segments that are written, cleaned and removed meanwhile has everything that was there when it began.
#[test]
fn a_copy_is_of_one_moment() {
    let disk = Disk::new();
    let (mut journal, _) = disk.open(300, 0).unwrap();
    (1..=9).for_each(|seq| drop(group(&mut journal, [seq])));
    let copied = opened(&disk.folder()).unwrap();
    for number in numbers(&disk.folder()).unwrap().into_iter().take(2) {
        journal.remove(number).unwrap();
    }
    group(&mut journal, 10..=12);
    let copy = Disk::new();
    std::fs::create_dir(copy.folder()).unwrap();
    for Opened { name, file, length } in copied {
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, 0).unwrap();
        std::fs::write(copy.folder().join(name), bytes).unwrap();
    }
    assert_eq!(copy.reopened().seqs(), (1..=9).collect::<Vec<_>>());
}

/// Nobody else on the machine reads them.
#[test]
fn segments_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let disk = Disk::new();
    drop(disk.open(SEGMENT, 0).unwrap());
    for (path, mode) in [(disk.folder(), 0o700), (disk.file(1), 0o600)] {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
    }
}
