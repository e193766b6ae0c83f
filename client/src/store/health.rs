//! Whether all that is stored can be read.

use super::rows::{Rows, Stored};

/// Sealed columns beside `row`, which every table of sealed rows has: table, column, and what it is sealed under.
const OTHERS: [(&str, &str, &str); 3] = [
    ("content", "content", "content body"),
    ("parcel", "message", "parcel message"),
    ("parcel", "sealed", "parcel sealed"),
];

/// What was found.
pub(crate) struct Health {
    /// SQLite's first complaint about its file.
    pub(crate) complaint: Option<String>,
    pub(crate) rows: u64,
    pub(crate) unreadable: u64,
}

impl Rows {
    /// Reads everything once.
    pub(crate) fn health(&self) -> Stored<Health> {
        let complaint: String = self.connection().query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        let mut health =
            Health { complaint: Some(complaint).filter(|complaint| complaint != "ok"), rows: 0, unreadable: 0 };
        let mut tables = self
            .connection()
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql LIKE '%row BLOB%' ORDER BY name")?;
        let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for table in &tables {
            self.read_column((table, "row", table), &mut health)?;
        }
        OTHERS.into_iter().try_for_each(|column| self.read_column(column, &mut health))?;
        Ok(health)
    }

    fn read_column(&self, (table, column, word): (&str, &str, &str), health: &mut Health) -> Stored<()> {
        let mut statement = self.connection().prepare(&format!("SELECT key, {column} FROM {table}"))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (key, sealed): ([u8; 32], Vec<u8>) = (row.get(0)?, row.get(1)?);
            health.rows += 1;
            health.unreadable += u64::from(!self.opens(word, &key, &sealed));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{create, home};

    #[test]
    fn a_row_that_does_not_open_is_counted() {
        let (_dir, home) = home();
        let profile = create(&home).unwrap();
        let before = profile.rows.health().unwrap();
        assert_eq!((before.complaint, before.unreadable), (None, 0));
        assert!(before.rows >= 3, "settings and secrets");
        let bend = "UPDATE secret SET row = zeroblob(length(row)) WHERE id = (SELECT min(id) FROM secret)";
        assert_eq!(profile.rows.connection().execute(bend, []).unwrap(), 1);
        let after = profile.rows.health().unwrap();
        assert_eq!((after.rows, after.unreadable), (before.rows, 1));
        // What is sealed beside a row counts as well.
        for insert in [
            "INSERT INTO content (key, row, content) VALUES (randomblob(32), zeroblob(60), zeroblob(60))",
            "INSERT INTO parcel (key, row, message, sealed) VALUES (randomblob(32), zeroblob(60), zeroblob(60), zeroblob(60))",
        ] {
            assert_eq!(profile.rows.connection().execute(insert, []).unwrap(), 1);
        }
        let most = profile.rows.health().unwrap();
        assert_eq!((most.rows, most.unreadable), (before.rows + 5, 6));
    }
}
