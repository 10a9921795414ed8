//! Running other programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Runs a program and lets it print; fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    println!("$ {}", shown(command));
    let status = command.stdin(Stdio::null()).status().map_err(|error| failed(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", shown(command))) }
}

/// Runs a program and returns what it prints to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(command, &error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}\n{complaint}", shown(command), output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program runs and ends well, without a word.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    output(command).is_ok()
}

/// Where a program is on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(program)).find(|file| file.is_file())
}

/// The cargo that runs us.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// A command as it would be typed, for messages.
fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

fn failed(command: &Command, error: &std::io::Error) -> String {
    format!("{}: {error}", shown(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_an_error_with_its_complaint() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo no luck >&2; exit 7"]);
        let problem = output(&mut command).unwrap_err();
        assert!(problem.contains("exit status: 7") && problem.contains("no luck"), "{problem}");
        assert!(run(&mut command).is_err());
        assert!(!succeeds(&mut command));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_that_names_it() {
        let problem = run(&mut Command::new("no-such-program-13")).unwrap_err();
        assert!(problem.starts_with("no-such-program-13: "), "{problem}");
        assert_eq!(find("no-such-program-13"), None);
        assert!(find("sh").is_some());
    }
}
