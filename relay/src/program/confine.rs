//! Takes from the process what it needs no more: every file but its own, and every connection of its own making but those
//! to the servers of its cluster.
//!
//! Landlock holds for the thread that asks for it and those that it starts. So this comes before the runtime and the
//! store start theirs, and after the ports are bound.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
};

/// What the relay goes on to need.
pub(super) struct Needs {
    /// Folders in which it reads and writes.
    pub(super) written: Vec<PathBuf>,
    /// Folders in which it reads: an editor replaces a file by another one, so its folder it is. Some files, too.
    pub(super) read: Vec<PathBuf>,
    /// Ports to which it connects.
    pub(super) ports: Vec<u16>,
}

/// Confines this thread, and all that it starts, to these. A kernel without Landlock is told of in the log.
pub(super) fn confine(needs: &Needs) {
    match confined(needs) {
        Ok(RulesetStatus::FullyEnforced) => {
            tracing::debug!("the process is confined to its own folders, and makes no connection but to its cluster");
        }
        Ok(RulesetStatus::PartiallyEnforced) => {
            tracing::info!("the process is confined to its own folders as far as this kernel's Landlock goes");
        }
        Ok(RulesetStatus::NotEnforced) => {
            tracing::info!("this kernel has no Landlock: the process could open other files of its user");
        }
        Err(error) => tracing::warn!("the process could not be confined to its own folders: {error}"),
    }
}

fn confined(needs: &Needs) -> Result<RulesetStatus, RulesetError> {
    // What a kernel of that age knows, and on an older one what it knows.
    let abi = ABI::V4;
    let all = AccessFs::from_all(abi);
    // Nothing of its own is ever run.
    let write = all & !AccessFs::Execute;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(AccessNet::from_all(abi))?
        .create()?;
    let written = needs.written.iter().map(|path| (path, write));
    let rights = |path: &PathBuf| if path.is_dir() { read } else { AccessFs::ReadFile.into() };
    let read = needs.read.iter().map(|path| (path, rights(path)));
    for (path, access) in written.chain(read) {
        // What is not there can't be opened either.
        if let Ok(folder) = PathFd::new(path) {
            ruleset = ruleset.add_rule(PathBeneath::new(folder, access))?;
        }
    }
    for port in &needs.ports {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}
