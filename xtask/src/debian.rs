//! Installing Debian packages, when something that the tests need is missing.

use std::process::Command;

use crate::shell;

/// How we may install packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Power {
    Root,
    Sudo,
    None,
}

/// Installs packages with apt-get and says so.
///
/// # Errors
/// When we are neither root nor can use sudo, with the command that someone else can run.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<(), String> {
    if shell::find("apt-get").is_none() {
        return Err(format!(
            "{why}: there is no apt-get here, so install what Debian calls {}",
            packages.join(", ")
        ));
    }
    println!("installing the Debian packages {}: {why}", packages.join(", "));
    let prefix = prefix(power(), packages, why)?;
    for arguments in [&["update"][..], &["install", "--yes", "--no-install-recommends"]] {
        let packages = if arguments == ["update"] { &[][..] } else { packages };
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).args(["apt-get", "--quiet"]).args(arguments).args(packages);
        shell::run(&mut command)?;
    }
    Ok(())
}

fn power() -> Power {
    if is_root() {
        Power::Root
    } else if shell::succeeds(Command::new("sudo").args(["-n", "true"])) {
        Power::Sudo
    } else {
        Power::None
    }
}

fn prefix(power: Power, packages: &[&str], why: &str) -> Result<Vec<&'static str>, String> {
    let quiet = ["env", "DEBIAN_FRONTEND=noninteractive"];
    match power {
        Power::Root => Ok(quiet.to_vec()),
        Power::Sudo => Ok([&["sudo", "-n"][..], &quiet].concat()),
        Power::None => Err(format!(
            "{why}, and installing needs root. Run this, then try again:\n  \
             sudo apt-get update && sudo apt-get install --yes --no-install-recommends {}",
            packages.join(" ")
        )),
    }
}

/// Whether we are root, who may install and may not run PostgreSQL.
pub(crate) fn is_root() -> bool {
    shell::output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_install_is_told_the_command_to_run() {
        let problem = prefix(Power::None, &["nodejs", "npm"], "there is no Node").unwrap_err();
        assert!(problem.starts_with("there is no Node, and installing needs root."), "{problem}");
        assert!(problem.ends_with("--no-install-recommends nodejs npm"), "{problem}");
        assert_eq!(prefix(Power::Sudo, &["npm"], "x").unwrap()[..2], ["sudo", "-n"]);
        assert_eq!(prefix(Power::Root, &["npm"], "x").unwrap()[0], "env");
    }
}
