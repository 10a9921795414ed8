//! `/v1/tax_rates`

use serde_json::json;
use taximeter_testkit::TestApp;

use crate::support::{id, ids, refused, written};

const RATES: &str = "/v1/tax_rates";

#[tokio::test]
async fn a_tax_rate_keeps_all_that_it_is_told() {
    for app in TestApp::everywhere().await {
        let form = "display_name=VAT&inclusive=true&percentage=19.25&active=false&country=de\
                    &description=D&jurisdiction=J&state=BE&tax_type=vat&metadata[a]=1";
        let made = app.made(RATES, form).await;
        let path = format!("{RATES}/{}", id(&made));
        assert!(id(&made).starts_with("txr_"));
        let expected = json!({
            "id": id(&made),
            "object": "tax_rate",
            "active": false,
            "country": "DE",
            "created": app.now().0,
            "description": "D",
            "display_name": "VAT",
            "effective_percentage": null,
            "flat_amount": null,
            "inclusive": true,
            "jurisdiction": "J",
            "jurisdiction_level": null,
            "livemode": false,
            "metadata": { "a": "1" },
            "percentage": 19.25,
            "rate_type": null,
            "state": "BE",
            "tax_type": "vat",
        });
        assert_eq!(made, expected);
        assert_eq!(app.read(&path).await, made);
        let changed = app.made(&path, "active=true&tax_type=gst&metadata[a]=&state=HH").await;
        let mut expected = made;
        expected["active"] = true.into();
        expected["tax_type"] = "gst".into();
        expected["state"] = "HH".into();
        expected["metadata"] = json!({});
        assert_eq!(changed, expected);
        let kinds: Vec<String> = written(&app).await.into_iter().map(|e| e.kind).collect();
        assert_eq!(kinds, ["tax_rate.created", "tax_rate.updated"]);
    }
}

#[tokio::test]
async fn a_percentage_is_written_with_every_digit_it_was_given() {
    for app in TestApp::everywhere().await {
        for (given, shown) in
            [("0", "0"), ("8.875", "8.875"), ("7.10", "7.1"), ("100", "100"), ("0.0001", "0.0001")]
        {
            let form = format!("display_name=T&inclusive=false&percentage={given}");
            let made = app.made(RATES, &form).await;
            assert_eq!(made["percentage"].to_string(), shown, "{given}");
        }
    }
}

#[tokio::test]
async fn tax_rates_are_listed_by_what_they_are() {
    for app in TestApp::everywhere().await {
        let mut made = Vec::new();
        for form in ["inclusive=true&active=false", "inclusive=true", "inclusive=false"] {
            let form = format!("display_name=T&percentage=7&{form}");
            made.push(id(&app.made(RATES, &form).await).to_owned());
        }
        for (query, expected) in [
            ("", &[2, 1, 0][..]),
            ("active=true", &[2, 1]),
            ("active=false", &[0]),
            ("inclusive=true", &[1, 0]),
            ("inclusive=true&active=true", &[1]),
            ("created[gt]=4000000000", &[]),
        ] {
            let expected: Vec<_> = expected.iter().map(|at: &usize| made[*at].clone()).collect();
            assert_eq!(ids(&app.read(&format!("{RATES}?{query}")).await), expected, "{query}");
        }
    }
}

#[tokio::test]
async fn what_a_tax_rate_is_cannot_be_changed_or_be_anything() {
    let app = TestApp::start().await;
    let made = app.made(RATES, "display_name=T&inclusive=false&percentage=7").await;
    let path = format!("{RATES}/{}", id(&made));
    let percent = "400 - percentage: Invalid percentage: must be from 0 to 100, with at most 4 \
                   digits after the point.";
    refused(
        &app,
        &[
            (RATES, "display_name=T&inclusive=false&percentage=100.5", percent),
            (RATES, "display_name=T&inclusive=false&percentage=-1", percent),
            (RATES, "display_name=T&inclusive=false&percentage=1.00001", percent),
            (
                RATES,
                "display_name=T&inclusive=false&percentage=7&country=DEU",
                "400 - country: Invalid country: must be a two-letter country code.",
            ),
            (
                &path,
                "percentage=8",
                "400 parameter_unknown percentage: Received unknown parameter: percentage",
            ),
        ],
    )
    .await;
}
