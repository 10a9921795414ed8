//! Measures the server over HTTP, beside servers that do nothing and beside the disk; and the usage
//! engine, in many ways; and what time brings.
//!
//! Started by `cargo xtask bench`, which builds what is measured. What is measured, and how to read
//! it, is in `docs/performance.md`.
#![expect(clippy::print_stdout, reason = "a tool for the command line talks to its user")]

use std::path::Path;
use std::process::ExitCode;

mod api;
mod bare;
mod billing;
mod client;
mod disk;
mod figures;
mod http;
mod load;
mod machine;
mod server;
mod usage;
mod words;

const USAGE: &str = "\
taximeter-bench http DIRECTORY [OPTION OF SERVER]...
taximeter-bench billing DIRECTORY [PART]... [OPTION]...
taximeter-bench usage DIRECTORY [PART]... [OPTION]...
taximeter-bench bare BYTES
taximeter-bench parsing
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["http", directory, options @ ..] => http::run(Path::new(directory), options),
        ["billing", _, "--help"] => Err(billing::USAGE.to_owned()),
        ["billing", directory, words @ ..] => billing::run(Path::new(directory), words),
        ["usage", _, "--help"] => Err(usage::USAGE.to_owned()),
        ["usage", directory, words @ ..] => usage::run(Path::new(directory), words),
        ["bare", bytes] => bare::serve(bytes),
        ["parsing"] => bare::serve_parsing(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("{}", problem.trim_end());
            ExitCode::FAILURE
        }
    }
}
