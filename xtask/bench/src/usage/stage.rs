//! A server with the meters and customers that events name.

use std::path::{Path, PathBuf};

use taximeter_kernel::id::{Customer, Id, Meter, Mode, Scope};

use super::cast::{Cast, event_name};
use super::workload::{METERS, has_dimensions};
use crate::client::{Client, json};
use crate::server::{self, Server};

const HOUR_S: i64 = 3_600;
const DAY_S: i64 = 24 * HOUR_S;

/// Where a server's data and log are, and how it is started.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    pub(crate) data: PathBuf,
    pub(crate) options: Vec<String>,
}

impl Home {
    pub(crate) fn start(&self) -> Result<Server, String> {
        let mut command = server::product(&self.data, &self.options)?;
        Server::start(&mut command, &self.data.with_extension("server.log"))
    }

    /// The directory of the usage engine.
    pub(crate) fn usage(&self) -> PathBuf {
        self.data.join("usage")
    }

    /// Whose data the benchmark's key sees.
    pub(crate) fn scope(&self) -> Result<Scope, String> {
        let mut command = server::program()?;
        command.args(["accounts", "list", "--data-dir"]).arg(&self.data);
        let listed = command.output().map_err(|error| format!("{command:?}: {error}"))?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let mut words = listed.split_whitespace();
        let account = words.find(|word| word.starts_with("acct_"));
        let account = account.ok_or_else(|| format!("no account is listed: {listed}"))?;
        let account = Id::parse(account).map_err(|error| error.to_string())?;
        Ok(Scope { account, mode: Mode::Test })
    }

    /// The directory of this name.
    pub(crate) fn at(data: &Path, options: &[String]) -> Self {
        Self { data: data.to_owned(), options: options.to_vec() }
    }
}

/// Makes the meters that all events are of.
pub(crate) fn make_meters(client: &mut Client) -> Result<Vec<Id<Meter>>, String> {
    let make = |meter| {
        let mut form = format!(
            "display_name=Bench&event_name={}&default_aggregation[formula]=sum",
            event_name(meter)
        );
        if has_dimensions(meter) {
            form.push_str("&dimension_payload_keys[0]=region&dimension_payload_keys[1]=model");
        }
        made(&client.post("/v1/billing/meters", &form)?)
    };
    (0..METERS).map(make).collect()
}

/// Makes so many customers.
pub(crate) fn make_customers(
    client: &mut Client,
    count: usize,
) -> Result<Vec<Id<Customer>>, String> {
    (0..count).map(|_| made(&client.post("/v1/customers", "")?)).collect()
}

fn made<K: taximeter_kernel::id::Kind>(object: &serde_json::Value) -> Result<Id<K>, String> {
    let id = object["id"].as_str().ok_or_else(|| format!("no id: {object}"))?;
    Id::parse(id).map_err(|error| error.to_string())
}

/// A token for the stream.
pub(crate) fn token(client: &mut Client) -> Result<String, String> {
    let session = client.post("/v2/billing/meter_event_session", "")?;
    let token = session["authentication_token"].as_str();
    token.map(str::to_owned).ok_or_else(|| format!("no token: {session}"))
}

/// What a server counted for a customer and meter in all the time that events can be of.
pub(crate) fn total(
    client: &mut Client,
    cast: &Cast,
    (meter, customer): (usize, usize),
    now_s: i64,
) -> Result<u64, String> {
    let minute = now_s - now_s % 60;
    let (start, end) = (minute - 40 * DAY_S, minute + HOUR_S);
    let (meter, customer) = (&cast.meters[meter], &cast.customers[customer]);
    let path = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={start}\
         &end_time={end}"
    );
    let summaries = json(client.get(&path)?)?;
    let rows = summaries["data"].as_array().map_or(&[][..], Vec::as_slice);
    let total: Option<u64> = rows.iter().map(|row| row["aggregated_value"].as_u64()).sum();
    total.ok_or_else(|| format!("no whole total: {summaries}"))
}
