//! A web service on axum: rooms of a chat, each kept by one of four VMs on threads of
//! their own. A new program is sent to it while it serves.
//!
//! `cargo run -p moonswap --example axum_pool --features worker`, then
//! `curl -d 'hello' localhost:4002/rooms/kitchen` and
//! `curl -T new.lua localhost:4002/program`

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use moonswap::worker::WorkerPool;
use moonswap::{Patch, Result};
use tokio::net::TcpListener;

const PROGRAM: &str = "
rooms = {}

function say(room, text)
    local said = rooms[room] or {}
    rooms[room] = said
    said[#said + 1] = text
    return #said .. ': ' .. text .. '\\n'
end";

/// What a request answers: an error is told as such.
type Answer = std::result::Result<String, (StatusCode, String)>;

/// Says something in a room. All that has to do with a room is done by one VM.
async fn say(State(pool): State<WorkerPool>, Path(room): Path<String>, text: String) -> Answer {
    let answer = pool.of(&room).call("say", (room.clone(), text)).await;
    answer.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// Swaps the program in all VMs. Nobody waits for it but who sent it.
async fn swap(State(pool): State<WorkerPool>, text: String) -> Answer {
    let refused = |error: String| (StatusCode::CONFLICT, error);
    let patch = Patch::compile("@rooms.lua", text.as_bytes());
    let patch = patch.map_err(|error| refused(error.to_string()))?;
    let tickets: Vec<_> = pool
        .workers()
        .iter()
        .map(|worker| worker.patch(&patch))
        .collect();
    let mut reports = String::new();
    for ticket in tickets {
        let report = ticket.await.map_err(|error| refused(error.to_string()))?;
        reports += &format!("{report}\n");
    }
    Ok(reports)
}

/// Serves until `end` comes.
///
/// # Errors
/// Of the program when it is loaded, and of the listener.
pub(crate) async fn serve(
    listener: TcpListener,
    end: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    let pool = WorkerPool::spawn(4, |lua, _| lua.load(PROGRAM).set_name("@rooms.lua").exec())?;
    let service = Router::new()
        .route("/rooms/{room}", post(say))
        .route("/program", put(swap))
        .with_state(pool.clone());
    axum::serve(listener, service)
        .with_graceful_shutdown(end)
        .await?;
    for worker in pool.shutdown() {
        worker.await?;
    }
    Ok(())
}

#[allow(dead_code)]
#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:4002").await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, std::future::pending()).await
}
