//! `cargo xtask contract check-bodies`: holds what the clients saw against the contract.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::check::check_body;

/// How many violations are printed at most.
const SHOWN_MAX: usize = 100;

/// Checks every `*.json` below a directory, each one request with its answer:
/// `{"suite", "request": "POST /v1/x", "status": 200, "body": {…}}`.
///
/// # Errors
/// When a body violates the contract, and when there is none.
pub(crate) fn check(directory: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    collect(directory, &mut files)?;
    files.sort();
    let mut violations = Vec::new();
    let mut checked = 0_usize;
    for file in &files {
        let seen = read(file)?;
        if is_stripes(&seen) {
            checked += 1;
            violations
                .extend(violations_of(&seen).into_iter().map(|it| describe(&seen, file, &it)));
        }
    }
    if checked == 0 {
        return Err(format!("there are no bodies of Stripe's API in {}", directory.display()));
    }
    let beyond = files.len() - checked;
    println!("{checked} bodies checked, {beyond} of other APIs");
    for violation in violations.iter().take(SHOWN_MAX) {
        println!("{violation}");
    }
    if violations.is_empty() {
        return Ok(());
    }
    Err(format!("{} violations of the contract", violations.len()))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", directory.display());
    for entry in fs::read_dir(directory).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|it| it == "json") {
            files.push(path);
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let seen: Value =
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    for (member, fits) in [
        ("request", seen["request"].as_str().is_some_and(|it| it.contains(" /"))),
        ("status", seen["status"].is_u64()),
        ("body", seen.get("body").is_some()),
    ] {
        if !fits {
            return Err(format!("{}: `{member}` is missing or ill-typed", file.display()));
        }
    }
    Ok(seen)
}

/// Whether the request was one of the API that the contract describes.
fn is_stripes(seen: &Value) -> bool {
    let path = seen["request"].as_str().and_then(|it| it.split_once(' ')).map(|(_, path)| path);
    path.is_some_and(|path| path.starts_with("/v1/") || path.starts_with("/v2/"))
}

fn violations_of(seen: &Value) -> Vec<String> {
    let mut violations = check_body(&seen["body"]);
    let failed = seen["status"].as_u64().is_some_and(|status| status >= 400);
    if failed != seen["body"].get("error").is_some() {
        violations.push(format!("status {} does not fit the body", seen["status"]));
    }
    violations
}

fn describe(seen: &Value, file: &Path, violation: &str) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}: {}: {violation}", seen["request"].as_str().unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory for one test, gone at its end.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let place = format!("taximeter-xtask-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(place);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn path(&self) -> &Path {
            &self.0
        }

        pub(crate) fn write(&self, name: &str, text: &str) {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const DELETED: &str = r#"{"suite": "curl", "request": "DELETE /v1/customers/cus_7",
        "status": 200, "body": {"id": "cus_7", "object": "customer", "deleted": true}}"#;

    #[test]
    fn bodies_that_fit_pass_wherever_they_lie() {
        let scratch = Scratch::new("bodies-good");
        scratch.write("curl/curl-1.json", DELETED);
        scratch.write("curl/curl-2.json", &DELETED.replace("cus_7", "cus_13"));
        scratch.write("notes.txt", "not a body");
        assert_eq!(check(scratch.path()), Ok(()));
    }

    #[test]
    fn an_empty_directory_fails() {
        let scratch = Scratch::new("bodies-none");
        assert!(check(scratch.path()).unwrap_err().starts_with("there are no bodies"));
        scratch.write("x-1.json", &DELETED.replace("/v1/customers", "/health"));
        assert!(check(scratch.path()).unwrap_err().starts_with("there are no bodies"));
        assert!(check(&scratch.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_body_that_does_not_fit_fails() {
        let scratch = Scratch::new("bodies-bad");
        scratch.write("x-1.json", &DELETED.replace("customer\"", "gadget\""));
        scratch.write("x-2.json", DELETED);
        assert_eq!(check(scratch.path()), Err("1 violations of the contract".into()));
    }

    #[test]
    fn an_error_body_has_an_error_status() {
        let scratch = Scratch::new("bodies-status");
        scratch.write("x-1.json", &DELETED.replace("200", "404"));
        assert_eq!(check(scratch.path()), Err("1 violations of the contract".into()));
        let wrong = Scratch::new("bodies-shape");
        wrong.write("x-1.json", r#"{"request": "GET", "status": 200, "body": {}}"#);
        assert!(check(wrong.path()).unwrap_err().contains("`request` is missing or ill-typed"));
    }
}
