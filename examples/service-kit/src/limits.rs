//! How much a service does at once, and how long it waits.

use std::time::Duration;

use clap::builder::RangedU64ValueParser;

/// How much a service does at once, and how long it waits.
///
/// The fields are also command line options with the same names: `--max-requests` and so on.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
#[non_exhaustive]
pub struct Limits {
    /// Requests that are handled at once; further requests are answered with 503 and Retry-After.
    #[arg(long, value_name = "COUNT", default_value_t = 4096, value_parser = at_least_one())]
    pub max_requests: u32,
    /// Connections that are open at once; further connections wait to be accepted.
    #[arg(long, value_name = "COUNT", default_value_t = 8192, value_parser = at_least_one())]
    pub max_connections: u32,
    /// The largest request body, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20, value_parser = at_least_one())]
    pub max_body_bytes: u32,
    /// The longest time that a request body takes to arrive.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub body_timeout: Duration,
    /// The longest time between two requests of a connection, the head of the second included.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration)]
    pub header_timeout: Duration,
    /// The longest time until a request has an answer.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = nonzero_duration)]
    pub request_timeout: Duration,
    /// Time between the signal to stop and the stop. Meanwhile the service answers requests, and
    /// reports at /readyz that it is stopping, so that load balancers send no more requests.
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = humantime::parse_duration)]
    pub stop_delay: Duration,
    /// The longest time that requests take to finish during the stop; the workers may take the same
    /// time after that.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = nonzero_duration)]
    pub stop_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_requests: 4096,
            max_connections: 8192,
            max_body_bytes: 1 << 20,
            body_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            stop_delay: Duration::ZERO,
            stop_timeout: Duration::from_secs(10),
        }
    }
}

fn at_least_one() -> RangedU64ValueParser<u32> {
    RangedU64ValueParser::new().range(1..)
}

/// Reads a time longer than 0, such as `500ms` or `30s`: a `value_parser` of clap.
///
/// # Errors
/// What a time looks like, for text that is none.
pub fn nonzero_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it must be a time longer than 0, such as 500ms or 30s".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Options {
        #[command(flatten)]
        limits: Limits,
    }

    #[test]
    fn options_that_are_not_given_have_the_default_limits() {
        let Options { limits } = Options::parse_from(["service"]);
        assert_eq!(format!("{limits:?}"), format!("{:?}", Limits::default()));
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        for option in ["--max-requests=0", "--body-timeout=0s", "--stop-timeout=x"] {
            assert!(Options::try_parse_from(["service", option]).is_err());
        }
    }
}
