//! ```sh
//! cargo run --release -p view-server -- --strategy dirty/pagemap
//! curl --data-binary 'a request' http://127.0.0.1:8080/view/echo
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use reset_strategies::registry;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use view_server::{Load, Server, module};

/// Answers views of an indexer over HTTP: POST /view/EXPORT
#[derive(Parser)]
struct Arguments {
    /// A module of metashrew's; one that answers with what it is asked, if not given
    module: Option<PathBuf>,
    /// How sessions are reset between calls
    #[arg(long, default_value = "dirty/pagemap")]
    strategy: String,
    /// Calls that run at once
    #[arg(long, default_value_t = 2)]
    places: usize,
    /// Calls that wait; those that come then are refused with 503
    #[arg(long, default_value_t = 64)]
    most_waiting: usize,
    /// Milliseconds that a call waits before it is refused with 503
    #[arg(long, default_value_t = 1000)]
    within: u64,
    /// The height that views are told
    #[arg(long, default_value_t = 0)]
    height: u32,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8080")]
    address: SocketAddr,
}

fn main() -> Result<()> {
    let Arguments { module: path, strategy, places, most_waiting, within, height, address } =
        Arguments::parse();
    let strategy = registry::find(&strategy).with_context(|| format!("no strategy is named {strategy:?}"))?;
    let load = Load { places, most_waiting, within: Duration::from_millis(within) };
    // An indexer's host hands its database over here.
    let stored = HashMap::new();
    let server = Server::new(strategy, &module(path.as_deref())?, stored, height, load)?;
    // Blocking threads are for calls only, of which there are as many as places.
    let runtime = Builder::new_multi_thread().enable_all().max_blocking_threads(places).build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.with_context(|| address.to_string())?;
        println!("listening on {}", listener.local_addr()?);
        axum::serve(listener, server.router()).await?;
        Ok(())
    })
}
