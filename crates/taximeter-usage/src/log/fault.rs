//! What can be wrong with a file of the log, before its path is named.

use std::io;
use std::path::Path;

use crate::error::{OpenError, ReadError};
use crate::state::ApplyError;

#[derive(Debug)]
pub(crate) enum Fault {
    /// The file contradicts itself, or the files around it.
    Damaged {
        /// In bytes from the start of the file.
        offset: u64,
        what: &'static str,
    },
    /// The file is as written, by a version that knows more.
    UnknownFormat(u32),
    Io(io::Error),
    /// The file is not at fault, but what takes its records in.
    Read(ReadError),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    pub(crate) fn damaged(offset: usize, what: &'static str) -> Self {
        Self::Damaged { offset: wide(offset), what }
    }

    /// The records at `offset` cannot be taken in.
    pub(crate) fn applying(error: ApplyError, offset: u64) -> Self {
        match error {
            ApplyError::Inconsistent(what) => Self::Damaged { offset, what },
            ApplyError::Read(error) => Self::Read(error),
        }
    }

    /// The error of opening a log in which the file at `path` is at fault.
    pub(crate) fn on_open(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Damaged { offset, what } => OpenError::Damaged { path, offset, what },
            Self::UnknownFormat(version) => OpenError::UnknownFormat { path, version },
            Self::Io(source) => OpenError::Io { path, source },
            Self::Read(error) => OpenError::Read(error),
        }
    }

    /// The error of reading the file at `path`, which the log was opened with.
    pub(crate) fn on_read(self, path: &Path) -> ReadError {
        let path = path.to_owned();
        match self {
            Self::Damaged { offset, what: _ } => ReadError::Damaged { path, offset },
            Self::UnknownFormat(_) => ReadError::Damaged { path, offset: 0 },
            Self::Io(source) => ReadError::Io { path, source },
            Self::Read(error) => error,
        }
    }
}

/// A place in a file or a count of bytes as files have it.
pub(crate) fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A count of bytes as memory has it.
pub(crate) fn narrow(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
