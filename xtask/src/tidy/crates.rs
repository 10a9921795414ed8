//! Rules for dependencies: who may know whom, which licences, how many crates.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::shell;

/// Which crates of ours a crate may import (ARCHITECTURE.md, "Rooms").
const ROOMS: &[(&str, &[&str])] = &[
    ("taximeter-kernel", &[]),
    ("taximeter-usage", &["taximeter-kernel"]),
    ("taximeter-db", &["taximeter-kernel"]),
    ("taximeter-service", &["taximeter-kernel", "taximeter-usage", "taximeter-db"]),
    // The kernel for its words only: ids and instants, which verbs take.
    ("taximeter-web", &["taximeter-service", "taximeter-kernel"]),
    ("taximeter", EVERYTHING),
    ("taximeter-testkit", EVERYTHING),
    ("xtask", &[]),
    // It knows the server as its users do, over HTTP, and measures the engine by itself.
    ("taximeter-bench", &["taximeter-kernel", "taximeter-usage"]),
];
const EVERYTHING: &[&str] =
    &["taximeter-kernel", "taximeter-usage", "taximeter-db", "taximeter-service", "taximeter-web"];
/// What tests of any crate may import besides.
const FOR_TESTS: &str = "taximeter-testkit";

/// Crates of others that only some of ours may import: (prefix of the name, who).
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx", &["taximeter-db"]),
    ("rusqlite", &["taximeter-db"]),
    ("axum-server", &["taximeter"]),
    ("axum", &["taximeter-web", "taximeter-testkit", "taximeter-bench"]),
    ("askama", &["taximeter-web"]),
    ("clap", &["taximeter"]),
    ("getrandom", &["taximeter"]),
];

/// All that the mathematics of billing may be built on: pure and small.
const KERNEL_ON: &[&str] = &["jiff", "num-bigint", "thiserror"];
/// All that these tasks may be built on.
const XTASK_ON: &[&str] = &["serde_json"];

/// Crates that nothing may bring in: TLS is rustls with ring, so that one static binary runs anywhere.
const NOWHERE: &[&str] = &["openssl-sys", "native-tls", "aws-lc-sys"];
/// Crates that must not be linked twice.
const ONCE: &[&str] = &["libsqlite3-sys", "ring", "rustls", "tokio"];
/// The first build is part of the product: fewer than this many crates.
const CRATES_MAX: usize = 400;

/// The breaches in what `cargo metadata` says.
pub(super) fn breaches(root: &Path) -> Result<Vec<String>, String> {
    let arguments = ["metadata", "--format-version", "1"];
    let metadata = shell::output(shell::cargo(root).args(arguments))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let deny = fs::read_to_string(root.join("deny.toml"))
        .map_err(|error| format!("deny.toml: {error}"))?;
    let licences = allowed_licences(&deny);
    if licences.is_empty() {
        return Err("deny.toml allows no licence".to_owned());
    }
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let mut breaches = edge_breaches(packages);
    breaches.extend(set_breaches(packages));
    breaches.extend(licence_breaches(packages, &licences));
    Ok(breaches)
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// Who may import whom.
fn edge_breaches(packages: &[Value]) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in packages.iter().filter(|package| is_ours(package)) {
        let name = text(package, "name");
        let Some((_, rooms)) = ROOMS.iter().find(|(room, _)| *room == name) else {
            breaches.push(format!("{name}: not a room of the house: add it to the rules"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = text(dependency, "name");
            let in_tests = dependency["kind"] == "dev";
            let allowed = if ROOMS.iter().any(|(room, _)| *room == to) {
                // A crate whose tests import itself turns on a feature of its own for them.
                rooms.contains(&to) || (in_tests && (to == FOR_TESTS || to == name))
            } else {
                may_use(name, to, in_tests)
            };
            if !allowed {
                breaches.push(format!("{name}: must not import {to}"));
            }
        }
    }
    breaches
}

/// Whether a crate of ours may import a crate of others.
fn may_use(name: &str, to: &str, in_tests: bool) -> bool {
    let only = ONLY_IN.iter().find(|(prefix, _)| to.starts_with(prefix));
    let listed = match name {
        "taximeter-kernel" => in_tests || KERNEL_ON.contains(&to),
        "xtask" => XTASK_ON.contains(&to),
        _ => true,
    };
    listed && only.is_none_or(|(_, who)| who.contains(&name))
}

/// What may be in the tree at all, how often, and how much.
fn set_breaches(packages: &[Value]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for package in packages {
        *versions.entry(text(package, "name")).or_default() += 1;
    }
    for name in NOWHERE.iter().filter(|name| versions.contains_key(**name)) {
        breaches.push(format!("{name}: must not be in the tree (see `cargo tree -i {name}`)"));
    }
    for name in ONCE {
        let count = versions.get(name).copied().unwrap_or(0);
        if count > 1 {
            breaches.push(format!("{name}: {count} versions, not one (see `cargo tree -d`)"));
        }
    }
    if packages.len() >= CRATES_MAX {
        breaches.push(format!("{} crates, fewer than {CRATES_MAX} allowed", packages.len()));
    }
    breaches
}

fn licence_breaches(packages: &[Value], allowed: &[String]) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in packages.iter().filter(|package| !is_ours(package)) {
        let licence = text(package, "license");
        if !is_allowed(licence, allowed) {
            breaches.push(format!("{}: licence `{licence}` not allowed", text(package, "name")));
        }
    }
    breaches
}

/// The `allow` list of the licences in `deny.toml`, the one place that names them.
fn allowed_licences(deny: &str) -> Vec<String> {
    let section = deny.split_once("[licenses]").map_or("", |(_, rest)| rest);
    let list = section.split_once("allow = [").map_or("", |(_, rest)| rest);
    let list = list.split_once(']').map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an SPDX expression can be met with the allowed licences: `OR` (also written `/`) needs
/// one side, `AND` both. An exception (`WITH`) only permits more, so it counts as its licence.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = alternatives(&tokens, &mut at, allowed);
    met && at == tokens.len()
}

fn alternatives(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = conjunction(tokens, at, allowed);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        met |= conjunction(tokens, at, allowed);
    }
    met
}

fn conjunction(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let mut met = licence(tokens, at, allowed);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        met &= licence(tokens, at, allowed);
    }
    met
}

fn licence(tokens: &[&str], at: &mut usize, allowed: &[String]) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let met = alternatives(tokens, at, allowed);
        let closed = tokens.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    if tokens.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    allowed.iter().any(|it| it == token)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ours(name: &str, dependencies: &[(&str, Option<&str>)]) -> Value {
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(name, kind)| json!({"name": name, "kind": kind})).collect();
        json!({"name": name, "source": null, "dependencies": dependencies})
    }

    fn theirs(name: &str, licence: &str) -> Value {
        json!({"name": name, "source": "registry", "license": licence, "dependencies": []})
    }

    #[track_caller]
    fn check_edge(name: &str, to: &str, kind: Option<&str>, allowed: bool) {
        let expected = if allowed { vec![] } else { vec![format!("{name}: must not import {to}")] };
        assert_eq!(edge_breaches(&[ours(name, &[(to, kind)])]), expected);
    }

    #[test]
    fn a_room_imports_only_the_rooms_below_it() {
        check_edge("taximeter-service", "taximeter-db", None, true);
        check_edge("taximeter-kernel", "taximeter-db", None, false);
        check_edge("taximeter-usage", "taximeter-db", None, false);
        check_edge("taximeter-db", "taximeter-service", None, false);
        check_edge("taximeter-service", "taximeter-web", None, false);
        check_edge("taximeter-web", "taximeter-db", None, false);
        check_edge("taximeter-web", "taximeter-db", Some("build"), false);
        check_edge("xtask", "taximeter-testkit", None, false);
    }

    #[test]
    fn tests_may_import_the_testkit_and_nothing_else_may() {
        check_edge("taximeter-service", "taximeter-testkit", Some("dev"), true);
        check_edge("taximeter-service", "taximeter-testkit", None, false);
        check_edge("taximeter-db", "taximeter-db", Some("dev"), true);
        check_edge("taximeter-web", "taximeter-db", Some("dev"), false);
    }

    #[test]
    fn drivers_and_frameworks_stay_in_their_room() {
        check_edge("taximeter-db", "sqlx", None, true);
        check_edge("taximeter-service", "sqlx", None, false);
        check_edge("taximeter-testkit", "sqlx-core", Some("dev"), false);
        check_edge("taximeter-web", "axum", None, true);
        check_edge("taximeter", "axum-server", None, true);
        check_edge("taximeter", "axum", None, false);
        check_edge("taximeter-service", "getrandom", None, false);
    }

    #[test]
    fn the_kernel_is_built_on_pure_crates_only() {
        check_edge("taximeter-kernel", "jiff", None, true);
        check_edge("taximeter-kernel", "proptest", Some("dev"), true);
        check_edge("taximeter-kernel", "tokio", None, false);
        check_edge("taximeter-kernel", "serde_json", None, false);
    }

    #[test]
    fn a_new_crate_needs_a_place_in_the_rules() {
        let said = "taximeter-extra: not a room of the house: add it to the rules";
        assert_eq!(edge_breaches(&[ours("taximeter-extra", &[])]), [said]);
    }

    #[test]
    fn another_tls_or_a_second_sqlite_is_refused() {
        let tree = [
            theirs("openssl-sys", "MIT"),
            theirs("libsqlite3-sys", "MIT"),
            theirs("libsqlite3-sys", "MIT"),
        ];
        assert_eq!(
            set_breaches(&tree),
            [
                "openssl-sys: must not be in the tree (see `cargo tree -i openssl-sys`)",
                "libsqlite3-sys: 2 versions, not one (see `cargo tree -d`)",
            ]
        );
    }

    #[test]
    fn the_tree_stays_small() {
        let tree: Vec<Value> = (0..400).map(|it| theirs(&format!("crate-{it}"), "MIT")).collect();
        assert_eq!(set_breaches(&tree), ["400 crates, fewer than 400 allowed"]);
        assert_eq!(set_breaches(&tree[1..]), [""; 0]);
    }

    #[test]
    fn licences_are_read_from_deny_toml() {
        let deny = "[bans]\nallow = [\"x\"]\n[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n";
        assert_eq!(allowed_licences(deny), ["MIT", "ISC"]);
        assert!(allowed_licences("[bans]\n").is_empty());
    }

    #[test]
    fn a_licence_expression_is_met_or_not() {
        let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Unicode-3.0".to_owned()];
        for good in [
            "MIT",
            "Apache-2.0 OR MIT",
            "Apache-2.0/MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "MIT WITH LLVM-exception",
        ] {
            assert!(is_allowed(good, &allowed), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND GPL-3.0",
            "(MIT",
            "MIT ISC",
            "GPL-3.0 OR",
        ] {
            assert!(!is_allowed(bad, &allowed), "{bad}");
        }
        let tree = [theirs("good", "MIT"), theirs("bad", "GPL-3.0"), ours("xtask", &[])];
        assert_eq!(licence_breaches(&tree, &allowed), ["bad: licence `GPL-3.0` not allowed"]);
    }
}
