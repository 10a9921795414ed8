//! The head of a request, read where it lies in the buffer.

use crate::head::Head;

/// How every request of the lane begins.
const FIRST_LINE: &[u8] = b"POST /v1/billing/meter_events HTTP/1.1\r\n";
/// The most header fields; a request with more goes the general way.
const FIELDS_MAX: usize = 32;
/// The longest head, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1_024;
/// The longest body, in bytes: no event is larger than this.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// What stands at the beginning of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begin<'a> {
    /// The whole of a request that the lane answers.
    Whole(Request<'a>),
    /// What may become one.
    Part,
    /// Something else.
    Other,
}

/// A request of the lane.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) head: Head<'a>,
    pub(super) body: &'a [u8],
    /// How many bytes of the buffer it takes up.
    pub(super) bytes: usize,
}

/// Says what `buffer` begins with.
///
/// What is in any way unusual is [`Begin::Other`]: another version, a chunked body, `Expect`, a
/// field that comes twice. So nothing here has to be lenient, and two readers of one request cannot
/// disagree on where it ends.
pub(super) fn begin(buffer: &[u8]) -> Begin<'_> {
    let shown = buffer.len().min(FIRST_LINE.len());
    if buffer[..shown] != FIRST_LINE[..shown] {
        return Begin::Other;
    }
    if buffer.len() <= FIRST_LINE.len() {
        return Begin::Part;
    }
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let parsed = httparse::parse_headers(&buffer[FIRST_LINE.len()..], &mut fields);
    match parsed {
        Ok(httparse::Status::Complete((length, fields))) => {
            let body_at = FIRST_LINE.len() + length;
            let Some((head, body_bytes)) = read(fields) else { return Begin::Other };
            let bytes = body_at + body_bytes;
            match buffer.get(body_at..bytes) {
                Some(body) => Begin::Whole(Request { head, body, bytes }),
                None => Begin::Part,
            }
        }
        Ok(httparse::Status::Partial) if buffer.len() < HEAD_BYTES_MAX => Begin::Part,
        _ => Begin::Other,
    }
}

/// The fields that matter, and the length of the body; nothing if the request is unusual.
fn read<'a>(fields: &[httparse::Header<'a>]) -> Option<(Head<'a>, usize)> {
    let mut head = Head::default();
    let mut length = None;
    for field in fields {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let place = match field.name.len() {
            4 if is("host") => continue,
            6 if is("expect") => return None,
            7 if is("upgrade") || is("trailer") => return None,
            10 if is("connection") => {
                if field.value.eq_ignore_ascii_case(b"keep-alive") {
                    continue;
                }
                return None;
            }
            12 if is("content-type") => &mut head.content_type,
            13 if is("authorization") => &mut head.authorization,
            14 if is("content-length") => &mut length,
            14 if is("stripe-version") => &mut head.version,
            15 if is("idempotency-key") => &mut head.idempotency_key,
            17 if is("transfer-encoding") => return None,
            _ => continue,
        };
        if place.replace(field.value).is_some() {
            return None;
        }
    }
    Some((head, decimal(length?)?))
}

/// A length of at most [`BODY_BYTES_MAX`], in digits and nothing else.
fn decimal(digits: &[u8]) -> Option<usize> {
    // More digits than this are more than the limit, or zeros that nobody writes.
    if digits.is_empty() || digits.len() > 6 {
        return None;
    }
    let mut number = 0;
    for digit in digits {
        number = number * 10 + usize::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (number <= BODY_BYTES_MAX).then_some(number)
}
