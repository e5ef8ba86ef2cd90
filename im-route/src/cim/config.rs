//! Options of CIM's endpoints.

use std::net::SocketAddr;
use std::path::PathBuf;

use im_common::cim::Allowed;

/// CIM's HTTP endpoints, off unless they are told where to listen.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "CIM")]
pub struct CimConfig {
    /// Where clients of CIM send requests; 127.0.0.1:8083 when no address is given, nowhere without
    /// this option. At the address of --listen they share its port. CIM's protocol has no
    /// authentication: whoever reaches the port can speak as any user who has no password.
    #[arg(
        id = "cim-listen",
        long,
        env = "IM_CIM_LISTEN",
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:8083"
    )]
    pub listen: Option<SocketAddr>,
    /// From where requests may come.
    #[command(flatten)]
    pub allow: Allowed,
    /// File with a secret that requests of CIM must bear, as `authorization: Bearer SECRET`; a proxy
    /// or an interceptor of the client's HTTP library can add it.
    #[arg(
        id = "cim-secret-file",
        long,
        env = "IM_CIM_SECRET_FILE",
        value_name = "FILE"
    )]
    pub secret_file: Option<PathBuf>,
}
