//! Rules for files: size, shape, and words that do not reach main.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell;

/// A file of code beyond this, its tests not counted, is several files.
const CODE_LINES_MAX: usize = 800;
/// A file beyond this does not belong into the repository, unless it is generated.
const BYTES_MAX: usize = 256 * 1_024;
const CODE: [&str; 8] = ["rs", "py", "js", "mjs", "css", "html", "sql", "sh"];

/// The breaches in all files that git knows or would add.
pub(super) fn breaches(root: &Path) -> Result<Vec<String>, String> {
    let mut list = Command::new("git");
    // In CI the clone may belong to another user than the one who runs us.
    list.current_dir(root).args(["-c", "safe.directory=*"]);
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut breaches = Vec::new();
    for name in shell::output(&mut list)?.split('\0').filter(|name| !name.is_empty()) {
        // A file that is deleted but not yet committed is listed and not there.
        if let Ok(content) = fs::read(root.join(name)) {
            breaches.extend(breaches_of(name, &content));
        }
    }
    Ok(breaches)
}

fn breaches_of(name: &str, content: &[u8]) -> Vec<String> {
    let mut breaches = Vec::new();
    let generated = name.starts_with("contract/") && name.ends_with(".json");
    if content.len() > BYTES_MAX && !generated {
        breaches.push(format!("{name}: {} bytes, at most {BYTES_MAX}", content.len()));
    }
    let Ok(text) = str::from_utf8(content) else { return breaches };
    let extension = Path::new(name).extension().and_then(|it| it.to_str()).unwrap_or_default();
    if CODE.contains(&extension) {
        breaches.extend(code_breaches(name, text));
    }
    if extension == "rs" && !text.starts_with("//!") {
        breaches.push(format!("{name}: the first line (`//!`) does not say what the file is for"));
    }
    if extension == "md" {
        let titles = titles(text);
        if titles != 1 {
            breaches.push(format!("{name}: {titles} titles (`# Title`), not one"));
        }
    }
    breaches
}

fn code_breaches(name: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = code_lines(text);
    if lines > CODE_LINES_MAX {
        breaches.push(format!("{name}: {lines} lines without tests, at most {CODE_LINES_MAX}"));
    }
    // Put together, so that this file does not hold the words it forbids.
    let words = [concat!("FIX", "ME"), concat!("db", "g!("), concat!("#[ign", "ore")];
    for (index, line) in text.lines().enumerate() {
        for word in words.iter().filter(|word| line.contains(**word)) {
            breaches.push(format!("{name}:{}: `{word}` does not reach main", index + 1));
        }
    }
    breaches
}

/// The lines up to the tests, which stand last in a file of Rust.
fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let tests = lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].contains("mod tests"));
    tests.unwrap_or(lines.len())
}

/// How many `# Title` lines stand outside of fenced code.
fn titles(text: &str) -> usize {
    let mut fenced = false;
    let mut titles = 0;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with("# ") {
            titles += 1;
        }
    }
    titles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, expected: &[&str]) {
        assert_eq!(breaches_of(name, text.as_bytes()), expected);
    }

    #[test]
    fn a_plain_file_of_each_kind_is_fine() {
        check("src/a.rs", "//! A.\nfn a() {}\n", &[]);
        check("docs/a.md", "# A\n\n## B\n\n```sh\n# not a title\n```\n", &[]);
        check("a.txt", concat!("FIX", "ME"), &[]);
    }

    #[test]
    fn words_of_the_workshop_are_refused() {
        let text = concat!("//! A.\n// FIX", "ME later\nlet a = db", "g!(7);\n#[ign", "ore]\n");
        check(
            "src/a.rs",
            text,
            &[
                concat!("src/a.rs:2: `FIX", "ME` does not reach main"),
                concat!("src/a.rs:3: `db", "g!(` does not reach main"),
                concat!("src/a.rs:4: `#[ign", "ore` does not reach main"),
            ],
        );
        assert_eq!(breaches_of("a.py", concat!("# FIX", "ME").as_bytes()).len(), 1);
    }

    #[test]
    fn a_long_file_is_refused_and_its_tests_are_not_counted() {
        let code = format!("//! A.\n{}", "fn a() {}\n".repeat(CODE_LINES_MAX));
        check("a.rs", &code, &["a.rs: 801 lines without tests, at most 800"]);
        let tested = format!("//! A.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "//\n".repeat(900));
        check("a.rs", &tested, &[]);
        check("a.md", &format!("# A\n{}", "a\n".repeat(900)), &[]);
    }

    #[test]
    fn a_big_file_is_refused_unless_it_is_the_contract() {
        let big = "x".repeat(BYTES_MAX + 1);
        check("a.json", &big, &["a.json: 262145 bytes, at most 262144"]);
        check("contract/a.json", &big, &[]);
        assert_eq!(breaches_of("contract/a.bin", &vec![0xff; BYTES_MAX + 1]).len(), 1);
    }

    #[test]
    fn a_document_has_one_title() {
        check("a.md", "## A\n", &["a.md: 0 titles (`# Title`), not one"]);
        check("a.md", "# A\n# B\n", &["a.md: 2 titles (`# Title`), not one"]);
    }

    #[test]
    fn a_file_of_rust_says_what_it_is_for() {
        let said = "src/a.rs: the first line (`//!`) does not say what the file is for";
        check("src/a.rs", "fn a() {}\n", &[said]);
    }
}
