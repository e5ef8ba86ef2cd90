//! The generated protobuf types, and their conversion to and from domain types.

mod convert;
#[cfg(test)]
mod frozen;
#[expect(
    missing_docs,
    reason = "generated; the .proto files are the documentation"
)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/im.v1.rs"));
}

pub use convert::Malformed;
pub use generated::*;
