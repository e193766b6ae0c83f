//! What was said, how far it came, and who was shown it: made of the events that clients print.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place {
    /// To one of the people.
    Person(usize),
    /// In one of the rooms.
    Room(usize),
}

/// A line, known by its author, its place and its number among those of this author there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Line {
    /// Who says it.
    pub(super) from: usize,
    /// Where.
    pub(super) to: Place,
    /// From 0 on.
    pub(super) number: usize,
}

/// How far a line came, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fate {
    /// The author's client was given it, and has perhaps died before it was kept.
    Given,
    /// The author's client has it in its outbox: it must arrive.
    Queued,
    /// The relay has it.
    Accepted,
}

/// What became of a line later; one change each at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Another text.
    Edited(String),
    /// Its author took it back.
    Deleted,
    /// Somebody reacted with this.
    Reacted(usize, String),
}

/// What a client wants to be done next.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// A stranger has written to it.
    Answer {
        /// Who was written to.
        who: usize,
        /// By whom.
        to: usize,
    },
    /// It was sent a file.
    Fetch {
        /// Who was.
        who: usize,
        /// The message that announces it.
        id: String,
    },
}

/// A line of the honest pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    /// When it was given to its author's client.
    pub(super) said: Instant,
    /// When the other one's client had printed it.
    pub(super) shown: Instant,
}

impl Exchange {
    /// What lies between.
    pub(super) fn took(&self) -> Duration {
        self.shown.saturating_duration_since(self.said)
    }
}

/// What somebody was shown of an author in a place.
#[derive(Default)]
struct Heard {
    /// By all lives of the client.
    ever: BTreeSet<usize>,
    /// By the present one.
    now: BTreeSet<usize>,
}

struct Said {
    fate: Fate,
    at: Instant,
    file: bool,
    change: Option<Change>,
    /// The change is in the outbox.
    kept: bool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Lines that clients have kept.
    pub(super) said: u64,
    /// Of them, those that the relay has accepted, as their authors were told.
    pub(super) accepted: u64,
    /// Copies that must be shown: one for each who is written to.
    pub(super) due: u64,
    /// Copies that were.
    pub(super) shown: u64,
    /// Copies that one life of a client has printed twice.
    pub(super) doubled: u64,
    /// Copies that were printed after a later one.
    pub(super) disordered: u64,
    /// Edits, deletions and reactions that clients have kept.
    pub(super) changes: u64,
    /// Errors that clients have told.
    pub(super) errors: u64,
}

/// All of it.
pub(super) struct Ledger {
    people: usize,
    rooms: usize,
    pair: [usize; 2],
    said: BTreeMap<(usize, Place), Vec<Said>>,
    ids: HashMap<String, Line>,
    of: HashMap<Line, String>,
    /// Changes by their own ids are accepted, too; nothing hangs on it.
    sent: HashSet<String>,
    heard: HashMap<(usize, usize, Place), Heard>,
    online: BTreeSet<usize>,
    killed: BTreeSet<usize>,
    exchanges: Vec<Exchange>,
    counts: Counts,
    errors: BTreeMap<String, u64>,
    wishes: Vec<Wish>,
    joined: BTreeSet<usize>,
}

/// What people are called.
pub(super) fn name(who: usize) -> String {
    format!("person-{who}")
}

/// What rooms are called; the first one is everybody's.
pub(super) fn room_name(room: usize) -> String {
    if room == 0 { "#lobby".to_owned() } else { format!("#room-{room}") }
}

fn person(word: &str) -> Option<usize> {
    word.strip_prefix("@person-")?.parse().ok()
}

fn room(word: &str) -> Option<usize> {
    if word == "#lobby" { Some(0) } else { word.strip_prefix("#room-")?.parse().ok() }
}

/// The number of a line that has this text, or of a file that has this name.
fn number(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("line ").or_else(|| text.strip_prefix("line-"))?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

fn word<'a>(event: &'a Value, field: &str) -> &'a str {
    event[field].as_str().unwrap_or_default()
}

impl Ledger {
    /// Of so many people, of whom two are the honest pair; everybody is in the first room, and in one of the others.
    pub(super) fn new(people: usize, rooms: usize, pair: [usize; 2]) -> Self {
        Self {
            people,
            rooms,
            pair,
            said: BTreeMap::new(),
            ids: HashMap::new(),
            of: HashMap::new(),
            sent: HashSet::new(),
            heard: HashMap::new(),
            online: BTreeSet::new(),
            killed: BTreeSet::new(),
            exchanges: Vec::new(),
            counts: Counts::default(),
            errors: BTreeMap::new(),
            wishes: Vec::new(),
            joined: BTreeSet::new(),
        }
    }

    /// The room besides the first one that somebody is in.
    pub(super) const fn room_of(&self, who: usize) -> usize {
        if self.rooms > 1 { 1 + who % (self.rooms - 1) } else { 0 }
    }

    /// Who is to be shown a line.
    pub(super) fn audience(&self, line: Line) -> Vec<usize> {
        match line.to {
            Place::Person(to) => vec![to],
            Place::Room(room) => {
                (0..self.people).filter(|who| *who != line.from && (room == 0 || self.room_of(*who) == room)).collect()
            }
        }
    }

    /// Somebody's client is about to be given a line, or the name of a file.
    pub(super) fn gives(&mut self, from: usize, to: Place, file: bool) -> Line {
        let lines = self.said.entry((from, to)).or_default();
        lines.push(Said { fate: Fate::Given, at: Instant::now(), file, change: None, kept: false });
        Line { from, to, number: lines.len() - 1 }
    }

    fn said(&mut self, line: Line) -> Option<&mut Said> {
        self.said.get_mut(&(line.from, line.to))?.get_mut(line.number)
    }

    fn comes_to(&mut self, line: Line, fate: Fate) {
        let audience = self.audience(line).len() as u64;
        let Some(said) = self.said(line) else { return };
        let before = said.fate;
        said.fate = before.max(fate);
        if before == Fate::Given && fate > Fate::Given {
            self.counts.said += 1;
            self.counts.due += audience;
        }
        if before < Fate::Accepted && fate == Fate::Accepted {
            self.counts.accepted += 1;
        }
    }

    /// A line that can be changed, for the first time, by somebody: one of their own, or for a reaction one that they were shown.
    /// From now on it is not offered again.
    pub(super) fn changes(&mut self, line: Line, change: Change) -> Option<String> {
        let id = self.of.get(&line)?.clone();
        let said = self.said(line)?;
        if said.fate < Fate::Accepted || said.file || said.change.is_some() {
            return None;
        }
        said.change = Some(change);
        Some(id)
    }

    /// The newest line of somebody in a place.
    pub(super) fn newest(&self, from: usize, to: Place) -> Option<Line> {
        let lines = self.said.get(&(from, to))?;
        Some(Line { from, to, number: lines.len().checked_sub(1)? })
    }

    /// With whom somebody talks: both have written.
    pub(super) fn acquainted(&self, who: usize) -> Vec<usize> {
        let wrote = self.said.range((who, Place::Person(0))..(who, Place::Room(0)));
        let others = wrote.filter_map(|((_, to), _)| match to {
            Place::Person(other) => Some(*other),
            Place::Room(_) => None,
        });
        others.filter(|other| self.heard.contains_key(&(who, *other, Place::Person(who)))).collect()
    }

    /// Whether one has ever written to the other.
    pub(super) fn wrote(&self, from: usize, to: usize) -> bool {
        self.said.contains_key(&(from, Place::Person(to)))
    }

    /// Somebody's client has printed a line of output.
    pub(super) fn hears(&mut self, who: usize, output: &str, now: Instant) {
        let Ok(event) = serde_json::from_str::<Value>(output) else { return };
        match word(&event, "event") {
            "message" | "file" => self.message(who, &event, now),
            "sent" => self.accepted(word(&event, "id")),
            "edit" | "delete" | "reaction" if person(word(&event, "from")) == Some(who) => {
                if let Some(line) = self.ids.get(word(&event, "target")).copied()
                    && let Some(said) = self.said(line)
                    && !std::mem::replace(&mut said.kept, true)
                {
                    self.counts.changes += 1;
                }
            }
            "connection" if event["online"] == true => _ = self.online.insert(who),
            "connection" => _ = self.online.remove(&who),
            "done" => _ = self.joined.insert(who),
            "error" => {
                self.counts.errors += 1;
                *self.errors.entry(format!("{}: {}", word(&event, "code"), word(&event, "message"))).or_default() += 1;
            }
            _ => {}
        }
    }

    fn accepted(&mut self, id: &str) {
        match self.ids.get(id) {
            Some(line) => self.comes_to(*line, Fate::Accepted),
            // Its text is printed afterwards.
            None => _ = self.sent.insert(id.to_owned()),
        }
    }

    fn message(&mut self, who: usize, event: &Value, now: Instant) {
        let Some(line) = self.line(who, event) else { return };
        let id = word(event, "id").to_owned();
        self.comes_to(line, Fate::Queued);
        if self.sent.remove(&id) {
            self.comes_to(line, Fate::Accepted);
        }
        if line.from == who {
            return;
        }
        let heard = self.heard.entry((who, line.from, line.to)).or_default();
        if !heard.now.insert(line.number) {
            self.counts.doubled += 1;
            return;
        }
        let lines = self.said.get(&(line.from, line.to)).map_or(&[][..], Vec::as_slice);
        let is_file = |number: &usize| lines.get(*number).is_some_and(|said| said.file);
        // A file is announced once the relay has all of it, and has its place then.
        let later = heard.now.range(line.number + 1..).any(|number| !is_file(number));
        self.counts.disordered += u64::from(later && !is_file(&line.number));
        if !heard.ever.insert(line.number) {
            return;
        }
        self.counts.shown += 1;
        if line.to == Place::Person(who) && self.pair.contains(&line.from) && self.pair.contains(&who) {
            let said = self.said(line).map(|said| said.at);
            self.exchanges.extend(said.map(|said| Exchange { said, shown: now }));
        }
        if event["request"] == true {
            self.wishes.push(Wish::Answer { who, to: line.from });
        }
        if word(event, "event") == "file" {
            self.wishes.push(Wish::Fetch { who, id });
        }
    }

    /// Which line an event of somebody's client is about.
    fn line(&mut self, who: usize, event: &Value) -> Option<Line> {
        let id = word(event, "id");
        if let Some(line) = self.ids.get(id) {
            return Some(*line);
        }
        let (from, place) = (person(word(event, "from"))?, word(event, "conversation"));
        let to = match room(place) {
            Some(room) => Place::Room(room),
            None if from == who => Place::Person(person(place)?),
            None => Place::Person(who),
        };
        let line = Line { from, to, number: number(word(event, "text"))? };
        // What nobody has said is nobody's line.
        self.said(line)?;
        self.ids.insert(id.to_owned(), line);
        self.of.insert(line, id.to_owned());
        Some(line)
    }

    /// Somebody's client is about to live again; `killed`: the last one could not print what it had marked as shown.
    pub(super) fn returns(&mut self, who: usize, killed: bool) {
        if killed {
            self.killed.insert(who);
        }
        self.online.remove(&who);
        self.heard.iter_mut().filter(|((to, ..), _)| *to == who).for_each(|(_, heard)| heard.now.clear());
    }

    /// The relay is about to go: nobody is connected until they say so again.
    pub(super) fn nobody_is_online(&mut self) {
        self.online.clear();
    }

    /// Whether all of these have said that they are connected.
    pub(super) fn are_online(&self, people: &[usize]) -> bool {
        people.iter().all(|who| self.online.contains(who))
    }

    /// How many are.
    pub(super) fn online(&self) -> usize {
        self.online.len()
    }

    /// Whether a command of theirs has been carried out.
    pub(super) fn has_joined(&self, who: usize) -> bool {
        self.joined.contains(&who)
    }

    /// What is counted so far.
    pub(super) const fn counts(&self) -> Counts {
        self.counts
    }

    /// What clients want next.
    pub(super) fn wishes(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// Lines of the honest pair that were shown since the last question.
    pub(super) fn exchanges(&mut self) -> Vec<Exchange> {
        std::mem::take(&mut self.exchanges)
    }

    /// What clients have complained about, and how often.
    pub(super) const fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// Copies that are due and were not printed by any client that was never killed: a client that dies may have marked as shown what
    /// it could not print, which its history has.
    pub(super) fn missing(&self) -> Vec<(usize, Line)> {
        let due = self.due().flat_map(|(line, _)| {
            let heard = move |who: &usize| {
                self.heard.get(&(*who, line.from, line.to)).is_some_and(|heard| heard.ever.contains(&line.number))
            };
            self.audience(line).into_iter().filter(move |who| !heard(who)).map(move |who| (who, line))
        });
        due.filter(|(who, _)| !self.killed.contains(who)).collect()
    }

    /// Lines that must arrive.
    fn due(&self) -> impl Iterator<Item = (Line, &Said)> {
        let all = self.said.iter().flat_map(|((from, to), lines)| {
            let line = |number| Line { from: *from, to: *to, number };
            lines.iter().enumerate().map(move |(number, said)| (line(number), said))
        });
        all.filter(|(_, said)| said.fate > Fate::Given)
    }

    /// The places that somebody's history must have.
    pub(super) fn places_of(&self, who: usize) -> BTreeSet<Place> {
        let mine = |place: &Place| *place == Place::Room(0) || *place == Place::Room(self.room_of(who));
        let all = self.said.keys().filter_map(|(from, to)| match to {
            Place::Person(to) if *to == who => Some(Place::Person(*from)),
            Place::Person(to) if *from == who => Some(Place::Person(*to)),
            Place::Room(_) if mine(to) => Some(*to),
            _ => None,
        });
        all.collect()
    }

    /// Looks through a whole history of somebody; what is wrong with it, in words.
    pub(super) fn inspect(&self, who: usize, place: Place, history: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut there: BTreeMap<(usize, Place), Vec<usize>> = BTreeMap::new();
        for event in history {
            let kind = word(event, "event");
            if kind == "gap" {
                wrong.push(format!("{} in {place:?}: {event}", name(who)));
            }
            let Some(line) = self.ids.get(word(event, "id")).filter(|_| matches!(kind, "message" | "file")) else {
                continue;
            };
            there.entry((line.from, line.to)).or_default().push(line.number);
            wrong.extend(self.unchanged(*line, event).map(|why| format!("{} has {line:?} {why}", name(who))));
        }
        let here = |from: usize, to: Place| match place {
            Place::Room(_) => to == place,
            Place::Person(other) => (from, to) == (who, place) || (from, to) == (other, Place::Person(who)),
        };
        for ((from, to), lines) in self.said.iter().filter(|((from, to), _)| here(*from, *to)) {
            let shown = there.remove(&(*from, *to)).unwrap_or_default();
            let once: BTreeSet<usize> = shown.iter().copied().collect();
            let what = format!("{}, of what {} says to {to:?}:", name(who), name(*from));
            if once.len() < shown.len() {
                wrong.push(format!("{what} {} lines stand twice", shown.len() - once.len()));
            }
            if !shown.iter().filter(|number| lines.get(**number).is_some_and(|said| !said.file)).is_sorted() {
                wrong.push(format!("{what} lines are out of order"));
            }
            let must = lines.iter().enumerate().filter(|(_, said)| said.fate > Fate::Given).map(|(number, _)| number);
            let lost: Vec<usize> = must.filter(|number| !once.contains(number)).collect();
            if !lost.is_empty() {
                wrong.push(format!("{what} lost {lost:?}"));
            }
        }
        wrong
    }

    /// How a line of a history is not what its change made of it.
    fn unchanged(&self, line: Line, event: &Value) -> Option<String> {
        let said = self.said.get(&(line.from, line.to))?.get(line.number)?;
        let right = match said.change.as_ref().filter(|_| said.kept)? {
            Change::Edited(text) => word(event, "text") == text,
            Change::Deleted => event["kind"] == "removed",
            Change::Reacted(by, emoji) => event["reactions"].as_array().is_some_and(|all| {
                all.iter().any(|one| person(word(one, "from")) == Some(*by) && word(one, "emoji") == emoji)
            }),
        };
        (!right).then(|| format!("not as it was changed, {:?}: {event}", said.change))
    }

    /// Files that must have arrived.
    pub(super) fn files(&self) -> Vec<Line> {
        self.due().filter(|(_, said)| said.file).map(|(line, _)| line).collect()
    }

    /// The message that announces a file.
    pub(super) fn id_of(&self, line: Line) -> Option<&str> {
        self.of.get(&line).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LINE: Line = Line { from: 0, to: Place::Person(1), number: 0 };

    /// Two people, of whom the first has said so many lines to the second, all of them accepted.
    fn said(lines: usize) -> Ledger {
        let mut ledger = Ledger::new(2, 1, [0, 1]);
        for number in 0..lines {
            let line = ledger.gives(0, Place::Person(1), false);
            assert_eq!(line, Line { number, ..LINE });
            hears(&mut ledger, 0, &json!({ "event": "sent", "id": format!("id-{number}") }));
            hears(&mut ledger, 0, &told(number, "@person-1"));
        }
        ledger
    }

    fn told(number: usize, conversation: &str) -> Value {
        let (id, text) = (format!("id-{number}"), format!("line {number}: words"));
        json!({ "event": "message", "id": id, "conversation": conversation, "from": "@person-0", "text": text })
    }

    fn hears(ledger: &mut Ledger, who: usize, event: &Value) {
        ledger.hears(who, &event.to_string(), Instant::now());
    }

    fn history(numbers: &[usize]) -> Vec<Value> {
        numbers.iter().map(|number| told(*number, "@person-0")).collect()
    }

    /// What is printed twice, out of order, or by nobody is counted; what a client has never kept is not missed.
    #[test]
    fn what_is_printed_is_counted() {
        let mut ledger = said(3);
        let _ = ledger.gives(0, Place::Person(1), false);
        for number in [0, 0, 2] {
            hears(&mut ledger, 1, &told(number, "@person-0"));
        }
        let counts = ledger.counts();
        assert_eq!((counts.said, counts.accepted, counts.due, counts.shown), (3, 3, 3, 2));
        assert_eq!((counts.doubled, counts.disordered), (1, 0));
        assert_eq!(ledger.missing(), [(1, Line { number: 1, ..LINE })]);
        hears(&mut ledger, 1, &told(1, "@person-0"));
        assert_eq!(ledger.counts().disordered, 1);
        assert!(ledger.missing().is_empty() && ledger.exchanges().len() == 3);
        // Another life may print what the last one could not mark as shown.
        ledger.returns(1, true);
        hears(&mut ledger, 1, &told(2, "@person-0"));
        assert_eq!(ledger.counts().doubled, 1);
    }

    /// A history that lacks something, has it twice or in another order is wrong, and so is one with a gap.
    #[test]
    fn histories_are_held_to_what_was_said() {
        let ledger = said(3);
        let wrong = |numbers: &[usize]| ledger.inspect(1, Place::Person(0), &history(numbers)).join(", ");
        assert_eq!(wrong(&[0, 1, 2]), "");
        for (numbers, why) in [(vec![0, 2], "lost [1]"), (vec![0, 1, 1, 2], "twice"), (vec![1, 0, 2], "out of order")] {
            assert!(wrong(&numbers).contains(why), "{}", wrong(&numbers));
        }
        let gap = [history(&[0, 1, 2]), vec![json!({ "event": "gap", "missing": 1 })]].concat();
        assert_eq!(ledger.inspect(1, Place::Person(0), &gap).len(), 1);
        assert_eq!(ledger.places_of(1), BTreeSet::from([Place::Person(0)]));
    }

    /// A change that its author's client has kept must be in every history; one that may have died with the client need not.
    #[test]
    fn changes_are_asked_for_once_they_are_kept() {
        let mut ledger = said(1);
        let text = "line 0: other words";
        assert_eq!(ledger.changes(LINE, Change::Edited(text.to_owned())).as_deref(), Some("id-0"));
        assert_eq!(ledger.changes(LINE, Change::Deleted), None);
        let before = history(&[0]);
        assert!(ledger.inspect(1, Place::Person(0), &before).is_empty());
        hears(
            &mut ledger,
            0,
            &json!({ "event": "edit", "id": "e", "from": "@person-0", "target": "id-0", "text": text }),
        );
        assert_eq!((ledger.counts().changes, ledger.inspect(1, Place::Person(0), &before).len()), (1, 1));
        let mut after = told(0, "@person-0");
        after["text"] = json!(text);
        assert!(ledger.inspect(1, Place::Person(0), &[after]).is_empty());
    }
}
