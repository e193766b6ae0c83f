//! Reads what segments hold when a store is opened, and cuts off what a crash tore.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};

use super::journal::{Active, Journal};
use super::listing::{Come, Item, Listing, TRAILER, begins};
use super::record::{Cursor, ENTRY, HEADER, Header, Kind, Mark, Record, parse};
use super::{Number, Series, numbers, path, sync};

/// So often segments are looked for again while some of them are removed.
const AGAIN: usize = 100;

/// Why the envelopes can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// What was written is there no more as it was.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A file is not there.
    #[error("{0} is missing")]
    Missing(PathBuf),
    /// The file of the tables was put back as it was earlier, and the segments were not.
    #[error("relay.db is older than {0}")]
    Older(PathBuf),
    /// The operating system's own words.
    #[error("{path}: {error}")]
    Io {
        /// What was to be read or written.
        path: PathBuf,
        /// Why it was not.
        error: Error,
    },
}

/// Says which file an error is about.
fn about(path: &Path) -> impl Fn(Error) -> SegmentError + '_ {
    |error| SegmentError::Io { path: path.to_owned(), error }
}

fn damaged(path: &Path, what: &'static str) -> SegmentError {
    SegmentError::Damaged { path: path.to_owned(), what }
}

/// Opens all segments of a folder, or makes it, and cuts off what was not wholly written. `tables`: how many commits of
/// the tables that belong to groups are there. `each`: what a segment holds, in their order.
///
/// # Errors
/// See [`SegmentError`].
pub(crate) fn open(
    folder: &Path,
    series: Series,
    tables: u64,
    limit: u64,
    mut each: impl FnMut(Number, &Listing),
) -> Result<Journal, SegmentError> {
    let all = prepared(folder, series)?;
    let (mut sealed, mut active, mut group) = (Vec::new(), None, 0);
    for (number, next) in all.iter().zip(all.iter().skip(1).map(Some).chain([None])) {
        let mut segment = Segment::open(folder, *number)?;
        if segment.header.series != series {
            return Err(damaged(&segment.path, "it belongs to another store"));
        }
        let (listing, after) = match (segment.listing()?, next) {
            (Some(listed), _) => listed,
            (None, Some(next)) => segment.listed_again(Segment::open(folder, *next)?.header.after, tables)?,
            (None, None) => {
                let (last, after) = segment.active(tables)?;
                each(*number, &last.listing);
                (active, group) = (Some(last), after);
                break;
            }
        };
        if listing.tables > tables {
            return Err(SegmentError::Older(segment.path));
        }
        if next.is_none() {
            // Whoever wrote its listing may have died before the sync, and nothing comes behind it before that.
            segment.file.sync_all().map_err(about(&segment.path))?;
        }
        each(*number, &listing);
        sealed.push((*number, segment.length));
        group = after;
    }
    let active = match active {
        Some(active) => active,
        None => {
            let next = all.last().map_or(Some(Number::MIN), |last| last.checked_add(1));
            let next = next.ok_or_else(|| damaged(folder, "there is no number for another segment"))?;
            Active::create(folder, series, next, group).map_err(about(folder))?
        }
    };
    let mut journal = Journal::new(folder.to_owned(), series, limit, active, group);
    sealed.into_iter().for_each(|(number, bytes)| journal.add_sealed(number, bytes));
    Ok(journal)
}

/// The segments of a folder, without one that was never wholly made. What belongs to another store is put aside.
fn prepared(folder: &Path, series: Series) -> Result<Vec<Number>, SegmentError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(about(folder))?;
    let (all, half) = without_gaps(folder)?;
    if let Some(half) = half {
        std::fs::remove_file(&half).and_then(|()| sync(folder)).map_err(about(&half))?;
    }
    let Some(first) = all.first() else { return Ok(all) };
    if Segment::open(folder, *first)?.header.series == series {
        // Whoever made the last one may have died before the sync: its name is durable before it is written to.
        sync(folder).map_err(about(folder))?;
        return Ok(all);
    }
    // The file of the tables was lost, or removed, and a new one made.
    put_aside(folder)?;
    prepared(folder, series)
}

/// The segments of a folder, none missing between two of them, and the last one apart where it was never wholly made.
fn without_gaps(folder: &Path) -> Result<(Vec<Number>, Option<PathBuf>), SegmentError> {
    let mut all = numbers(folder).map_err(about(folder))?;
    let mut half = None;
    if let Some(last) = all.last().map(|last| path(folder, *last))
        && half_made(&last).map_err(about(&last))?
    {
        all.pop();
        half = Some(last);
    }
    for (one, next) in all.iter().zip(all.iter().skip(1)) {
        if let Some(between) = one.checked_add(1).filter(|between| between < next) {
            return Err(SegmentError::Missing(path(folder, between)));
        }
    }
    Ok((all, half))
}

/// Gives a folder another name, where it is there: what is in it is nobody's.
///
/// # Errors
/// See [`SegmentError`].
pub(crate) fn put_aside(folder: &Path) -> Result<(), SegmentError> {
    if !folder.exists() {
        return Ok(());
    }
    let mut names = (1..).map(|number: u32| folder.with_extension(format!("other-{number}")));
    let Some(aside) = names.find(|name| !name.exists()) else { return Ok(()) };
    tracing::warn!("what waits in {} belongs to another store; it is kept in {}", folder.display(), aside.display());
    std::fs::rename(folder, &aside).map_err(about(folder))
}

/// Whether a crash came while this segment was made: then it has no whole header, and nothing behind it.
fn half_made(path: &Path) -> Result<bool, Error> {
    let mut bytes = Vec::new();
    File::open(path)?.take(HEADER as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.len() <= HEADER && Header::parse(&bytes).is_none())
}

/// What a segment holds that is complete.
pub(super) fn sealed(folder: &Path, number: Number) -> Result<Listing, SegmentError> {
    let segment = Segment::open(folder, number)?;
    let listing = segment.listing()?.map(|(listing, _)| listing);
    listing.ok_or_else(|| damaged(&segment.path, "its end is not what was written"))
}

/// Shows what segments hold that somebody may be writing to. `each`: what a segment holds, in their order.
///
/// # Errors
/// See [`SegmentError`].
pub(crate) fn look(folder: &Path, mut each: impl FnMut(Number, &Listing)) -> Result<(), SegmentError> {
    for number in numbers(folder).map_err(about(folder))? {
        let segment = match Segment::open(folder, number) {
            Ok(segment) => segment,
            // It was not wanted any more, or is just being made.
            Err(SegmentError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => continue,
            Err(SegmentError::Damaged { path, .. }) if half_made(&path).unwrap_or_default() => continue,
            Err(error) => return Err(error),
        };
        match segment.listing()? {
            Some((listing, _)) => each(number, &listing),
            None => each(number, &segment.scan()?.listing),
        }
    }
    Ok(())
}

/// A segment as it was at one moment.
pub(crate) struct Opened {
    /// Its name in its folder.
    pub(crate) name: String,
    /// Open, at its beginning.
    pub(crate) file: File,
    /// Bytes of it by then.
    pub(crate) length: u64,
}

/// All segments as they are at one moment; somebody may write to them meanwhile, and remove some later on.
///
/// # Errors
/// See [`SegmentError`].
pub(crate) fn opened(folder: &Path) -> Result<Vec<Opened>, SegmentError> {
    let mut lost = folder.to_owned();
    // Where one is gone by now, what is wanted of it stands in one that may not be among them.
    'again: for _ in 0..AGAIN {
        let mut all = Vec::new();
        for number in numbers(folder).map_err(about(folder))? {
            let path = path(folder, number);
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    lost = path;
                    continue 'again;
                }
                Err(error) => return Err(about(&path)(error)),
            };
            let length = file.metadata().map_err(about(&path))?.len();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            all.push(Opened { name, file, length });
        }
        return Ok(all);
    }
    Err(SegmentError::Missing(lost))
}

/// Reads all of all segments, every envelope with it: whether the store opens with them that is of this series and has
/// so many commits that belong to groups.
///
/// # Errors
/// See [`SegmentError`].
pub(crate) fn check(folder: &Path, series: Series, tables: u64) -> Result<(), SegmentError> {
    let (all, _) = without_gaps(folder)?;
    for (number, next) in all.iter().zip(all.iter().skip(1).map(Some).chain([None])) {
        let segment = Segment::open(folder, *number)?;
        if segment.header.series != series {
            return Err(damaged(&segment.path, "it belongs to another store"));
        }
        let (sealed, scan) = (segment.listing()?.is_some(), segment.scan()?);
        let altered = match next {
            _ if sealed => !scan.sealed,
            Some(next) => Segment::open(folder, *next)?.header.after != scan.end.group,
            None => false,
        };
        if altered {
            return Err(damaged(&segment.path, "its end is not what was written"));
        }
        // The last group of all may be without its tables, and is cut off then.
        let torn = !sealed && next.is_none();
        let newest = if torn { scan.before.come.tables() } else { scan.listing.tables };
        if newest > tables {
            return Err(SegmentError::Older(segment.path));
        }
    }
    Ok(())
}

/// A segment that is read.
struct Segment {
    path: PathBuf,
    file: File,
    number: Number,
    header: Header,
    length: u64,
}

impl Segment {
    fn open(folder: &Path, number: Number) -> Result<Self, SegmentError> {
        let path = path(folder, number);
        let file = File::open(&path).map_err(about(&path))?;
        let length = file.metadata().map_err(about(&path))?.len();
        let mut bytes = [0; HEADER];
        let read = if length < HEADER as u64 { Ok(()) } else { file.read_exact_at(&mut bytes, 0) };
        read.map_err(about(&path))?;
        let header = Header::parse(&bytes).filter(|header| header.number == u64::from(number.get()));
        let header = header.ok_or_else(|| damaged(&path, "its beginning is not what was written"))?;
        Ok(Self { path, file, number, header, length })
    }

    /// The listing that stands at its end, with the number of the last group; `None` where there is none, or a power cut
    /// has torn it: its end may be on the disk without its middle.
    fn listing(&self) -> Result<Option<(Listing, u64)>, SegmentError> {
        let read = |at: u64, length: u64| {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            self.file.read_exact_at(&mut bytes, at).map(|()| bytes).map_err(about(&self.path))
        };
        let Some(end) = self.length.checked_sub(TRAILER as u64).filter(|end| *end >= HEADER as u64) else {
            return Ok(None);
        };
        let Some(at) = begins(&read(end, TRAILER as u64)?, self.header.salt).filter(|at| *at < end) else {
            return Ok(None);
        };
        let bytes = read(at, end - at)?;
        let record = parse(&bytes, self.header.salt).filter(|record| record.kind == Kind::Listing);
        Ok(record.and_then(|record| Some((Listing::decode(record.body)?, record.group.checked_sub(1)?))))
    }

    fn scan(&self) -> Result<Scan, SegmentError> {
        // Somebody may write to it meanwhile.
        let mut bytes = vec![0; usize::try_from(self.length).unwrap_or_default()];
        self.file.read_exact_at(&mut bytes, 0).map_err(about(&self.path))?;
        let mut scan = Scan::new(self.header);
        scan.records(&bytes).map_err(|what| damaged(&self.path, what))?;
        Ok(scan)
    }

    /// Writes its listing again, durably, where nothing is missing between it and the next one; the listing, with the number
    /// of the last group. `after`: the last group before the next one.
    fn listed_again(&mut self, after: u64, tables: u64) -> Result<(Listing, u64), SegmentError> {
        let Scan { listing, end, .. } = self.scan()?;
        if end.group != after {
            return Err(damaged(&self.path, "its end is not what was written"));
        }
        if listing.tables > tables {
            return Err(SegmentError::Older(self.path.clone()));
        }
        tracing::warn!("the listing of {} was not whole: it is written again", self.path.display());
        let ending = listing.ending(Mark { salt: self.header.salt, group: after + 1 }, end.at);
        let file = OpenOptions::new().write(true).open(&self.path).map_err(about(&self.path))?;
        let written = file.set_len(end.at).and_then(|()| file.write_all_at(&ending, end.at));
        written.and_then(|()| file.sync_all()).map_err(about(&self.path))?;
        self.length = end.at + ending.len() as u64;
        Ok((listing, after))
    }

    /// The last segment, to be written to, and the number of its last group: what is not whole is cut off, and so is a
    /// last group whose tables are not there.
    fn active(self, tables: u64) -> Result<(Active, u64), SegmentError> {
        let mut scan = self.scan()?;
        if scan.listing.tables > tables {
            if scan.before.come.tables() > tables {
                return Err(SegmentError::Older(self.path));
            }
            scan.listing.go_back(scan.before.come);
            scan.end = scan.before;
        }
        let Self { path, number, header, length, .. } = self;
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(about(&path))?;
        if length != scan.end.at {
            let cut = length - scan.end.at;
            tracing::warn!("{cut} bytes at the end of {} were not wholly written: they are cut off", path.display());
            file.set_len(scan.end.at).map_err(about(&path))?;
        }
        // Whoever wrote it may have died before the sync, and what was read is promised from now on. Where that sync failed,
        // Linux took the pages for clean, and another one writes nothing: so the last group is written once more, and the
        // header where there is none before it. Any other group was synced before the next one came.
        let from = if scan.before.at == HEADER as u64 { 0 } else { scan.before.at };
        let mut last = vec![0; usize::try_from(scan.end.at - from).unwrap_or_default()];
        file.read_exact_at(&mut last, from).and_then(|()| file.write_all_at(&last, from)).map_err(about(&path))?;
        file.sync_all().map_err(about(&path))?;
        let active = Active { number, file, salt: header.salt, length: scan.end.at, listing: scan.listing };
        Ok((active, scan.end.group))
    }
}

/// A place between two groups.
#[derive(Clone, Copy)]
struct Between {
    at: u64,
    /// The number of the group before it.
    group: u64,
    come: Come,
}

/// What is found by reading a segment from its beginning.
struct Scan {
    salt: u64,
    listing: Listing,
    /// Where the last whole group ends, and where it begins.
    end: Between,
    before: Between,
    /// It has a listing.
    sealed: bool,
}

impl Scan {
    fn new(header: Header) -> Self {
        let end = Between { at: HEADER as u64, group: header.after, come: Come::default() };
        Self { salt: header.salt, listing: Listing::default(), end, before: end, sealed: false }
    }

    /// Reads whole groups, up to the first that is not.
    fn records(&mut self, bytes: &[u8]) -> Result<(), &'static str> {
        let mut at = HEADER;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let next = self.end.group + 1;
            let record = parse(rest, self.salt).filter(|record| record.group == next);
            let Some(length) = record.and_then(|record| self.record(&record, at)) else {
                if self.follows(rest, next) {
                    return Err("whole records stand behind one that is not");
                }
                break;
            };
            at += length;
            if self.sealed {
                return Ok(());
            }
        }
        self.listing.go_back(self.end.come);
        Ok(())
    }

    /// Takes a record in; its length. `None`: it is none that can stand here.
    fn record(&mut self, record: &Record<'_>, at: usize) -> Option<usize> {
        let mut body = Cursor(record.body);
        match record.kind {
            Kind::Entry => {
                let (seq, id) = (body.u64()?, body.array()?);
                let size = u32::try_from(record.body.len() - ENTRY).ok()?;
                let (name, offset) = (self.listing.name(record.key), u32::try_from(at).ok()?);
                self.listing.push(Item::Entry { name, seq, id, offset, size });
            }
            Kind::Trim => {
                let (through, moment) = (body.u64()?, body.u64()?);
                let mut gone = Vec::new();
                while !body.0.is_empty() {
                    gone.push((body.array()?, body.u64()?));
                }
                let name = self.listing.name(record.key);
                self.listing.push(Item::Trim { name, through, at: moment, gone });
            }
            Kind::End => {
                self.listing.tables = self.listing.tables.max(body.u64()?);
                self.before = self.end;
                let at = (at + record.length) as u64;
                self.end = Between { at, group: record.group, come: self.listing.come() };
            }
            Kind::Listing => {
                self.sealed = self.end.at == at as u64 && Listing::decode(record.body)? == self.listing;
                return self.sealed.then_some(record.length);
            }
        }
        Some(record.length)
    }

    /// Whether a record of a later group is whole: it was written after the sync of this one, which was whole then.
    fn follows(&self, bytes: &[u8], group: u64) -> bool {
        let salt = self.salt.to_le_bytes();
        let begins = |at: &usize| bytes.get(at + 8..at + 16).is_some_and(|bytes| bytes == salt);
        let mut later = (0..bytes.len().saturating_sub(16)).filter(begins);
        let whole = |at| parse(bytes.get(at..).unwrap_or_default(), self.salt);
        later.any(|at| whole(at).is_some_and(|record| record.group > group))
    }
}
