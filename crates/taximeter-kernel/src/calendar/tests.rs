//! Tests of billing periods: months of unequal length, and that periods tile all of time.
#![expect(clippy::arithmetic_side_effects, reason = "an overflow fails the test")]

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    let text = if text.contains('T') { format!("{text}Z") } else { format!("{text}T00:00:00Z") };
    Timestamp(text.parse::<Instant>().unwrap().as_second())
}

fn every(text: &str) -> Recurrence {
    let (count, interval) = text.split_once(' ').unwrap();
    Recurrence::new(Interval::parse(interval).unwrap(), count.parse().unwrap()).unwrap()
}

fn check_boundaries(recurrence: &str, anchor: &str, boundaries: &[(i64, &str)]) {
    for (k, expected) in boundaries {
        let boundary = every(recurrence).boundary(at(anchor), *k);
        assert_eq!(boundary, Ok(at(expected)), "{recurrence} from {anchor}, {k}");
    }
}

#[test]
fn months_keep_the_anchors_day_or_the_last_one() {
    check_boundaries(
        "1 month",
        "2023-01-31T13:07:11",
        &[
            (0, "2023-01-31T13:07:11"),
            (1, "2023-02-28T13:07:11"),
            (2, "2023-03-31T13:07:11"),
            (3, "2023-04-30T13:07:11"),
            (13, "2024-02-29T13:07:11"),
            (-1, "2022-12-31T13:07:11"),
            (-2, "2022-11-30T13:07:11"),
        ],
    );
    check_boundaries("3 month", "2024-11-30", &[(1, "2025-02-28"), (2, "2025-05-30")]);
    check_boundaries("1 month", "2023-02-28", &[(1, "2023-03-28"), (-1, "2023-01-28")]);
}

#[test]
fn a_leap_day_recurs_on_the_last_day_of_february() {
    check_boundaries(
        "1 year",
        "2024-02-29",
        &[(1, "2025-02-28"), (3, "2027-02-28"), (4, "2028-02-29"), (-4, "2020-02-29")],
    );
    check_boundaries("12 month", "2024-02-29", &[(1, "2025-02-28"), (4, "2028-02-29")]);
    // 2100 is no leap year.
    check_boundaries("1 year", "2096-02-29", &[(4, "2100-02-28"), (8, "2104-02-29")]);
}

#[test]
fn days_and_weeks_are_exact_seconds() {
    check_boundaries("1 day", "2024-02-28T23:59:59", &[(1, "2024-02-29T23:59:59")]);
    check_boundaries("2 week", "2024-12-25", &[(1, "2025-01-08"), (-1, "2024-12-11")]);
    assert_eq!(every("1 day").boundary(Timestamp(1_574_005_580), 1), {
        Ok(Timestamp(1_574_005_580 + 86_400))
    });
}

#[test]
fn the_period_of_an_instant_is_half_open() {
    let cases = [
        ("2023-01-31", "2023-01-31", "2023-02-28"),
        ("2023-02-27T23:59:59", "2023-01-31", "2023-02-28"),
        ("2023-02-28", "2023-02-28", "2023-03-31"),
        ("2023-03-30T23:59:59", "2023-02-28", "2023-03-31"),
        ("2023-03-31", "2023-03-31", "2023-04-30"),
        ("2023-01-30T23:59:59", "2022-12-31", "2023-01-31"),
        ("2024-02-29", "2024-02-29", "2024-03-31"),
    ];
    for (instant, start, end) in cases {
        let period = every("1 month").period_at(at("2023-01-31"), at(instant));
        assert_eq!(period, Ok(Period { start: at(start), end: at(end) }), "{instant}");
    }
    assert_eq!(
        every("3 month").period_at(at("2024-01-15"), at("2024-12-31")),
        Ok(Period { start: at("2024-10-15"), end: at("2025-01-15") })
    );
}

#[test]
fn a_recurrence_is_one_interval_to_three_years() {
    for (interval, max) in
        [(Interval::Day, 1_095), (Interval::Week, 156), (Interval::Month, 36), (Interval::Year, 3)]
    {
        assert!(Recurrence::new(interval, 1).is_ok());
        assert!(Recurrence::new(interval, max).is_ok());
        assert_eq!(Recurrence::new(interval, 0), Err(RecurrenceError::CountBelowOne));
        let longer = Recurrence::new(interval, max + 1);
        assert_eq!(longer, Err(RecurrenceError::LongerThanThreeYears));
    }
}

#[test]
fn a_time_outside_the_calendar_is_an_error() {
    for recurrence in ["1 day", "2 week", "1 month", "3 year"] {
        let r = every(recurrence);
        assert_eq!(r.boundary(Timestamp(i64::MAX), 0), Err(CalendarError), "{recurrence}");
        assert_eq!(r.boundary(Timestamp(0), i64::MAX), Err(CalendarError), "{recurrence}");
        assert_eq!(r.boundary(at("9999-06-01"), 1_000), Err(CalendarError), "{recurrence}");
        let far = r.period_at(Timestamp(i64::MIN), Timestamp(i64::MAX));
        assert_eq!(far, Err(CalendarError), "{recurrence}");
    }
}

#[test]
fn classic_subscriptions_take_one_recurrence_and_flexible_ones_multiples() {
    let cases = [
        // recurrences, classic, flexible
        ("", true, true),
        ("1 month", true, true),
        ("1 month, 1 month", true, true),
        ("1 month, 3 month", false, true),
        ("3 month, 1 month, 1 year", false, true),
        ("12 month, 1 year", false, true),
        ("1 month, 2 month, 3 month", false, true),
        ("2 month, 3 month", false, false),
        ("5 month, 1 year", false, false),
        ("1 week, 7 day", false, true),
        ("1 week, 10 day", false, false),
        ("2 day, 1 week", false, false),
        ("1 day, 1 week", false, true),
        ("1 day, 3 month", false, true),
        ("1 year, 1 day, 2 day", false, true),
        ("2 day, 1 month", false, false),
        ("31 day, 1 month", false, false),
        ("1 week, 1 month", false, false),
        ("1 day, 1 week, 1 month", false, false),
        ("1 week, 1 year", false, false),
    ];
    for (text, classic, flexible) in cases {
        let list: Vec<_> = text.split(", ").filter(|t| !t.is_empty()).map(every).collect();
        assert_eq!(compatible(&list, Mixed::Same), classic, "{text}");
        assert_eq!(compatible(&list, Mixed::Multiples), flexible, "{text}");
    }
}

fn any_recurrence() -> impl Strategy<Value = Recurrence> {
    let intervals = [Interval::Day, Interval::Week, Interval::Month, Interval::Year];
    (proptest::sample::select(intervals.to_vec()), any::<proptest::sample::Index>()).prop_map(
        |(interval, index)| {
            let count = 1 + index.index(usize::try_from(interval.count_max()).unwrap());
            Recurrence::new(interval, u32::try_from(count).unwrap()).unwrap()
        },
    )
}

/// Any second of the years 1900 to 2100 or so.
fn any_time() -> impl Strategy<Value = Timestamp> {
    (-2_208_988_800_i64..4_102_444_800).prop_map(Timestamp)
}

proptest! {
    #[test]
    fn a_period_holds_the_instant_it_was_asked_for(
        r in any_recurrence(), anchor in any_time(), instant in any_time(),
    ) {
        let period = r.period_at(anchor, instant).unwrap();
        prop_assert!(period.contains(instant), "{period:?}");
    }

    #[test]
    fn periods_tile_time(r in any_recurrence(), anchor in any_time(), instant in any_time()) {
        let period = r.period_at(anchor, instant).unwrap();
        let next = r.period_at(anchor, period.end).unwrap();
        let before = r.period_at(anchor, Timestamp(period.start.0 - 1)).unwrap();
        prop_assert_eq!(next.start, period.end);
        prop_assert_eq!(before.end, period.start);
        prop_assert_eq!(r.period_at(anchor, period.start), Ok(period));
        prop_assert_eq!(r.period_at(anchor, Timestamp(period.end.0 - 1)), Ok(period));
    }

    #[test]
    fn boundaries_rise_with_their_number(
        r in any_recurrence(), anchor in any_time(), k in -500_i64..500,
    ) {
        prop_assert_eq!(r.boundary(anchor, 0), Ok(anchor));
        prop_assert!(r.boundary(anchor, k).unwrap() < r.boundary(anchor, k + 1).unwrap());
    }

    #[test]
    fn a_month_boundary_has_the_anchors_day_or_its_months_last(
        anchor in any_time(), k in -500_i64..500,
    ) {
        let from = civil(anchor).unwrap();
        let to = civil(every("1 month").boundary(anchor, k).unwrap()).unwrap();
        prop_assert_eq!(to.time(), from.time());
        prop_assert_eq!(to.day(), from.day().min(to.date().days_in_month()));
    }

    #[test]
    fn a_year_is_twelve_months(anchor in any_time(), k in -100_i64..100) {
        let by_months = every("1 month").boundary(anchor, 12 * k);
        prop_assert_eq!(every("1 year").boundary(anchor, k), by_months);
    }
}

#[test]
fn the_next_day_and_time_is_the_first_one_after_now() {
    let at = |text: &str| Timestamp::from_rfc3339(text).unwrap();
    let day = |day| DayAndTime { month: None, day, hour: None, minute: None, second: None };
    let noon = |day| DayAndTime { hour: Some(12), minute: Some(0), second: Some(0), ..day };
    for (now, wanted, next) in [
        ("2026-01-30T11:07:05Z", day(31), "2026-01-31T11:07:05Z"),
        // Now itself is not after now.
        ("2026-01-31T11:07:05Z", day(31), "2026-02-28T11:07:05Z"),
        ("2026-01-31T11:07:05Z", noon(day(31)), "2026-01-31T12:00:00Z"),
        ("2026-01-31T13:07:05Z", noon(day(31)), "2026-02-28T12:00:00Z"),
        ("2027-12-15T13:00:00Z", day(1), "2028-01-01T13:00:00Z"),
        (
            "2027-03-01T00:00:00Z",
            DayAndTime { month: Some(2), ..noon(day(30)) },
            "2028-02-29T12:00:00Z",
        ),
    ] {
        assert_eq!(next_on(at(now), wanted), Ok(at(next)), "{now} {wanted:?}");
    }
    assert_eq!(next_on(at("2026-01-31T13:07:05Z"), day(300)), Err(CalendarError));
    assert_eq!(
        next_on(at("2026-01-31T13:07:05Z"), DayAndTime { month: Some(13), ..day(3) }),
        Err(CalendarError)
    );
}
