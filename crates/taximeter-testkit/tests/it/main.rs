//! The API, in process, on every database.

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod events_api;
#[cfg(test)]
mod guide;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod products;
#[cfg(test)]
mod shop;
#[cfg(test)]
mod subscriptions;
