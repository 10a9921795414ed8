//! The settings of webhooks.

use taximeter_service::params::{Choice as _, choices};
use taximeter_service::webhooks::{Reach, Settings, TRIES_MAX};

use super::{Environment, Given, duration_s, given};
use crate::cli::WebhookFlags;
use crate::failure::Failure;

/// More connections than that are for another kind of program.
const AT_ONCE_MAX: i64 = 1_000;
/// Whoever takes longer is not answering.
const TIMEOUT_S_MAX: i64 = 60;

/// How webhooks are sent.
///
/// # Errors
/// A failure that names the setting at fault.
pub(super) fn settings(
    flags: &WebhookFlags,
    environment: &Environment,
) -> Result<Settings, Failure> {
    let setting = |flag: &Option<String>, names| given(flag.as_ref(), names, environment);
    let allow = ("--webhooks-allow", "TAXIMETER_WEBHOOKS_ALLOW");
    let at_once = ("--webhooks-at-once", "TAXIMETER_WEBHOOKS_AT_ONCE");
    let timeout = ("--webhooks-timeout", "TAXIMETER_WEBHOOKS_TIMEOUT");
    let tries = ("--webhooks-test-tries", "TAXIMETER_WEBHOOKS_TEST_TRIES");
    let mut settings = Settings::default();
    if let Some(given) = setting(&flags.webhooks_allow, allow)? {
        settings.reach = Reach::from_word(&given.value).ok_or_else(|| {
            Failure::new(format!("{} `{}` is no reach", given.name, given.value))
                .hint(choices::<Reach>())
        })?;
    }
    if let Some(given) = setting(&flags.webhooks_at_once, at_once)? {
        let number = number(&given, AT_ONCE_MAX)?;
        settings.at_once = usize::try_from(number).unwrap_or(settings.at_once);
    }
    if let Some(given) = setting(&flags.webhooks_timeout, timeout)? {
        settings.timeout_s = timeout_s(&given)?;
    }
    if let Some(given) = setting(&flags.webhooks_test_tries, tries)? {
        settings.test_tries_max = number(&given, TRIES_MAX)?;
    }
    Ok(settings)
}

fn number(given: &Given, max: i64) -> Result<i64, Failure> {
    let number = given.value.parse().ok().filter(|number| (1..=max).contains(number));
    number.ok_or_else(|| {
        Failure::new(format!("{} `{}` is out of bounds", given.name, given.value))
            .hint(format!("from 1 to {max}"))
    })
}

fn timeout_s(given: &Given) -> Result<i64, Failure> {
    let failure = || Failure::new(format!("{} `{}` is no such time", given.name, given.value));
    let seconds = duration_s(&given.value).map_err(|expected| failure().hint(expected))?;
    if (1..=TIMEOUT_S_MAX).contains(&seconds) {
        return Ok(seconds);
    }
    Err(failure().hint(format!("from 1s to {TIMEOUT_S_MAX}s")))
}

#[cfg(test)]
mod tests {
    use super::super::environment_of;
    use super::*;

    #[test]
    fn what_is_said_of_webhooks_counts() {
        let usual = settings(&WebhookFlags::default(), &environment_of(&[])).unwrap();
        assert_eq!(usual, Settings::default());
        let environment = environment_of(&[
            ("TAXIMETER_WEBHOOKS_ALLOW", "private"),
            ("TAXIMETER_WEBHOOKS_AT_ONCE", "7"),
            ("TAXIMETER_WEBHOOKS_TIMEOUT", "13s"),
            ("TAXIMETER_WEBHOOKS_TEST_TRIES", "3"),
        ]);
        let flags =
            WebhookFlags { webhooks_allow: Some("public".to_owned()), ..WebhookFlags::default() };
        assert_eq!(
            settings(&flags, &environment).unwrap(),
            Settings { reach: Reach::Public, at_once: 7, timeout_s: 13, test_tries_max: 3 }
        );
    }

    #[test]
    fn a_setting_of_webhooks_at_fault_is_named() {
        let rows: [(&'static [(&'static str, &'static str)], &str); 5] = [
            (&[("TAXIMETER_WEBHOOKS_ALLOW", "all")], "TAXIMETER_WEBHOOKS_ALLOW `all` is no reach"),
            (
                &[("TAXIMETER_WEBHOOKS_AT_ONCE", "0")],
                "TAXIMETER_WEBHOOKS_AT_ONCE `0` is out of bounds",
            ),
            (
                &[("TAXIMETER_WEBHOOKS_TIMEOUT", "61s")],
                "TAXIMETER_WEBHOOKS_TIMEOUT `61s` is no such time",
            ),
            (
                &[("TAXIMETER_WEBHOOKS_TIMEOUT", "13")],
                "TAXIMETER_WEBHOOKS_TIMEOUT `13` is no such time",
            ),
            (
                &[("TAXIMETER_WEBHOOKS_TEST_TRIES", "10")],
                "TAXIMETER_WEBHOOKS_TEST_TRIES `10` is out of bounds",
            ),
        ];
        for (variables, message) in rows {
            let failure = settings(&WebhookFlags::default(), &environment_of(variables));
            assert_eq!(failure.unwrap_err().line(), message);
        }
    }
}
