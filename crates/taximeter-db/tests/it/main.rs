//! What the seam promises, checked on both databases.

#[cfg(test)]
mod constraints;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transactions;
#[cfg(test)]
mod values;
