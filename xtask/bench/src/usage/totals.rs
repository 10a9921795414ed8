//! What was sent of each customer and meter, and whether the server counted just that.

use super::cast::Cast;
use super::stage::total;
use super::workload::{Draw, METERS};
use crate::client::Client;
use crate::words::grouped;

/// The sum of values for each customer and meter.
#[derive(Debug, Clone)]
pub(crate) struct Totals {
    sums: Vec<u64>,
}

impl Totals {
    pub(crate) fn of_none(customers: usize) -> Self {
        Self { sums: vec![0; customers * METERS] }
    }

    pub(crate) fn add(&mut self, draw: &Draw) {
        let value = u64::try_from(draw.value).unwrap_or(0);
        self.sums[draw.customer * METERS + draw.meter] += value;
    }

    /// What a customer used of a meter.
    pub(crate) fn of(&self, meter: usize, customer: usize) -> u64 {
        self.sums[customer * METERS + meter]
    }

    /// Asks the server for every total, each of which must lie between this and `most`.
    pub(crate) fn check(
        &self,
        most: &Self,
        client: &mut Client,
        cast: &Cast,
        now_s: i64,
    ) -> Result<String, String> {
        for (place, (least, most)) in self.sums.iter().zip(&most.sums).enumerate() {
            let (customer, meter) = (place / METERS, place % METERS);
            let counted = total(client, cast, (meter, customer), now_s)?;
            if !(*least..=*most).contains(&counted) {
                let customer = &cast.customers[customer];
                let meter = &cast.meters[meter];
                return Err(format!(
                    "{customer} used {least} to {most} of {meter}, and {counted} was counted"
                ));
            }
        }
        let series = u64::try_from(self.sums.len()).unwrap_or(0);
        Ok(format!("{} totals", grouped(series)))
    }
}
