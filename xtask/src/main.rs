//! The project's own tasks: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask contract …`.
//!
//! Knows only the standard library and `serde_json`, so that the first `cargo xtask` on a fresh
//! clone answers in seconds.
#![expect(clippy::print_stdout, reason = "a tool for the command line talks to its user")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod bench;
mod bodies;
#[path = "../../crates/taximeter-testkit/src/contract/check.rs"]
#[expect(unreachable_pub, reason = "the same file is public in the testkit")]
mod check;
mod contract;
mod debian;
mod pins;
mod postgres;
mod report;
mod sdks;
mod shell;
mod suites;
mod test;
mod tidy;

const USAGE: &str = "\
cargo xtask <task>
  test                           all tests, on SQLite and PostgreSQL, with Stripe's own clients
  test --fast                    the Rust tests on SQLite only
  test --only clients            Stripe's clients only
  bench http [OPTION]...         events over HTTP, beside a bare server; options are the server's
  bench billing [OPTION]...      renewals of 100,000 subscriptions at once, a year by a test clock
  bench usage [PART]... [OPTION] the usage engine: stream, disk, restart and more; --help lists all
  tidy                           layering, licences, size and shape of files
  contract generate              write contract/*.json from the installed SDKs of Stripe
  contract check-current         whether contract/*.json is what the SDKs say
  contract check-bodies DIR      hold the JSON bodies in DIR against the contract
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let root = root();
    let outcome = match arguments.as_slice() {
        ["test"] => test::all(&root),
        ["test", "--fast"] => test::fast(&root),
        ["test", "--only", "clients"] => test::clients(&root),
        ["bench", "http", options @ ..] => bench::http(&root, options),
        ["bench", "billing", words @ ..] => bench::billing(&root, words),
        ["bench", "usage", words @ ..] => bench::usage(&root, words),
        ["tidy"] => tidy::run(&root),
        ["contract", "generate"] => contract::generate(&root),
        ["contract", "check-current"] => contract::check_current(&root),
        ["contract", "check-bodies", directory] => bodies::check(Path::new(directory)),
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

/// The root of the workspace: the parent of this crate's directory.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.to_owned(), Path::to_owned)
}
