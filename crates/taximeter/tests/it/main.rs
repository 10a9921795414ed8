//! The binary as its users run it, and the keys and accounts it is given.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod authenticator;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lane;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stream;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod usage;
#[cfg(test)]
mod verify_invoice;
#[cfg(test)]
mod webhooks;
