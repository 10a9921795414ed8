//! `cargo xtask tidy`: the rules of the house that no compiler knows.

mod crates;
mod files;

use std::path::Path;

/// Checks dependencies and files.
///
/// # Errors
/// When a rule is broken; each breach is printed, with the rule.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let mut breaches = crates::breaches(root)?;
    breaches.extend(files::breaches(root)?);
    for breach in &breaches {
        println!("{breach}");
    }
    if breaches.is_empty() { Ok(()) } else { Err(format!("{} breaches", breaches.len())) }
}
