//! Route, server and embedded backend in one process: the whole cluster with no dependencies.
//!
//! At a terminal it opens the chat prompt at once; otherwise it only serves. The parts and their
//! ways are those of a cluster, put together without HTTP between them.

mod args;
mod folder;
mod node;
mod residents;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use im_client::cli::archive::Archive;
use im_client::cli::{self, ChatError, ChatOptions, Colour};
use im_common::node as process;
use tokio::signal::unix::SignalKind;
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::folder::Folder;
use crate::node::Node;

/// Longer than the server's drain with nobody left to move.
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Where `im` looks when it is told nothing.
const DEFAULT_ROUTE: &str = "http://127.0.0.1:8083";

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if let Err(error) = args.check() {
        return process::refuse(&error);
    }
    let folder = match Folder::open(&args) {
        Ok(folder) => folder,
        Err(error) => return process::refuse(&error),
    };
    let telemetry = match folder.log_file() {
        Ok(file) if args.wants_chat() => args.telemetry.clone().into_file(file),
        _ => args.telemetry.clone(),
    };
    // In the chat Ctrl-C gives up what is being typed or asked; the chat sees to it.
    let (interrupt, terminate) = (SignalKind::interrupt(), SignalKind::terminate());
    let signals = if args.wants_chat() {
        vec![terminate]
    } else {
        vec![interrupt, terminate]
    };
    process::run_until(&signals, &telemetry, |shutdown| {
        serve(args, folder, shutdown)
    })
    .await
}

async fn serve(args: Args, folder: Folder, shutdown: CancellationToken) -> anyhow::Result<()> {
    let node = Node::start(&args, &folder, &shutdown).await?;
    let starting = residents::start_echo_bot(node.route_url(), &folder);
    let Some(bot) = shutdown.run_until_cancelled(starting).await else {
        return stop(node).await;
    };
    let bot = bot?;
    process::announce_ready(&args.telemetry, "im-standalone", &node.addresses());
    if args.wants_chat() {
        chat(&node, &folder, &shutdown).await?;
        shutdown.cancel();
    }
    shutdown.cancelled().await;
    bot.close().await;
    stop(node).await
}

async fn stop(node: Node) -> anyhow::Result<()> {
    tokio::time::timeout(STOP_WITHIN, node.stop())
        .await
        .context("did not stop in time")?
}

/// How somebody else on this machine starts a client; the default route need not be named.
fn invitation(url: &str) -> String {
    let command = "cargo run --release -p im-client --";
    if url == DEFAULT_ROUTE {
        command.to_owned()
    } else {
        format!("{command} --route {url}")
    }
}

/// Opens the prompt for the user of this machine, and returns when the user leaves.
async fn chat(node: &Node, folder: &Folder, shutdown: &CancellationToken) -> anyhow::Result<()> {
    let url = node.route_url();
    let user = residents::local_user();
    let builder = residents::resident(&user, url, folder).await?;
    let greeting = vec![
        format!(
            "You are chatting on your own cluster. Try `@{} hello`.",
            residents::ECHO
        ),
        format!("Others join with: {} --user NAME", invitation(url)),
    ];
    let archive = match folder.path("archive.db") {
        Some(path) => Archive::open(&path)?,
        None => Archive::in_memory()?,
    };
    let options = ChatOptions {
        builder,
        archive,
        colour: Colour::Auto,
        greeting,
        bell: false,
        stop: shutdown.clone(),
    };
    match cli::chat(options).await {
        Ok(_) => Ok(()),
        Err(ChatError::Client(error)) => Err(residents::explain(error, &user, folder)),
        Err(error) => Err(error.into()),
    }
}
