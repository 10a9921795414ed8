//! Which events are to be delivered to whom.

use serde_json::json;
use taximeter_service::webhooks::Lanes;
use taximeter_testkit::{START, TestApp};

use super::{ENDPOINTS, HOOK, Sender, endpoint, event, path, types};
use crate::support::{customer, id, ids, meter, price};

#[tokio::test]
async fn an_event_goes_to_whoever_wants_its_type() {
    for app in TestApp::everywhere().await {
        let all = endpoint(&app, &["*"]).await;
        let some = endpoint(&app, &["product.created", "customer.created"]).await;
        let disabled = endpoint(&app, &["*"]).await;
        app.made(&path(&disabled), "disabled=true").await;
        let live = format!("{HOOK}&enabled_events[]=*");
        app.live().made(ENDPOINTS, &live).await;
        let [theirs, _] = app.another_account("theirs").await;
        app.with_key(&theirs).made(ENDPOINTS, &live).await;

        price(&app, "").await;
        customer(&app).await;
        let log = |endpoint| format!("{}/deliveries", path(endpoint));
        let mut seen = Vec::new();
        for endpoint in [&all, &some, &disabled] {
            let list = app.read(&log(endpoint)).await;
            let types: Vec<_> = list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["event_type"].clone())
                .collect();
            seen.push(types);
        }
        let expected = [
            json!(["customer.created", "plan.created", "price.created", "product.created"]),
            json!(["customer.created", "product.created"]),
            json!([]),
        ];
        assert_eq!(json!(seen), json!(expected));
        assert_eq!(
            types(&Sender::new(&app).send_all(200).await),
            [
                "customer.created",
                "customer.created",
                "plan.created",
                "price.created",
                "product.created",
                "product.created"
            ]
        );
    }
}

#[tokio::test]
async fn an_endpoint_is_told_of_what_happens_after_it_was_made() {
    for app in TestApp::everywhere().await {
        customer(&app).await;
        let made = endpoint(&app, &["*"]).await;
        let after = customer(&app).await;
        let sent = Sender::new(&app).send_all(200).await;
        let objects: Vec<_> =
            sent.iter().map(|post| event(post)["data"]["object"]["id"].clone()).collect();
        assert_eq!(objects, [json!(after)]);
        app.made(&path(&made), "enabled_events[]=price.created").await;
        customer(&app).await;
        assert_eq!(Sender::new(&app).send_all(200).await.len(), 0);
    }
}

#[tokio::test]
async fn what_is_undone_is_not_delivered() {
    for app in TestApp::everywhere().await {
        endpoint(&app, &["*"]).await;
        // Works, then fails to expand: all of it is undone.
        let answer = app.post("/v1/customers", "name=M&expand[]=nothing").await;
        assert_eq!(answer.status, 400);
        assert_eq!(Sender::new(&app).send_all(200).await.len(), 0);
    }
}

#[tokio::test]
async fn what_only_v2_tells_of_goes_to_no_endpoint_of_v1() {
    for app in TestApp::everywhere().await {
        endpoint(&app, &["*"]).await;
        meter(&app, "e", "sum", "").await;
        let form = "event_name=e&payload[stripe_customer_id]=cus_none&payload[value]=7";
        app.made("/v1/billing/meter_events", form).await;
        app.advance_s(60);
        let services = app.services();
        taximeter_service::meter_errors::reports::report_due(services, app.now()).await.unwrap();
        let thin = app.read("/v2/core/events").await;
        assert_eq!(thin["data"][0]["type"], "v1.billing.meter.error_report_triggered");
        assert_eq!(types(&Sender::new(&app).send_all(200).await), ["billing.meter.created"]);
    }
}

#[tokio::test]
async fn two_that_send_never_send_the_same() {
    for app in TestApp::everywhere().await {
        endpoint(&app, &["*"]).await;
        let mut made = Vec::new();
        for _ in 0..7 {
            made.push(customer(&app).await);
        }
        let services = app.services();
        let (mut one, mut other) = (Lanes::new(16), Lanes::new(16));
        let (one, other) = tokio::join!(
            taximeter_service::webhooks::turn(services, app.now(), &[], &mut one),
            taximeter_service::webhooks::turn(services, app.now(), &[], &mut other),
        );
        let posts = [one.unwrap().posts, other.unwrap().posts];
        let mut sent: Vec<_> = posts
            .iter()
            .flatten()
            .map(|post| event(post)["data"]["object"]["id"].as_str().unwrap().to_owned())
            .collect();
        sent.sort();
        made.sort();
        // Of the seven, each takes four at once at most.
        let count = sent.len();
        sent.dedup();
        assert!(posts.iter().all(|posts| posts.len() <= 4));
        assert_eq!(sent.len(), count, "one was sent twice");
        assert!(count >= 4 && sent.iter().all(|id| made.contains(id)), "{count}");
    }
}

#[tokio::test]
async fn events_are_told_apart_by_whether_they_have_been_delivered() {
    for app in TestApp::everywhere().await {
        let one = endpoint(&app, &["customer.created"]).await;
        endpoint(&app, &["customer.created"]).await;
        app.made("/v1/products", "name=P").await;
        customer(&app).await;
        let of = async |query: &str| {
            let list = app.read(&format!("/v1/events?{query}")).await;
            let pending: Vec<i64> = list["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["pending_webhooks"].as_i64().unwrap())
                .collect();
            pending
        };
        assert_eq!(of("").await, [2, 0]);
        assert_eq!(of("delivery_success=true").await, [0]);
        assert_eq!(of("delivery_success=false").await, [2]);

        let mut sender = Sender::new(&app);
        let mut posts = sender.turn(&[]).await;
        assert_eq!(
            posts.iter().map(|it| event(it)["pending_webhooks"].clone()).collect::<Vec<_>>(),
            [2, 2]
        );
        let (first, second) = (posts.remove(0), posts.remove(0));
        let reports = [super::answered(first, 200), super::answered(second, 500)];
        sender.turn(&reports).await;
        assert_eq!(
            (of("type=customer.*").await, of("delivery_success=false").await),
            (vec![1], vec![1])
        );
        // The failed one is tried again, and says how many have not taken it by then.
        app.advance_s(300);
        let posts = sender.turn(&[]).await;
        assert_eq!(event(&posts[0])["pending_webhooks"], 1);
        let reports: Vec<_> = posts.into_iter().map(|post| super::answered(post, 204)).collect();
        sender.turn(&reports).await;
        assert_eq!(of("delivery_success=false").await, [0; 0]);
        // What is not delivered to an endpoint that is gone is not pending.
        customer(&app).await;
        assert_eq!(of("limit=1").await, [2]);
        app.delete(&path(&one)).await;
        assert_eq!(of("limit=1").await, [1]);
    }
}

#[tokio::test]
async fn events_and_their_deliveries_are_deleted_after_thirty_days() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["*"]).await;
        customer(&app).await;
        app.advance_s(7);
        let kept = customer(&app).await;
        let services = app.services();
        app.advance_s(30 * 86_400 - 7);
        assert_eq!(taximeter_service::events::sweep(services, app.now()).await.unwrap(), 0);
        assert_eq!(ids(&app.read("/v1/events").await).len(), 2);
        app.advance_s(1);
        assert_eq!(ids(&app.read("/v1/events").await).len(), 1);
        assert_eq!(taximeter_service::events::sweep(services, app.now()).await.unwrap(), 1);
        assert_eq!(taximeter_service::events::sweep(services, app.now()).await.unwrap(), 0);
        let log = app.read(&format!("{}/deliveries", path(&made))).await;
        let events = app.read("/v1/events").await;
        assert_eq!(id(&events["data"][0]["data"]["object"]), kept);
        assert_eq!(
            (log["data"].as_array().unwrap().len(), &log["data"][0]["event"]),
            (1, &events["data"][0]["id"])
        );
    }
}

#[tokio::test]
async fn what_happens_by_a_test_clock_is_told_now() {
    for app in TestApp::everywhere().await {
        let made = endpoint(&app, &["customer.created"]).await;
        for frozen in [START.0 - 400 * 86_400, START.0 + 400 * 86_400] {
            let form = format!("frozen_time={frozen}");
            let clock = app.made("/v1/test_helpers/test_clocks", &form).await;
            let form = format!("test_clock={}", id(&clock));
            let customer = app.made("/v1/customers", &form).await;
            let sent = Sender::new(&app).send_all(200).await;
            assert_eq!(sent.len(), 1, "{frozen}");
            let event = event(&sent[0]);
            assert_eq!((&event["created"], &event["data"]["object"]), (&json!(frozen), &customer));
            // It is kept for thirty days from now, whatever day the clock shows.
            let read = format!("/v1/events/{}", id(&event));
            assert_eq!(app.read(&read).await["pending_webhooks"], 0);
            let log = app.read(&format!("{}/deliveries?limit=1", path(&made))).await;
            assert_eq!(log["data"][0]["created"], START.0);
        }
        app.advance_s(30 * 86_400);
        let services = app.services();
        assert_eq!(taximeter_service::events::sweep(services, app.now()).await.unwrap(), 0);
        app.advance_s(1);
        assert!(taximeter_service::events::sweep(services, app.now()).await.unwrap() >= 2);
    }
}
