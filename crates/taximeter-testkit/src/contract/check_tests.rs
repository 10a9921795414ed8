//! The check, on good samples and on bad ones.

use serde_json::json;

use super::*;

/// The smallest value that a type admits: never null, fields that may be absent left out.
fn sample(schema: &Value) -> Value {
    match schema["type"].as_str().unwrap() {
        "string" | "expandable" => json!("text_7"),
        "integer" => json!(7),
        "number" => json!(2.5),
        "boolean" => json!(false),
        "true" => json!(true),
        "decimal" => json!("0.05"),
        "enum" => schema["values"][0].clone(),
        "any" | "map" => json!({}),
        "array" => json!([sample(&schema["of"])]),
        "struct" => sample_fields(&schema["fields"]),
        "list" => {
            json!({"object": "list", "url": "/v1/x", "has_more": false, "data": []})
        }
        "object" => sample_object(schema["objects"][0].as_str().unwrap()),
        "union" => sample(&schema["of"][0]),
        other => panic!("no sample of {other}"),
    }
}

fn sample_fields(fields: &Value) -> Value {
    let required = |schema: &&Value| schema["optional"] != true && schema["nullable"] != true;
    let mut members = Map::new();
    for (name, schema) in fields.as_object().unwrap() {
        if required(&schema) {
            members.insert(name.clone(), sample(schema));
        } else if schema["nullable"] == true {
            members.insert(name.clone(), Value::Null);
        }
    }
    Value::Object(members)
}

fn sample_object(name: &str) -> Value {
    let mut object = sample_fields(&CONTRACT["objects"][name]["fields"]);
    if name == "event" {
        object["data"]["object"] = sample_object("coupon");
    }
    object
}

fn objects() -> &'static Map<String, Value> {
    CONTRACT["objects"].as_object().unwrap()
}

#[track_caller]
fn check(body: &Value, expected: &[&str]) {
    assert_eq!(check_body(body), expected);
}

fn coupon() -> Value {
    json!({
        "id": "c13", "object": "coupon", "amount_off": null, "created": 1_700_000_007,
        "currency": null, "duration": "repeating", "duration_in_months": 3, "livemode": false,
        "max_redemptions": null, "metadata": {"tier": "gold"}, "name": "13 off",
        "percent_off": 12.5, "redeem_by": null, "times_redeemed": 0, "valid": true,
    })
}

fn with(mut object: Value, field: &str, value: Value) -> Value {
    object[field] = value;
    object
}

#[test]
fn every_object_of_the_contract_has_a_body_that_passes() {
    assert!(objects().len() > 50, "the contract lost objects");
    for name in objects().keys() {
        check(&sample_object(name), &[]);
    }
}

#[test]
fn a_field_that_is_always_sent_is_missed_in_every_object() {
    for (name, declared) in objects() {
        let whole = sample_object(name);
        for (field, schema) in declared["fields"].as_object().unwrap() {
            if schema["optional"] == true || field == "object" {
                continue;
            }
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(field);
            assert!(
                check_body(&body).contains(&format!("$.{field}: is missing")),
                "{name}.{field}"
            );
        }
    }
}

#[test]
fn a_value_of_another_type_is_refused_in_every_field() {
    for (name, declared) in objects() {
        let whole = sample_object(name);
        for (field, schema) in declared["fields"].as_object().unwrap() {
            let wrong = match schema["type"].as_str().unwrap() {
                "any" => continue,
                "string" | "expandable" | "decimal" | "enum" | "boolean" => json!(7.5),
                _ => json!("seven"),
            };
            if field != "object" {
                let body = with(whole.clone(), field, wrong);
                assert!(!check_body(&body).is_empty(), "{name}.{field}");
            }
        }
    }
}

#[test]
fn null_is_refused_where_it_may_not_stand() {
    for (name, declared) in objects() {
        let whole = sample_object(name);
        for (field, schema) in declared["fields"].as_object().unwrap() {
            if field == "object" || schema["type"] == "any" {
                continue;
            }
            let body = with(whole.clone(), field, Value::Null);
            let extra =
                EXTRA_NULLS.iter().any(|(object, path, _)| (*object, *path) == (name, field));
            let may_be = schema["nullable"] == true || extra;
            assert_eq!(check_body(&body).is_empty(), may_be, "{name}.{field}");
        }
    }
}

#[test]
fn a_coupon_as_stripe_sends_it_passes() {
    check(&coupon(), &[]);
    check(&with(coupon(), "applies_to", json!({"products": ["prod_7"]})), &[]);
    let list = json!({
        "object": "list", "url": "/v1/coupons", "has_more": false, "data": [coupon()],
    });
    check(&list, &[]);
}

#[test]
fn an_unknown_object_is_refused() {
    check(&json!({"object": "gadget"}), &["$: `gadget` is not an object of the contract"]);
    check(&json!({"id": "x"}), &["$: no `object`, `error` or `next_page_url`"]);
    check(&json!([]), &["$: the body is not a JSON object"]);
    let list = json!({
        "object": "list", "url": "/v1/x", "has_more": false,
        "data": [{"object": "gadget"}, {"id": "x"}],
    });
    check(
        &list,
        &["$.data[0]: `gadget` is not an object of the contract", "$.data[1]: has no `object`"],
    );
}

#[test]
fn an_unknown_field_is_refused_at_any_depth() {
    check(&with(coupon(), "colour", json!("red")), &["$.colour: not a field of Stripe's"]);
    let nested = with(coupon(), "applies_to", json!({"products": [], "plans": []}));
    check(&nested, &["$.applies_to.plans: not a field of Stripe's"]);
}

#[test]
fn an_unknown_enum_value_is_refused() {
    check(
        &with(coupon(), "duration", json!("weekly")),
        &[r#"$.duration: "weekly" is not one of ["forever","once","repeating"]"#],
    );
}

#[test]
fn a_timestamp_and_an_amount_are_integers() {
    check(
        &with(coupon(), "created", json!("2024-01-07")),
        &[r#"$.created: "2024-01-07" is not an integer"#],
    );
    check(&with(coupon(), "amount_off", json!(7.0)), &["$.amount_off: 7.0 is not an integer"]);
}

#[test]
fn metadata_is_a_map_of_strings() {
    check(
        &with(coupon(), "metadata", json!({"seats": 7})),
        &["$.metadata.seats: 7 is not a string"],
    );
}

#[test]
fn a_decimal_is_a_string_in_plain_notation() {
    let price = |value| with(sample_object("price"), "unit_amount_decimal", value);
    for good in ["0.05", "-7", "1300", "0.000000000001"] {
        check(&price(json!(good)), &[]);
    }
    for bad in [json!(0.05), json!(7), json!("1e3"), json!(".5"), json!("5."), json!("")] {
        assert_eq!(check_body(&price(bad.clone())).len(), 1, "{bad}");
    }
}

#[test]
fn an_expanded_object_is_held_to_its_own_fields() {
    let price = |value| with(sample_object("price"), "product", value);
    check(&price(json!("prod_7")), &[]);
    check(&price(sample_object("product")), &[]);
    check(&price(json!("")), &[r#"$.product: "" is not an id"#]);
    let broken = with(sample_object("product"), "name", json!(7));
    check(&price(broken), &["$.product.name: 7 is not a string"]);
    let other = check_body(&price(coupon()));
    assert!(other[0].starts_with(r#"$.product: {"id":"c13","object":"coupon","#), "{other:?}");
    assert!(other[0].ends_with(r#"… is not one of ["product"]"#), "{other:?}");
}

#[test]
fn items_of_an_inner_list_are_checked() {
    let mut item = sample_object("subscription_item");
    item["quantity"] = json!("7");
    let mut subscription = sample_object("subscription");
    subscription["items"]["data"] = json!([item]);
    check(&subscription, &[r#"$.items.data[0].quantity: "7" is not an integer"#]);
    subscription["items"] = json!([]);
    check(&subscription, &["$.items: [] is not a list object"]);
}

#[test]
fn a_deleted_object_is_a_stub() {
    check(&json!({"id": "cus_7", "object": "customer", "deleted": true}), &[]);
    check(
        &json!({"id": "cus_7", "object": "customer", "deleted": false}),
        &["$.deleted: false is not true"],
    );
    check(
        &json!({"id": "cus_7", "object": "customer", "deleted": true, "name": null}),
        &["$.name: not a field of Stripe's"],
    );
    check(
        &json!({"id": "txr_7", "object": "tax_rate", "deleted": true}),
        &["$: a tax_rate is never deleted"],
    );
}

#[test]
fn the_object_of_an_event_is_checked_and_its_previous_attributes_are_free() {
    let mut event = sample_object("event");
    event["data"] = json!({"object": coupon(), "previous_attributes": {"name": 7}});
    check(&event, &[]);
    event["data"]["object"]["valid"] = json!("yes");
    check(&event, &[r#"$.data.object.valid: "yes" is not a boolean"#]);
    event["data"]["object"] = json!({});
    check(&event, &["$.data.object: has no `object`"]);
    event["type"] = json!("coupon.eaten");
    assert!(check_body(&event)[1].starts_with(r#"$.type: "coupon.eaten" is not one of"#));
}

#[test]
fn a_search_result_has_its_own_envelope() {
    let found = json!({
        "object": "search_result", "url": "/v1/customers/search", "has_more": false,
        "next_page": null, "data": [],
    });
    check(&found, &[]);
    check(&with(found, "total_count", json!("7")), &[r#"$.total_count: "7" is not an integer"#]);
}

#[test]
fn pages_and_stubs_of_v2_are_known() {
    let event = sample_object("v2.core.event");
    let page = json!({"data": [event], "next_page_url": null, "previous_page_url": null});
    check(&page, &[]);
    check(&with(page, "has_more", json!(false)), &["$.has_more: not a member of a v2 page"]);
    check(&json!({"id": "ed_7", "object": "v2.core.event_destination"}), &[]);
    check(&json!({}), &[]);
}

#[test]
fn an_error_has_a_type_a_message_and_a_known_code() {
    let error = json!({"error": {
        "type": "invalid_request_error", "code": "resource_missing", "param": "customer",
        "message": "No such customer: 'cus_7'",
    }});
    check(&error, &[]);
    check(&json!({"error": {}}), &["$.error.type: is missing", "$.error.message: is missing"]);
    check(&json!({"error": "no"}), &["$.error: is not an object"]);
    let wrong = json!({"error": {
        "type": "bad_error", "code": "gone_fishing", "param": null, "message": "no",
        "hint": "try again",
    }, "id": 7});
    check(
        &wrong,
        &[
            "$.id: not a member of an error body",
            "$.error.param: null is not a text (absent members are left out)",
            "$.error.hint: not a member of an error",
            "$.error.type: `bad_error` is not a type of error",
            "$.error.code: `gone_fishing` is not a known code",
        ],
    );
}

#[test]
fn an_object_of_ours_has_all_its_fields_and_no_others() {
    let whole = |name: &str| {
        let (_, fields) = OUR_OBJECTS.iter().find(|(known, _)| *known == name).unwrap();
        let members = fields.iter().map(|field| ((*field).to_owned(), Value::Null));
        let mut object = Value::Object(members.collect());
        object["object"] = name.into();
        object
    };
    for (name, _) in OUR_OBJECTS {
        assert!(CONTRACT["objects"][*name].is_null(), "{name} is Stripe's");
        assert_eq!(check_body(&whole(name)), Vec::<String>::new(), "{name}");
    }
    let mut entry = whole("billing.usage_audit_entry");
    entry.as_object_mut().unwrap().remove("reason");
    entry["because"] = json!("x");
    assert_eq!(check_body(&entry), ["$.reason: is missing", "$.because: not a field of ours"]);
    let row = whole("billing.analytics.meter_usage_row");
    check(&with(row.clone(), "approximate", json!(true)), &[]);
    check(&with(row, "near", json!(true)), &["$.near: not a field of ours"]);
}
