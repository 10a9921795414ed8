//! `cargo xtask contract`: what Stripe's SDKs declare, written down in `contract/`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{sdks, shell};

const FILES: [&str; 2] = ["stripe-objects.json", "stripe-endpoints.json"];

/// Writes `contract/*.json` from the pinned SDKs.
pub(crate) fn generate(root: &Path) -> Result<(), String> {
    write_to(root, &root.join("contract"))
}

/// Compares `contract/*.json` with what the pinned SDKs give.
///
/// # Errors
/// When a file differs.
pub(crate) fn check_current(root: &Path) -> Result<(), String> {
    let fresh = root.join(".xtask/contract");
    write_to(root, &fresh)?;
    for name in FILES {
        same(&root.join("contract").join(name), &fresh.join(name))?;
    }
    println!("contract/*.json is what the SDKs say");
    Ok(())
}

fn write_to(root: &Path, out: &Path) -> Result<(), String> {
    let python = sdks::python(root)?;
    let modules = sdks::node_modules(root)?;
    let mut extract = Command::new(&python);
    extract.arg("-B").arg(root.join("xtask/contract/extract.py"));
    extract.arg("--python-sdk").arg(sdks::python_package(&python)?);
    extract.arg("--node-sdk").arg(modules.join("stripe"));
    shell::run(extract.arg("--out").arg(out))
}

fn same(committed: &Path, fresh: &Path) -> Result<(), String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    if read(committed)? == read(fresh)? {
        return Ok(());
    }
    Err(format!(
        "{} is not what the pinned SDKs say: run `cargo xtask contract generate` and read the diff",
        committed.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bodies::tests::Scratch;

    #[test]
    fn a_file_that_differs_or_is_missing_is_out_of_date() {
        let scratch = Scratch::new("contract-same");
        scratch.write("a.json", "{}");
        scratch.write("b.json", "{}");
        scratch.write("c.json", "{ }");
        let path = |name: &str| scratch.path().join(name);
        assert_eq!(same(&path("a.json"), &path("b.json")), Ok(()));
        assert!(same(&path("a.json"), &path("c.json")).unwrap_err().contains("is not what"));
        assert!(same(&path("missing.json"), &path("a.json")).is_err());
    }
}
