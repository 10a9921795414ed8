//! What came of deliveries, to be read.

use serde_json::json;
use taximeter_service::webhooks::{self, Answer, Unsent};
use taximeter_testkit::{START, TestApp};

use super::{Sender, endpoint, path};
use crate::support::{customer, error, id, ids};

#[tokio::test]
async fn the_log_tells_of_each_attempt() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        let mut sender = Sender::new(&app);
        let post = sender.turn(&[]).await.remove(0);
        let body = [b"\0\xff<".as_slice(), &[b'x'; 2_000]].concat();
        let report = post.report(&Answer::Status { status: 500, body }, 1_301);
        sender.turn(&[report]).await;
        app.advance_s(300);
        let post = sender.turn(&[]).await.remove(0);
        sender.turn(&[post.report(&Answer::Unsent(Unsent::Unconnected), 7)]).await;
        let list = app.read(&format!("{}/deliveries", path(&made))).await;
        let delivery = &list["data"][0];
        let next = delivery["next_attempt_at"].as_i64().unwrap();
        assert!((START.0 + 300 + 1_620..=START.0 + 300 + 1_800).contains(&next), "{next}");
        let kept = format!("\0\u{fffd}<{}", "x".repeat(1_021));
        assert_eq!(
            *delivery,
            json!({
                "id": id(delivery),
                "object": "webhook_delivery",
                "attempts": [
                    {
                        "at": START.0,
                        "duration_ms": 1_301,
                        "response_status": 500,
                        "response_body": kept,
                        "error": null,
                    },
                    {
                        "at": START.0 + 300,
                        "duration_ms": 7,
                        "response_status": null,
                        "response_body": null,
                        "error": "connection_failed",
                    },
                ],
                "created": START.0,
                "event": app.read("/v1/events").await["data"][0]["id"],
                "event_type": "customer.created",
                "livemode": false,
                "next_attempt_at": next,
                "status": "pending",
                "under_way": false,
                "webhook_endpoint": id(&made),
            })
        );
        let backlog = webhooks::backlog(&app.services().db).await.unwrap();
        let seen: Vec<_> = backlog
            .iter()
            .map(|it| (it.endpoint.as_str(), it.pending, it.failing, it.oldest))
            .collect();
        assert_eq!(seen, [(id(&made), 1, 1, START)]);
    }
}

#[tokio::test]
async fn the_log_is_read_page_by_page_and_by_what_came_of_it() {
    for app in TestApp::everywhere().await {
        let (made, other) = (endpoint(&app, &["*"]).await, endpoint(&app, &["*"]).await);
        let log = |query: &str| format!("{}/deliveries?{query}", path(&made));
        for _ in 0..5 {
            customer(&app).await;
        }
        let all = ids(&app.read(&log("")).await);
        assert_eq!(all.len(), 5);
        let of = async |query: &str| ids(&app.read(&log(query)).await);
        assert_eq!(of("limit=2").await, all[..2]);
        assert_eq!(of(&format!("limit=2&starting_after={}", all[1])).await, all[2..4]);
        assert_eq!(of(&format!("limit=2&ending_before={}", all[4])).await, all[2..4]);
        assert_eq!(app.read(&log("limit=5")).await["has_more"], false);
        assert_eq!(app.read(&log("limit=4")).await["has_more"], true);
        assert_eq!((of("status=pending").await.len(), of("status=succeeded").await.len()), (5, 0));
        Sender::new(&app).send_all(200).await;
        assert_eq!((of("status=pending").await.len(), of("status=succeeded").await.len()), (0, 5));
        // Another's deliveries are none of its own.
        let others = format!("{}/deliveries?starting_after={}", path(&other), all[0]);
        let missing =
            format!("400 resource_missing starting_after: No such webhook delivery: '{}'", all[0]);
        assert_eq!(error(&app.get(&others).await), missing);
        for cursor in ["whd_x", "x", "whd_0"] {
            let missing = format!(
                "400 resource_missing starting_after: No such webhook delivery: '{cursor}'"
            );
            let query = format!("starting_after={cursor}");
            assert_eq!(error(&app.get(&log(&query)).await), missing);
        }
        assert_eq!(app.live().get(&log("")).await.status, 404);
    }
}
