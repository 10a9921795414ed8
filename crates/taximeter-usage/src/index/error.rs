//! Why a file of the index was not read or not written.

use std::io;
use std::path::PathBuf;

/// Why the index did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IndexError {
    /// The bytes of a file are not those that were written.
    #[error("usage index {} is damaged at byte {offset}: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The file was written by a newer version of this program.
    #[error("usage index {} has format {version}, which this version cannot read", .path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format it names.
        version: u32,
    },
    /// What was to be written does not fit what is there, or its own order. The file is unchanged.
    #[error("usage index {} cannot take this: {what}", .path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Which rule it breaks.
        what: &'static str,
    },
    /// The operating system refused something.
    #[error("cannot use usage index {}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}
