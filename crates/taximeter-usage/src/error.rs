//! Why the engine did not do what it was asked.

use std::io;
use std::path::PathBuf;

use crate::index::IndexError;

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another engine, in this process or another, has the directory open.
    #[error("usage directory {} is in use by another process", .0.display())]
    Locked(PathBuf),
    /// There is no such directory.
    #[error("there is no usage directory {}", .0.display())]
    Missing(PathBuf),
    /// The log contradicts itself where no crash could have damaged it. Nothing was changed.
    #[error("usage log {} is damaged at byte {offset}: {what}", .path.display())]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The log was written by a newer version of this program.
    #[error("usage log {} has format {version}, which this version cannot read", .path.display())]
    UnknownFormat {
        /// The segment file.
        path: PathBuf,
        /// The format it names.
        version: u32,
    },
    /// The index cannot be made anew, because events that it was made of were deleted.
    #[error("usage index cannot be made anew: events before place {first_seq} were deleted")]
    Incomplete {
        /// The place in the order of the first event that is still there.
        first_seq: u64,
    },
    /// What was recorded before could not be read.
    #[error("cannot read what was recorded before")]
    Read(#[source] ReadError),
    /// The operating system refused something.
    #[error("cannot open usage log {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Why nothing of a batch was decided.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue is full. Nothing was recorded; try again later.
    #[error("usage queue is full")]
    Full,
    /// The batch or an event in it exceeds a limit and would never be taken. Nothing was recorded.
    #[error("usage batch is too large")]
    TooLarge,
    /// The engine stopped: it was closed, or its disk failed. Events of the batch may have been
    /// recorded all the same; sending them again is safe, since they keep their identifiers.
    #[error("usage engine stopped")]
    Stopped,
    /// The batch was decided and is durable, but an event recorded earlier could not be read back.
    #[error("cannot read back a recorded event")]
    Read(#[source] ReadError),
}

/// Why a read gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The total does not fit.
    #[error("usage total does not fit")]
    Overflow,
    /// The stored bytes are not those that were written.
    #[error("usage log {} is damaged at byte {offset}", .path.display())]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
    },
    /// The operating system refused to read.
    #[error("cannot read usage log {}", .path.display())]
    Io {
        /// The segment file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Something that was derived from the log contradicts it. It can be derived anew.
    #[error("usage index is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// The engine failed while it changed its totals, so they cannot be trusted.
    #[error("usage engine stopped")]
    Stopped,
}

impl From<IndexError> for ReadError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged { path, offset, .. } => Self::Damaged { path, offset },
            IndexError::UnknownFormat { path, .. } => Self::Damaged { path, offset: 0 },
            IndexError::Io { path, source } => Self::Io { path, source },
            IndexError::Refused { what, .. } => Self::Inconsistent(what),
        }
    }
}

impl From<IndexError> for OpenError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged { path, offset, what } => Self::Damaged { path, offset, what },
            IndexError::UnknownFormat { path, version } => Self::UnknownFormat { path, version },
            IndexError::Io { path, source } => Self::Io { path, source },
            IndexError::Refused { path, what } => Self::Damaged { path, offset: 0, what },
        }
    }
}
