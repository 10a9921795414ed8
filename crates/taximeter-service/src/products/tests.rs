//! Products without a database: what is accepted, what is refused and how, what is shown.

use serde_json::{Value, json};

use super::*;
use crate::params::{Decode as _, Node};

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn map(members: &[(&str, Node)]) -> Node {
    Node::Map(members.iter().map(|(name, node)| ((*name).to_owned(), node.clone())).collect())
}

fn list(nodes: Vec<Node>) -> Node {
    Node::List(nodes)
}

fn product() -> Product {
    Product {
        seq: 7,
        id: Id::parse("prod_7").unwrap(),
        livemode: false,
        name: "Hypernian tokens".to_owned(),
        active: true,
        kind: ProductType::Service,
        description: None,
        images: Vec::new(),
        marketing_features: Vec::new(),
        metadata: BTreeMap::new(),
        package_dimensions: None,
        shippable: None,
        statement_descriptor: None,
        tax_code: None,
        performance_location: None,
        unit_label: None,
        url: None,
        default_price: None,
        created: Timestamp(1_700_000_000),
        updated: Timestamp(1_700_000_007),
    }
}

fn changed(before: &Product, members: &[(&str, Node)]) -> Result<Product> {
    let mut product = before.clone();
    Update::decode(Some(map(members)), Path::ROOT)?.apply(&mut product)?;
    Ok(product)
}

fn full() -> Product {
    let dimensions = [("height", "1.5"), ("length", "2"), ("weight", "0.07"), ("width", "13")];
    let dimensions = dimensions.map(|(name, size)| (name, text(size)));
    changed(
        &product(),
        &[
            ("active", text("false")),
            ("description", text("By the token")),
            ("images", list(vec![text("https://example.com/a.png")])),
            ("marketing_features", list(vec![map(&[("name", text("Fast"))])])),
            ("metadata", map(&[("a", text("b"))])),
            ("package_dimensions", map(&dimensions)),
            ("shippable", text("true")),
            ("statement_descriptor", text("TOKENS")),
            ("tax_code", text("txcd_10103001")),
            ("tax_details", map(&[("performance_location", text("taxloc_7"))])),
            ("unit_label", text("token")),
            ("url", text("https://example.com")),
        ],
    )
    .unwrap()
}

#[test]
fn a_product_shows_every_field() {
    let bare = json!({
        "id": "prod_7",
        "object": "product",
        "active": true,
        "created": 1_700_000_000,
        "default_price": null,
        "description": null,
        "images": [],
        "livemode": false,
        "marketing_features": [],
        "metadata": {},
        "name": "Hypernian tokens",
        "package_dimensions": null,
        "shippable": null,
        "statement_descriptor": null,
        "tax_code": null,
        "tax_details": null,
        "type": "service",
        "unit_label": null,
        "updated": 1_700_000_007,
        "url": null,
    });
    assert_eq!(product().wire(), bare);

    let mut shown = full();
    shown.default_price = Some(Id::parse("price_7").unwrap());
    let shown = shown.wire();
    assert_eq!(shown["default_price"], "price_7");
    assert_eq!(shown["images"], json!(["https://example.com/a.png"]));
    assert_eq!(shown["marketing_features"], json!([{ "name": "Fast" }]));
    assert_eq!(
        shown["package_dimensions"].to_string(),
        r#"{"height":1.5,"length":2,"weight":0.07,"width":13}"#
    );
    assert_eq!(
        shown["tax_details"],
        json!({ "performance_location": "taxloc_7", "tax_code": "txcd_10103001" })
    );
    for name in
        ["description", "shippable", "statement_descriptor", "tax_code", "unit_label", "url"]
    {
        assert_ne!(shown[name], Value::Null, "{name}");
    }
}

#[test]
fn a_deleted_product_leaves_a_stub() {
    let stub = json!({ "id": "prod_7", "object": "product", "deleted": true });
    assert_eq!(product().deleted_wire(), stub);
}

#[test]
fn an_empty_text_clears_what_may_be_empty() {
    let clearable = [
        "description",
        "images",
        "marketing_features",
        "metadata",
        "package_dimensions",
        "statement_descriptor",
        "tax_details",
        "unit_label",
        "url",
    ];
    let empty = clearable.map(|name| (name, text("")));
    let bare = Product { active: false, shippable: Some(true), ..product() };
    assert_eq!(changed(&full(), &empty).unwrap(), bare);
    for name in ["name", "active", "shippable"] {
        let error = changed(&full(), &[(name, text(""))]).unwrap_err();
        assert_eq!(error.code, Some("parameter_invalid_empty"), "{name}");
    }
}

#[test]
fn a_change_leaves_what_it_does_not_mention() {
    assert_eq!(changed(&full(), &[]).unwrap(), full());
    let renamed = changed(&full(), &[("name", text("Gold"))]).unwrap();
    assert_eq!(renamed, Product { name: "Gold".to_owned(), ..full() });
}

#[test]
fn a_tax_code_is_one_whichever_way_it_is_said() {
    let code = "txcd_20030000";
    let details = |members: &[(&str, Node)]| ("tax_details", map(members));
    let said = changed(&full(), &[details(&[("tax_code", text(code))])]).unwrap();
    assert_eq!(said.tax_code.as_deref(), Some(code));
    assert_eq!(said.performance_location.as_deref(), Some("taxloc_7"));
    let cleared = changed(&said, &[("tax_code", text(""))]).unwrap();
    assert_eq!(cleared.wire()["tax_details"]["tax_code"], Value::Null);
    assert_eq!(cleared.wire()["tax_details"]["performance_location"], "taxloc_7");

    let both = [("tax_code", text(code)), details(&[("tax_code", text(code))])];
    assert_eq!(changed(&product(), &both).unwrap().tax_code.as_deref(), Some(code));
    let contrary = [("tax_code", text(code)), details(&[("tax_code", text("txcd_10103001"))])];
    let error = changed(&product(), &contrary).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("tax_code"));
    assert_eq!(error.code, Some("parameters_exclusive"));
}

#[test]
fn only_a_service_has_a_unit_label_or_a_statement_descriptor() {
    let good = Product { kind: ProductType::Good, ..product() };
    for name in ["unit_label", "statement_descriptor"] {
        let error = changed(&good, &[(name, text("token"))]).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(name));
        assert_eq!(error.message, format!("`{name}` may only be set if `type=service`."));
    }
}

#[test]
fn texts_and_arrays_have_their_bounds() {
    let feature = || map(&[("name", text("Fast"))]);
    let image = || text("https://example.com/a.png");
    let cases: [(&str, Node, Node); 5] = [
        ("images", list(vec![image(); 8]), list(vec![image(); 9])),
        ("marketing_features", list(vec![feature(); 15]), list(vec![feature(); 16])),
        ("unit_label", text("twelve chars"), text("thirteen char")),
        ("statement_descriptor", text(&"A".repeat(22)), text(&"A".repeat(23))),
        ("description", text(&"a".repeat(40_000)), text(&"a".repeat(40_001))),
    ];
    for (name, most, too_much) in cases {
        assert!(changed(&product(), &[(name, most)]).is_ok(), "{name}");
        let error = changed(&product(), &[(name, too_much)]).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(name));
    }
    let long = list(vec![map(&[("name", text(&"a".repeat(81)))])]);
    let error = changed(&product(), &[("marketing_features", long)]).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("marketing_features[0][name]"));
}

#[test]
fn a_fault_in_a_default_price_is_told_with_its_whole_path() {
    let node = map(&[("currency", text("usd")), ("unit_amount", text("7"))]);
    let default = prices::DefaultPriceData::decode(Some(node), Path::ROOT).unwrap();
    assert!(default.check().is_ok());
    let node = map(&[("currency", text("usd")), ("unit_amount", text("-7"))]);
    let default = prices::DefaultPriceData::decode(Some(node), Path::ROOT).unwrap();
    let error = default.check().unwrap_err();
    assert_eq!(error.param.as_deref(), Some("default_price_data[unit_amount]"));
}

#[test]
fn ids_make_a_set_in_which_each_is_found_whole() {
    let ids = ["prod_a", "prod_b"].map(|id| Id::parse(id).unwrap());
    assert_eq!(sql::id_set(&ids), ",prod_a,,prod_b,");
    assert_eq!(sql::id_set(&[]), "");
}
