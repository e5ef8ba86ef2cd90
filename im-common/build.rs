//! Compiles the protobuf definitions in pure Rust, so that building needs no `protoc`.

use std::io::Result;

fn main() -> Result<()> {
    let files = [
        "../proto/im/v1/frame.proto",
        "../proto/im/v1/node.proto",
        "../proto/im/v1/store.proto",
    ];
    for file in files {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptors = protox::compile(files, ["../proto"]).map_err(std::io::Error::other)?;
    prost_build::Config::new()
        .bytes(["."])
        .compile_fds(descriptors)
}
