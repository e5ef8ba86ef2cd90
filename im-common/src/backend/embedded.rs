//! What the embedded stores share.
