//! The examples, run.

#[cfg(feature = "serde")]
#[path = "../examples/configuration.rs"]
mod configuration;
#[path = "../examples/guided_tour.rs"]
mod guided_tour;
#[path = "../examples/sandbox.rs"]
mod sandbox;
#[cfg(feature = "async")]
#[path = "../examples/tcp_server.rs"]
mod tcp_server;
#[cfg(feature = "macros")]
#[path = "../examples/userdata.rs"]
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
