//! The exchange on turmoil's simulated UDP and TCP. Its tick is 1 ms, its default and no shorter than the latency.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use turmoil::net::{TcpListener, TcpStream, UdpSocket};
use turmoil::{Builder, Sim};

use crate::LATENCY;
use crate::request::{OK, Requests, Store};
use crate::tally;

fn sim<'a>() -> Sim<'a> {
    Builder::new()
        .rng_seed(1)
        .tick_duration(Duration::from_millis(1))
        .simulation_duration(Duration::from_secs(1_000_000))
        .min_message_latency(LATENCY.start)
        .max_message_latency(LATENCY.end)
        .build()
}

/// One request in flight for each client, as everywhere else.
pub fn udp(nodes: usize, messages: u64) {
    udp_window(nodes, messages, 1)
}

/// Sixteen in flight. A tick visits every host whether or not it has work; with more messages a tick that cost is
/// shared, so this is what turmoil can do at its best.
pub fn udp_16(nodes: usize, messages: u64) {
    udp_window(nodes, messages, 16)
}

fn udp_window(nodes: usize, messages: u64, window: u64) {
    let pairs = nodes / 2;
    let exchanges = messages.div_ceil(2 * pairs as u64);
    let mut sim = sim();
    for pair in 0..pairs {
        sim.host(format!("server-{pair}"), || async {
            let socket = UdpSocket::bind("0.0.0.0:6379").await?;
            let mut store = Store::filled();
            let mut buffer = [0; 4096];
            loop {
                let (len, from) = socket.recv_from(&mut buffer).await?;
                if let Some(reply) = store.execute(&buffer[..len]) {
                    socket.send_to(reply, from).await?;
                }
            }
        });
        sim.client(format!("client-{pair}"), async move {
            let socket = UdpSocket::bind("0.0.0.0:40000").await?;
            let server = (format!("server-{pair}"), 6379);
            let server = std::net::SocketAddr::new(turmoil::lookup(server.0), server.1);
            let mut requests = Requests::new(pair as u64);
            let mut buffer = [0; 4096];
            for sent in 0..exchanges + window {
                if sent < exchanges {
                    socket.send_to(requests.next(), server).await?;
                }
                if sent >= window {
                    let (len, _) = socket.recv_from(&mut buffer).await?;
                    assert_eq!(&buffer[..len], OK);
                    tally::count(2);
                }
            }
            Ok(())
        });
    }
    sim.run().expect("every client finishes");
}

pub fn tcp(nodes: usize, messages: u64) {
    let pairs = nodes / 2;
    let exchanges = messages.div_ceil(2 * pairs as u64);
    let mut sim = sim();
    for pair in 0..pairs {
        sim.host(format!("server-{pair}"), || async {
            let listener = TcpListener::bind("0.0.0.0:6379").await?;
            let (mut stream, _) = listener.accept().await?;
            let mut store = Store::filled();
            let mut buffer = [0; 4096];
            loop {
                let len = stream.read(&mut buffer).await?;
                match store.execute(&buffer[..len]) {
                    Some(reply) => stream.write_all(reply).await?,
                    None => return Ok(()),
                }
            }
        });
        sim.client(format!("client-{pair}"), async move {
            let mut stream = TcpStream::connect((format!("server-{pair}"), 6379)).await?;
            let mut requests = Requests::new(pair as u64);
            let mut buffer = [0; 4096];
            for _ in 0..exchanges {
                stream.write_all(requests.next()).await?;
                let len = stream.read(&mut buffer).await?;
                assert_eq!(&buffer[..len], OK);
                tally::count(2);
            }
            Ok(())
        });
    }
    sim.run().expect("every client finishes");
}
