//! Webhook endpoints, and events on their way to them.

mod deliveries;
mod endpoints;
mod listen;
mod log;
mod queue;

use serde_json::Value;
use taximeter_service::webhooks::{self, Answer, Lanes, Post, Report, Unsent};
use taximeter_testkit::TestApp;

const ENDPOINTS: &str = "/v1/webhook_endpoints";
const HOOK: &str = "url=https://example.com/hook";

/// Makes an endpoint that wants these types.
async fn endpoint(app: &TestApp, types: &[&str]) -> Value {
    let types: String = types.iter().map(|kind| format!("&enabled_events[]={kind}")).collect();
    app.made(ENDPOINTS, &format!("{HOOK}{types}")).await
}

fn path(endpoint: &Value) -> String {
    format!("{ENDPOINTS}/{}", endpoint["id"].as_str().unwrap())
}

/// What sends events, with an endpoint at its other end that answers as the test wishes.
struct Sender<'a> {
    app: &'a TestApp,
    lanes: Lanes,
}

impl<'a> Sender<'a> {
    fn new(app: &'a TestApp) -> Self {
        Self { app, lanes: Lanes::new(16) }
    }

    /// Settles reports and claims what is due.
    async fn turn(&mut self, reports: &[Report]) -> Vec<Post> {
        let services = self.app.services();
        webhooks::turn(services, self.app.now(), reports, &mut self.lanes).await.unwrap().posts
    }

    /// Sends all that is due, and answers each with this status; 0 is no answer.
    async fn send_all(&mut self, status: u16) -> Vec<Post> {
        let mut sent = Vec::new();
        let mut posts = self.turn(&[]).await;
        while !posts.is_empty() {
            sent.extend(posts.clone());
            let reports: Vec<Report> =
                posts.into_iter().map(|post| answered(post, status)).collect();
            posts = self.turn(&reports).await;
        }
        sent
    }
}

/// An answer of a status; 0 is none.
fn answered(post: Post, status: u16) -> Report {
    let answer = match status {
        0 => Answer::Unsent(Unsent::TimedOut),
        _ => Answer::Status { status, body: format!("said {status}").into_bytes() },
    };
    post.report(&answer, 13)
}

/// What a call carries.
fn event(post: &Post) -> Value {
    serde_json::from_str(&post.body).unwrap()
}

/// The types of what is sent, in order of names.
fn types(posts: &[Post]) -> Vec<String> {
    let mut types: Vec<String> =
        posts.iter().map(|post| event(post)["type"].as_str().unwrap().to_owned()).collect();
    types.sort();
    types
}
