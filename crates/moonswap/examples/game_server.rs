//! A small game server on tokio: players are host objects, the rules are Lua, and the
//! line `reload` swaps the rules while everybody plays on.
//!
//! `cargo run -p moonswap --example game_server`, then `nc localhost 4001`. The same for
//! mlua, as a benchmark of size: `benches/src/bin/game_mlua.rs`.

use std::path::Path;

use moonswap::{Error, Function, Lua, Result, UserData, UserDataFields, UserDataMethods};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

/// Where a player stands.
struct Body(i64, i64);

impl UserData for Body {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("x", |_, body| Ok(body.0));
        fields.add_field_method_get("y", |_, body| Ok(body.1));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method_mut("go", |_, body, (dx, dy): (i64, i64)| {
            *body = Body(body.0.saturating_add(dx), body.1.saturating_add(dy));
            Ok(())
        });
    }
}

/// The answer to a line.
fn answer(lua: &Lua, rules: &Path, name: &str, line: &str) -> Result<String> {
    if line == "reload" {
        let report = lua
            .hot()
            .apply_source(rules.to_str().unwrap_or("rules"), std::fs::read(rules)?)?;
        return Ok(format!("{} functions are new", report.functions.len()));
    }
    let command: Function = lua.globals().get("command")?;
    let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
    command.call((name, verb, argument))
}

/// Plays with one client until it leaves; its first line is its name.
async fn play(lua: Lua, rules: &Path, stream: TcpStream) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let Some(name) = lines.next_line().await? else {
        return Ok(());
    };
    let join: Function = lua.globals().get("join")?;
    let mut text: String = join.call((&*name, Body(0, 0)))?;
    loop {
        let stream = lines.get_mut();
        stream.write_all(format!("{text}\n").as_bytes()).await?;
        text = match lines.next_line().await? {
            Some(line) if line != "quit" => answer(&lua, rules, &name, &line)
                .unwrap_or_else(|error| error.to_string().replace('\n', " ")),
            _ => break,
        };
    }
    lua.globals().get::<Function>("leave")?.call(name)
}

/// Serves until `n` players have left.
///
/// # Errors
/// Of the listener, and of the rules when they are loaded.
pub(crate) async fn serve(listener: TcpListener, rules: &Path, n: usize) -> Result<()> {
    let lua = Lua::new();
    lua.load(rules).exec()?;
    let players = async {
        let mut running = Vec::new();
        for _ in 0..n {
            let (stream, _) = listener.accept().await?;
            let (lua, rules) = (lua.clone(), rules.to_owned());
            running.push(spawn_local(async move { play(lua, &rules, stream).await }));
        }
        for player in running {
            player.await.map_err(Error::external)??;
        }
        Ok(())
    };
    LocalSet::new().run_until(players).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/game.lua");
    let listener = TcpListener::bind("127.0.0.1:4001").await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, &rules, usize::MAX).await
}
