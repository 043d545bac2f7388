// axum behind tower_governor (GCRA by the crate governor): a unit each so many
// milliseconds, and so many at once.
//
//	governor-server PORT MILLISECONDS BURST
use axum::{routing::get, Router};
use std::net::SocketAddr;
use tower_governor::{governor::GovernorConfigBuilder, GovernorLayer};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<u64> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let config = GovernorConfigBuilder::default()
        .per_millisecond(args[1])
        .burst_size(args[2] as u32)
        .finish()
        .expect("figures above zero");
    let app = Router::new().route("/", get(|| async { "ok" })).layer(GovernorLayer::new(config));
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", args[0] as u16)).await.expect("a free port");
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.expect("it serves");
}
