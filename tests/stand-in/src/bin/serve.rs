//! Serves AWS until stdin is closed, for programs that are not written in Rust.
//!
//! ```text
//! serve                 AWS as it is
//! serve --latency 300   each answer takes 300 ms
//! serve --link 50       a link with a round trip of 50 ms lies before it
//! ```
//!
//! The first line on stdout is a JSON object with `http` and `https` (URLs), `ca` (PEM), `accessKeyId` and
//! `secretAccessKey`. Each line on stdin is answered with the number of calls of ECR since the last one.

#![expect(clippy::print_stdout, reason = "the protocol with who started it")]

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use stand_in::aws::{ACCESS_KEY_ID, Aws, SECRET_ACCESS_KEY};
use stand_in::link::Link;
use stand_in::tls::TestCa;

fn main() -> Result<()> {
    let (latency, round_trip) = options()?;
    let ca = TestCa::new();
    let (plain, tls) = (Aws::start(), Aws::start_tls(&ca));
    for aws in [&plain, &tls] {
        aws.behave(|aws| aws.latency = latency);
    }
    let links = [&plain, &tls].map(|aws| round_trip.map(|time| Link::start(aws.address(), time)));
    let address = |aws: &Aws, link: &Option<Link>| link.as_ref().map_or(aws.address(), Link::address);
    let hello = json!({
        "http": format!("http://{}", address(&plain, &links[0])),
        "https": format!("https://{}", address(&tls, &links[1])),
        "ca": ca.pem(),
        "accessKeyId": ACCESS_KEY_ID,
        "secretAccessKey": SECRET_ACCESS_KEY,
    });
    println!("{hello}");
    let mut counted = 0;
    for line in std::io::stdin().lines() {
        line?;
        let calls = plain.seen().len() + tls.seen().len();
        println!("{}", calls - counted);
        counted = calls;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a program of its own")]
fn options() -> Result<(Duration, Option<Duration>)> {
    let (mut latency, mut round_trip) = (Duration::ZERO, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let milliseconds = arguments.next().with_context(|| format!("{option} needs milliseconds"))?;
        let time = Duration::from_millis(milliseconds.parse()?);
        match option.as_str() {
            "--latency" => latency = time,
            "--link" => round_trip = Some(time),
            _ => bail!("unknown option {option}"),
        }
    }
    Ok((latency, round_trip))
}
