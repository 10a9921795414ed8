//! Reading records without copying their texts.

use taximeter_kernel::aggregate::Measure;
use taximeter_kernel::decimal::Decimal;

use super::chunk::{ChunkParts, Chunks, Group};
use super::shape::Shapes;
use super::text::Text;
use super::{EventView, View, Was, flags};
use crate::codec::{Malformed, Reader};
use crate::event::{RequestKey, Standing};

/// Goes over the records of a frame, which are chunks one after another.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    chunks: Chunks<'a>,
    chunk: Option<ChunkParts<'a>>,
    group: Reader<'a>,
    /// How many records of the group are left.
    left: u32,
    context: Context<'a>,
}

/// What the next record was written relative to.
#[derive(Debug, Default)]
struct Context<'a> {
    shapes: Shapes<'a>,
    /// The shape of the record before; that of the first when there is none in the group.
    shape: usize,
    /// Whether there is an event before: nothing in a group refers to another group.
    has_event: bool,
    customer: &'a str,
    timestamp: i64,
    received: i64,
    dimensions: Vec<&'a str>,
    values: Vec<Text<'a>>,
}

impl<'a> Cursor<'a> {
    /// Begins at the first record in `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            chunks: Chunks::new(bytes),
            chunk: None,
            group: Reader::new(&[]),
            left: 0,
            context: Context::default(),
        }
    }

    /// Goes over the records of one group.
    pub(crate) fn of_group(group: Group<'a>) -> Result<Self, Malformed> {
        let mut cursor = Self::new(&[]);
        cursor.context.shapes.read(group.shapes)?;
        cursor.begin_group(&group);
        Ok(cursor)
    }

    /// Goes over the records of another group of the same chunk from now on.
    pub(super) fn begin_group(&mut self, group: &Group<'a>) {
        self.left = group.records;
        self.group = Reader::new(group.bytes);
        self.context.begin_group();
    }

    /// The bytes of the group that are still to be read.
    pub(super) fn rest_of_group(&self) -> &'a [u8] {
        self.group.rest()
    }

    /// The next record, until the one after it is asked for.
    pub(crate) fn next(&mut self) -> Result<Option<View<'_>>, Malformed> {
        if !self.find_group(0)?.1 {
            return Ok(None);
        }
        self.left = self.left.saturating_sub(1);
        let view = read_record(&mut self.group, &mut self.context)?;
        if self.left == 0 && !self.group.is_empty() {
            return Err(Malformed);
        }
        Ok(Some(view))
    }

    /// Passes over `records`, without reading those of whole groups.
    pub(crate) fn skip(&mut self, records: u32) -> Result<(), Malformed> {
        let (mut to_skip, found) = self.find_group(records)?;
        while found && to_skip > 0 {
            self.next()?;
            to_skip = to_skip.saturating_sub(1);
        }
        if to_skip > 0 { Err(Malformed) } else { Ok(()) }
    }

    /// Makes the group that holds the record after `skip` others the current one. Gives how many
    /// are still to be skipped in it, and whether there is such a group.
    fn find_group(&mut self, mut skip: u32) -> Result<(u32, bool), Malformed> {
        loop {
            if skip < self.left {
                return Ok((skip, true));
            }
            skip = skip.saturating_sub(self.left);
            self.left = 0;
            match &mut self.chunk {
                Some(chunk) if chunk.records() > skip => {
                    if let Some(group) = chunk.next_group()? {
                        self.begin_group(&group);
                    }
                }
                Some(chunk) => {
                    skip = skip.saturating_sub(chunk.records());
                    self.chunk = None;
                }
                None => {
                    let Some(chunk) = self.chunks.next()? else { return Ok((skip, false)) };
                    if chunk.records() > skip {
                        self.context.shapes.read(chunk.shapes())?;
                    }
                    self.chunk = Some(chunk);
                }
            }
        }
    }
}

fn read_record<'v, 'a>(
    reader: &mut Reader<'a>,
    context: &'v mut Context<'a>,
) -> Result<View<'v>, Malformed> {
    let first = reader.byte()?;
    let kind = first & flags::KIND;
    let more = match kind {
        flags::EVENT => 0,
        _ => reader.byte()?,
    };
    if more & !flags::ALL != 0 {
        return Err(Malformed);
    }
    Ok(match kind {
        flags::EVENT | flags::EVENT_WITH_MORE => {
            View::Event(context.read_event(reader, first, more)?)
        }
        flags::AMEND => {
            let event_seq = reader.u64()?;
            let was = read_was(reader)?;
            View::Amended { event_seq, was, event: context.read_event(reader, first, more)? }
        }
        flags::CANCEL | flags::RESTORE => View::Standing {
            standing: if kind == flags::CANCEL { Standing::Cancelled } else { Standing::Counts },
            event_seq: reader.u64()?,
            event: context.read_event(reader, first, more)?,
        },
        _ => return Err(Malformed),
    })
}

impl<'a> Context<'a> {
    fn begin_group(&mut self) {
        self.shape = 0;
        self.has_event = false;
    }

    fn read_shape(&mut self, reader: &mut Reader<'a>, first: u8) -> Result<(), Malformed> {
        if first & flags::SAME_SHAPE == 0 {
            self.shape = reader.length()?;
        }
        Ok(())
    }

    fn read_event(
        &mut self,
        reader: &mut Reader<'a>,
        first: u8,
        more: u8,
    ) -> Result<EventView<'_>, Malformed> {
        const REPEATS: u8 = flags::SAME_CUSTOMER | flags::SAME_RECEIVED | flags::SAME_DIMENSIONS;
        if first & REPEATS != 0 && !self.has_event {
            return Err(Malformed);
        }
        self.read_shape(reader, first)?;
        self.read_times(reader, first)?;
        if first & flags::SAME_CUSTOMER == 0 {
            self.customer = reader.text()?;
        }
        let identifier = read_identifier(reader, first)?;
        let measure = read_measure(reader, more)?;
        let request = match more & flags::REQUEST {
            0 => None,
            _ => Some(RequestKey {
                key: u128::from_le_bytes(reader.array()?),
                fingerprint: u64::from_le_bytes(reader.array()?),
            }),
        };
        let backfill = match more & flags::BACKFILL {
            0 => None,
            _ => Some(reader.text()?),
        };
        let (shape, keys) = self.shapes.get(self.shape)?;
        if first & flags::SAME_DIMENSIONS == 0 {
            self.dimensions.clear();
            // No room by the count, which is not to be trusted before the texts are there.
            for _ in 0..shape.dimensions {
                self.dimensions.push(reader.text()?);
            }
        } else if self.dimensions.len() != shape.dimensions {
            return Err(Malformed);
        }
        self.values.clear();
        for _ in keys {
            let value = read_value(reader, self.customer, measure, &self.dimensions)?;
            self.values.push(value);
        }
        self.has_event = true;
        Ok(EventView {
            account: shape.account,
            mode: shape.mode,
            meter: shape.meter,
            aggregation: shape.aggregation,
            event_name: shape.event_name,
            customer: self.customer,
            identifier,
            timestamp: self.timestamp,
            received: self.received,
            measure,
            dimensions: &self.dimensions,
            request,
            backfill,
            shape: self.shape,
            keys,
            values: &self.values,
        })
    }

    fn read_times(&mut self, reader: &mut Reader<'a>, first: u8) -> Result<(), Malformed> {
        if !self.has_event {
            self.received = reader.i64()?;
            self.timestamp = self.received;
        } else if first & flags::SAME_RECEIVED == 0 {
            self.received = self.received.wrapping_add(reader.i64()?);
        }
        self.timestamp = self.timestamp.wrapping_add(reader.i64()?);
        Ok(())
    }
}

fn read_was<'a>(reader: &mut Reader<'a>) -> Result<Was<&'a str>, Malformed> {
    let timestamp = reader.i64()?;
    let flags = reader.byte()?;
    let measure = read_measure(reader, flags)?;
    let mut dimensions = Vec::new();
    for _ in 0..reader.length()? {
        dimensions.push(reader.text()?);
    }
    Ok(Was { timestamp, measure, dimensions })
}

fn read_value<'a>(
    reader: &mut Reader<'a>,
    customer: &'a str,
    measure: Measure,
    dimensions: &[&'a str],
) -> Result<Text<'a>, Malformed> {
    Ok(match reader.u64()? {
        flags::VALUE_CUSTOMER => Text::Plain(customer),
        flags::VALUE_MEASURE => match measure {
            Measure::Number(number) => Text::Number(number),
            Measure::Member(_) => return Err(Malformed),
        },
        at if at < flags::VALUE_TEXT => {
            let at = usize::try_from(at.wrapping_sub(flags::VALUE_DIMENSION));
            Text::Plain(at.ok().and_then(|at| dimensions.get(at)).ok_or(Malformed)?)
        }
        length => {
            let length = usize::try_from(length.wrapping_sub(flags::VALUE_TEXT));
            Text::Plain(text(reader, length.map_err(|_| Malformed)?)?)
        }
    })
}

fn text<'a>(reader: &mut Reader<'a>, bytes: usize) -> Result<&'a str, Malformed> {
    std::str::from_utf8(reader.bytes(bytes)?).map_err(|_| Malformed)
}

fn read_identifier<'a>(reader: &mut Reader<'a>, first: u8) -> Result<Text<'a>, Malformed> {
    Ok(match first & flags::UUID {
        0 => Text::Plain(reader.text()?),
        _ => Text::Uuid(reader.array()?),
    })
}

fn read_measure(reader: &mut Reader<'_>, more: u8) -> Result<Measure, Malformed> {
    if more & flags::MEMBER != 0 {
        return Ok(Measure::Member(u128::from_le_bytes(reader.array()?)));
    }
    let mantissa = reader.signed()?;
    let scale = match more & flags::SCALED {
        0 => 0,
        _ => reader.byte()?,
    };
    Decimal::new(mantissa, scale).map(Measure::Number).map_err(|_| Malformed)
}
