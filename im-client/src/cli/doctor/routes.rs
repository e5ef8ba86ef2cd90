//! The routes, one after another: name, connection, health; and what their clocks say.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use im_common::api::HealthResponse;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::DATE;
use reqwest::{Response, Url};
use rust_i18n::t;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::{Finding, Verdict};
use crate::cli::redact;
use crate::route_api;

/// A route that does not answer by then is of no use to a chat either.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Answers tell whole seconds, and take their time.
const SKEW_MAX: Duration = Duration::from_secs(5);

/// Looks at one route, and at its clock if it answers.
pub(in crate::cli) async fn check(route: &str) -> Vec<Finding> {
    match look(route).await {
        Ok((finding, clock)) => [Some(finding), clock].into_iter().flatten().collect(),
        Err(why) => vec![about(route, Verdict::Fault, &why)],
    }
}

fn about(route: &str, verdict: Verdict, what: &str) -> Finding {
    let route = redact::address(route);
    Finding::new("route", verdict, format!("{route}: {what}"))
}

async fn look(route: &str) -> Result<(Finding, Option<Finding>), String> {
    let url = route_api::parse(route).map_err(|error| error.to_string())?;
    let connected = connect(&url).await?;
    let asked = Instant::now();
    let response = ask(url).await?;
    let answered = asked.elapsed();
    let clock = clock(&response);
    let status = response.status();
    let Ok(health) = response.json::<HealthResponse>().await else {
        return Err(t!("doctor.no_route", status = status).into_owned());
    };
    let detail = t!(
        "doctor.route",
        version = health.version,
        status = health.status,
        servers = health.servers,
        connected = connected.as_millis(),
        answered = answered.as_millis()
    );
    let verdict = match (status.is_success(), health.servers) {
        (false, _) | (_, 0) => Verdict::Fault,
        _ if health.version != env!("CARGO_PKG_VERSION") => Verdict::Note,
        _ => Verdict::Well,
    };
    Ok((about(route, verdict, &detail), clock))
}

/// How long it takes to find the machine and to be let in.
async fn connect(url: &Url) -> Result<Duration, String> {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address stands in brackets in an address, and without them elsewhere.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or_default();
    let begun = Instant::now();
    let found = within(lookup_host((host, port))).await;
    let found: Vec<_> = found
        .map_err(|error| t!("doctor.no_address", host = host, why = error))?
        .collect();
    within(TcpStream::connect(found.as_slice()))
        .await
        .map_err(|error| t!("doctor.no_connection", why = error))?;
    Ok(begun.elapsed())
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let result = timeout(ANSWER_WITHIN, work).await;
    result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn ask(mut url: Url) -> Result<Response, String> {
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["v1", "health"]);
    }
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.map_err(|error| error.to_string())?;
    let asked = client.get(url).timeout(ANSWER_WITHIN).send().await;
    // Without the address, which may have a password in it.
    asked.map_err(|error| t!("doctor.no_answer", why = error.without_url()).into_owned())
}

/// Compares the clocks, as far as an answer tells.
fn clock(response: &Response) -> Option<Finding> {
    let date = response.headers().get(DATE)?.to_str().ok()?;
    let theirs: Timestamp = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let skew = u64::try_from(theirs.as_second()).ok()?;
    let skew = skew.abs_diff(ours.as_secs());
    Some(skew_of(Duration::from_secs(skew)))
}

fn skew_of(skew: Duration) -> Finding {
    match skew > SKEW_MAX {
        true => Finding::new(
            "clock",
            Verdict::Note,
            t!("doctor.clock_wrong", seconds = skew.as_secs()),
        ),
        false => Finding::new("clock", Verdict::Well, t!("doctor.clock_right")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_wrong_beyond_the_accuracy_of_an_answer() {
        assert_eq!(skew_of(SKEW_MAX).verdict, Verdict::Well);
        let more = SKEW_MAX + Duration::from_secs(1);
        assert_eq!(skew_of(more).verdict, Verdict::Note);
    }

    #[test]
    fn a_date_of_an_answer_is_understood() {
        let date = "Sat, 21 Nov 2026 18:38:26 GMT";
        let parsed = rfc2822::DateTimeParser::new().parse_timestamp(date);
        assert_eq!(parsed.unwrap().as_second(), 1_795_286_306);
    }

    #[tokio::test]
    async fn what_is_no_route_is_a_fault() {
        for route in [
            "ftp://127.0.0.1",
            "http://127.0.0.1:1",
            "http://host.invalid",
        ] {
            let findings = check(route).await;
            assert_eq!(findings.len(), 1, "{findings:?}");
            assert_eq!(findings[0].verdict, Verdict::Fault, "{findings:?}");
        }
    }
}
