use rand::RngExt as _;

use super::super::Profile;
use super::super::messages::{Line, Place};
use super::super::pages::tests::{filled, line};
use super::{Index, Question};
use crate::api::Kind;

fn ask(profile: &Profile, index: &mut Index, words: &str, with: Option<&str>) -> Vec<u64> {
    let question = Question { words, with, limit: usize::MAX };
    let lines = profile.rows.search(index, &question, |_| true).unwrap();
    lines.iter().map(|line| line.number).collect()
}

/// Whatever happens to lines between two searches, and however many pages are kept on the disk or in memory, what is
/// found is what a look at every line finds.
#[test]
fn a_search_finds_what_every_line_says() {
    let (_dir, profile) = filled(550);
    let rows = &profile.rows;
    let mut dice: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(5);
    let mut index = rows.begin_index().unwrap();
    let (words, places) = (["line", "fox", "HOUND", "é"], ["@bob", "@carol", "#garden"]);
    let mut next = 551;
    for round in 0..120 {
        let some = rand_line(&profile, &mut dice, next);
        match dice.random_range(0..8) {
            0..3 => {
                let text = format!("{} {}", words[dice.random_range(0..4)], words[dice.random_range(0..4)]);
                let place = places[dice.random_range(0..3)];
                rows.add_line(&line(&profile, next, place, &text), Place::Last).unwrap();
                next += 1;
            }
            3 | 4 => {
                if let Some(mut some) = some {
                    some.text = words[dice.random_range(0..4)].to_owned();
                    some.kind = if dice.random_bool(0.2) { Kind::Removed } else { Kind::Text };
                    rows.put_line(&some).unwrap();
                }
            }
            5 => {
                if let Some(some) = some {
                    rows.delete_line(&some.account, &some.id).unwrap();
                }
            }
            6 => drop(rows.make_pages(1).unwrap()),
            _ if round % 4 == 0 => drop(rows.move_lines("@carol", "@dave").unwrap()),
            _ => {
                let room = index.room;
                rows.begin_index().unwrap();
                index = Index::with_room(room);
            }
        }
        if round == 60 {
            index.room = 9_000;
        }
        let word = words[dice.random_range(0..4)];
        let with = dice.random_bool(0.5).then(|| places[dice.random_range(0..3)]);
        let mut expected = Vec::new();
        rows.walk_all_back(|line| {
            let here = with.is_none_or(|with| line.conversation == with);
            if here && line.kind == Kind::Text && line.text.to_lowercase().contains(&word.to_lowercase()) {
                expected.push(line.number);
            }
            true
        })
        .unwrap();
        assert_eq!(ask(&profile, &mut index, word, with), expected, "round {round}: {word} with {with:?}");
    }
}

fn rand_line(profile: &Profile, dice: &mut rand::rngs::StdRng, next: u32) -> Option<Line> {
    let like = line(profile, dice.random_range(1..next), "@bob", "");
    profile.rows.line(&like.account, &like.id).unwrap()
}

/// No more than its room stays in memory, and what is beyond is found all the same.
#[test]
fn an_index_is_bounded() {
    let (_dir, profile) = filled(2_000);
    assert!(!profile.rows.make_pages(10).unwrap());
    let mut index = profile.rows.begin_index().unwrap();
    index.room = 10_000;
    let with_17 = (1..=2_000).filter(|number: &u32| number.to_string().contains("17")).count();
    for _ in 0..2 {
        assert_eq!(ask(&profile, &mut index, "line 17", None).len(), with_17);
        assert!(index.texts.len() <= index.room && !index.pages.is_empty());
        assert_eq!(index.texts.len(), index.pages.values().map(|(_, at)| at.len()).sum::<usize>());
    }
    let question = Question { words: "line", with: None, limit: 3 };
    let newest = profile.rows.search(&mut index, &question, |line| line.number % 2 == 0).unwrap();
    assert_eq!(newest.iter().map(|line| line.number).collect::<Vec<_>>(), [2_000, 1_998, 1_996]);
}
