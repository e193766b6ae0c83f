use sealpost_spec::message::ContentId;
use sealpost_spec::wire::layout::Writer;

use super::super::messages::{Line, Place};
use super::super::rows::Rows;
use super::super::tests::{create, home, open};
use super::super::{DATABASE, Profile};
use super::{Page, row_of};
use crate::api::{Kind, State};

/// The line that was written as the `number`th.
pub(in crate::store) fn line(profile: &Profile, number: u32, conversation: &str, text: &str) -> Line {
    let own = profile.own();
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_le_bytes());
    Line {
        id: ContentId(id),
        conversation: conversation.to_owned(),
        from: own.name.clone(),
        account: own.account,
        device: own.device.id,
        number: u64::from(number),
        missing: 0,
        sent_at: 1,
        text: text.to_owned(),
        kind: Kind::Text,
        target: None,
        state: State::Sent,
        hash: Default::default(),
        previous: Default::default(),
        edited: false,
    }
}

/// A profile with so many lines, the `n`th of which says `line n`.
pub(in crate::store) fn filled(lines: u32) -> (tempfile::TempDir, Profile) {
    let (dir, home) = home();
    let profile = create(&home).unwrap();
    profile.without_sync();
    profile.begin().unwrap();
    for number in 1..=lines {
        profile.rows.add_line(&line(&profile, number, "@bob", &format!("Line {number}")), Place::Last).unwrap();
    }
    profile.rows.connection().execute_batch("COMMIT").unwrap();
    (dir, profile)
}

impl Rows {
    /// The pages that are there.
    pub(crate) fn kept_pages(&self) -> Vec<i64> {
        let mut kept = self.connection().prepare("SELECT id FROM page ORDER BY id").unwrap();
        kept.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

fn kept(profile: &Profile) -> Vec<i64> {
    profile.rows.kept_pages()
}

fn found(page: &Page, words: &[&str]) -> Vec<u8> {
    page.find(page.text(), &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), None)
}

/// All words have to stand in one message, whole or as a part, in whichever order; what is read back is the same.
#[test]
fn all_words_stand_in_one_message() {
    let mut page = Page::default();
    page.add(1, "@bob", "The quick Fox");
    page.add(2, "#garden", "fox and hounds");
    page.add(3, "@bob", "quick");
    page.add(255, "@carol", "ÄRGER mit\ndem Fuchs");
    for page in [Page::read(&page.layout()).unwrap(), page] {
        assert_eq!(found(&page, &["fox"]), [1, 2]);
        assert_eq!(found(&page, &["quick", "fox"]), [1]);
        assert_eq!(found(&page, &["ärger", "fuchs"]), [255]);
        assert_eq!(found(&page, &["hounds\nquick"]), [0; 0]);
        assert_eq!(found(&page, &[]), [0; 0]);
        assert_eq!(page.find(page.text(), &["fox".to_owned()], Some("#garden")), [2]);
        assert_eq!(page.find(page.text(), &["fox".to_owned()], Some("#kitchen")), [0; 0]);
    }
}

#[test]
fn what_is_no_page_is_refused() {
    let mut page = Page::default();
    page.add(1, "@bob", "hello");
    let whole = page.layout();
    assert!(Page::read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(Page::read(&whole[..length]).is_err(), "{length} bytes");
    }
    assert!(Page::read(&[&whole[..], b"x"].concat()).is_err());
    assert!(Page::read(&Writer::new().u16(0).u16(1).u8(0).u8(0).u32(u32::MAX).done()).is_err());
    assert!(Page::read(&Writer::new().u16(0).u16(1).u8(0).u8(0).u32(1).fixed(&[0xff, b'\n']).done()).is_err());
}

/// A few at a time, the newest first, and never the one that still gets lines.
#[test]
fn pages_are_made_of_rows_that_are_all_there() {
    let (_dir, profile) = filled(900);
    let rows = &profile.rows;
    assert!(rows.lacks_pages().unwrap());
    assert!(rows.make_pages(2).unwrap(), "one more is missing");
    assert_eq!(kept(&profile), [1, 2]);
    assert!(!rows.make_pages(2).unwrap());
    assert_eq!(kept(&profile), [0, 1, 2]);
    assert!(!rows.lacks_pages().unwrap());
    assert_eq!(found(&rows.page(1).unwrap(), &["line", "300"]), [(300 - row_of(1, 0)) as u8]);
}

/// Whatever becomes of a line, no page has it as it was: not from the same transaction on, and not in a free part of the file.
#[test]
fn a_page_goes_with_what_its_lines_were() {
    let (_dir, profile) = filled(900);
    let rows = &profile.rows;
    assert!(!rows.make_pages(10).unwrap());
    let mut edited = line(&profile, 300, "@bob", "another");
    edited.edited = true;

    profile.begin().unwrap();
    rows.put_line(&edited).unwrap();
    assert_eq!(kept(&profile), [0, 2], "written");
    profile.roll_back();
    assert_eq!(kept(&profile), [0, 1, 2], "nothing has happened");

    rows.put_line(&edited).unwrap();
    assert_eq!(kept(&profile), [0, 2]);
    assert!(!rows.make_pages(10).unwrap());
    assert!(found(&rows.page(1).unwrap(), &["line 300"]).is_empty());

    assert!(rows.delete_line(&edited.account, &edited.id).unwrap());
    assert_eq!(kept(&profile), [0, 2], "deleted");
    assert!(!rows.make_pages(10).unwrap());
    assert!(found(&rows.page(1).unwrap(), &["another"]).is_empty());
    assert_eq!(found(&rows.page(1).unwrap(), &["line"]).len(), 255);

    rows.move_lines("@bob", "@bob~1").unwrap();
    assert!(kept(&profile).is_empty(), "moved");
    assert!(!rows.make_pages(10).unwrap());
    let page = rows.page(0).unwrap();
    assert!(page.find(page.text(), &["line".to_owned()], Some("@bob")).is_empty());

    // Rows at the end that are gone give their numbers to the next ones.
    for number in 760..=900 {
        let gone = line(&profile, number, "@bob", "");
        assert!(rows.delete_line(&gone.account, &gone.id).unwrap());
    }
    assert!(!rows.make_pages(10).unwrap());
    assert_eq!(kept(&profile), [0, 1]);
    rows.add_line(&line(&profile, 1_000, "@carol", "hello"), Place::Last).unwrap();
    assert_eq!(found(&rows.page(2).unwrap(), &["hello"]).len(), 1);

    let there = |page: &[u8]| {
        rows.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let file = std::fs::read(rows.connection().path().unwrap()).unwrap();
        page.chunks_exact(64).any(|part| file.windows(64).any(|there| there == part))
    };
    let page = "SELECT row FROM page WHERE id = 0";
    let page: Vec<u8> = rows.connection().query_row(page, [], |row| row.get(0)).unwrap();
    assert!(there(&page));
    assert!(rows.delete_line(&edited.account, &line(&profile, 9, "@bob~1", "").id).unwrap());
    assert!(!there(&page), "what was dropped is overwritten");
}

/// A profile of a version without pages opens, is searched, and gets them.
#[test]
fn a_profile_without_pages_gets_them() {
    let (dir, profile) = filled(300);
    let path = dir.path().join("profile");
    drop(profile);
    let database = rusqlite::Connection::open(path.join(DATABASE)).unwrap();
    let back = "DROP TRIGGER page_of_new; DROP TRIGGER page_of_written; DROP TRIGGER page_of_gone; DROP TABLE page;
                DROP TABLE told; DROP TABLE shared; DROP TABLE late; DROP TABLE dropped; PRAGMA user_version = 5";
    database.execute_batch(back).unwrap();
    drop(database);
    let profile = open(&path, b"right").unwrap();
    assert!(profile.rows.lacks_pages().unwrap());
    assert_eq!(found(&profile.rows.page(0).unwrap(), &["line 200"]), [200]);
    assert!(!profile.rows.make_pages(10).unwrap());
    assert_eq!(kept(&profile), [0]);
}

/// A page that was put in the place of another one does not open there.
#[test]
fn a_page_that_was_moved_is_refused() {
    let (_dir, profile) = filled(600);
    assert!(!profile.rows.make_pages(10).unwrap());
    let swap = "UPDATE page SET row = (SELECT row FROM page WHERE id = 0) WHERE id = 1";
    profile.rows.connection().execute(swap, []).unwrap();
    assert!(profile.rows.page(0).is_ok());
    assert!(profile.rows.page(1).is_err());
}
