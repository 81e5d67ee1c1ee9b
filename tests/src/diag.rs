//! Asking the daemon's HTTP server, as `curl` in the node's namespace would.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};

use serde_json::Value;

use crate::Namespace;

const SERVER: &str = "127.0.0.1:8085";

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines, each in one piece.
    pub headers: String,
    /// What follows them.
    pub body: String,
}

impl Answer {
    /// Asks the daemon of a node for `path`.
    ///
    /// # Errors
    /// What the connection meets.
    pub fn get(node: &Namespace, path: &str) -> io::Result<Self> {
        let mut stream = node.connect(SERVER)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Self::parse(&text).ok_or_else(|| io::Error::other(format!("no HTTP answer: {text:?}")))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let (first, headers) = head.split_once("\r\n")?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, headers: headers.to_ascii_lowercase(), body: body.to_owned() })
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

/// What `/metrics` says at one moment.
#[derive(Clone, Debug)]
pub struct Metrics(BTreeMap<String, f64>);

impl Metrics {
    pub(crate) fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// Sum of all series of `name`, those with every one of `labels` (as `direction="rx"`) only.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let wanted = |series: &str| {
            let (series_name, rest) = series.split_once('{').unwrap_or((series, ""));
            series_name == name && labels.iter().all(|label| rest.contains(label))
        };
        self.0.iter().filter(|(series, _)| wanted(series)).map(|(_, value)| value).sum()
    }

    /// Packets dropped for `reason`.
    pub fn drops(&self, reason: &str) -> f64 {
        self.sum("vrouter_drops_total", &[&format!("reason=\"{reason}\"")])
    }

    /// Both sides of `rx + generated = tx + consumed + drops + held`.
    pub fn sides(&self) -> (f64, f64) {
        let packets = |direction| self.sum("vrouter_packets_total", &[direction]);
        let came = packets("direction=\"rx\"") + self.sum("vrouter_generated_packets_total", &[]);
        let went = packets("direction=\"tx\"")
            + self.sum("vrouter_consumed_packets_total", &[])
            + self.sum("vrouter_held_packets", &[])
            + self.sum("vrouter_drops_total", &[]);
        (came, went)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_name_and_labels() {
        let text = "# HELP vrouter_packets x\n\
                    vrouter_packets_total{port=\"trunk\",direction=\"rx\"} 7\n\
                    vrouter_packets_total{port=\"uplink\",direction=\"rx\"} 1\n\
                    vrouter_packets_total{port=\"uplink\",direction=\"tx\"} 6\n\
                    vrouter_generated_packets_total 2\n\
                    vrouter_drops_total{reason=\"no_route\"} 4\n# EOF\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("vrouter_packets_total", &["direction=\"rx\""]), 8.0);
        assert_eq!(metrics.drops("no_route"), 4.0);
        assert_eq!(metrics.sides(), (10.0, 10.0));
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            Answer::parse("HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n{\"a\":1}").unwrap();
        assert_eq!((answer.status, answer.headers.as_str()), (404, "content-type: text/html"));
        assert_eq!(answer.json()["a"], 1);
    }
}
