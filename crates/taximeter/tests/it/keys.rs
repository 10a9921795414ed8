//! `taximeter keys` and `taximeter accounts` beside a running server.

use crate::server::{Server, fail, succeed, taximeter};

fn server() -> (tempfile::TempDir, Server) {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &[]);
    (temp, server)
}

#[test]
fn a_new_key_works_at_once_and_an_ended_one_does_not() {
    let (temp, server) = server();
    let key = succeed(temp.path(), &["keys", "create", "--name", "worker"]).trim().to_owned();
    assert_eq!(server.get("/v1/customers", &key).0, 200);

    let ended = succeed(temp.path(), &["keys", "create"]).trim().to_owned();
    // The secret itself names the key, for who has nothing else.
    let said = succeed(temp.path(), &["keys", "revoke", &ended]);
    assert!(said.contains("ended; a running server refuses it within 5 seconds"), "{said}");
    let (status, body) = server.get("/v1/customers", &ended);
    assert_eq!(status, 401);
    assert!(
        body.contains("\"code\": \"api_key_expired\"")
            || body.contains("\"code\":\"api_key_expired\""),
        "{body}"
    );
    assert!(
        body.contains("Expired API Key provided: sk_test_****************************"),
        "{body}"
    );
    assert!(succeed(temp.path(), &["keys", "revoke", &ended]).contains("had ended already"));
}

#[test]
fn a_rolled_key_has_a_successor_and_works_for_as_long_as_it_was_given() {
    let (temp, server) = server();
    let old = succeed(temp.path(), &["keys", "create", "--name", "worker"]).trim().to_owned();
    let new = succeed(temp.path(), &["keys", "roll", &old, "--expire-in", "1h"]).trim().to_owned();
    assert_ne!(old, new);
    assert_eq!(server.get("/v1/customers", &old).0, 200);
    assert_eq!(server.get("/v1/customers", &new).0, 200);
    let newest = succeed(temp.path(), &["keys", "roll", &new]).trim().to_owned();
    assert_eq!(server.get("/v1/customers", &newest).0, 200);
    let refusal = fail(temp.path(), &["keys", "roll", &new]);
    assert!(refusal.contains("has expired; create a new one"), "{refusal}");
    let listed = succeed(temp.path(), &["keys", "list"]);
    assert_eq!(listed.matches("worker").count(), 2, "{listed}");
    assert_eq!(listed.matches("active until ").count(), 1, "{listed}");
    let all = succeed(temp.path(), &["keys", "list", "--all"]);
    assert_eq!(all.matches("worker").count(), 3, "{all}");
    assert_eq!(all.matches("ended ").count(), 1, "{all}");
}

#[test]
fn a_list_of_keys_holds_no_secret() {
    let (temp, server) = server();
    let listed = succeed(temp.path(), &["keys", "list", "--all"]);
    let keys = server.keys();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert!(!listed.contains(&key[8..36]), "{listed}");
        assert!(listed.contains(&format!("{}****{}", &key[..8], &key[36..])), "{listed}");
    }
}

#[test]
fn a_restricted_key_may_do_what_it_was_given() {
    let (temp, server) = server();
    let args = ["keys", "create", "--kind", "restricted", "--allow", "customer=read"];
    let key = succeed(temp.path(), &args).trim().to_owned();
    assert!(key.starts_with("rk_test_"));
    assert_eq!(server.get("/v1/customers", &key).0, 200);
    let (status, body) = server.post("/v1/customers", &key, "name=Jenny");
    assert_eq!(status, 403);
    assert!(body.contains("Having the 'rak_customer_write' permission"), "{body}");
}

#[test]
fn a_publishable_key_opens_nothing() {
    let (temp, server) = server();
    let args = ["keys", "create", "--kind", "publishable", "--live"];
    let key = succeed(temp.path(), &args).trim().to_owned();
    assert!(key.starts_with("pk_live_"));
    let (status, body) = server.get("/v1/customers", &key);
    assert_eq!(status, 403);
    assert!(body.contains("secret_key_required"), "{body}");
}

#[test]
fn accounts_and_modes_see_nothing_of_each_other() {
    let (temp, server) = server();
    let account = succeed(temp.path(), &["accounts", "create", "Acme GmbH"]).trim().to_owned();
    assert!(account.starts_with("acct_"));
    let by_id = succeed(temp.path(), &["keys", "create", "--account", &account]);
    let by_name = succeed(temp.path(), &["keys", "create", "--account", "Acme GmbH", "--live"]);
    let default = server.keys();
    assert_eq!(server.post("/v1/customers", by_id.trim(), "name=Jenny").0, 200);
    assert!(server.get("/v1/customers", by_id.trim()).1.contains("Jenny"));
    for other in [by_name.trim(), &default[0], &default[1]] {
        let (status, body) = server.get("/v1/customers", other);
        assert_eq!(status, 200);
        assert!(!body.contains("Jenny"), "{body}");
    }
    let listed = succeed(temp.path(), &["keys", "list", "--account", "Acme GmbH"]);
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let accounts = succeed(temp.path(), &["accounts", "list"]);
    assert!(accounts.lines().nth(1).unwrap().ends_with("  default"), "{accounts}");
    assert!(accounts.lines().nth(2).unwrap().contains("Acme GmbH"), "{accounts}");
}

#[test]
fn what_cannot_be_done_is_said_with_the_way_out() {
    let (temp, _server) = server();
    let dir = temp.path();
    for (args, message) in [
        (
            &["keys", "revoke", "key_7"][..],
            "error: No such API key: 'key_7'\n  try: `taximeter keys list --all`",
        ),
        (
            &["keys", "revoke", "sk_test_nobodys_key"],
            "error: No such API key: 'sk_test_*******_key'",
        ),
        (
            &["keys", "create", "--account", "nobody"],
            "error: No such account: 'nobody'\n  try: `taximeter accounts list`",
        ),
        (
            &["keys", "create", "--kind", "restricted"],
            "error: a restricted key needs permissions\n  try: --allow",
        ),
        (
            &["keys", "create", "--allow", "price=read"],
            "error: --allow is for restricted keys, not for a secret key",
        ),
        (
            &["keys", "create", "--kind", "restricted", "--allow", "x=read"],
            "error: --allow: no resource is called `x`; there are: billing_meter,",
        ),
        (&["keys", "create", "--name", ""], "error: A key's name is 1 to 100 characters"),
        (&["keys", "roll", "key_7"], "error: No such API key: 'key_7'"),
        (&["accounts", "create", "default"], "error: An account named 'default' already exists."),
        (&["accounts", "create", " "], "error: An account's name may not be empty."),
    ] {
        let said = fail(dir, args);
        assert!(said.starts_with(message), "{args:?}: {said}");
    }
    let key = succeed(dir, &["keys", "create"]);
    let said = fail(dir, &["keys", "roll", key.trim(), "--expire-in", "8d"]);
    assert!(
        said.starts_with("error: A rolled key may go on working for 7 days at most."),
        "{said}"
    );
}

#[test]
fn a_directory_without_a_database_is_refused_rather_than_filled() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("typo");
    for args in [&["keys", "list"][..], &["keys", "create"], &["accounts", "create", "x"]] {
        let said = fail(&dir, args);
        assert!(said.starts_with(&format!("error: there is no database in {}\n", dir.display())));
        assert!(!dir.exists());
    }
}

#[test]
fn keys_can_be_made_before_the_first_start() {
    let temp = tempfile::tempdir().unwrap();
    succeed(temp.path(), &["migrate"]);
    let key = succeed(temp.path(), &["keys", "create", "--live"]).trim().to_owned();
    let server = Server::start(temp.path(), &[]);
    assert_eq!(server.keys(), [""; 0]);
    assert_eq!(server.get("/v1/customers", &key).0, 200);
    assert_eq!(server.get("/v1/customers", "sk_test_abcdefgh").0, 401);
}

#[test]
fn a_key_given_at_start_is_accepted_in_test_mode() {
    let temp = tempfile::tempdir().unwrap();
    let server = Server::start(temp.path(), &["--secret-key", "sk_test_chosen_one"]);
    assert!(server.banner.contains("curl http://"), "{}", server.banner);
    assert!(server.banner.contains("-u sk_test_chosen_one: "), "{}", server.banner);
    let (status, body) = server.post("/v1/customers", "sk_test_chosen_one", "name=Jenny");
    assert_eq!(status, 200);
    assert!(body.contains("\"livemode\": false"), "{body}");
    let outcome = taximeter(&["keys", "list", "--data-dir", temp.path().to_str().unwrap()]);
    assert!(outcome.stdout.contains("sk_test_****_one  secret  default  given at start"));
}
