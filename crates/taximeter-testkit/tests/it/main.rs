//! The API, in process, on every database.

#[cfg(test)]
mod guide;
#[cfg(test)]
mod coverage;
#[cfg(test)]
mod events_api;
