//! How long the lane for events waits for its clients.

use taximeter_testkit::TestApp;
use tokio::io::{AsyncWriteExt as _, duplex};
use tokio::time::{Instant, pause};

#[tokio::test]
async fn a_client_that_sends_nothing_or_half_a_request_is_let_go_after_a_minute() {
    let app = TestApp::start().await;
    pause();
    for part in [
        "",
        "POST /v1/billing/meter_ev",
        "POST /v1/billing/meter_events HTTP/1.1\r\nContent-Length: 7\r\n",
        "POST /v1/billing/meter_events HTTP/1.1\r\nContent-Length: 7\r\n\r\na=1",
    ] {
        let (mut client, server) = duplex(1_024);
        client.write_all(part.as_bytes()).await.unwrap();
        let before = Instant::now();
        assert!(app.lane().drive(server).await.is_none(), "{part}");
        assert_eq!(before.elapsed().as_secs(), 60, "{part}");
    }
}
