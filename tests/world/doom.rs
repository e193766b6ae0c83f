//! Where somebody dies next, client or store: by chance, or at a commit that a story names.

/// Counts commits. `P`: on which side of one.
pub(super) struct Doom<P> {
    commits: u64,
    /// After how many commits from now.
    soon: Option<(u32, P)>,
    /// At which one of all.
    at: Option<(u64, P)>,
}

impl<P> Default for Doom<P> {
    fn default() -> Self {
        Self { commits: 0, soon: None, at: None }
    }
}

impl<P: Copy + PartialEq> Doom<P> {
    /// A commit has come to this point. `begins`: it is the first of this commit. Whether it strikes here; each does once.
    pub(super) fn strikes(&mut self, point: P, begins: bool) -> bool {
        self.commits += u64::from(begins);
        if self.at == Some((self.commits, point)) {
            self.at = None;
            return true;
        }
        match self.soon.as_mut() {
            Some((left, soon)) if *soon == point => {
                *left = left.saturating_sub(1);
                let strikes = *left == 0;
                if strikes {
                    self.soon = None;
                }
                strikes
            }
            _ => false,
        }
    }

    /// After so many commits from now, unless one is due already.
    pub(super) fn threatens(&mut self, commits: u32, point: P) {
        self.soon.get_or_insert((commits, point));
    }

    /// What was due by chance is no more.
    pub(super) fn spares(&mut self) {
        self.soon = None;
    }

    /// At this commit, counted from the first.
    pub(super) fn fixes(&mut self, commit: u64, point: P) {
        self.at = Some((commit, point));
    }

    /// So many there were.
    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }
}
