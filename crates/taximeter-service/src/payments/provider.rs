//! Who collects: the seam between what is to be paid and those who move the money.
//!
//! A provider is asked for one attempt, named by a key that is the same however often the attempt
//! is begun again, and says what came of it. [`Provider::Test`] decides at once, by the card. One
//! that goes over a network is asked outside of any transaction: the intent is committed as
//! `processing` first (asked, and nobody knows), then the provider is asked under that key, then
//! what it said is recorded by the same code.

use taximeter_kernel::id::Mode;
use taximeter_kernel::money::Currency;

use super::decline::Decline;
use crate::error::{Error, Kind};
use crate::refunds;

crate::choice! {
    /// What a card of the test provider does.
    pub enum Behaviour {
        /// It pays.
        Succeeds = "succeeds",
        /// It is declined, without a reason.
        Declined = "declined",
        /// It is declined: there is not enough money.
        InsufficientFunds = "insufficient_funds",
        /// It is declined: its owner lost it.
        LostCard = "lost_card",
        /// It is declined: it was stolen.
        StolenCard = "stolen_card",
        /// It is declined: it is past its time.
        ExpiredCard = "expired_card",
        /// It is declined: its code is wrong.
        IncorrectCvc = "incorrect_cvc",
        /// It is declined: something went wrong on the way.
        ProcessingError = "processing_error",
        /// It is declined: it was used too often.
        VelocityExceeded = "velocity_exceeded",
        /// It is declined: it looks like fraud.
        Fraudulent = "fraudulent",
        /// It can be attached, and each charge of it is declined.
        DeclinesOnceAttached = "declines_once_attached",
        /// Its owner must authenticate each payment.
        AuthenticatesAlways = "authenticates_always",
        /// Its owner must authenticate unless it was set up and they are away.
        AuthenticatesUnlessSetUp = "authenticates_unless_set_up",
        /// Its owner must authenticate only when they are there.
        AuthenticatesOnSession = "authenticates_on_session",
        /// Its owner must authenticate, and then it is declined.
        AuthenticatesThenDeclined = "authenticates_then_declined",
        /// Its owner must authenticate, and then there is not enough money.
        AuthenticatesThenFunds = "authenticates_then_insufficient_funds",
    }
}

/// Whether the one who pays is there to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// They are.
    On,
    /// They are not: it is a renewal, or a retry.
    Off,
}

impl Behaviour {
    /// Why the card cannot be attached to a customer or set up, if it cannot.
    #[must_use]
    pub const fn refuses_attaching(self) -> Option<Decline> {
        match self {
            Self::Declined => Some(Decline::Generic),
            Self::InsufficientFunds => Some(Decline::InsufficientFunds),
            Self::LostCard => Some(Decline::LostCard),
            Self::StolenCard => Some(Decline::StolenCard),
            Self::ExpiredCard => Some(Decline::ExpiredCard),
            Self::IncorrectCvc => Some(Decline::IncorrectCvc),
            Self::ProcessingError => Some(Decline::ProcessingError),
            Self::VelocityExceeded => Some(Decline::VelocityExceeded),
            Self::Fraudulent => Some(Decline::Fraudulent),
            Self::Succeeds
            | Self::DeclinesOnceAttached
            | Self::AuthenticatesAlways
            | Self::AuthenticatesUnlessSetUp
            | Self::AuthenticatesOnSession
            | Self::AuthenticatesThenDeclined
            | Self::AuthenticatesThenFunds => None,
        }
    }

    /// What comes of charging it.
    const fn charged(self, session: Session, set_up: bool) -> Answer {
        match (self, session) {
            (Self::Succeeds, _) | (Self::AuthenticatesOnSession, Session::Off) => Answer::Paid,
            (Self::AuthenticatesUnlessSetUp, Session::Off) if set_up => Answer::Paid,
            (Self::DeclinesOnceAttached, _) => Answer::Declined(Decline::Generic),
            (
                Self::AuthenticatesAlways
                | Self::AuthenticatesUnlessSetUp
                | Self::AuthenticatesOnSession
                | Self::AuthenticatesThenDeclined
                | Self::AuthenticatesThenFunds,
                _,
            ) => Answer::RequiresAction,
            (declined, _) => match declined.refuses_attaching() {
                Some(decline) => Answer::Declined(decline),
                None => Answer::Paid,
            },
        }
    }

    /// Whether its owner must authenticate for it to be set up.
    #[must_use]
    pub const fn authenticates_setup(self) -> bool {
        matches!(
            self,
            Self::AuthenticatesAlways
                | Self::AuthenticatesUnlessSetUp
                | Self::AuthenticatesThenDeclined
                | Self::AuthenticatesThenFunds
        )
    }

    /// What comes of the charge that its owner authenticated.
    const fn authenticated(self) -> Answer {
        match self {
            Self::AuthenticatesThenDeclined => Answer::Declined(Decline::Generic),
            Self::AuthenticatesThenFunds => Answer::Declined(Decline::InsufficientFunds),
            _ => Answer::Paid,
        }
    }
}

/// One attempt to collect.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    /// The attempt's name: the same each time it is begun, so that it charges once.
    pub key: String,
    /// How much, in minor units.
    pub amount_minor: i64,
    /// Of what.
    pub currency: Currency,
    /// What the payment method does when the test provider charges it.
    pub behaviour: Behaviour,
    /// Whether the payment method was set up for payments while its owner is away.
    pub set_up: bool,
    /// What the one who pays is doing.
    pub presence: Presence<'a>,
}

/// How far the one who pays is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence<'a> {
    /// The attempt begins.
    Begins(Session),
    /// They authenticated the attempt that `asked` began.
    Authenticated {
        /// The key under which it began.
        asked: &'a str,
    },
}

/// What a provider says of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The money is there, or held where it is to be captured.
    Paid,
    /// The bank declined.
    Declined(Decline),
    /// The one who pays must do something first.
    RequiresAction,
    /// It was asked and has not said. The intent stays `processing`.
    Unknown,
}

/// Who collects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// The test cards' own: decides by the card, at once.
    Test,
    /// Nobody: what is paid is recorded by hand.
    Manual,
}

impl Provider {
    /// Who collects in a mode.
    #[must_use]
    pub const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Test => Self::Test,
            Mode::Live => Self::Manual,
        }
    }

    /// Refuses what nobody collects.
    ///
    /// # Errors
    /// A 400 that names the way that is there.
    pub fn ready(self) -> Result<Self, Error> {
        match self {
            Self::Test => Ok(self),
            Self::Manual => Err(not_collected()),
        }
    }

    /// Asks for one attempt.
    ///
    /// # Errors
    /// A 400 when nobody collects.
    pub fn ask(self, ask: &Ask<'_>) -> Result<Answer, Error> {
        match self {
            Self::Test => Ok(match ask.presence {
                Presence::Begins(session) => ask.behaviour.charged(session, ask.set_up),
                Presence::Authenticated { .. } => ask.behaviour.authenticated(),
            }),
            Self::Manual => Err(not_collected()),
        }
    }

    /// Gives money back.
    ///
    /// # Errors
    /// A 400 when nobody collects.
    pub fn refund(self) -> Result<refunds::Status, Error> {
        match self {
            Self::Test => Ok(refunds::Status::Succeeded),
            Self::Manual => Err(not_collected()),
        }
    }
}

/// The refusal of a payment where nobody collects.
fn not_collected() -> Error {
    Error::new(
        Kind::InvalidRequest,
        "No payment provider collects in live mode, only `manual`: bill with \
         `collection_method=send_invoice`, and pay an invoice with `paid_out_of_band=true` once \
         its money has come in.",
    )
    .code("testmode_charges_only")
}
