//! Stripe's own SDKs and CLI, installed below `.xtask/` at the pinned versions.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{debian, pins, shell};

/// Makes sure of a virtual environment with PyPI `stripe`; returns its python.
pub(crate) fn python(root: &Path) -> Result<PathBuf, String> {
    let venv = root.join(".xtask/venv");
    let python = venv.join("bin/python");
    if !shell::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])) {
        debian::install(&["python3", "python3-venv"], "there is no Python with venv")?;
    }
    if !shell::succeeds(Command::new(&python).args(["-m", "pip", "--version"])) {
        println!("making a Python environment in .xtask/venv: for PyPI stripe");
        shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    }
    let version = "import importlib.metadata as m; print(m.version('stripe'))";
    let present = shell::output(Command::new(&python).args(["-c", version]));
    if present.is_ok_and(|it| it.trim() == pins::STRIPE_PYTHON) {
        println!("reusing PyPI stripe {} in .xtask/venv", pins::STRIPE_PYTHON);
        return Ok(python);
    }
    println!(
        "installing PyPI stripe {}: a client of the tests and the source of the contract",
        pins::STRIPE_PYTHON
    );
    let wanted = format!("stripe=={}", pins::STRIPE_PYTHON);
    shell::run(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .arg(wanted),
    )?;
    Ok(python)
}

/// The directory of the installed package `stripe`.
pub(crate) fn python_package(python: &Path) -> Result<PathBuf, String> {
    let find = "import importlib.util as u; print(u.find_spec('stripe').origin)";
    let origin = shell::output(Command::new(python).args(["-c", find]))?;
    let package = Path::new(origin.trim()).parent().map(Path::to_owned);
    package.ok_or_else(|| format!("the package stripe is nowhere: {origin}"))
}

/// Makes sure of npm `stripe` and `@stripe/cli`; returns their `node_modules`.
pub(crate) fn node_modules(root: &Path) -> Result<PathBuf, String> {
    ensure_node()?;
    let home = root.join(".xtask/node");
    let modules = home.join("node_modules");
    let wanted = [("stripe", pins::STRIPE_NODE), ("@stripe/cli", pins::STRIPE_CLI)];
    if wanted.iter().all(|(name, version)| has_module(&modules, name, version)) {
        println!(
            "reusing npm stripe {} and @stripe/cli {} in .xtask/node",
            pins::STRIPE_NODE,
            pins::STRIPE_CLI
        );
        return Ok(modules);
    }
    println!(
        "installing npm stripe {} and @stripe/cli {}: clients of the tests",
        pins::STRIPE_NODE,
        pins::STRIPE_CLI
    );
    let manifest = "{\"name\": \"taximeter-clients\", \"private\": true}\n";
    fs::create_dir_all(&home)
        .and_then(|()| fs::write(home.join("package.json"), manifest))
        .map_err(|error| format!("{}: {error}", home.display()))?;
    let mut npm = Command::new("npm");
    npm.current_dir(&home).args(["install", "--no-fund", "--no-audit", "--save-exact"]);
    npm.args(wanted.map(|(name, version)| format!("{name}@{version}")));
    shell::run(&mut npm)?;
    Ok(modules)
}

fn ensure_node() -> Result<(), String> {
    if shell::find("node").is_none() || shell::find("npm").is_none() {
        debian::install(&["nodejs", "npm"], "there is no Node, on which Stripe's clients run")?;
    }
    let version = shell::output(Command::new("node").arg("--version"))?;
    match node_major(&version) {
        Some(major) if major >= pins::NODE_MAJOR_MIN => Ok(()),
        _ => Err(format!(
            "node {} is too old: npm stripe needs Node {} or newer",
            version.trim(),
            pins::NODE_MAJOR_MIN
        )),
    }
}

/// `v20.20.2` is 20.
fn node_major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn has_module(modules: &Path, name: &str, version: &str) -> bool {
    let manifest = fs::read_to_string(modules.join(name).join("package.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    manifest["version"] == version
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_of_node_is_read() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v9.0.0"), Some(9));
        assert_eq!(node_major("20"), None);
    }
}
