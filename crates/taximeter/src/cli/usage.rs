//! The words of `taximeter usage`.

use clap::{Args, Subcommand};

/// What to do with the files of the usage engine.
#[derive(Debug, Subcommand)]
pub(crate) enum UsageCommand {
    /// Read every byte of the log and the index, and say whether all is as it was written
    ///
    /// Changes nothing. Ends with 1 when something is damaged, and names the file and the place in
    /// it.
    Verify(VerifyFlags),

    /// Delete the index and make it anew from the log
    ///
    /// The log is checked first: nothing is deleted when it is damaged. If this is cut short, run it
    /// again. Where retention has deleted events it is refused, since their totals are in the index
    /// alone.
    RebuildIndex(RebuildFlags),

    /// Write what the log says to standard output, a line of JSON for each step
    ///
    /// Steps are events that were recorded, canceled, restored and amended, in the order in which they
    /// were done. Values are texts, exact to the last digit.
    #[command(after_help = "\
Examples:
  taximeter usage dump --limit 7
  taximeter usage dump --customer cus_4kZ8... --meter mtr_61R... > events.jsonl
  taximeter usage dump --from 1000001 | jq -r .identifier")]
    Dump(DumpFlags),
}

/// How to verify.
#[derive(Debug, Args)]
pub(crate) struct VerifyFlags {
    /// As one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How to make the index anew.
#[derive(Debug, Args)]
pub(crate) struct RebuildFlags {
    /// About how much memory to take, such as 512MiB or 4GiB
    ///
    /// [env: TAXIMETER_USAGE_MEMORY] [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) usage_memory: Option<String>,
}

/// What to write.
#[derive(Debug, Args)]
pub(crate) struct DumpFlags {
    /// Begin at this position; the first is 1
    #[arg(long, value_name = "POSITION", default_value_t = 1)]
    pub(crate) from: u64,

    /// Write so many lines at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: Option<u64>,

    /// Only steps of this customer's events
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,

    /// Only steps of events of this meter
    #[arg(long, value_name = "ID")]
    pub(crate) meter: Option<String>,
}
