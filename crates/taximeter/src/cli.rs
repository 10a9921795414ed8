//! The command line: its words and their explanations.

mod usage;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::logging::Format;

pub(crate) use usage::{DumpFlags, RebuildFlags, UsageCommand, VerifyFlags};

const ABOUT: &str = "Usage-based billing that speaks Stripe's API, on your own machine";

const LONG_ABOUT: &str = "\
Taximeter meters usage, rates it and bills it. It speaks Stripe's REST API, so Stripe's own SDKs and \
CLI work with it once their base URL points here.

Without a command it serves. The first start needs nothing: it makes ./taximeter-data, an account, a \
test and a live key, and prints the keys.";

const EXAMPLES: &str = "\
Examples:
  taximeter                                  serve on http://127.0.0.1:4242, data in ./taximeter-data
  taximeter --listen 0.0.0.0:80 --data-dir /var/lib/taximeter
  taximeter --database-url postgres://taximeter@db.internal/taximeter
  taximeter keys create --live               make a key for live mode; works beside a running server
  taximeter doctor                           see whether all is well
  taximeter usage verify                     read all recorded usage and see whether it is whole

Each option can be given in the environment instead: --data-dir as TAXIMETER_DATA_DIR. What is given \
on the command line counts first.";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "taximeter",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = EXAMPLES
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) store: StoreFlags,
    #[command(flatten)]
    pub(crate) serve: ServeFlags,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Where data is kept: the same for every command.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct StoreFlags {
    /// Directory of the data: the usage log and, without --database-url, the embedded database
    ///
    /// Made at the first start. One server at a time uses it. [env: TAXIMETER_DATA_DIR]
    /// [default: ./taximeter-data]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Data")]
    pub(crate) data_dir: Option<PathBuf>,

    /// PostgreSQL database to use instead of the embedded one: postgres://user:password@host/name
    ///
    /// PostgreSQL 15 or newer. The usage log stays in the data directory. Other users of the machine
    /// can see a command line, so a URL with a password is better given in the environment.
    /// [env: TAXIMETER_DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Data")]
    pub(crate) database_url: Option<String>,
}

/// How to serve.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeFlags {
    /// Address and port to listen on; port 0 takes a free one
    ///
    /// [env: TAXIMETER_LISTEN] [default: 127.0.0.1:4242]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Serving")]
    pub(crate) listen: Option<String>,

    /// Address and port that take the stream of meter events and nothing else
    ///
    /// The stream is on the main address as well. [env: TAXIMETER_METER_EVENTS_LISTEN]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Serving")]
    pub(crate) meter_events_listen: Option<String>,

    /// Most events in one request to the stream, up to 10000
    ///
    /// Stripe takes 100. [env: TAXIMETER_STREAM_EVENTS_MAX] [default: 100]
    #[arg(long, value_name = "N", help_heading = "Serving")]
    pub(crate) stream_events_max: Option<String>,

    /// Most events in one batch, up to 10000
    ///
    /// [env: TAXIMETER_BATCH_EVENTS_MAX] [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Serving")]
    pub(crate) batch_events_max: Option<String>,

    #[command(flatten)]
    pub(crate) usage: UsageFlags,

    #[command(flatten)]
    pub(crate) webhooks: WebhookFlags,

    /// Test-mode key to accept: sk_test_ and at least 8 letters, digits or _
    ///
    /// For development and tests that want to know the key beforehand. Without it the first start
    /// makes a test and a live key and prints them. [env: TAXIMETER_SECRET_KEY]
    #[arg(long, value_name = "KEY", help_heading = "Serving")]
    pub(crate) secret_key: Option<String>,

    /// Certificate chain (PEM) to serve HTTPS with; needs --tls-key
    ///
    /// [env: TAXIMETER_TLS_CERT]
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Private key (PEM) of the certificate
    ///
    /// [env: TAXIMETER_TLS_KEY]
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(crate) tls_key: Option<PathBuf>,

    /// What to log on standard error: a level, or a filter such as info,taximeter_usage=debug
    ///
    /// [env: TAXIMETER_LOG] [default: info,sqlx=warn]
    #[arg(long, value_name = "FILTER", help_heading = "Logging")]
    pub(crate) log: Option<String>,

    /// Form of the log
    ///
    /// [env: TAXIMETER_LOG_FORMAT] [default: auto]
    #[arg(long, value_name = "FORM", help_heading = "Logging")]
    pub(crate) log_format: Option<Format>,
}

/// How the usage engine is run.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct UsageFlags {
    /// About how much memory the usage engine may take, such as 512MiB or 4GiB
    ///
    /// At least 128MiB. [env: TAXIMETER_USAGE_MEMORY] [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Usage engine")]
    pub(crate) usage_memory: Option<String>,

    /// Delete events this long after they came in, such as 400d; their totals stay
    ///
    /// At least 35d. An event that was deleted can no longer be read, corrected, or recognised when
    /// it is sent again. [env: TAXIMETER_USAGE_RETENTION] [default: events are kept]
    #[arg(long, value_name = "TIME", help_heading = "Usage engine")]
    pub(crate) usage_retention: Option<String>,

    /// Most combinations of dimension values that a customer may have for a meter, up to 100000
    ///
    /// An event that would make another is refused. [env: TAXIMETER_SERIES_MAX] [default: 1000]
    #[arg(long, value_name = "N", help_heading = "Usage engine")]
    pub(crate) series_max: Option<String>,
}

/// How webhooks are sent.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WebhookFlags {
    /// What webhooks may call beside the internet: nothing, this machine in test mode, or this
    /// machine and private networks in both modes
    ///
    /// Addresses of links, such as those where clouds keep credentials, are never called.
    /// [env: TAXIMETER_WEBHOOKS_ALLOW] [default: loopback] [possible values: public, loopback, private]
    #[arg(long, value_name = "REACH", help_heading = "Webhooks")]
    pub(crate) webhooks_allow: Option<String>,

    /// Most deliveries under way at once, up to 1000
    ///
    /// Those to endpoints that let us wait do not count. [env: TAXIMETER_WEBHOOKS_AT_ONCE] [default: 16]
    #[arg(long, value_name = "N", help_heading = "Webhooks")]
    pub(crate) webhooks_at_once: Option<String>,

    /// How long an endpoint may take to answer, from 1s to 60s
    ///
    /// [env: TAXIMETER_WEBHOOKS_TIMEOUT] [default: 30s]
    #[arg(long, value_name = "TIME", help_heading = "Webhooks")]
    pub(crate) webhooks_timeout: Option<String>,

    /// How often a delivery is tried in test mode, 1 to 9
    ///
    /// In live mode it is tried 9 times in three days. [env: TAXIMETER_WEBHOOKS_TEST_TRIES] [default: 9]
    #[arg(long, value_name = "N", help_heading = "Webhooks")]
    pub(crate) webhooks_test_tries: Option<String>,
}

impl WebhookFlags {
    fn or(self, others: Self) -> Self {
        Self {
            webhooks_allow: self.webhooks_allow.or(others.webhooks_allow),
            webhooks_at_once: self.webhooks_at_once.or(others.webhooks_at_once),
            webhooks_timeout: self.webhooks_timeout.or(others.webhooks_timeout),
            webhooks_test_tries: self.webhooks_test_tries.or(others.webhooks_test_tries),
        }
    }

    /// The name of one that was given.
    fn any(&self) -> Option<&'static str> {
        [
            ("--webhooks-allow", self.webhooks_allow.is_some()),
            ("--webhooks-at-once", self.webhooks_at_once.is_some()),
            ("--webhooks-timeout", self.webhooks_timeout.is_some()),
            ("--webhooks-test-tries", self.webhooks_test_tries.is_some()),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name))
    }
}

impl ServeFlags {
    /// These, and `others` where these say nothing.
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            listen: self.listen.or(others.listen),
            meter_events_listen: self.meter_events_listen.or(others.meter_events_listen),
            stream_events_max: self.stream_events_max.or(others.stream_events_max),
            batch_events_max: self.batch_events_max.or(others.batch_events_max),
            usage: UsageFlags {
                usage_memory: self.usage.usage_memory.or(others.usage.usage_memory),
                usage_retention: self.usage.usage_retention.or(others.usage.usage_retention),
                series_max: self.usage.series_max.or(others.usage.series_max),
            },
            webhooks: self.webhooks.or(others.webhooks),
            secret_key: self.secret_key.or(others.secret_key),
            tls_cert: self.tls_cert.or(others.tls_cert),
            tls_key: self.tls_key.or(others.tls_key),
            log: self.log.or(others.log),
            log_format: self.log_format.or(others.log_format),
        }
    }

    /// The name of one that was given.
    fn any(&self) -> Option<&'static str> {
        [
            ("--listen", self.listen.is_some()),
            ("--meter-events-listen", self.meter_events_listen.is_some()),
            ("--stream-events-max", self.stream_events_max.is_some()),
            ("--batch-events-max", self.batch_events_max.is_some()),
            ("--usage-memory", self.usage.usage_memory.is_some()),
            ("--usage-retention", self.usage.usage_retention.is_some()),
            ("--series-max", self.usage.series_max.is_some()),
            ("--secret-key", self.secret_key.is_some()),
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-key", self.tls_key.is_some()),
            ("--log", self.log.is_some()),
            ("--log-format", self.log_format.is_some()),
        ]
        .into_iter()
        .find_map(|(name, given)| given.then_some(name))
        .or_else(|| self.webhooks.any())
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the API and the dashboard (what is done without a command)
    ///
    /// Stops on SIGTERM or Ctrl-C: it takes no new connections, finishes what it is answering (10
    /// seconds at most) and closes its data. A second signal ends it at once.
    Serve(ServeFlags),

    /// Make, list and end API keys; works beside a running server
    #[command(subcommand)]
    Keys(KeysCommand),

    /// Make and list accounts, each with keys and data of its own
    #[command(subcommand)]
    Accounts(AccountsCommand),

    /// Bring the database's tables up to date, making the database if there is none
    ///
    /// `serve` does this by itself. This is for doing it beforehand, or by a database user who may
    /// change tables where the server's may not.
    Migrate(MigrateFlags),

    /// Verify the usage log, make its index anew, write out what it says; without a server
    #[command(subcommand)]
    Usage(UsageCommand),

    /// Derive a finalized invoice again from the usage log, and say whether it is the same
    ///
    /// Every metered line is counted from the events in the log, up to where the log was when the
    /// invoice was finalized, and rated and added up anew. Ends with 1 when something differs, and
    /// names what. Needs the data directory to itself.
    #[command(after_help = "\
Examples:
  taximeter verify-invoice in_4kZ8...
  taximeter verify-invoice in_4kZ8... --json")]
    VerifyInvoice(VerifyInvoiceFlags),

    /// Check the data directory, the database, the usage log, the keys, the address and the clock
    ///
    /// Changes nothing but what a start would mend as well. Give it the options that `serve` is
    /// given. Ends with 1 when something would keep the server from starting.
    Doctor(ServeFlags),

    /// Print the version
    Version,
}

/// Which invoice to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyInvoiceFlags {
    /// The invoice's id
    #[arg(value_name = "INVOICE")]
    pub(crate) invoice: String,

    /// As one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key and print it, this once, on standard output
    #[command(after_help = "\
Examples:
  taximeter keys create
  taximeter keys create --live --name 'billing worker'
  taximeter keys create --kind restricted --allow customer=write --allow price=read")]
    Create(CreateKey),

    /// List keys, without their secrets
    List(ListKeys),

    /// Put a new key in the place of an old one, and print it
    #[command(after_help = "\
Examples:
  taximeter keys roll key_4kZ8...                  the old key ends now
  taximeter keys roll key_4kZ8... --expire-in 24h  it works for another day")]
    Roll(RollKey),

    /// End a key; a running server refuses it within 5 seconds
    Revoke(RevokeKey),
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct CreateKey {
    /// Account the key belongs to, by id or name; without it, the default account
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,

    /// For live mode: real customers
    #[arg(long, conflicts_with = "test")]
    pub(crate) live: bool,

    /// For test mode (what is made without --live)
    #[arg(long)]
    pub(crate) test: bool,

    /// What the key is for
    #[arg(long, value_enum, default_value_t = KeyKindWord::Secret)]
    pub(crate) kind: KeyKindWord,

    /// What to call it in lists
    #[arg(long)]
    pub(crate) name: Option<String>,

    /// What a restricted key may do: RESOURCE=read or RESOURCE=write; can be repeated
    #[arg(long, value_name = "RESOURCE=ACCESS")]
    pub(crate) allow: Vec<String>,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum KeyKindWord {
    /// Everything, from a server
    Secret,
    /// What --allow says
    Restricted,
    /// To be seen by anyone, in a browser
    Publishable,
}

/// Which keys to list.
#[derive(Debug, Args)]
pub(crate) struct ListKeys {
    /// Only those of this account, by id or name
    #[arg(long, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,

    /// Those that have ended, too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Which key to roll.
#[derive(Debug, Args)]
pub(crate) struct RollKey {
    /// The key's id, key_..., from `taximeter keys list`
    pub(crate) key: String,

    /// How long the old key goes on working: 0, 30m, 24h, 7d at most
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = crate::config::duration_s)]
    pub(crate) expire_in: i64,
}

/// Which key to end.
#[derive(Debug, Args)]
pub(crate) struct RevokeKey {
    /// The key's id, key_..., from `taximeter keys list`; or the secret itself, if it leaked
    pub(crate) key: String,
}

/// What to do with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum AccountsCommand {
    /// Make an account and print its id
    Create {
        /// What to call it; no two accounts have the same name
        name: String,
    },
    /// List accounts; the first is the default one
    List,
}

/// How to migrate.
#[derive(Debug, Args)]
pub(crate) struct MigrateFlags {
    /// Only say what is to be done, and end with 1 if anything is
    #[arg(long)]
    pub(crate) check: bool,
}

impl Cli {
    /// Refuses options of `serve` before another command, where they would be ignored.
    ///
    /// # Errors
    /// The misuse, ready to be shown.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let serves = matches!(self.command, None | Some(Command::Serve(_)));
        match self.serve.any() {
            Some(flag) if !serves => Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                format!("{flag} is an option of `taximeter serve`, not of this command"),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        let cli = Cli::try_parse_from(line.split(' '))?;
        cli.check()?;
        Ok(cli)
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_serve_stand_before_it_after_it_or_alone() {
        for line in [
            "taximeter --listen 127.0.0.1:7",
            "taximeter serve --listen 127.0.0.1:7",
            "taximeter --listen 127.0.0.1:7 serve",
        ] {
            let cli = parse(line).unwrap();
            let flags = match cli.command {
                Some(Command::Serve(flags)) => flags.or(cli.serve),
                _ => cli.serve,
            };
            assert_eq!(flags.listen.as_deref(), Some("127.0.0.1:7"), "{line}");
        }
    }

    #[test]
    fn options_of_the_store_stand_anywhere() {
        for line in [
            "taximeter --data-dir d keys list",
            "taximeter keys --data-dir d list",
            "taximeter keys list --data-dir d",
            "taximeter serve --data-dir d",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.store.data_dir, Some(PathBuf::from("d")), "{line}");
        }
    }

    #[test]
    fn an_option_that_would_be_ignored_is_refused() {
        for line in [
            "taximeter --listen 127.0.0.1:7 keys list",
            "taximeter --secret-key sk_test_12345678 version",
            "taximeter keys list --listen 127.0.0.1:7",
            "taximeter keys create --live --test",
            "taximeter keys roll key_7 --expire-in tomorrow",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
    }
}
