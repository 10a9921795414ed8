//! What a request may charge, and how it is told that it may not.
