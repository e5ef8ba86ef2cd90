//! Logs: set up once by each node's `main`.

use std::fs::File;
use std::io::IsTerminal as _;
use std::sync::Arc;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What the store says of its own housekeeping helps nobody, unless it is asked for by name.
const QUIET: &str = "fjall=warn,lsm_tree=warn";

/// How log events and the ready line are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// Options that every node shares.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Logs")]
pub struct TelemetryConfig {
    /// How logs (standard error) and the ready line (standard output) are written.
    #[arg(long, env = "IM_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Which events are logged, such as `info` or `im_route=debug,warn`.
    #[arg(long, env = "IM_LOG", default_value = "info")]
    pub log: String,
    #[arg(skip)]
    file: Option<Arc<File>>,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log filter {filter:?}: {source}")]
pub struct InvalidFilter {
    filter: String,
    source: tracing_subscriber::filter::ParseError,
}

impl TelemetryConfig {
    /// Logs to a file instead of standard error, which a person is chatting on.
    pub fn into_file(mut self, file: File) -> Self {
        self.file = Some(Arc::new(file));
        self
    }

    /// Whether logs go to a file, where nobody looks unless told to.
    pub fn is_to_file(&self) -> bool {
        self.file.is_some()
    }

    /// Starts logging. Call once.
    pub fn start(&self) -> Result<(), InvalidFilter> {
        let filter = EnvFilter::try_new(format!("{QUIET},{}", self.log)).map_err(|source| {
            InvalidFilter {
                filter: self.log.clone(),
                source,
            }
        })?;
        let writer = match &self.file {
            Some(file) => BoxMakeWriter::new(Arc::clone(file)),
            None => BoxMakeWriter::new(std::io::stderr),
        };
        let is_terminal = self.file.is_none() && std::io::stderr().is_terminal();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(is_terminal)
            .with_writer(writer);
        match self.log_format {
            LogFormat::Text => subscriber.init(),
            LogFormat::Json => subscriber.json().flatten_event(true).init(),
        }
        Ok(())
    }

    /// Renders the line that says that a node is ready: its role and its real addresses.
    pub fn ready_line(&self, role: &str, addresses: &[(&str, String)]) -> String {
        match self.log_format {
            LogFormat::Text => {
                let addresses: Vec<_> = addresses
                    .iter()
                    .map(|(name, address)| format!("{name} {address}"))
                    .collect();
                format!("{role} ready: {}", addresses.join(", "))
            }
            LogFormat::Json => {
                let fields: String = addresses
                    .iter()
                    .map(|(name, address)| format!(",{name:?}:{address:?}"))
                    .collect();
                format!("{{\"ready\":{role:?}{fields}}}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_the_real_addresses() {
        let addresses = [
            ("clients", "127.0.0.1:1".to_owned()),
            ("http", "[::1]:2".to_owned()),
        ];
        let text = TelemetryConfig::default().ready_line("im-server", &addresses);
        assert_eq!(text, "im-server ready: clients 127.0.0.1:1, http [::1]:2");
        let json = TelemetryConfig {
            log_format: LogFormat::Json,
            ..TelemetryConfig::default()
        };
        assert_eq!(
            json.ready_line("im-server", &addresses),
            r#"{"ready":"im-server","clients":"127.0.0.1:1","http":"[::1]:2"}"#
        );
    }
}
