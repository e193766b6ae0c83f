//! Paths of files on the command line: the holder of the profile may stand in another folder.

use std::fs::File;
use std::path::Path;

use super::arguments::Verb;
use super::{Context, Stop};
use crate::api::{Error, ErrorCode};
use crate::face::place::absolute;
use crate::face::plain;
use crate::face::screen::Screen;

/// Where what `get` fetches is to go.
pub(super) enum Out {
    /// Into the folder for downloads, or this command fetches nothing.
    Downloads,
    /// A folder, or a file that is not there yet.
    Path(String),
    /// Standard output. It is saved here first: whoever reads it gets all of it, checked, or nothing.
    Stdout(String),
}

impl Out {
    pub(super) fn of(verb: &Verb, context: &Context) -> Result<Self, Error> {
        let Verb::Get { output: Some(output), .. } = verb else { return Ok(Self::Downloads) };
        if output == Path::new("-") {
            return Ok(Self::Stdout(absolute(&context.dir.join(format!("stdout-{}", std::process::id())))?));
        }
        let path = absolute(output)?;
        if path.ends_with('/') && !Path::new(&path).is_dir() {
            return Err(Error::new(ErrorCode::Usage, format!("there is no folder {}", plain::said(&path)))
                .advise("make it, or give the name of a file that is not there"));
        }
        Ok(Self::Path(path))
    }

    pub(super) fn to(&self) -> Option<String> {
        match self {
            Self::Downloads => None,
            Self::Path(path) | Self::Stdout(path) => Some(path.clone()),
        }
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout(_))
    }

    /// It was saved: says where, or gives it out.
    pub(super) fn done(&self, screen: &Screen, path: &str) -> Result<(), Stop> {
        match self {
            Self::Stdout(_) => {
                let failed = |error: std::io::Error| match error.kind() {
                    std::io::ErrorKind::BrokenPipe => Stop::Closed,
                    _ => Error::new(ErrorCode::Failed, "the file can't be given out").because(error.to_string()).into(),
                };
                let mut file = File::open(path).map_err(failed)?;
                std::fs::remove_file(path).map_err(failed)?;
                std::io::copy(&mut file, &mut std::io::stdout().lock()).map_err(failed)?;
                Ok(())
            }
            _ if screen.json => Ok(()),
            _ => screen.print(&plain::said(path)),
        }
    }
}
