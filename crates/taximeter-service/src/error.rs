//! What can go wrong, told twice: once for the client, once for us.
//!
//! The client sees [`Kind`], `code`, `message` and `param`, in the words Stripe's SDKs expect. We see
//! the source chain, which is logged once at the edge and never sent.

use std::error::Error as StdError;
use std::fmt;

use serde_json::Value;
use taximeter_db::DbError;
use taximeter_kernel::id::Mode;

/// What went wrong, as a class: it decides the HTTP status and the `type` of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request is wrong, and would be wrong again.
    InvalidRequest,
    /// 401: no key, or one we do not know.
    Authentication,
    /// 401 with type `temporary_session_expired`: the token was good once.
    SessionExpired,
    /// 402: the payment method was refused.
    Card,
    /// 403: the key may not do this.
    Permission,
    /// 404: the address names nothing.
    NotFound,
    /// 405 in HTTP's terms; Stripe answers an unknown method on a known path as it does an unknown path.
    UnknownRoute,
    /// 400 with type `idempotency_error`: the key was used for another request.
    IdempotencyMismatch,
    /// 409 with type `idempotency_error`: the same request is still being answered.
    IdempotencyInFlight,
    /// 409: two requests would change the same thing.
    Conflict,
    /// 413: the body is larger than the limit.
    TooLarge,
    /// 429: more than we take at once.
    RateLimit,
    /// 500: our fault.
    Internal,
    /// 503: cannot answer now; a retry may succeed.
    Unavailable,
}

impl Kind {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::IdempotencyMismatch => 400,
            Self::Authentication | Self::SessionExpired => 401,
            Self::Card => 402,
            Self::Permission => 403,
            Self::NotFound | Self::UnknownRoute => 404,
            Self::IdempotencyInFlight | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The `type` member of the error body: one of the four of v1, or one that v2 has of its own.
    #[must_use]
    pub const fn wire_type(self) -> &'static str {
        match self {
            Self::Internal | Self::Unavailable => "api_error",
            Self::Card => "card_error",
            Self::SessionExpired => "temporary_session_expired",
            Self::IdempotencyMismatch | Self::IdempotencyInFlight => "idempotency_error",
            Self::InvalidRequest
            | Self::Authentication
            | Self::Permission
            | Self::NotFound
            | Self::UnknownRoute
            | Self::Conflict
            | Self::TooLarge
            | Self::RateLimit => "invalid_request_error",
        }
    }
}

/// An answer that is not the one asked for.
#[derive(Debug)]
pub struct Error {
    /// The class of the error.
    pub kind: Kind,
    /// The stable name a program can match on, one of Stripe's.
    pub code: Option<&'static str>,
    /// The name that v2 has for it, where that is another one.
    pub v2_code: Option<&'static str>,
    /// The sentence for the developer who reads it.
    pub message: String,
    /// The parameter at fault, as a bracket path: `items[0][price]`.
    pub param: Option<String>,
    /// Whether the request was refused before anything ran (so an idempotency key stays unused).
    pub before_execution: bool,
    /// What it tells of a payment that was refused.
    pub payment: Option<Box<RefusedPayment>>,
    keeps: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What the error of a refused payment tells beyond others.
#[derive(Debug, Default)]
pub struct RefusedPayment {
    /// Why the bank declined.
    pub decline_code: Option<&'static str>,
    /// The charge that failed.
    pub charge: Option<String>,
    /// The payment intent as it is now.
    pub payment_intent: Option<Value>,
    /// The payment method that was refused.
    pub payment_method: Option<Value>,
    /// The setup intent as it is now.
    pub setup_intent: Option<Value>,
}

/// The result of a verb.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: None,
            v2_code: None,
            message: message.into(),
            param: None,
            before_execution: false,
            payment: None,
            keeps: false,
            source: None,
        }
    }

    /// A 400 that says `message`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidRequest, message)
    }

    /// A 500: `source` is for the log, the client learns only that it was not the client's fault.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let message = "An error occurred on our side. It has been logged with this request's id.";
        Self { source: Some(source.into()), ..Self::new(Kind::Internal, message) }
    }

    /// The same error with a code.
    #[must_use]
    pub fn code(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    /// The same error with a code that only v2 shows.
    #[must_use]
    pub fn v2_code(mut self, code: &'static str) -> Self {
        self.v2_code = Some(code);
        self
    }

    /// The same error, blaming a parameter.
    #[must_use]
    pub fn param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same error of a part of the request: `price` within `items[0]` is `items[0][price]`.
    #[must_use]
    pub fn within(mut self, path: &str) -> Self {
        self.param = self.param.map(|param| match param.split_once('[') {
            Some((name, rest)) => format!("{path}[{name}][{rest}"),
            None => format!("{path}[{param}]"),
        });
        self
    }

    /// The same error, with what it tells of a refused payment.
    #[must_use]
    pub fn of_payment(mut self, payment: RefusedPayment) -> Self {
        self.payment = Some(Box::new(payment));
        self
    }

    /// The same error, as the answer to work that lasts: a payment was declined, and that it was is
    /// on record. Without this the work of a verb that fails is undone.
    #[must_use]
    pub const fn keeping(mut self) -> Self {
        self.keeps = true;
        self
    }

    /// Whether the work that came to this error lasts.
    #[must_use]
    pub const fn keeps_work(&self) -> bool {
        self.keeps
    }

    /// The same error, with what we want to see in the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same error, marked as found before anything ran.
    #[must_use]
    pub fn before_execution(mut self) -> Self {
        self.before_execution = true;
        self
    }

    /// `Missing required param: currency.`
    pub fn missing(param: impl Into<String>) -> Self {
        let param = param.into();
        Self::invalid(format!("Missing required param: {param}."))
            .code("parameter_missing")
            .param(param)
    }

    /// `No such customer: 'cus_x'`, for an id that came as a parameter (400).
    pub fn no_such(noun: &str, id: &str, param: impl Into<String>) -> Self {
        Self::invalid(format!("No such {noun}: '{id}'")).code("resource_missing").param(param)
    }

    /// `No such customer: 'cus_x'`, for an id in the path (404).
    pub fn no_such_path(noun: &str, id: &str) -> Self {
        Self::no_such(noun, id, "id").not_found()
    }

    /// The same error as a 404.
    #[must_use]
    pub fn not_found(mut self) -> Self {
        self.kind = Kind::NotFound;
        self
    }

    /// The same error, with Stripe's hint when the object exists in the other mode.
    #[must_use]
    pub fn in_other_mode(mut self, elsewhere: bool, asked: Mode) -> Self {
        if elsewhere {
            let other = if asked.is_live() { Mode::Test } else { Mode::Live };
            self.message.push_str(&format!(
                "; a similar object exists in {} mode, but a {} mode key was used to make this \
                 request.",
                other.as_str(),
                asked.as_str()
            ));
        }
        self
    }

    /// Whether this answer may be kept under an idempotency key: only what execution itself decided.
    #[must_use]
    pub const fn is_outcome(&self) -> bool {
        !self.before_execution
            && matches!(
                self.kind,
                Kind::InvalidRequest | Kind::Card | Kind::NotFound | Kind::Permission
            )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| -> &(dyn StdError + 'static) { source.as_ref() })
    }
}

impl From<DbError> for Error {
    /// What a retry may mend is said so, in the form that SDKs retry; the rest is our fault.
    fn from(error: DbError) -> Self {
        if !error.is_transient() {
            return Self::internal(error);
        }
        let message = "Another request is changing the same object. Try again in a moment.";
        Self::new(Kind::Conflict, message).code("lock_timeout").because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_of_a_part_is_named_within_the_request() {
        for (param, full) in
            [("timestamp", "events[7][timestamp]"), ("payload[a]", "events[7][payload][a]")]
        {
            let error = Error::invalid("x").param(param).within("events[7]");
            assert_eq!(error.param.as_deref(), Some(full));
        }
    }
}
