//! A TCP server on tokio: each connection is a coroutine of Lua, which reads and writes
//! without blocking the others.
//!
//! `cargo run -p moonswap --example tcp_server --features async`, then
//! `nc localhost 4000`

use std::rc::Rc;

use moonswap::{BString, Function, Lua, Result, UserData, UserDataMethods, UserDataRefMut};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

const HANDLER: &str = "
local visitors = 0

return function(connection)
    visitors = visitors + 1
    connection:write('you are visitor ' .. visitors .. '\\n')
    for line in function() return connection:line() end do
        if line == 'quit' then break end
        connection:write(line:reverse() .. '\\n')
    end
    connection:close()
end";

/// A connection, for Lua.
struct Connection(BufReader<TcpStream>);

impl UserData for Connection {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_async_method_mut(
            "line",
            |lua, mut this: UserDataRefMut<Self>, ()| async move {
                let mut line = Vec::new();
                if this.0.read_until(b'\n', &mut line).await? == 0 {
                    return Ok(None);
                }
                while line.last().is_some_and(|end| matches!(end, b'\n' | b'\r')) {
                    line.pop();
                }
                lua.create_string(line).map(Some)
            },
        );
        methods.add_async_method_mut("write", |_, mut this, text: BString| async move {
            Ok(this.0.write_all(&text).await?)
        });
        methods.add_async_method_once("close", |_, mut this, ()| async move {
            Ok(this.0.shutdown().await?)
        });
    }
}

/// Serves until `n` connections have ended.
///
/// # Errors
/// Of the listener, and of the handler.
pub(crate) async fn serve(listener: TcpListener, n: usize) -> Result<()> {
    let lua = Lua::new();
    let handler: Function = lua.load(HANDLER).set_name("@handler.lua").eval()?;
    let handler = Rc::new(handler);
    let tasks = LocalSet::new();
    tasks
        .run_until(async {
            let mut running = Vec::new();
            for _ in 0..n {
                let (stream, _) = listener.accept().await?;
                let connection = lua.create_userdata(Connection(BufReader::new(stream)))?;
                let handler = handler.clone();
                running.push(spawn_local(async move {
                    if let Err(error) = handler.call_async::<()>(connection).await {
                        eprintln!("{error}");
                    }
                }));
            }
            for task in running {
                task.await.map_err(moonswap::Error::external)?;
            }
            Ok(())
        })
        .await
}

#[allow(dead_code)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:4000").await?;
    println!("listening on {}", listener.local_addr()?);
    serve(listener, usize::MAX).await
}
