//! Ten times as many callers as there is room for: each gets its own answer, or is told to come again.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use reset_strategies::{Availability, registry};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use view_server::{Load, Server, module};

const LOAD: Load = Load { places: 2, most_waiting: 2, within: Duration::from_secs(60) };
const CALLERS: usize = 10 * (LOAD.places + LOAD.most_waiting);
const CALLS: usize = 10;

/// A server that runs as long as its runtime does.
fn serve(strategy: &str, load: Load) -> (Runtime, SocketAddr) {
    let strategy = registry::find(strategy).unwrap();
    let server = Server::new(strategy, &module(None).unwrap(), HashMap::new(), 0, load).unwrap();
    let runtime =
        Builder::new_multi_thread().worker_threads(2).enable_all().max_blocking_threads(2).build().unwrap();
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    runtime.spawn(async move {
        let listener = TcpListener::from_std(listener).unwrap();
        axum::serve(listener, server.router()).await.unwrap();
    });
    (runtime, address)
}

/// Status, head and body of what is answered.
fn post(address: SocketAddr, path: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("cut short: {answer:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

/// Callers who are answered, and who are told to come again.
fn saturate(address: SocketAddr) -> (usize, usize) {
    let begin = Barrier::new(CALLERS);
    let call = |caller: usize| {
        begin.wait();
        let answered = (0..CALLS).filter(|turn| {
            let request = format!("caller {caller}, call {turn}");
            let (status, head, body) = post(address, "/view/echo", &request);
            assert!(status == 200 || status == 503, "{status}: {body}");
            if status == 200 {
                assert_eq!(body, request, "somebody else's answer");
            } else {
                assert!(head.contains("retry-after: 1"), "{head}");
            }
            status == 200
        });
        answered.count()
    };
    let answered = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS).map(|caller| scope.spawn(move || call(caller))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    (answered, CALLERS * CALLS - answered)
}

#[test]
fn at_ten_times_saturation_each_caller_has_its_answer_or_is_told_to_come_again() {
    for strategy in ["dirty/pagemap", "fresh/pooling-resident", "fresh/on-demand-copy"] {
        if let Availability::Unavailable { reason } = registry::find(strategy).unwrap().availability() {
            eprintln!("NOT TESTED HERE: {strategy}: {reason}");
            continue;
        }
        let (_runtime, address) = serve(strategy, LOAD);
        let (answered, refused) = saturate(address);
        assert!(answered >= LOAD.places, "{strategy}: {answered} answered, {refused} refused");
        // As many as there is room for are never refused, and all of the others wait where there is room for them.
        let (_runtime, address) = serve(strategy, Load { most_waiting: CALLERS, ..LOAD });
        assert_eq!(saturate(address), (CALLERS * CALLS, 0), "{strategy}");
    }
}

#[test]
fn what_a_caller_did_wrong_is_said_and_the_next_is_answered() {
    let (_runtime, address) = serve("copy/full", LOAD);
    for (path, status) in [("/view/none", 404), ("/view/memory", 404), ("/view/fail", 500), ("/other", 404)] {
        assert_eq!(post(address, path, "x").0, status, "{path}");
    }
    assert_eq!(post(address, "/view/echo", &"x".repeat((1 << 20) + 1)).0, 413);
    assert_eq!(
        post(address, "/view/echo", "after"),
        (200, post(address, "/view/echo", "after").1, "after".into())
    );
}
