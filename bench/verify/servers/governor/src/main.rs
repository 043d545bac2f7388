// A server that asks governor (GCRA): 10 a second, 5 at once.
use governor::{Quota, RateLimiter};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::num::NonZeroU32;
use std::sync::Arc;

fn main() {
    let port = std::env::args().nth(1).expect("a port");
    let quota = Quota::per_second(NonZeroU32::new(10).unwrap()).allow_burst(NonZeroU32::new(5).unwrap());
    let limiter = Arc::new(RateLimiter::direct(quota));
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).expect("a free port");
    for stream in listener.incoming() {
        let limiter = limiter.clone();
        std::thread::spawn(move || {
            let mut stream = match stream {
                Ok(s) => s,
                Err(_) => return,
            };
            let _ = stream.set_nodelay(true);
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            loop {
                let mut lines = 0;
                loop {
                    let mut line = String::new();
                    match reader.read_line(&mut line) {
                        Ok(n) if n > 0 => {}
                        _ => return,
                    }
                    if line == "\r\n" {
                        break;
                    }
                    lines += 1;
                }
                if lines == 0 {
                    return;
                }
                let status = if limiter.check().is_ok() { "200 OK" } else { "429 Too Many Requests" };
                if write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").is_err() {
                    return;
                }
            }
        });
    }
}
