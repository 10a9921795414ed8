//! Tests of forms: what each notation means, what is refused and in which words.

use proptest::prelude::*;
use taximeter_service::error::Kind;

use super::*;

/// A tree as JSON, in the order of its members.
fn show(node: &Node) -> String {
    match node {
        Node::Text(text) => format!("{text:?}"),
        Node::List(nodes) => {
            let inner: Vec<_> = nodes.iter().map(show).collect();
            format!("[{}]", inner.join(","))
        }
        Node::Map(members) => {
            let inner: Vec<_> = members.iter().map(|(k, v)| format!("{k:?}:{}", show(v))).collect();
            format!("{{{}}}", inner.join(","))
        }
        other => panic!("a form has no {other:?}"),
    }
}

#[track_caller]
fn check(form: &str, tree: &str) {
    assert_eq!(parse(form.as_bytes()).map(|node| show(&node)).unwrap(), tree, "{form}");
}

#[track_caller]
fn check_refused(form: impl AsRef<[u8]>, param: Option<&str>, message: &str) {
    let form = form.as_ref();
    let shown = String::from_utf8_lossy(form);
    let error = parse(form).expect_err(&shown);
    assert_eq!((error.message.as_str(), error.param.as_deref()), (message, param), "{shown}");
    assert_eq!((error.kind, error.code), (Kind::InvalidRequest, None), "{shown}");
    assert!(!error.is_outcome(), "{shown}");
}

#[test]
fn plain_pairs_become_members_in_their_order() {
    check("", "{}");
    check("a=1", r#"{"a":"1"}"#);
    check("b=1&a=2", r#"{"b":"1","a":"2"}"#);
    check("b=1&a=2&b=3", r#"{"b":"3","a":"2"}"#);
    check("a=1&a=2", r#"{"a":"2"}"#);
    check("a=", r#"{"a":""}"#);
    check("a", r#"{"a":""}"#);
    check("a&b=1", r#"{"a":"","b":"1"}"#);
    check("a==", r#"{"a":"="}"#);
    check("a=b=c", r#"{"a":"b=c"}"#);
    check("a=1;b=2", r#"{"a":"1;b=2"}"#);
}

#[test]
fn empty_pairs_are_skipped() {
    check("&", "{}");
    check("&&&", "{}");
    check("a=1&&b=2", r#"{"a":"1","b":"2"}"#);
    check("&a=1&", r#"{"a":"1"}"#);
}

#[test]
fn escapes_and_plus_signs_are_decoded_once() {
    check("a=x+y", r#"{"a":"x y"}"#);
    check("a=x%2By", r#"{"a":"x+y"}"#);
    check("a=x%20y", r#"{"a":"x y"}"#);
    check("a=%252B", r#"{"a":"%2B"}"#);
    check("a=1%262%3D3", r#"{"a":"1&2=3"}"#);
    check("a%3Db=1", r#"{"a=b":"1"}"#);
    check("a+b=1", r#"{"a b":"1"}"#);
    check("a=%C3%A9%c3%a9", r#"{"a":"éé"}"#);
    check("a=é", r#"{"a":"é"}"#);
    check("a=%F0%9F%9A%95", r#"{"a":"🚕"}"#);
    check("a=%00", r#"{"a":"\0"}"#);
    check("a=%5B1%5D", r#"{"a":"[1]"}"#);
    check("a=[b]", r#"{"a":"[b]"}"#);
}

#[test]
fn brackets_nest_maps() {
    check("a[b]=1", r#"{"a":{"b":"1"}}"#);
    check("a[b]=1&a[c]=2", r#"{"a":{"b":"1","c":"2"}}"#);
    check("a[z]=1&c=2&a[b]=3", r#"{"a":{"z":"1","b":"3"},"c":"2"}"#);
    check("a[b]=1&a[b]=2", r#"{"a":{"b":"2"}}"#);
    check("a[b][c][d]=1", r#"{"a":{"b":{"c":{"d":"1"}}}}"#);
    check("created[gte]=1&created[lt]=9", r#"{"created":{"gte":"1","lt":"9"}}"#);
    check("metadata[a b]=1", r#"{"metadata":{"a b":"1"}}"#);
    check("metadata[a.b]=", r#"{"metadata":{"a.b":""}}"#);
    check("metadata=", r#"{"metadata":""}"#);
}

#[test]
fn brackets_mean_the_same_when_they_are_percent_encoded() {
    check("a%5Bb%5D=1", r#"{"a":{"b":"1"}}"#);
    check("a%5bb%5d=1", r#"{"a":{"b":"1"}}"#);
    check("a%5Bb]=1&a[c%5D=2", r#"{"a":{"b":"1","c":"2"}}"#);
    check("expand%5B%5D=x&expand[]=y", r#"{"expand":["x","y"]}"#);
    check("a%5B0%5D%5Bb%5D=1&a[0][c]=2", r#"{"a":{"0":{"b":"1","c":"2"}}}"#);
}

#[test]
fn empty_brackets_make_arrays() {
    check("a[]=1", r#"{"a":["1"]}"#);
    check("a[]=1&a[]=2&a[]=1", r#"{"a":["1","2","1"]}"#);
    check("a[]=", r#"{"a":[""]}"#);
    check("a[]", r#"{"a":[""]}"#);
    check("a[b][]=1&a[b][]=2", r#"{"a":{"b":["1","2"]}}"#);
    check("a[0][t][]=1&a[0][t][]=2&a[1][t][]=3", r#"{"a":{"0":{"t":["1","2"]},"1":{"t":["3"]}}}"#);
}

#[test]
fn indices_stay_names() {
    check("a[0]=x", r#"{"a":{"0":"x"}}"#);
    check("a[1]=y&a[0]=x", r#"{"a":{"1":"y","0":"x"}}"#);
    check("a[0]=x&a[0]=y", r#"{"a":{"0":"y"}}"#);
    check("a[07]=x&a[7]=y&a[-1]=z", r#"{"a":{"07":"x","7":"y","-1":"z"}}"#);
    check("a[0][0]=x", r#"{"a":{"0":{"0":"x"}}}"#);
    check(
        "items[0][price]=p&items[0][tax_rates][0]=t&items[1][price]=q",
        r#"{"items":{"0":{"price":"p","tax_rates":{"0":"t"}},"1":{"price":"q"}}}"#,
    );
}

#[test]
fn in_an_array_of_maps_a_name_that_repeats_starts_the_next_element() {
    check("i[][p]=a", r#"{"i":[{"p":"a"}]}"#);
    check("i[][p]=a&i[][q]=1&i[][p]=b", r#"{"i":[{"p":"a","q":"1"},{"p":"b"}]}"#);
    check("i[][p]=a&i[][p]=b&i[][q]=2", r#"{"i":[{"p":"a"},{"p":"b","q":"2"}]}"#);
    check("i[][p]=a&x=1&i[][q]=2", r#"{"i":[{"p":"a","q":"2"}],"x":"1"}"#);
    // Only the whole name counts: `d` alone does not repeat here.
    check(
        "i[][d][a]=1&i[][d][b]=2&i[][d][a]=3",
        r#"{"i":[{"d":{"a":"1","b":"2"}},{"d":{"a":"3"}}]}"#,
    );
    check("i[][d][a]=1&i[][d]=2", r#"{"i":[{"d":{"a":"1"}},{"d":"2"}]}"#);
    // An array within the element grows; it does not repeat.
    check(
        "i[][t][]=a&i[][t][]=b&i[][p]=x&i[][p]=y&i[][t][]=c",
        r#"{"i":[{"t":["a","b"],"p":"x"},{"p":"y","t":["c"]}]}"#,
    );
    check("i[][t][][u]=1&i[][t][][u]=2", r#"{"i":[{"t":[{"u":"1"},{"u":"2"}]}]}"#);
    check("i[][p]=a&i[]=b", r#"{"i":[{"p":"a"},"b"]}"#);
}

#[test]
fn a_parameter_is_one_thing_only() {
    let both = |name: &str, one: &str, other: &str| {
        format!("Invalid parameter {name}: it was sent both as {one} and as {other}")
    };
    for (form, name, one, other) in [
        ("a=1&a[b]=2", "a", "a value", "an object"),
        ("a[b]=1&a=2", "a", "an object", "a value"),
        ("a=1&a[]=2", "a", "a value", "an array"),
        ("a[]=1&a=2", "a", "an array", "a value"),
        ("a[]=1&a[0]=2", "a", "an array", "an object"),
        ("a[0]=1&a[]=2", "a", "an object", "an array"),
        ("a[b]=1&a[]=2", "a", "an object", "an array"),
        ("x=1&a[b][c]=1&a[b][c][d]=2", "a[b][c]", "a value", "an object"),
        ("a[0][b]=1&a[0]=2", "a[0]", "an object", "a value"),
        ("a[][b]=1&a[][b][c]=2", "a[][b]", "a value", "an object"),
        ("a[]=1&a[][b]=2", "a[]", "a value", "an object"),
    ] {
        check_refused(form, Some(name), &both(name, one, other));
    }
}

#[test]
fn a_malformed_name_is_refused() {
    let pairs = "must have its brackets in pairs, like items[0][price]";
    let begin = "must begin with a name, like items[0][price]";
    let indices = "must write arrays of arrays with indices, like a[0][0]";
    for (form, name, must) in [
        ("a[b=1", "a[b", pairs),
        ("a[=1", "a[", pairs),
        ("a]=1", "a]", pairs),
        ("a[b]]=1", "a[b]]", pairs),
        ("a[[b]]=1", "a[[b]]", pairs),
        ("a[b[c]]=1", "a[b[c]]", pairs),
        ("a[b]c=1", "a[b]c", pairs),
        ("a[]b=1", "a[]b", pairs),
        ("a[b]c[d]=1", "a[b]c[d]", pairs),
        ("a%5Bb=1", "a[b", pairs),
        ("x=1&a]b[=1", "a]b[", pairs),
        ("=1", "", begin),
        ("=", "", begin),
        ("[a]=1", "[a]", begin),
        ("[]=1", "[]", begin),
        ("]=1", "]", begin),
        ("[", "[", begin),
        ("a[][]=1", "a[][]", indices),
        ("a[b][][][c]=1", "a[b][][][c]", indices),
    ] {
        check_refused(form, None, &format!("Invalid parameter name '{name}': {must}"));
    }
}

#[test]
fn an_escape_that_is_none_is_refused() {
    for form in ["a=%", "a=1%", "a=%4", "a=%zz", "a=%4g", "a=100% sure", "a=%%20", "a=%-1"] {
        check_refused(form, Some("a"), "Invalid percent-encoding in parameter: a");
    }
    check_refused(
        "b=1&metadata[x]=%",
        Some("metadata[x]"),
        "Invalid percent-encoding in parameter: metadata[x]",
    );
    check_refused("a%=1", None, "Invalid percent-encoding in a parameter's name: a%");
    check_refused("a%5=1", None, "Invalid percent-encoding in a parameter's name: a%5");
}

#[test]
fn what_is_not_utf8_is_refused() {
    for value in [&b"\xff"[..], b"%FF", b"%C3", b"\xc3(", b"%ED%A0%80", b"%C0%80", b"%F4%90%80%80"]
    {
        let form = [b"a=", value].concat();
        check_refused(form, Some("a"), "Invalid UTF-8 in parameter: a");
    }
    check_refused(b"\xff=1", None, "Invalid UTF-8 in a parameter's name: \u{fffd}");
    check_refused("%FF=1", None, "Invalid UTF-8 in a parameter's name: %FF");
    check_refused(b"a\0\xfe", None, "Invalid UTF-8 in a parameter's name: a\0\u{fffd}");
}

#[test]
fn a_name_is_at_most_so_long() {
    let longest = "k".repeat(KEY_BYTES_MAX);
    check(&format!("{longest}=1"), &format!(r#"{{"{longest}":"1"}}"#));
    let message = format!(
        "Invalid parameter name '{}…': must be at most {KEY_BYTES_MAX} bytes",
        "k".repeat(EXCERPT_CHARS)
    );
    check_refused(format!("k{longest}=1"), None, &message);
    // Counted after decoding.
    let escaped = "%6B".repeat(KEY_BYTES_MAX);
    check(&format!("{escaped}=1"), &format!(r#"{{"{longest}":"1"}}"#));
}

#[test]
fn a_name_is_at_most_so_deep() {
    let deepest = format!("a{}=1", "[b]".repeat(DEPTH_MAX - 1));
    assert!(parse(deepest.as_bytes()).is_ok());
    let deeper = format!("a{}", "[b]".repeat(DEPTH_MAX));
    check_refused(
        format!("{deeper}=1"),
        None,
        &format!("Invalid parameter name '{deeper}': must have at most {DEPTH_MAX} levels"),
    );
    let deepest = format!("a{}[]=1", "[][b]".repeat((DEPTH_MAX - 2) / 2));
    assert!(parse(deepest.as_bytes()).is_ok());
}

#[test]
fn a_request_has_at_most_so_many_pairs() {
    let message = format!("Too many parameters: at most {PAIRS_MAX} are accepted in one request");
    for pair in ["a[]=1&", "a=1&", "a[][b]=1&", "a[b][]=&", "a&"] {
        assert!(parse(pair.repeat(PAIRS_MAX).as_bytes()).is_ok(), "{pair}");
        check_refused(pair.repeat(PAIRS_MAX + 1), None, &message);
        // A body of a mebibyte is not read to its end.
        check_refused(pair.repeat((1 << 20) / pair.len()), None, &message);
    }
    let many: Vec<_> = (0..PAIRS_MAX).map(|n| format!("a[{n}]={n}")).collect();
    let Ok(Node::Map(members)) = parse(many.join("&").as_bytes()) else { panic!("a map") };
    let Node::Map(inner) = &members[0].1 else { panic!("a map of indices") };
    assert_eq!(inner.len(), PAIRS_MAX);
    assert_eq!(inner[1_301].0, "1301");
}

/// What Stripe's SDKs can send: texts and maps, arrays written with indices.
fn tree() -> impl Strategy<Value = Node> {
    let name = "[^\\[\\]]{1,8}";
    let leaf = any::<String>().prop_map(Node::Text);
    let inner = leaf.prop_recursive(5, 40, 5, move |inner| {
        let members = prop::collection::btree_map(name, inner.clone(), 1..5);
        let elements = prop::collection::vec(inner, 1..5);
        prop_oneof![
            members.prop_map(|members| Node::Map(members.into_iter().collect())),
            elements.prop_map(|elements| {
                let indexed = elements.into_iter().enumerate();
                Node::Map(indexed.map(|(i, node)| (i.to_string(), node)).collect())
            }),
        ]
    });
    prop::collection::btree_map(name, inner, 0..5)
        .prop_map(|members| Node::Map(members.into_iter().collect()))
}

/// Writes a tree as an SDK does. `escape` turns a text into what goes on the wire.
fn encode(node: &Node, name: &str, escape: &dyn Fn(&str) -> String, out: &mut Vec<String>) {
    match node {
        Node::Text(text) => out.push(format!("{}={}", escape(name), escape(text))),
        Node::Map(members) => {
            for (key, node) in members {
                let full = if name.is_empty() { key.clone() } else { format!("{name}[{key}]") };
                encode(node, &full, escape, out);
            }
        }
        other => panic!("not written with indices: {other:?}"),
    }
}

fn escape_all(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Escapes only what would be read as something else.
fn escape_little(text: &str) -> String {
    let escaped = text.replace('%', "%25").replace('&', "%26").replace('=', "%3D");
    escaped.replace('+', "%2B").replace(' ', "+")
}

proptest! {
    #[test]
    fn what_an_sdk_writes_is_read_back(tree in tree()) {
        for escape in [escape_all, escape_little] {
            let mut pairs = Vec::new();
            encode(&tree, "", &escape, &mut pairs);
            prop_assert_eq!(parse(pairs.join("&").as_bytes()).unwrap(), tree.clone());
        }
    }

    #[test]
    fn an_array_of_maps_is_read_back_from_empty_brackets(
        elements in prop::collection::vec(("[a-z]{0,3}", prop::option::of("[a-z]{0,3}")), 1..9),
    ) {
        let mut pairs = Vec::new();
        let mut expected = Vec::new();
        for (price, quantity) in elements {
            pairs.push(format!("items[][price]={price}"));
            let mut element = vec![("price".to_owned(), Node::Text(price))];
            if let Some(quantity) = quantity {
                pairs.push(format!("items[][quantity]={quantity}"));
                element.push(("quantity".to_owned(), Node::Text(quantity)));
            }
            expected.push(Node::Map(element));
        }
        let expected = Node::Map(vec![("items".to_owned(), Node::List(expected))]);
        prop_assert_eq!(parse(pairs.join("&").as_bytes()).unwrap(), expected);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Err(error) = parse(&bytes) {
            prop_assert_eq!(error.kind, Kind::InvalidRequest);
            prop_assert!(error.before_execution);
        }
    }

    #[test]
    fn any_soup_of_brackets_is_read_or_refused(soup in "(a|b|\\[|\\]|\\[\\]|=|&|%5B|%|\\+|0){0,60}") {
        if let Err(error) = parse(soup.as_bytes()) {
            prop_assert!(error.before_execution);
        }
    }
}
