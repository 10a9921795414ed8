//! Requests that are sent again.

use taximeter_kernel::id::{Mode, Scope};
use taximeter_kernel::time::Timestamp;
use taximeter_usage::{Appended, REQUEST_KEY_KEPT_S, Standing};

use crate::settings::in_every_setting;
use crate::support::{ALWAYS, Place, SEVEN, SUM, Sent, amend, cancel, event, event_at, request};

fn replayed(place: &Place, seq: u64) -> Appended {
    Appended::Replayed(Box::new(place.at(seq)))
}

#[test]
fn a_repeated_request_is_answered_with_the_first_event() {
    in_every_setting(|place| {
        let first = place.record(&Sent { request: request(7, 13), ..event("generated-1") });
        let retry = Sent { request: request(7, 13), ..event("generated-2") };
        assert_eq!(place.append(&retry), replayed(&place, first));
        place.check(SUM, ALWAYS, "1");
        let place = place.reopened();
        assert_eq!(place.append(&retry), replayed(&place, first));
        place.check(SUM, ALWAYS, "1");
    });
}

#[test]
fn a_repeated_request_within_one_batch_is_recorded_once() {
    in_every_setting(|place| {
        let sent = [
            Sent { request: request(7, 13), ..event("generated-1") },
            Sent { request: request(7, 13), ..event("generated-2") },
            Sent { request: request(7, 14), ..event("generated-3") },
        ];
        let appended = place.append_all(&sent);
        let expected = [Appended::Recorded(1), replayed(&place, 1), Appended::RequestMismatch];
        assert_eq!(appended, expected);
        place.check(SUM, ALWAYS, "1");
    });
}

#[test]
fn a_request_is_recognised_before_its_identifier_is() {
    in_every_setting(|place| {
        let sent = Sent { request: request(7, 13), ..event("a") };
        let first = place.record(&sent);
        assert_eq!(place.append(&sent), replayed(&place, first));
        assert_eq!(place.append(&event("a")), Appended::Duplicate(first));
    });
}

#[test]
fn a_replay_shows_that_its_event_was_cancelled_since() {
    in_every_setting(|place| {
        let sent = Sent { request: request(7, 13), ..event("a") };
        let first = place.record(&sent);
        place.correct_done(cancel("a"));
        assert_eq!(place.at(first).standing, Standing::Cancelled);
        assert_eq!(place.append(&sent), replayed(&place, first));
    });
}

#[test]
fn a_replay_shows_the_version_that_counts() {
    in_every_setting(|place| {
        let sent = Sent { request: request(7, 13), ..event("a") };
        place.record(&sent);
        let version = place.correct_done(amend("a", SEVEN + 5, "3"));
        assert_eq!(place.append(&sent), replayed(&place, version));
        let place = place.reopened();
        assert_eq!(place.append(&sent), replayed(&place, version));
        place.check(SUM, ALWAYS, "3");
    });
}

#[test]
fn another_request_with_the_same_key_is_a_mismatch() {
    in_every_setting(|place| {
        place.record(&Sent { request: request(7, 13), ..event("a") });
        let other = Sent { request: request(7, 14), ..event("b") };
        assert_eq!(place.append(&other), Appended::RequestMismatch);
        // It recorded nothing, so its identifier is free.
        place.record(&Sent { request: None, ..other });
    });
}

#[test]
fn a_request_key_belongs_to_one_account_and_mode() {
    in_every_setting(|place| {
        let sent = Sent { request: request(7, 13), ..event("a") };
        place.record(&sent);
        let test = Scope { mode: Mode::Test, ..sent.scope.clone() };
        place.record(&Sent { scope: test, request: request(7, 14), ..sent });
    });
}

#[test]
fn keys_that_agree_in_part_are_different() {
    in_every_setting(|place| {
        for (number, key) in [7, 7 << 64, (7 << 64) | 7, 7 << 32].into_iter().enumerate() {
            place.record(&Sent { request: request(key, 13), ..event(&number.to_string()) });
        }
        place.check(SUM, ALWAYS, "4");
    });
}

#[test]
fn a_new_request_with_a_taken_identifier_is_a_duplicate() {
    in_every_setting(|place| {
        let first = place.record(&Sent { request: request(7, 13), ..event("a") });
        let other = Sent { request: request(8, 13), ..event("a") };
        assert_eq!(place.append(&other), Appended::Duplicate(first));
        // It recorded nothing, so its key stands for nothing.
        place.record(&Sent { identifier: "b".to_owned(), ..other });
    });
}

fn sent_after(identifier: &str, key: u128, seconds: i64) -> Sent {
    let received = Timestamp(SEVEN + seconds);
    Sent { request: request(key, 13), received, ..event(identifier) }
}

#[test]
fn a_request_key_is_remembered_for_a_day_and_forgotten_alike_after_a_restart() {
    in_every_setting(|place| {
        const KEPT: i64 = REQUEST_KEY_KEPT_S;
        place.record(&sent_after("a", 1, 0));
        place.record(&sent_after("b", 2, KEPT));
        assert_eq!(place.append(&sent_after("x", 1, KEPT)), replayed(&place, 1));
        place.record(&sent_after("c", 3, KEPT + 1));
        let place = place.reopened();
        assert_eq!(place.append(&sent_after("y", 2, KEPT + 1)), replayed(&place, 2));
        place.record(&sent_after("z", 1, KEPT + 1));
        // From here on the key stands for what it was used for last.
        assert_eq!(place.append(&sent_after("zz", 1, KEPT + 2)), replayed(&place, 4));
    });
}

#[test]
fn a_replay_does_not_make_a_key_live_longer() {
    in_every_setting(|place| {
        place.record(&sent_after("a", 1, 0));
        assert_eq!(place.append(&sent_after("b", 1, REQUEST_KEY_KEPT_S)), replayed(&place, 1));
        place.record(&sent_after("b", 1, REQUEST_KEY_KEPT_S + 1));
    });
}

#[test]
fn a_correction_of_an_old_event_does_not_bring_its_forgotten_key_back() {
    in_every_setting(|place| {
        place.record(&sent_after("old", 1, 0));
        let second = place.record(&sent_after("new", 1, REQUEST_KEY_KEPT_S + 1));
        let order = taximeter_usage::Correction { window_s: None, ..amend("old", SEVEN, "3") };
        place.correct_done(order);
        let retry = sent_after("another", 1, REQUEST_KEY_KEPT_S + 2);
        assert_eq!(place.append(&retry), replayed(&place, second));
        let place = place.reopened();
        assert_eq!(place.append(&retry), replayed(&place, second));
        place.check(SUM, ALWAYS, "4");
        assert_eq!(place.append(&event_at("old", SEVEN, "5")), Appended::Duplicate(3));
    });
}
