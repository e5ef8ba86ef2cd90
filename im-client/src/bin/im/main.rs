//! The terminal client `im`; everything is in [`im_client::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    im_client::cli::main()
}
