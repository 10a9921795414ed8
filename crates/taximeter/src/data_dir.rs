//! The data directory: what is in it, and that one server at a time uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Names in the data directory.
pub(crate) fn database(dir: &Path) -> PathBuf {
    dir.join("taximeter.db")
}

/// The directory of the usage engine.
pub(crate) fn usage(dir: &Path) -> PathBuf {
    dir.join("usage")
}

fn lock_file(dir: &Path) -> PathBuf {
    dir.join("lock")
}

/// Makes the directory if there is none, for this user only.
///
/// # Errors
/// A failure that names the directory.
pub(crate) fn create(dir: &Path) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| {
        Failure::new(format!("cannot make the data directory {}", dir.display()))
            .because(&error)
            .hint("name another with --data-dir, or make it and give it to this user")
    })
}

/// The data directory, held by this process until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
}

/// Who holds a data directory, as far as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Holder(String);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.split_once(' ') {
            Some((process, url)) => write!(f, "another taximeter (process {process}, {url})"),
            None if !self.0.is_empty() => write!(f, "another taximeter (process {})", self.0),
            None => f.write_str("another taximeter"),
        }
    }
}

/// Whether the directory could be taken.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is this process's now.
    Held(Held),
    /// It is another's.
    By(Holder),
}

/// Takes the directory unless another process holds it.
///
/// # Errors
/// A failure when the lock file cannot be made or locked.
pub(crate) fn try_hold(dir: &Path) -> Result<Taken, Failure> {
    let path = lock_file(dir);
    let failed = |error: &std::io::Error| {
        Failure::new(format!("cannot lock {}", path.display()))
            .because(error)
            .hint("the data directory must be writable, and on a local disk")
    };
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
    let mut file = file.map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => {
            let mut held = Held { file };
            held.write(&std::process::id().to_string()).map_err(|error| failed(&error))?;
            Ok(Taken::Held(held))
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // What it says is only for the message.
            let _unreadable = file.read_to_string(&mut text);
            Ok(Taken::By(Holder(text.trim().to_owned())))
        }
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Takes the directory.
///
/// # Errors
/// As [`try_hold`], and a failure that names who holds it.
pub(crate) fn hold(dir: &Path) -> Result<Held, Failure> {
    match try_hold(dir)? {
        Taken::Held(held) => Ok(held),
        Taken::By(holder) => Err(Failure::new(format!("{holder} is using {}", dir.display()))
            .hint("stop it first, or give this one a directory of its own with --data-dir")),
    }
}

impl Held {
    /// Says in the lock file where this process answers.
    ///
    /// # Errors
    /// What the operating system says.
    pub(crate) fn announce(&mut self, url: &str) -> std::io::Result<()> {
        self.write(&format!("{} {url}", std::process::id()))
    }

    fn write(&mut self, text: &str) -> std::io::Result<()> {
        self.file.rewind()?;
        self.file.set_len(0)?;
        writeln!(self.file, "{text}")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // What the file says is only for messages, and the lock goes with the process in any case.
        let _unwritable = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_by_one_and_says_by_whom() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/b");
        create(&dir).unwrap();
        let mut held = hold(&dir).unwrap();
        let process = std::process::id();
        let refusal = hold(&dir).unwrap_err().line();
        assert_eq!(
            refusal,
            format!("another taximeter (process {process}) is using {}", dir.display())
        );
        held.announce("http://127.0.0.1:7").unwrap();
        let refusal = hold(&dir).unwrap_err().line();
        assert!(
            refusal.starts_with(&format!(
                "another taximeter (process {process}, http://127.0.0.1:7) is using "
            )),
            "{refusal}"
        );
        drop(held);
        assert_eq!(fs::read_to_string(lock_file(&dir)).unwrap(), "");
        assert!(hold(&dir).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_new_directory_is_for_its_user_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("data");
        create(&dir).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("data");
        fs::write(&file, "x").unwrap();
        let line = create(&file).unwrap_err().line();
        assert!(line.starts_with(&format!("cannot make the data directory {}", file.display())));
    }
}
