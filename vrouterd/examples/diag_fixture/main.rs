//! Serves the diagnostics pages of a made-up node, to look at them in a browser:
//! `cargo run -p vrouterd --example diag_fixture -- 127.0.0.1:8085`

#![allow(clippy::unwrap_used, reason = "the fixture parses its own literals")]

mod fixture;

use std::sync::Arc;

use vrouterd::http::{Limits, Options, VifSeries, router, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8085".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let local = listener.local_addr()?;
    println!("http://{local}/");
    let options = Options { vif_series: VifSeries::Shown, ..Options::for_listener(local) };
    let router = router(Arc::new(fixture::Fixture::default()), options);
    let interrupted = async {
        // Without a signal handler the process ends at once, which is as good here.
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, router, Limits::default(), interrupted).await;
    Ok(())
}
