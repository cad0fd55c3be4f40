//! The examples, run.

#[cfg(feature = "worker")]
#[path = "../../examples/axum_pool.rs"]
mod axum_pool;
#[cfg(feature = "serde")]
#[path = "../../examples/configuration.rs"]
mod configuration;
#[allow(dead_code)] // its `main`
#[path = "../../examples/game_server.rs"]
mod game_server;
#[path = "../../examples/guided_tour.rs"]
mod guided_tour;
#[path = "../../examples/sandbox.rs"]
mod sandbox;
#[cfg(feature = "async")]
#[path = "../../examples/tcp_server.rs"]
mod tcp_server;
#[cfg(feature = "macros")]
#[path = "../../examples/userdata.rs"]
mod userdata;

use moonswap::{ErrorKind, Result};

#[test]
fn the_tour_goes_on_to_its_end() -> Result<()> {
    let text = guided_tour::tour()?;
    assert_eq!(
        text,
        "hello 2, hello 3, hello 5, hello 7; 120.0 125.0".replace(".0", "")
    );
    Ok(())
}

#[test]
fn the_sandbox_holds() -> Result<()> {
    use sandbox::Outcome::{Ended, Result};
    let outcomes = sandbox::run_all()?;
    let expected = [
        Result("42".into()),
        Result("nil".into()),
        Ended(ErrorKind::Deadline),
        Ended(ErrorKind::Memory),
        Result("nil".into()),
        Ended(ErrorKind::Runtime),
    ];
    assert_eq!(outcomes, expected);
    Ok(())
}

#[cfg(feature = "macros")]
#[test]
fn host_objects_answer() -> Result<()> {
    assert_eq!(userdata::run()?, ("13.00".into(), 5.0, 10, 2));
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn the_configuration_is_read() -> Result<()> {
    let configuration = configuration::run()?;
    assert_eq!((configuration.workers, configuration.listen.len()), (4, 2));
    let error = configuration::read("return { name = 'x', workers = 'many' }").unwrap_err();
    assert!(error.to_string().contains("u32"), "{error}");
    Ok(())
}

#[cfg(feature = "async")]
#[tokio::test]
async fn the_server_serves_many_at_once() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let clients = async {
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(TcpStream::connect(address).await?);
        }
        let mut answers = Vec::new();
        // The last that came is served while the others wait.
        for (i, stream) in streams.iter_mut().enumerate().rev() {
            stream
                .write_all(format!("abc{i}\nquit\n").as_bytes())
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            answers.push(answer);
        }
        Ok::<_, moonswap::Error>(answers)
    };
    let (served, answers) = tokio::join!(tcp_server::serve(listener, 3), clients);
    served?;
    for (i, answer) in answers?.iter().enumerate() {
        let expected = format!("\n{}cba\n", 2 - i);
        assert!(answer.ends_with(&expected), "{answer:?}");
    }
    Ok(())
}

/// Sends lines, one after the other's answer; the answers.
async fn talk(stream: &mut tokio::net::TcpStream, lines: &[&str]) -> std::io::Result<Vec<String>> {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let mut answers = Vec::new();
    let mut stream = BufReader::new(stream);
    for line in lines {
        stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await?;
        answers.push(answer.trim_end().to_owned());
    }
    Ok(answers)
}

#[tokio::test]
async fn the_game_goes_on_while_its_rules_change() -> Result<()> {
    use tokio::io::AsyncWriteExt;
    use tokio::net::{TcpListener, TcpStream};

    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("game.lua");
    let text = include_str!("../../examples/game.lua");
    std::fs::write(&rules, text)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let game = async {
        let mut ann = TcpStream::connect(address).await?;
        let mut bob = TcpStream::connect(address).await?;
        let heard = talk(&mut ann, &["ann", "go 3 -4", "go", "fly"]).await?;
        assert_eq!(
            heard,
            ["welcome ann", "you are at 3, -4", "go where?", "what?"]
        );
        let heard = talk(&mut bob, &["bob", "pay ann 4", "pay ann 7", "who"]).await?;
        assert_eq!(
            heard,
            ["welcome bob", "you have 6", "no deal", "ann 14, bob 6"]
        );
        std::fs::write(&rules, text.replace("you are at", "now at"))?;
        let heard = talk(&mut bob, &["reload", "go 1 1", "who"]).await?;
        assert_eq!(
            heard,
            ["1 functions are new", "now at 1, 1", "ann 14, bob 6"]
        );
        std::fs::write(&rules, "function (")?;
        let heard = talk(&mut ann, &["reload", "go 1 1"]).await?;
        assert!(
            heard[0].contains("expected") && heard[1] == "now at 4, -3",
            "{heard:?}"
        );
        for stream in [&mut ann, &mut bob] {
            stream.write_all(b"quit\n").await?;
        }
        Ok::<_, moonswap::Error>(())
    };
    let (served, played) = tokio::join!(game_server::serve(listener, &rules, 2), game);
    served.and(played)
}

/// Code lines: neither empty nor comments.
fn code_lines(text: &str) -> usize {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with("//"))
        .count()
}

#[test]
fn the_game_server_is_no_longer_than_with_mlua() {
    let ours = code_lines(include_str!("../../examples/game_server.rs"));
    let theirs = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let theirs = theirs.join("../../benches/src/bin/game_mlua.rs");
    let theirs = code_lines(&std::fs::read_to_string(theirs).expect("it is in the repository"));
    assert!(ours <= theirs, "{ours} lines, {theirs} with mlua");
}

#[cfg(feature = "worker")]
#[tokio::test]
async fn the_web_service_is_patched_while_it_serves() -> Result<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let request = |head: &'static str, body: String| async move {
        let mut stream = TcpStream::connect(address).await?;
        let length = body.len();
        let text = format!(
            "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or("").to_owned();
        Ok::<_, moonswap::Error>((status, body.to_owned()))
    };
    let new = "function say(room, text)
        local said = rooms[room] or {}
        rooms[room] = said
        said[#said + 1] = text
        return room .. ' ' .. #said .. '\\n'
    end";
    let clients = async {
        let say = "POST /rooms/kitchen";
        assert_eq!(
            request(say, "tea".into()).await?,
            ("200".into(), "1: tea\n".into())
        );
        let (status, body) = request("PUT /program", format!("rooms = {{}}\n{new}")).await?;
        assert_eq!((&*status, body.lines().count()), ("200", 4), "{body}");
        assert_eq!(
            request(say, "milk".into()).await?,
            ("200".into(), "kitchen 2\n".into())
        );
        assert_eq!(request("PUT /program", "rooms = {".into()).await?.0, "409");
        let _ = stop.send(());
        Ok::<_, moonswap::Error>(())
    };
    let end = async move { _ = stopped.await };
    let (served, asked) = tokio::join!(axum_pool::serve(listener, end), clients);
    served.and(asked)
}
