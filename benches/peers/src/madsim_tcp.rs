//! The exchange on madsim's simulated TCP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use madsim::net::{TcpListener, TcpStream};
use madsim::runtime::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::LATENCY;
use crate::request::{OK, Requests, Store};
use crate::tally;

pub fn run(nodes: usize, messages: u64) {
    let pairs = nodes / 2;
    let exchanges = messages.div_ceil(2 * pairs as u64);
    let mut config = madsim::Config::default();
    config.net.send_latency = LATENCY;
    let runtime = Runtime::with_seed_and_config(1, config);
    let mut clients = Vec::new();
    for pair in 0..pairs {
        let ip = move |host: usize| IpAddr::V4(Ipv4Addr::new(10, 0, host as u8, pair as u8 + 1));
        let server = runtime.create_node().ip(ip(1)).build();
        server.spawn(async move {
            let listener = TcpListener::bind("0.0.0.0:6379").await.expect("the port is free");
            let (mut stream, _) = listener.accept().await.expect("a client comes");
            let mut store = Store::filled();
            let mut buffer = vec![0; 4096];
            while let Ok(len) = stream.read(&mut buffer).await {
                let Some(reply) = store.execute(&buffer[..len]) else { return };
                if stream.write_all(reply).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        });
        let client = runtime.create_node().ip(ip(2)).build();
        clients.push(client.spawn(async move {
            madsim::time::sleep(std::time::Duration::from_millis(10)).await;
            let mut stream = TcpStream::connect(SocketAddr::new(ip(1), 6379)).await.expect("the server listens");
            let mut requests = Requests::new(pair as u64);
            let mut buffer = vec![0; 4096];
            for _ in 0..exchanges {
                stream.write_all(requests.next()).await.expect("connected");
                stream.flush().await.expect("connected");
                let len = stream.read(&mut buffer).await.expect("connected");
                assert_eq!(&buffer[..len], OK);
                tally::count(2);
            }
        }));
    }
    runtime.block_on(async {
        for client in clients {
            client.await.expect("the client finishes");
        }
    });
}
