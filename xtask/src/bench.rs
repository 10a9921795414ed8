//! `cargo xtask bench`: builds what users run, and measures it.

use std::path::Path;

use crate::shell;

/// Measures requests over HTTP; `options` are the server's, such as `--log warn`.
pub(crate) fn http(root: &Path, options: &[&str]) -> Result<(), String> {
    let server = ["build", "--release", "--package", "taximeter", "--package", "taximeter-bench"];
    shell::run(shell::cargo(root).args(server))?;
    let mut bench = shell::cargo(root);
    bench.args(["run", "--release", "--quiet", "--package", "taximeter-bench", "--", "http"]);
    // Not with the temporary files, which may be in memory: the disk is part of what is measured.
    shell::run(bench.arg(root.join(".xtask")).args(options))
}
