//! Totals by dimension.

use taximeter_kernel::time::Timestamp;
use taximeter_usage::{
    Action, Amendment, Appended, Corrected, Correction, DimensionFilter, Engine, UsageQuery,
};

use crate::settings::in_every_setting;
use crate::support::{
    ALWAYS, COUNT, HOUR, MAX, Place, SEVEN, SUM, Sent, cancel, counted, customer, event, event_at,
    number, period, restore, series,
};

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn with(dimensions: &[&str], sent: Sent) -> Sent {
    Sent { dimensions: texts(dimensions), ..sent }
}

fn filter(dimension: usize, values: &[&str]) -> DimensionFilter {
    DimensionFilter { dimension, values: texts(values) }
}

fn all() -> UsageQuery {
    UsageQuery::of(series(SUM), SUM)
}

/// The groups that have usage in the period, as `values=quantity`.
fn groups(place: &Place, query: &UsageQuery) -> Vec<String> {
    let boundaries = [ALWAYS.start, ALWAYS.end];
    let groups = place.engine.usage(query, &boundaries).unwrap();
    let text = |group: &taximeter_usage::UsageGroup| {
        format!("{}={}", group.dimensions.join("/"), group.usage[0].quantity)
    };
    groups.iter().filter(|group| group.usage[0].events > 0).map(text).collect()
}

/// Powers of two, so that a sum says what it is made of.
fn four(place: &Place) {
    for (number, (value, dimensions)) in
        [("1", ["eu", "s"]), ("2", ["us", "s"]), ("4", ["eu", "l"]), ("8", ["eu", "s"])]
            .into_iter()
            .enumerate()
    {
        let second = i64::try_from(number).unwrap() * HOUR / 2;
        let sent = event_at(&number.to_string(), SEVEN + second, value);
        place.record(&with(&dimensions, sent));
    }
}

#[test]
fn usage_is_filtered_by_the_values_of_dimensions() {
    in_every_setting(|place| {
        four(&place);
        let place = place.reopened();
        for (filters, expected) in [
            (vec![], "15"),
            (vec![filter(0, &["eu"])], "13"),
            (vec![filter(0, &["eu", "us"])], "15"),
            (vec![filter(1, &["s"])], "11"),
            (vec![filter(0, &["eu"]), filter(1, &["s"])], "9"),
            (vec![filter(0, &["us"]), filter(1, &["l"])], "0"),
            (vec![filter(0, &["e"])], "0"),
            (vec![filter(1, &["eu"])], "0"),
        ] {
            let query = UsageQuery { filters, ..all() };
            assert_eq!(place.usage_of(&query, ALWAYS).0, expected, "{query:?}");
        }
    });
}

#[test]
fn usage_is_grouped_by_dimensions_in_the_order_of_the_values() {
    in_every_setting(|place| {
        four(&place);
        let by = |group_by: &[usize]| UsageQuery { group_by: group_by.to_vec(), ..all() };
        assert_eq!(groups(&place, &by(&[])), ["=15"]);
        assert_eq!(groups(&place, &by(&[0])), ["eu=13", "us=2"]);
        assert_eq!(groups(&place, &by(&[1])), ["l=4", "s=11"]);
        assert_eq!(groups(&place, &by(&[0, 1])), ["eu/l=4", "eu/s=9", "us/s=2"]);
        assert_eq!(groups(&place, &by(&[1, 0])), ["l/eu=4", "s/eu=9", "s/us=2"]);
        let small = UsageQuery { filters: vec![filter(1, &["s"])], ..by(&[0]) };
        assert_eq!(groups(&place, &small), ["eu=9", "us=2"]);
        let pinned = UsageQuery { as_of: Some(2), ..by(&[0]) };
        assert_eq!(groups(&place, &pinned), ["eu=1", "us=2"]);
        assert_eq!(groups(&place.reopened(), &by(&[0])), ["eu=13", "us=2"]);
    });
}

#[test]
fn each_group_has_an_amount_for_each_span() {
    in_every_setting(|place| {
        four(&place);
        let query = UsageQuery { group_by: vec![1], ..all() };
        let boundaries = [SEVEN, SEVEN + HOUR, SEVEN + 2 * HOUR].map(Timestamp);
        let groups = place.engine.usage(&query, &boundaries).unwrap();
        let sums = |at: usize| groups[at].usage.iter().map(|usage| usage.quantity.to_string());
        assert_eq!(sums(0).collect::<Vec<_>>(), ["0", "4"]);
        assert_eq!(sums(1).collect::<Vec<_>>(), ["3", "8"]);
    });
}

#[test]
fn values_that_look_alike_are_different() {
    in_every_setting(|place| {
        let values = [["a", "b"], ["ab", ""], ["", "ab"], ["a", "B"], ["a\u{0}", "b"], ["a ", "b"]];
        for (number, dimensions) in values.into_iter().enumerate() {
            place.record(&with(&dimensions, event(&number.to_string())));
        }
        let query = UsageQuery { group_by: vec![0, 1], ..all() };
        assert_eq!(groups(&place, &query).len(), values.len());
        for [first, second] in values {
            let filters = vec![filter(0, &[first]), filter(1, &[second])];
            let query = UsageQuery { filters, ..all() };
            assert_eq!(place.usage_of(&query, ALWAYS).0, "1", "{first:?} {second:?}");
        }
    });
}

#[test]
fn a_maximum_by_dimension_is_of_the_dimension() {
    in_every_setting(|place| {
        for (identifier, value, region) in [("a", "3", "eu"), ("b", "9", "us"), ("c", "5", "eu")] {
            place.record(&counted(MAX, with(&[region], event_at(identifier, SEVEN, value))));
        }
        let query = UsageQuery { group_by: vec![0], ..UsageQuery::of(series(MAX), MAX) };
        assert_eq!(groups(&place, &query), ["eu=5", "us=9"]);
    });
}

#[test]
fn a_cancelled_event_is_gone_from_its_group() {
    in_every_setting(|place| {
        four(&place);
        place.correct_done(cancel("1"));
        place.correct_done(cancel("3"));
        let query = UsageQuery { group_by: vec![0], ..all() };
        assert_eq!(groups(&place, &query), ["eu=5"]);
    });
}

fn moved(identifier: &str, dimensions: &[&str]) -> Correction {
    let amendment = Amendment {
        timestamp: Timestamp(SEVEN),
        measure: number("1"),
        dimensions: texts(dimensions),
        payload: Vec::new(),
    };
    Correction { action: Action::Amend(Box::new(amendment)), ..cancel(identifier) }
}

#[test]
fn an_amended_event_moves_to_another_group() {
    in_every_setting(|place| {
        four(&place);
        place.correct_done(moved("0", &["us", "l"]));
        let query = UsageQuery { group_by: vec![0], ..all() };
        assert_eq!(groups(&place, &query), ["eu=12", "us=3"]);
        assert_eq!(groups(&place.reopened(), &query), ["eu=12", "us=3"]);
    });
}

/// The same place, where a customer may have two combinations.
fn with_room_for_two(place: Place) -> Place {
    place.engine.close();
    let options = taximeter_usage::Options { series_max: 2, ..(place.setting.options)() };
    let engine = Engine::open(place.dir.path(), options).unwrap();
    Place { engine, ..place }
}

#[test]
fn one_combination_too_many_is_refused_and_the_identifier_stays_free() {
    in_every_setting(|place| {
        let place = with_room_for_two(place);
        place.record(&with(&["eu"], event("a")));
        let batch =
            [with(&["us"], event("b")), with(&["ap"], event("c")), with(&["eu"], event("d"))];
        let expected = [Appended::Recorded(2), Appended::TooManySeries, Appended::Recorded(3)];
        assert_eq!(place.append_all(&batch), expected);
        place.check(SUM, ALWAYS, "3");
        let place = with_room_for_two(place);
        assert_eq!(place.append(&with(&["ap"], event("c"))), Appended::TooManySeries);
        assert_eq!(place.correct(moved("a", &["ap"])), Corrected::TooManySeries);
        place.correct_done(moved("a", &["us"]));
        // Another customer and another meter have room of their own.
        place.record(&Sent { customer: customer("cus_b"), ..with(&["ap"], event("c")) });
        place.record(&counted(COUNT, with(&["ap"], event("e"))));
        place.record(&with(&["us"], event("c")));
        place.check(SUM, period(SEVEN, SEVEN + 1), "4");
    });
}

#[test]
fn without_dimensions_there_is_nothing_to_have_too_many_of() {
    in_every_setting(|place| {
        let place = with_room_for_two(place);
        for number in 0..7 {
            place.record(&event(&number.to_string()));
        }
        place.check(SUM, ALWAYS, "7");
    });
}

#[test]
fn a_customers_total_is_that_of_all_values_together_however_many_they_are() {
    in_every_setting(|place| {
        let mut sum = 0;
        for value in 0..73_i64 {
            let at = SEVEN + value % 3 * HOUR;
            let sent = event_at(&value.to_string(), at, &value.to_string());
            place.record(&with(&[&format!("value {value}")], sent));
            sum += value;
            place.check(SUM, ALWAYS, &sum.to_string());
        }
        place.record(&event_at("without values", SEVEN + HOUR, "1000"));
        place.record(&with(&["value 7"], event_at("once more", SEVEN, "101")));
        place.check(SUM, ALWAYS, &(sum + 1_101).to_string());
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "1001");
        place.correct_done(cancel("72"));
        let place = place.reopened();
        place.check(SUM, ALWAYS, &(sum + 1_029).to_string());
        place.check(SUM, period(SEVEN, SEVEN + HOUR), "929");
    });
}

#[test]
fn a_total_that_was_corrected_counts_what_comes_later_under_any_values() {
    in_every_setting(|place| {
        let record = |values: &[&str], identifier: &str, value: &str| {
            let sent = counted(MAX, event_at(identifier, SEVEN, value));
            place.record(&with(values, sent))
        };
        record(&["eu"], "a", "13");
        record(&["us"], "b", "7");
        record(&[], "c", "3");
        place.check(MAX, ALWAYS, "13");
        // The greatest is cancelled, so the hour is counted anew.
        place.correct_done(cancel("a"));
        place.check(MAX, ALWAYS, "7");
        record(&["us"], "d", "5");
        place.check(MAX, ALWAYS, "7");
        record(&["ap"], "e", "11");
        place.check(MAX, ALWAYS, "11");
        place.correct_done(cancel("e"));
        place.correct_done(cancel("b"));
        place.check(MAX, ALWAYS, "5");
        place.correct_done(cancel("d"));
        place.check(MAX, ALWAYS, "3");
        place.correct_done(restore("a"));
        place.reopened().check(MAX, ALWAYS, "13");
    });
}
