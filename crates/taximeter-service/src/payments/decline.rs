//! Why a payment was declined, in Stripe's words.

use serde_json::Value;

use crate::error::{Error, Kind, RefusedPayment};

crate::choice! {
    /// Why a payment was declined.
    pub enum Decline {
        /// The bank did not say.
        Generic = "generic_decline",
        /// There is not enough money.
        InsufficientFunds = "insufficient_funds",
        /// The card was lost.
        LostCard = "lost_card",
        /// The card was stolen.
        StolenCard = "stolen_card",
        /// The card is past its time.
        ExpiredCard = "expired_card",
        /// The card's code is wrong.
        IncorrectCvc = "incorrect_cvc",
        /// Something went wrong on the way.
        ProcessingError = "processing_error",
        /// The card was used too often.
        VelocityExceeded = "card_velocity_exceeded",
        /// It looks like fraud.
        Fraudulent = "fraudulent",
        /// The one who pays would have had to authenticate, and was not there.
        AuthenticationRequired = "authentication_required",
        /// The one who pays failed to authenticate.
        AuthenticationFailed = "payment_intent_authentication_failure",
        /// The owner failed to authenticate what is set up.
        SetupAuthenticationFailed = "setup_intent_authentication_failure",
    }
}

impl Decline {
    /// The error's code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Generic
            | Self::InsufficientFunds
            | Self::LostCard
            | Self::StolenCard
            | Self::VelocityExceeded
            | Self::Fraudulent => "card_declined",
            Self::ExpiredCard => "expired_card",
            Self::IncorrectCvc => "incorrect_cvc",
            Self::ProcessingError => "processing_error",
            Self::AuthenticationRequired => "authentication_required",
            Self::AuthenticationFailed => "payment_intent_authentication_failure",
            Self::SetupAuthenticationFailed => "setup_intent_authentication_failure",
        }
    }

    /// The bank's reason, where it gives one.
    #[must_use]
    pub const fn decline_code(self) -> Option<&'static str> {
        match self {
            Self::Generic => Some("generic_decline"),
            Self::InsufficientFunds => Some("insufficient_funds"),
            Self::LostCard => Some("lost_card"),
            Self::StolenCard => Some("stolen_card"),
            Self::VelocityExceeded => Some("card_velocity_exceeded"),
            Self::Fraudulent => Some("fraudulent"),
            Self::AuthenticationRequired => Some("authentication_required"),
            Self::ExpiredCard
            | Self::IncorrectCvc
            | Self::ProcessingError
            | Self::AuthenticationFailed
            | Self::SetupAuthenticationFailed => None,
        }
    }

    /// What the one who pays is told.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Generic | Self::LostCard | Self::StolenCard | Self::Fraudulent => {
                "Your card was declined."
            }
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
            Self::IncorrectCvc => "Your card's security code is incorrect.",
            Self::ProcessingError => {
                "An error occurred while processing your card. Try again in a little bit."
            }
            Self::VelocityExceeded => {
                "Your card was declined for making repeated attempts too frequently or exceeding \
                 its amount limit."
            }
            Self::AuthenticationRequired => {
                "Your card was declined. This transaction requires authentication."
            }
            Self::AuthenticationFailed => {
                "The provided PaymentMethod has failed authentication. You can provide \
                 payment_method_data or a new PaymentMethod to attempt to fulfill this \
                 PaymentIntent again."
            }
            Self::SetupAuthenticationFailed => {
                "The latest attempt to set up the payment method has failed because authentication \
                 failed."
            }
        }
    }

    /// The parameter of a card that is at fault.
    #[must_use]
    pub const fn param(self) -> Option<&'static str> {
        match self {
            Self::ExpiredCard => Some("exp_month"),
            Self::IncorrectCvc => Some("cvc"),
            _ => None,
        }
    }

    /// The error that tells of it: 402.
    #[must_use]
    pub fn error(self, refused: RefusedPayment) -> Error {
        let refused = RefusedPayment { decline_code: self.decline_code(), ..refused };
        let error = Error::new(Kind::Card, self.message()).code(self.code());
        let error = match self.param() {
            Some(param) => error.param(param),
            None => error,
        };
        error.of_payment(refused)
    }

    /// The members that `last_payment_error` and `last_setup_error` have of it.
    pub(crate) fn members(self, payment_method: Value) -> serde_json::Map<String, Value> {
        let mut members = serde_json::Map::new();
        let page = self.code().replace('_', "-");
        let url = format!("https://stripe.com/docs/error-codes/{page}");
        let kind = match self {
            Self::AuthenticationFailed | Self::SetupAuthenticationFailed => "invalid_request_error",
            _ => "card_error",
        };
        for (name, value) in [
            ("code", Some(self.code().to_owned())),
            ("decline_code", self.decline_code().map(str::to_owned)),
            ("doc_url", Some(url)),
            ("message", Some(self.message().to_owned())),
            ("param", self.param().map(str::to_owned)),
            ("type", Some(kind.to_owned())),
        ] {
            if let Some(value) = value {
                members.insert(name.to_owned(), value.into());
            }
        }
        members.insert("payment_method".to_owned(), payment_method);
        members
    }
}
