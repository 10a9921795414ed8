//! From a request's untyped tree to the typed input of a verb.
//!
//! Each verb's input is a struct declared with [`params!`](crate::params!). Decoding takes every
//! declared member out of the tree; whatever is left was not declared, and is refused. So a
//! parameter is either honoured by the verb or refused: there is no third way. The same
//! declaration yields a [`Schema`], from which the coverage document is written.

pub(crate) mod decode;
mod macros;
mod node;
mod types;

pub use decode::{Decode, Fields, INTEGER_MAX, LIST_MEMBERS_MAX, Members, Schema};
pub use node::{Node, Path};
pub use types::{
    Bounds, Choice, Clear, Keyed, Limit, METADATA_KEYS_MAX, Metadata, MetadataChange, OrWord,
    Range, TEXT_CHARS_MAX, Text, choices,
};

crate::params! {
    /// The input of a verb that takes no parameters.
    pub struct Nothing {}
}

#[cfg(test)]
mod tests;
