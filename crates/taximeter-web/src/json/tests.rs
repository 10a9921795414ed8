//! Tests of JSON bodies: exact numbers, and what is refused in which words.

use proptest::prelude::*;
use taximeter_service::error::Kind;

use super::*;

fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

fn number(text: &str) -> Node {
    Node::Number(text.to_owned())
}

fn map<const N: usize>(members: [(&str, Node); N]) -> Node {
    Node::Map(members.map(|(name, node)| (name.to_owned(), node)).into())
}

#[track_caller]
fn check(body: impl AsRef<[u8]>, tree: &Node) {
    assert_eq!(&parse(body.as_ref()).unwrap(), tree);
}

#[track_caller]
fn check_refused(body: impl AsRef<[u8]>, why: &str) {
    let error = parse(body.as_ref()).expect_err(why);
    assert_eq!(error.message, format!("Invalid JSON: {why}"));
    assert_eq!((error.kind, error.code), (Kind::InvalidRequest, None));
    assert!(error.param.is_none() && !error.is_outcome());
}

#[test]
fn no_body_is_an_empty_object() {
    for body in ["", " ", "\r\n\t ", "{}", " { } "] {
        check(body, &Node::empty());
    }
}

#[test]
fn every_kind_of_value_is_kept() {
    check(
        r#"{"event_name":"calls","n":13,"yes":true,"no":false,"none":null,"list":[],"map":{}}"#,
        &map([
            ("event_name", text("calls")),
            ("n", number("13")),
            ("yes", Node::Bool(true)),
            ("no", Node::Bool(false)),
            ("none", Node::Null),
            ("list", Node::List(vec![])),
            ("map", Node::empty()),
        ]),
    );
    check(
        r#"{"z":[1,"1",[true]],"a":{"z":{"b":""}}}"#,
        &map([
            ("z", Node::List(vec![number("1"), text("1"), Node::List(vec![Node::Bool(true)])])),
            ("a", map([("z", map([("b", text(""))]))])),
        ]),
    );
}

#[test]
fn names_and_texts_are_unescaped() {
    check(r#"{"\u0061":"\u00e9\ud83d\ude95\n\"\\\/"}"#, &map([("a", text("é🚕\n\"\\/"))]));
    check(r#"{"":"","a[b]":"1"}"#, &map([("", text("")), ("a[b]", text("1"))]));
    check(r#"{"a":"\u0000"}"#, &map([("a", text("\0"))]));
    check("{\"a\":\"é\"}", &map([("a", text("é"))]));
}

#[test]
fn integers_are_exact_to_the_last_digit() {
    for digits in ["0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808"] {
        check(format!(r#"{{"n":{digits}}}"#), &map([("n", number(digits))]));
    }
    check(r#"{"n":18446744073709551615}"#, &map([("n", number("18446744073709551615"))]));
}

#[test]
fn a_number_that_is_not_an_exact_integer_is_refused() {
    let why = "a number must be an integer of 64 bits; write a decimal as a string";
    for (digits, column) in [
        ("0.1", 8),
        ("1.0", 8),
        ("1e3", 8),
        ("-0", 7),
        ("-0.5", 9),
        ("18446744073709551616", 25),
        ("-9223372036854775809", 25),
    ] {
        check_refused(format!(r#"{{"n":{digits}}}"#), &format!("{why} at line 1 column {column}"));
    }
    check_refused(r#"{"n":1e999}"#, &format!("{why} at line 1 column 10"));
    check_refused(
        r#"{"n":{"$serde_json::private::Number":"1"}}"#,
        &format!("{why} at line 1 column 36"),
    );
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for body in ["[]", "[{}]", r#""text""#, "13", "true", "null"] {
        check_refused(body, "the body must be an object");
    }
}

#[test]
fn malformed_json_is_refused_where_it_breaks() {
    for (body, why) in [
        ("{", "EOF while parsing an object at line 1 column 1"),
        (r#"{"a""#, "EOF while parsing an object at line 1 column 4"),
        (r#"{"a":"#, "EOF while parsing a value at line 1 column 5"),
        (r#"{"a":1"#, "EOF while parsing an object at line 1 column 6"),
        (r#"{"a":"x"#, "EOF while parsing a string at line 1 column 7"),
        (r#"{"a":[1"#, "EOF while parsing a list at line 1 column 7"),
        (r#"{"a":1,}"#, "trailing comma at line 1 column 8"),
        (r#"{"a":[1,]}"#, "trailing comma at line 1 column 9"),
        (r#"{"a" 1}"#, "expected `:` at line 1 column 6"),
        (r#"{"a":1 "b":2}"#, "expected `,` or `}` at line 1 column 8"),
        (r#"{"a":[1 2]}"#, "expected `,` or `]` at line 1 column 9"),
        (r#"{a:1}"#, "key must be a string at line 1 column 2"),
        (r#"{1:1}"#, "key must be a string at line 1 column 2"),
        (r#"{'a':1}"#, "key must be a string at line 1 column 2"),
        (r#"{"a":NaN}"#, "expected value at line 1 column 6"),
        (r#"{"a":nul}"#, "expected ident at line 1 column 9"),
        (r#"{"a":01}"#, "invalid number at line 1 column 7"),
        (r#"{"a":+1}"#, "expected value at line 1 column 6"),
        (r#"{"a":.5}"#, "expected value at line 1 column 6"),
        (r#"{"a":1.}"#, "invalid number at line 1 column 8"),
        (r#"{"a":"\x"}"#, "invalid escape at line 1 column 8"),
        (r#"{"a":"\ud800"}"#, "unexpected end of hex escape at line 1 column 13"),
        (
            "{\"a\":\"\n\"}",
            "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0",
        ),
        ("{}{}", "trailing characters at line 1 column 3"),
        ("{} x", "trailing characters at line 1 column 4"),
        ("\u{feff}{}", "expected value at line 1 column 1"),
        ("event_name=calls", "expected value at line 1 column 1"),
        ("// no\n{}", "expected value at line 1 column 1"),
    ] {
        check_refused(body, why);
    }
}

#[test]
fn what_is_not_utf8_is_refused() {
    check_refused(b"{\"a\":\"\xff\"}", "invalid unicode code point at line 1 column 7");
    check_refused(b"{\"\xc3\":1}", "invalid unicode code point at line 1 column 3");
    check_refused(b"\xff\xfe{\0}\0", "expected value at line 1 column 1");
}

#[test]
fn a_name_that_comes_twice_is_refused_at_any_depth() {
    check_refused(r#"{"a":1,"a":1}"#, "`a` comes twice in one object at line 1 column 13");
    check_refused(
        r#"{"a":1,"b":2,"\u0061":3}"#,
        "`a` comes twice in one object at line 1 column 24",
    );
    check_refused(
        r#"{"p":[{"v":"1","v":"2"}]}"#,
        "`v` comes twice in one object at line 1 column 23",
    );
    check(
        r#"{"a":{"v":1},"b":{"v":1}}"#,
        &map([("a", map([("v", number("1"))])), ("b", map([("v", number("1"))]))]),
    );
}

#[test]
fn a_body_is_at_most_so_deep() {
    let nested =
        |depth: usize| format!("{}{}", r#"{"a":"#.repeat(depth - 1) + "{", "}".repeat(depth));
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    let lists = |depth: usize| format!(r#"{{"a":{}"#, "[".repeat(depth - 1));
    for body in [nested(DEPTH_MAX + 1), nested(100_000), lists(DEPTH_MAX + 1), lists(100_000)] {
        let error = parse(body.as_bytes()).unwrap_err();
        let why =
            format!("Invalid JSON: at most {DEPTH_MAX} levels are accepted at line 1 column ");
        assert!(error.message.starts_with(&why), "{}", error.message);
    }
}

#[test]
fn a_body_has_at_most_so_many_values() {
    let list = |values: usize| format!(r#"{{"a":[{}]}}"#, vec!["1"; values].join(","));
    // The object and the list count too.
    assert!(parse(list(VALUES_MAX - 2).as_bytes()).is_ok());
    let column = 6 + 2 * (VALUES_MAX - 2);
    check_refused(
        list(VALUES_MAX - 1),
        &format!("at most {VALUES_MAX} values are accepted at line 1 column {column}"),
    );
}

#[test]
fn a_name_is_at_most_so_long() {
    let name = "k".repeat(KEY_BYTES_MAX);
    check(format!(r#"{{"{name}":1}}"#), &map([(name.as_str(), number("1"))]));
    let column = KEY_BYTES_MAX + 4;
    check_refused(
        format!(r#"{{"k{name}":1}}"#),
        &format!("a name must be at most {KEY_BYTES_MAX} bytes at line 1 column {column}"),
    );
}

/// Trees that JSON can write and this reader takes, and the same as `serde_json` writes them.
fn tree() -> impl Strategy<Value = (Node, serde_json::Value)> {
    let leaf = prop_oneof![
        Just((Node::Null, serde_json::Value::Null)),
        any::<bool>().prop_map(|b| (Node::Bool(b), b.into())),
        any::<i64>().prop_map(|n| (Node::Number(n.to_string()), n.into())),
        any::<u64>().prop_map(|n| (Node::Number(n.to_string()), n.into())),
        any::<String>().prop_map(|text| (Node::Text(text.clone()), text.into())),
    ];
    let inner = leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            members(inner.clone()),
            prop::collection::vec(inner, 0..5).prop_map(|elements| {
                let (nodes, values): (Vec<_>, Vec<_>) = elements.into_iter().unzip();
                (Node::List(nodes), values.into())
            }),
        ]
    });
    members(inner)
}

fn members(
    inner: impl Strategy<Value = (Node, serde_json::Value)>,
) -> impl Strategy<Value = (Node, serde_json::Value)> {
    prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(|members| {
        let nodes = members.iter().map(|(name, (node, _))| (name.clone(), node.clone())).collect();
        let values = members.into_iter().map(|(name, (_, value))| (name, value)).collect();
        (Node::Map(nodes), serde_json::Value::Object(values))
    })
}

proptest! {
    #[test]
    fn what_a_client_writes_is_read_back((node, value) in tree()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()).unwrap(), node.clone());
        let pretty = serde_json::to_vec_pretty(&value).unwrap();
        prop_assert_eq!(parse(&pretty).unwrap(), node);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = parse(&bytes) {
            prop_assert!(error.before_execution);
        }
    }

    #[test]
    fn any_soup_of_json_is_read_or_refused(
        soup in "\\{(\"a\"|\"b\"|:|,|\\[|\\]|\\{|\\}|1|\\.|-|e|true|null|\\\\u| ){0,40}",
    ) {
        if let Ok(tree) = parse(soup.as_bytes()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&soup).is_ok());
            prop_assert!(matches!(tree, Node::Map(_)));
        }
    }
}
