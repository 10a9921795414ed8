//! The HTTP side, thin: extract, call one verb, render.
//!
//! What an endpoint takes, who may call it and which verb answers it is one line in `api`. All
//! else (keys, bodies, idempotency, expansion, versions, errors) is the same for every endpoint
//! and stands in `dispatch`.

mod answer;
mod api;
mod app;
mod auth;
mod batch;
mod dispatch;
mod endpoint;
mod error;
mod form;
mod head;
mod health;
mod ingest;
mod json;
mod lane;
mod listen;
mod pages;
mod request;
mod router;
mod stream;

pub use app::{App, Clock};
pub use endpoint::{Endpoint, endpoints};
pub use lane::{Lane, Rewound, WAIT_MAX};
pub use request::BODY_BYTES_MAX;
pub use router::{router, stream_router};
pub use stream::EVENTS_BODY_BYTES_MAX;
