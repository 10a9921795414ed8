//! What the router offers, in the words of the coverage document.

use taximeter_service::params::Schema;

use crate::contract::OfferedEndpoint;

/// Every endpoint with every parameter it honours, from the declarations that decode them.
#[must_use]
pub fn offered() -> Vec<OfferedEndpoint> {
    let endpoints = taximeter_web::endpoints();
    endpoints
        .into_iter()
        .map(|endpoint| {
            let mut params = Vec::new();
            paths("", &endpoint.schema, &mut params);
            params.sort();
            params.dedup();
            OfferedEndpoint {
                method: endpoint.method.to_string(),
                path: endpoint.path.to_owned(),
                params,
            }
        })
        .collect()
}

fn paths(at: &str, schema: &Schema, out: &mut Vec<String>) {
    if !at.is_empty() {
        out.push(at.to_owned());
    }
    match schema {
        Schema::Leaf => {}
        Schema::List(inner) => paths(&format!("{at}[]"), inner, out),
        Schema::Keyed(inner) => paths(&format!("{at}[*]"), inner, out),
        Schema::Either(one, other) => {
            paths(at, one, out);
            paths(at, other, out);
        }
        Schema::Fields(fields) => {
            for (name, inner) in fields {
                let full = if at.is_empty() { (*name).to_owned() } else { format!("{at}[{name}]") };
                paths(&full, inner, out);
            }
        }
    }
}
