//! The table of the API, by dialect and resource.

mod v1;
mod v2;

use crate::endpoint::Endpoint;

/// Every endpoint.
pub(crate) fn endpoints() -> Vec<Endpoint> {
    [v1::endpoints(), v2::endpoints()].concat()
}
