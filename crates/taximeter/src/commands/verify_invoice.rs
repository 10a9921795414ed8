//! `taximeter verify-invoice`: whether a finalized invoice follows from the usage log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use serde_json::json;
use taximeter_db::Db;
use taximeter_kernel::id::{Id, Scope};
use taximeter_service::ctx::{Caller, Ctx, Services};
use taximeter_service::invoices::verify::{self, Basis, Evidence, Verdict};
use taximeter_service::webhooks;
use taximeter_usage::{Options, tools};

use crate::cli::VerifyInvoiceFlags;
use crate::config::Store;
use crate::data_dir::{self, Taken};
use crate::failure::Failure;
use crate::terminal::number_shown;
use crate::{process, store, terminal};

/// Derives an invoice again and says whether it is the same.
///
/// # Errors
/// A failure that names what is not there, who uses it, or why it cannot be derived again.
pub(super) async fn run(at: &Store, flags: &VerifyInvoiceFlags) -> Result<ExitCode, Failure> {
    let usage = data_dir::usage(&at.data_dir);
    if !usage.is_dir() {
        return Err(Failure::new(format!("there is no usage log in {}", at.data_dir.display()))
            .hint("name another directory with --data-dir; the first start of a server makes it"));
    }
    let held = match data_dir::try_hold(&at.data_dir)? {
        Taken::Held(held) => held,
        Taken::By(holder) => {
            return Err(Failure::new(format!("{holder} is using {}", at.data_dir.display()))
                .hint("stop it first, or run this on a copy of the directory"));
        }
    };
    let db = store::open_current(at).await?;
    let read = basis(&db, &at.data_dir, &flags.invoice).await;
    db.close().await;
    let basis = read?;
    let evidence = basis.evidence();
    let evidence = if basis.is_metered() { scan(usage, evidence).await? } else { evidence };
    let verdict = basis.verify(&evidence).map_err(|error| cannot(&flags.invoice, &error))?;
    drop(held);
    terminal::print(&report(&flags.invoice, &verdict, flags.json));
    let equal = verdict.difference.is_none();
    Ok(if equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cannot(invoice: &str, error: &taximeter_service::error::Error) -> Failure {
    Failure::new(format!("cannot verify {invoice}")).because(error)
}

/// Reads what the database knows of the invoice.
async fn basis(db: &Db, data_dir: &Path, invoice: &str) -> Result<Basis, Failure> {
    let mut tx = db.begin_read().await?;
    let scopes = verify::scopes(&mut tx, invoice).await.map_err(|error| cannot(invoice, &error))?;
    drop(tx);
    let scope: Scope = match scopes.as_slice() {
        [only] => only.clone(),
        [] => {
            return Err(Failure::new(format!("no invoice is called {invoice}"))
                .hint("name another directory with --data-dir, or database with --database-url"));
        }
        _ => return Err(Failure::new(format!("several accounts have an invoice {invoice}"))),
    };
    // Opened as a start opens it, which mends what a crash left; what is verified is the log.
    let engine = store::open_usage(data_dir, Options::default()).await?;
    let entropy = process::entropy()?;
    let services = Services {
        db: db.clone(),
        usage: engine.clone(),
        catalog: Arc::default(),
        intake: Arc::default(),
        in_flight: Arc::default(),
        webhooks: Arc::new(webhooks::Shared::default()),
        entropy: entropy.clone(),
        work: Arc::default(),
    };
    let caller = Caller::time(scope, Id::generate(entropy()));
    let read = async {
        let mut ctx = Ctx::begin_read(&services, caller, process::now()).await?;
        verify::basis(&mut ctx, invoice).await
    };
    let read = read.await.map_err(|error| cannot(invoice, &error));
    drop(services);
    store::close_usage(engine).await;
    read
}

/// Takes the invoice's events out of the log, from its first step on.
async fn scan(usage: PathBuf, mut evidence: Evidence) -> Result<Evidence, Failure> {
    let reading = tokio::task::spawn_blocking(move || {
        tools::dump(&usage, 1, &mut |seq, step| evidence.take(seq, &step)).map(|()| evidence)
    });
    let read = reading.await;
    let read = read.map_err(|error| Failure::new("cannot read the usage log").because(&error))?;
    read.map_err(|error| store::usage_failure(&error))
}

fn report(invoice: &str, verdict: &Verdict, as_json: bool) -> String {
    let Verdict { lines, metered, events, difference } = verdict;
    if as_json {
        let report = json!({
            "invoice": invoice,
            "equal": difference.is_none(),
            "lines": lines,
            "metered_lines": metered,
            "events": events,
            "difference": difference,
        });
        return format!("{report}\n");
    }
    let number = |count: usize| number_shown(u64::try_from(count).unwrap_or(u64::MAX));
    match difference {
        Some(difference) => format!("{invoice} is not what was derived again\n  {difference}\n"),
        None => format!(
            "{invoice} is what was derived again: {} metered of {} lines, from {} events in the log\n",
            number(*metered),
            number(*lines),
            number(*events)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_the_first_difference() {
        let equal = Verdict { lines: 3, metered: 2, events: 1_013, difference: None };
        assert_eq!(
            report("in_7", &equal, false),
            "in_7 is what was derived again: 2 metered of 3 lines, from 1,013 events in the log\n"
        );
        let other = Verdict { difference: Some("total: …".to_owned()), ..equal };
        let text = report("in_7", &other, false);
        assert_eq!(text, "in_7 is not what was derived again\n  total: …\n");
        assert_eq!(
            report("in_7", &other, true),
            "{\"invoice\":\"in_7\",\"equal\":false,\"lines\":3,\"metered_lines\":2,\"events\":1013,\
             \"difference\":\"total: …\"}\n"
        );
    }
}
