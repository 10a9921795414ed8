//! Whatever a request carries, its decoder takes or refuses it, and never panics.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{Decode, Node, Path, Schema};
use crate::error::{Error, Kind};
use crate::{
    customers, events, invoices, meter_events, meter_usage, meters, prices, products, search,
    subscriptions,
};

/// One input: its name, its shape, and its decoder without what it decodes to.
type Input = (&'static str, Schema, fn(Node) -> Result<(), Error>);

macro_rules! inputs {
    ($($input:ty),* $(,)?) => {
        vec![$((
            stringify!($input),
            <$input>::schema(),
            |node| <$input>::decode(Some(node), Path::ROOT).map(drop),
        )),*]
    };
}

fn inputs() -> Vec<Input> {
    inputs![
        customers::Create,
        customers::Delete,
        customers::List,
        customers::Update,
        events::List,
        events::ListThin,
        invoices::Lines,
        invoices::List,
        invoices::preview::Create,
        invoices::preview::Upcoming,
        invoices::preview::UpcomingLines,
        meter_events::Create,
        meter_events::CreateV2,
        meter_events::List,
        meter_events::Retrieve,
        meter_events::Summaries,
        meter_usage::Retrieve,
        meters::Create,
        meters::List,
        meters::Update,
        prices::Create,
        prices::List,
        prices::Update,
        products::Create,
        products::List,
        products::Update,
        search::Search,
        subscriptions::Cancel,
        subscriptions::Create,
        subscriptions::List,
        subscriptions::Update,
        subscriptions::items::List,
        subscriptions::items::Update,
    ]
}

/// Values that some parameter takes, and the edges of what none does.
fn value() -> BoxedStrategy<Node> {
    let texts = [
        "",
        "0",
        "1",
        "-1",
        "7",
        "007",
        "+1",
        "1.5",
        "-0.000000000001",
        "1e3",
        "1E+400",
        "inf",
        "now",
        "true",
        "false",
        "usd",
        "EUR",
        "xxx",
        "day",
        "month",
        "sum",
        "metered",
        "none",
        "flexible",
        "cus_7",
        "a b",
        "\u{0}",
        "é",
        "9007199254740991",
        "9007199254740992",
        "170141183460469231731687303715884105728",
        "https://example.com",
        "2026-01-15T10:30:00Z",
    ];
    prop_oneof![
        8 => proptest::sample::select(texts.to_vec()).prop_map(|text| Node::Text(text.to_owned())),
        2 => ".{0,300}".prop_map(Node::Text),
        1 => (0_usize..6_000).prop_map(|n| Node::Text("x".repeat(n))),
        1 => any::<i64>().prop_map(|n| Node::Number(n.to_string())),
        1 => any::<bool>().prop_map(Node::Bool),
        1 => Just(Node::Null),
    ]
    .boxed()
}

/// Names that stand nowhere or only in arrays.
fn name() -> BoxedStrategy<String> {
    prop_oneof![
        proptest::sample::select(vec!["0", "1", "01", "-1", "4294967296", "", "usd", "zz"])
            .prop_map(str::to_owned),
        "[a-z_]{1,8}",
        ".{0,50}",
    ]
    .boxed()
}

/// Trees that fit nothing in particular.
fn wild() -> BoxedStrategy<Node> {
    value()
        .prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Node::List),
                vec((name(), inner), 0..4).prop_map(map),
            ]
        })
        .boxed()
}

/// A map of which each name comes once, as the parsers make them.
fn map(members: Vec<(String, Node)>) -> Node {
    let mut unique: Vec<(String, Node)> = Vec::new();
    for (name, node) in members {
        if unique.iter().all(|(known, _)| *known != name) {
            unique.push((name, node));
        }
    }
    Node::Map(unique)
}

/// Trees that fit a shape, or nearly.
fn fitting(schema: &Schema) -> BoxedStrategy<Node> {
    let near = match schema {
        Schema::Leaf => value(),
        Schema::List(inner) => {
            let elements = vec(fitting(inner), 0..4);
            let numbered = |nodes: Vec<Node>| {
                map(nodes.into_iter().enumerate().map(|(n, node)| (n.to_string(), node)).collect())
            };
            prop_oneof![elements.clone().prop_map(Node::List), elements.prop_map(numbered)].boxed()
        }
        Schema::Keyed(inner) => vec((name(), fitting(inner)), 0..3).prop_map(map).boxed(),
        Schema::Either(one, other) => prop_oneof![fitting(one), fitting(other)].boxed(),
        Schema::Fields(fields) => fields
            .iter()
            .map(|(name, inner)| {
                let name = (*name).to_owned();
                proptest::option::weighted(
                    0.3,
                    fitting(inner).prop_map(move |node| (name.clone(), node)),
                )
            })
            .collect::<Vec<_>>()
            .prop_map(|members| map(members.into_iter().flatten().collect()))
            .boxed(),
    };
    prop_oneof![
        30 => near.clone(),
        1 => wild(),
        1 => (near, name(), wild()).prop_map(|(node, name, more)| match node {
            Node::Map(mut members) => {
                members.push((name, more));
                map(members)
            }
            other => other,
        }),
    ]
    .boxed()
}

/// Whether all of a tree is in the shape.
fn is_declared(node: &Node, schema: &Schema) -> bool {
    match (schema, node) {
        (Schema::Either(one, other), node) => is_declared(node, one) || is_declared(node, other),
        (Schema::Fields(fields), Node::Map(members)) => members.iter().all(|(name, node)| {
            fields.iter().any(|(known, inner)| known == name && is_declared(node, inner))
        }),
        (Schema::List(inner), Node::List(nodes)) => nodes.iter().all(|n| is_declared(n, inner)),
        (Schema::List(inner), Node::Map(members)) => members
            .iter()
            .all(|(name, node)| name.parse::<u32>().is_ok() && is_declared(node, inner)),
        (Schema::Keyed(inner), Node::Map(members)) => {
            members.iter().all(|(_, node)| is_declared(node, inner))
        }
        // Texts that unset a parameter, JSON's null, and leaves that are maps of their own kind.
        (_, Node::Text(_) | Node::Number(_) | Node::Bool(_) | Node::Null) | (Schema::Leaf, _) => {
            true
        }
        (Schema::Fields(_) | Schema::Keyed(_), Node::List(_)) => false,
    }
}

/// How many trees each input is tried with.
const TREES: u32 = 500;

#[test]
fn no_tree_makes_a_decoder_panic_or_take_what_is_not_declared() {
    for (input, schema, decode) in inputs() {
        let mut runner = TestRunner::new(Config {
            cases: TREES,
            failure_persistence: None,
            ..Config::default()
        });
        let trees = prop_oneof![9 => fitting(&schema), 1 => wild()];
        let outcome = runner.run(&trees, |tree| {
            match decode(tree.clone()) {
                Ok(()) => prop_assert!(is_declared(&tree, &schema), "taken: {tree:?}"),
                Err(error) => {
                    prop_assert_eq!(error.kind, Kind::InvalidRequest);
                    prop_assert!(error.message.chars().count() < 1_000, "{}", error.message);
                }
            }
            Ok(())
        });
        assert!(outcome.is_ok(), "{input}: {outcome:?}");
    }
}

/// Each leaf of a shape, as the tree that has nothing else.
fn leaves(schema: &Schema) -> Vec<Node> {
    let text = || Node::Text("x".to_owned());
    let within = |name: &str, node: Node| Node::Map(vec![(name.to_owned(), node)]);
    match schema {
        Schema::Leaf => vec![text()],
        Schema::List(inner) => leaves(inner).into_iter().map(|n| Node::List(vec![n])).collect(),
        Schema::Keyed(inner) => leaves(inner).into_iter().map(|n| within("usd", n)).collect(),
        Schema::Either(one, other) => [leaves(one), leaves(other)].concat(),
        Schema::Fields(fields) => fields
            .iter()
            .flat_map(|(name, inner)| leaves(inner).into_iter().map(move |n| (*name, n)))
            .map(|(name, node)| within(name, node))
            .collect(),
    }
}

/// The same tree with a stranger beside its deepest value; nothing when that is no map's member.
fn with_stranger(tree: &Node) -> Option<Node> {
    let Node::Map(members) = tree else { return None };
    let (name, inner) = members.first()?;
    if let Some(deeper) = with_stranger(inner) {
        return Some(Node::Map(vec![(name.clone(), deeper)]));
    }
    let stranger = ("zz_stranger".to_owned(), Node::Text("x".to_owned()));
    Some(Node::Map(vec![(name.clone(), inner.clone()), stranger]))
}

#[test]
fn every_leaf_of_a_shape_is_known_and_nothing_beside_it_is_taken() {
    for (input, schema, decode) in inputs() {
        for tree in leaves(&schema) {
            let known = decode(tree.clone())
                .err()
                .is_none_or(|error| error.code != Some("parameter_unknown"));
            assert!(known, "{input}: {tree:?}");
            if let Some(tree) = with_stranger(&tree) {
                let keyed = matches!(&tree, Node::Map(m) if m.iter().any(|(n, _)| n == "usd"));
                assert!(keyed || decode(tree.clone()).is_err(), "{input}: {tree:?}");
            }
        }
        if !matches!(&schema, Schema::Fields(_)) {
            continue;
        }
        let stranger = Node::Map(vec![("zz_stranger".to_owned(), Node::Text("x".to_owned()))]);
        let error = decode(stranger).expect_err(input);
        assert_eq!(error.code, Some("parameter_unknown"), "{input}");
        assert_eq!(error.param.as_deref(), Some("zz_stranger"), "{input}");
        assert_eq!(error.message, "Received unknown parameter: zz_stranger", "{input}");
    }
}
