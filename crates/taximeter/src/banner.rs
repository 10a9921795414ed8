//! What a server says when it is ready: where it is, where data lives, and what to try.

use std::fmt::Write as _;

use crate::first_start::Keys;

/// What the banner tells.
#[derive(Debug)]
pub(crate) struct Banner<'a> {
    /// `http://127.0.0.1:4242`.
    pub(crate) url: &'a str,
    /// Whether other machines can connect too.
    pub(crate) all_interfaces: bool,
    /// Where the database is.
    pub(crate) database: &'a str,
    /// The directory of the usage log.
    pub(crate) usage: &'a str,
    /// The keys.
    pub(crate) keys: &'a Keys,
    /// How long the start took, in milliseconds.
    pub(crate) ready_ms: u64,
}

impl Banner<'_> {
    /// The text, with colour for a terminal or without.
    pub(crate) fn render(&self, coloured: bool) -> String {
        let ink = Ink::new(coloured);
        let mut text =
            format!("\n  {}Taximeter{} {}\n\n", ink.bold, ink.plain, env!("CARGO_PKG_VERSION"));
        let reach = if self.all_interfaces { "  (on all interfaces)" } else { "" };
        let mut line = |name: &str, value: &str, note: &str| {
            // Writing to a String cannot fail.
            let _infallible = writeln!(
                text,
                "  {}{name:<12}{}{value}{}{note}{}",
                ink.dim, ink.plain, ink.dim, ink.plain
            );
        };
        line("API", self.url, reach);
        line("Dashboard", &format!("{}/dashboard", self.url), "");
        line("Database", self.database, "");
        line("Usage log", self.usage, "");
        let tried = match self.keys {
            Keys::Made { test, live } => {
                line("Test key", test.expose(), "");
                line("Live key", live.expose(), "");
                line("", "These two are shown this once. More: taximeter keys create", "");
                test.expose()
            }
            Keys::Given(key) => {
                line("Test key", key.expose(), "  (as given)");
                key.expose()
            }
            Keys::Known => {
                line("Keys", "taximeter keys list", "");
                "sk_test_..."
            }
        };
        let _infallible = writeln!(
            text,
            "\n  {}Try it:{}\n    curl {}/v1/customers -u {tried}: -d name='Jenny Rosen'\n\n  \
             {}Ready in {} ms. Stop with Ctrl-C.{}\n",
            ink.dim, ink.plain, self.url, ink.dim, self.ready_ms, ink.plain
        );
        text
    }
}

/// How words are set apart on a terminal.
struct Ink {
    bold: &'static str,
    dim: &'static str,
    plain: &'static str,
}

impl Ink {
    const fn new(coloured: bool) -> Self {
        if coloured {
            Self { bold: "\u{1b}[1;32m", dim: "\u{1b}[2m", plain: "\u{1b}[0m" }
        } else {
            Self { bold: "", dim: "", plain: "" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use taximeter_service::api_keys::Secret;

    fn banner(keys: &Keys) -> Banner<'_> {
        Banner {
            url: "http://127.0.0.1:7",
            all_interfaces: false,
            database: "d/taximeter.db",
            usage: "d/usage",
            keys,
            ready_ms: 83,
        }
    }

    #[test]
    fn a_first_start_shows_its_keys_and_a_line_that_works() {
        let test = Secret::parse("sk_test_12345678").unwrap();
        let live = Secret::parse("sk_live_87654321").unwrap();
        let keys = Keys::Made { test, live };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            banner(&keys).render(false),
            format!(
                "
  Taximeter {version}

  API         http://127.0.0.1:7
  Dashboard   http://127.0.0.1:7/dashboard
  Database    d/taximeter.db
  Usage log   d/usage
  Test key    sk_test_12345678
  Live key    sk_live_87654321
              These two are shown this once. More: taximeter keys create

  Try it:
    curl http://127.0.0.1:7/v1/customers -u sk_test_12345678: -d name='Jenny Rosen'

  Ready in 83 ms. Stop with Ctrl-C.

"
            )
        );
    }

    #[test]
    fn colour_changes_nothing_but_colour() {
        let plain = banner(&Keys::Known).render(false);
        assert!(!plain.contains('\u{1b}'));
        let mut coloured = banner(&Keys::Known).render(true);
        for code in ["\u{1b}[1;32m", "\u{1b}[2m", "\u{1b}[0m"] {
            assert!(coloured.contains(code));
            coloured = coloured.replace(code, "");
        }
        assert_eq!(coloured, plain);
    }

    #[test]
    fn a_later_start_says_where_keys_are_listed() {
        let text = banner(&Keys::Known).render(false);
        assert!(text.contains("Keys        taximeter keys list\n"));
        assert!(text.contains("-u sk_test_...: "));
    }
}
