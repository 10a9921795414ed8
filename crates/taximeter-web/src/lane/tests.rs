//! Tests of finding where a request begins and ends.

use super::reader::{Begin, begin};

const HEAD: &str = "POST /v1/billing/meter_events HTTP/1.1\r\nHost: t\r\n";

fn kind(text: &str) -> &'static str {
    match begin(text.as_bytes()) {
        Begin::Whole(_) => "whole",
        Begin::Part => "part",
        Begin::Other => "other",
    }
}

#[test]
fn a_request_is_read_with_its_fields_and_its_body_only() {
    let text = format!(
        "{HEAD}Authorization: Bearer k\r\nstripe-version: v\r\nIdempotency-Key: i\r\n\
         Content-Type: f\r\nConnection: Keep-Alive\r\nX: y\r\ncontent-length: 7\r\n\r\na=1&b=2POST"
    );
    let Begin::Whole(request) = begin(text.as_bytes()) else { panic!("{}", kind(&text)) };
    assert_eq!(request.head.authorization, Some(b"Bearer k".as_slice()));
    assert_eq!(request.head.version, Some(b"v".as_slice()));
    assert_eq!(request.head.idempotency_key, Some(b"i".as_slice()));
    assert_eq!(request.head.content_type, Some(b"f".as_slice()));
    assert_eq!((request.body, request.bytes), (b"a=1&b=2".as_slice(), text.len() - 4));
}

#[test]
fn a_request_is_part_of_itself_until_it_is_whole() {
    let text = format!("{HEAD}Content-Length: 3\r\n\r\na=1");
    for length in 0..text.len() {
        assert_eq!(kind(&text[..length]), "part", "{length}");
    }
    assert_eq!(kind(&text), "whole");
}

#[test]
fn whatever_is_unusual_goes_the_general_way() {
    for fields in [
        "",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: +3\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: \r\n",
        "Content-Length: 65537\r\n",
        "Content-Length: 18446744073709551617\r\n",
        "Content-Length: 3\r\nExpect: 100-continue\r\n",
        "Content-Length: 3\r\nConnection: close\r\n",
        "Content-Length: 3\r\nConnection: upgrade\r\nUpgrade: h2c\r\n",
        "Content-Length: 3\r\nAuthorization: a\r\nauthorization: b\r\n",
        "Content-Length: 3\r\nIdempotency-Key: a\r\nIdempotency-Key: a\r\n",
        "Content-Length : 3\r\n",
        "Content-Length: 3\r\n folded\r\n",
        &"X: y\r\n".repeat(33),
    ] {
        assert_eq!(kind(&format!("{HEAD}{fields}\r\na=1")), "other", "{fields}");
    }
    for line in [
        "GET / HTTP/1.1\r\n",
        "GET /v1/billing/meter_events HTTP/1.1\r\n",
        "POST /v1/billing/meter_events?a=1 HTTP/1.1\r\n",
        "POST /v1/billing/meter_events/batch HTTP/1.1\r\n",
        "POST /v1/billing/meter_events HTTP/1.0\r\n",
        "PRI * HTTP/2.0\r\n",
        "\r\nPOST /v1/billing/meter_events HTTP/1.1\r\n",
        "P ",
    ] {
        assert_eq!(kind(line), "other", "{line}");
    }
    assert_eq!(kind(&format!("{HEAD}X: {}", "y".repeat(16 * 1_024))), "other");
}
