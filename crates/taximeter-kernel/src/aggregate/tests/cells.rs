//! Cells: merging, taking out, and their bytes.

use super::*;

/// The events of one hour, for an aggregation.
fn one_hour() -> impl Strategy<Value = (Aggregation, Vec<Counted>)> {
    case().prop_map(|(aggregation, mut events)| {
        for event in &mut events {
            event.timestamp.0 = event.timestamp.0.rem_euclid(HOUR_S);
        }
        (aggregation, events)
    })
}

fn bytes(cell: &Cell) -> Vec<u8> {
    let mut bytes = Vec::new();
    cell.encode(&mut bytes);
    bytes
}

#[test]
fn an_hour_is_a_few_bytes() {
    let check = |formula, events: &[Counted], expected: &[u8]| {
        let cell = cell_of(Aggregation::new(formula), events);
        assert_eq!(bytes(&cell), expected, "{formula:?}");
    };
    let three = [event(13, 1, "2"), event(17, 2, "2.25"), event(11, 300, "2.75")];
    check(Formula::Sum, &three, &[1, 6, 1, 7]);
    check(Formula::Count, &three, &[2, 6]);
    check(Formula::Last, &three, &[0x83, 6, 2, 34, 2 * 13 + 2, 225, 0]);
    check(Formula::Max, &three, &[0x84, 6, 2 * 13 + 2, 19, 1]);
    check(Formula::Min, &three, &[0x85, 6, 1, 2]);
    check(Formula::WeightedSum, &three, &[6, 6, 1, 7, 13 + 2, 177, 3]);
    check(Formula::Sum, &[event(13, 1, "-1")], &[1, 2, 1, 255]);
    check(Formula::Sum, &[event(13, 1, "128")], &[1, 2, 2, 128, 0]);
    check(Formula::Sum, &[], &[1, 0, 0]);
    check(Formula::Max, &[], &[4, 0]);
    let survivor = Aggregation { formula: Formula::Sum, window: Some(Window::Hour) };
    assert_eq!(bytes(&cell_of(survivor, &three)), [0x87, 172, 2, 22, 28, 19, 1]);
}

#[test]
fn bytes_of_no_cell_are_refused() {
    let check = |bytes: &[u8]| assert_eq!(Cell::decode(bytes), None, "{bytes:?}");
    check(&[]);
    check(&[0, 2]);
    check(&[8, 2]);
    // Only some kinds hold something.
    check(&[0x81, 2, 1, 7]);
    check(&[0x82, 2]);
    // A count of more than 64 bits, and one that goes on for ever.
    check(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]);
    check(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0]);
    assert!(Cell::decode(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]).is_some());
    // 19 digits after the point, though the last is a zero; a member where a number is due.
    check(&[0x84, 2, 255, 19, 1, 10]);
    check(&[0x84, 2, 254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    // A number of 33 bytes; one of 17, which no decimal is and a sum may be.
    check(&[&[1, 2, 255, 0, 33][..], &[1; 33]].concat());
    check(&[&[0x84, 2, 255, 0, 17][..], &[1; 17]].concat());
    assert!(Cell::decode(&[&[1, 2, 255, 18, 17][..], &[1; 17]].concat()).is_some());
}

#[test]
fn a_cell_in_memory_is_small() {
    assert!(size_of::<Cell>() <= 96, "{}", size_of::<Cell>());
}

#[test]
fn cells_of_different_formulas_do_not_merge() {
    let event = event(13, 1, "7");
    let mut sum = cell_of(Aggregation::new(Formula::Sum), &[event]);
    let before = sum;
    for formula in [Formula::Count, Formula::Max, Formula::WeightedSum] {
        let other = cell_of(Aggregation::new(formula), &[event]);
        assert_eq!(sum.merge(&other), Err(CellError::Kind), "{formula:?}");
        assert_eq!(sum, before);
    }
}

#[test]
fn an_event_that_the_cell_does_not_hold_is_taken_out_and_the_one_it_holds_is_not() {
    let events = [event(13, 1, "2"), event(17, 2, "5"), event(11, 3, "5"), event(12, 4, "-1")];
    let check = |aggregation, recounted: &[u64]| {
        for taken in &events {
            let mut cell = cell_of(aggregation, &events);
            let whole = cell;
            let removal = cell.remove(taken);
            let expected =
                if recounted.contains(&taken.seq) { Removal::Recount } else { Removal::Done };
            assert_eq!(removal, expected, "{aggregation:?} {taken:?}");
            assert_eq!(cell == whole, removal == Removal::Recount, "{aggregation:?} {taken:?}");
        }
    };
    for formula in [Formula::Sum, Formula::Average, Formula::Count, Formula::WeightedSum] {
        check(Aggregation::new(formula), &[]);
    }
    check(Aggregation::new(Formula::Last), &[2]);
    check(Aggregation::new(Formula::Max), &[2, 3]);
    check(Aggregation::new(Formula::Min), &[4]);
    let survivor = Aggregation { formula: Formula::Sum, window: Some(Window::Day) };
    let mut cell = cell_of(survivor, &events);
    assert_eq!(cell.remove(&events[0]), Removal::Done);
    assert_eq!(cell, cell_of(survivor, &events));
    assert_eq!(cell.remove(&events[3]), Removal::Recount);
}

#[test]
fn a_change_that_holds_nothing_cannot_know_what_the_cell_holds() {
    for formula in [Formula::Last, Formula::Max, Formula::Min] {
        let mut change = Cell::empty(Aggregation::new(formula));
        assert_eq!(change.remove(&event(13, 1, "2")), Removal::Recount, "{formula:?}");
        assert_eq!(change, Cell::empty(Aggregation::new(formula)));
    }
}

proptest! {
    #[test]
    fn merging_is_commutative_and_associative(
        (aggregation, events) in one_hour(), i in 0_usize..30, j in 0_usize..30,
    ) {
        let (i, j) = (i.min(j).min(events.len()), i.max(j).min(events.len()));
        let of = |events| cell_of(aggregation, events);
        let (a, b, c) = (of(&events[..i]), of(&events[i..j]), of(&events[j..]));
        prop_assert_eq!(merged(a, &b), merged(b, &a));
        prop_assert_eq!(merged(merged(a, &b), &c), merged(a, &merged(b, &c)));
        prop_assert_eq!(merged(merged(a, &b), &c), of(&events));
        prop_assert_eq!(merged(a, &Cell::empty(aggregation)), a);
    }

    #[test]
    fn the_order_of_adding_does_not_matter((aggregation, events) in one_hour()) {
        prop_assert_eq!(
            cell_of(aggregation, events.iter().rev()),
            cell_of(aggregation, &events)
        );
    }

    #[test]
    fn what_is_taken_out_was_never_added(
        (aggregation, events) in one_hour(), cut in 0_usize..30, which in any::<prop::sample::Index>(),
    ) {
        prop_assume!(!events.is_empty());
        let which = which.index(events.len());
        let never = cell_of(
            aggregation,
            events.iter().enumerate().filter(|(index, _)| *index != which).map(|(_, event)| event),
        );
        // In the cell itself, and in a change of it with the events that came later.
        let (base, later) = events.split_at(cut.clamp(0, which));
        let after = &events[which + 1..];
        let splits = [(&[][..], &events[..]), (&events[..=which], after), (base, later)];
        for (base, later) in splits {
            let mut change = cell_of(aggregation, later);
            let before = change;
            match change.remove(&events[which]) {
                Removal::Done => {
                    prop_assert_eq!(merged(change, &cell_of(aggregation, base)), never);
                }
                Removal::Recount => prop_assert_eq!(change, before),
            }
        }
    }

    #[test]
    fn sums_and_counts_never_need_to_be_counted_anew(
        formula in prop::sample::select(vec![
            Formula::Sum,
            Formula::Average,
            Formula::Count,
            Formula::UniqueCount,
            percentile(950),
            Formula::WeightedSum,
        ]),
        number in any_number(),
        timestamp in 0..HOUR_S,
    ) {
        let windowless = Aggregation::new(formula);
        let measure = Measure::Number(number);
        let event = &Counted { seq: 7, timestamp: Timestamp(timestamp), measure };
        let mut change = Cell::empty(windowless);
        prop_assert_eq!(change.remove(event), Removal::Done);
        let mut both = change;
        both.add(event).unwrap();
        prop_assert_eq!(both, Cell::empty(windowless));
        prop_assert_eq!(change.count(), -1);
    }

    #[test]
    fn a_cell_reads_back_from_its_bytes(
        (aggregation, events) in one_hour(), which in any::<prop::sample::Index>(), more: Vec<u8>,
    ) {
        let mut cell = cell_of(aggregation, &events);
        if !events.is_empty() {
            // A negative count, where the formula takes it.
            let event = events[which.index(events.len())];
            for _ in 0..40 {
                if cell.remove(&event) == Removal::Recount {
                    break;
                }
            }
        }
        let mut written = bytes(&cell);
        let length = written.len();
        written.extend(more);
        prop_assert_eq!(Cell::decode(&written), Some((cell, length)));
        for short in 0..length {
            prop_assert_eq!(Cell::decode(&written[..short]), None);
        }
    }

    #[test]
    fn any_bytes_are_a_cell_or_none(
        kind in prop_oneof![0_u8..9, 0x80_u8..0x89, any::<u8>()], rest: Vec<u8>,
    ) {
        let mut read = vec![kind];
        read.extend(rest);
        if let Some((cell, length)) = Cell::decode(&read) {
            prop_assert!(length <= read.len());
            let again = bytes(&cell);
            prop_assert_eq!(Cell::decode(&again), Some((cell, again.len())));
        }
        if let Some((sum, length)) = WideSum::decode(&read) {
            prop_assert!(length <= read.len());
            let mut again = Vec::new();
            sum.encode(&mut again);
            prop_assert_eq!(WideSum::decode(&again), Some((sum, again.len())));
        }
    }
}
