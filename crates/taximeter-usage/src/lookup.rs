//! Hash maps for the hot path.

/// A map that is only ever asked for one key. Nothing may iterate it, since its order is random.
#[expect(clippy::disallowed_types, reason = "one lookup per event; never iterated")]
pub(crate) type Lookup<K, V> = std::collections::HashMap<K, V>;
