//! What every request must be and every response carries.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Longest path and query in bytes. All our own links are far shorter.
const MAX_URL: usize = 4096;

const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Which `Host` headers are answered.
///
/// A page on the Internet can give its own name the address 127.0.0.1 and so read what a browser
/// on this machine may read (DNS rebinding). On loopback we therefore answer to loopback names only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// `localhost` and loopback addresses.
    Loopback,
    /// Any.
    Any,
}

impl Hosts {
    /// What fits a server that listens on `address`.
    pub fn for_listener(address: SocketAddr) -> Self {
        if address.ip().is_loopback() { Hosts::Loopback } else { Hosts::Any }
    }

    fn allow(self, host: &str) -> bool {
        match self {
            Hosts::Any => true,
            Hosts::Loopback => {
                let name = without_port(host);
                name.eq_ignore_ascii_case("localhost")
                    || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
            }
        }
    }
}

/// The host of `host[:port]`, without the brackets of an IPv6 address (RFC 3986 section 3.2).
fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

/// Lets through what [`refusal`] does not refuse, and adds the security headers to every answer.
pub(super) async fn guard(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let mut response = match refusal(hosts, &request) {
        Some(refused) => refused,
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(hosts: Hosts, request: &Request) -> Option<Response> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let text = "This server only shows; it answers GET and HEAD.\n";
        // RFC 9110 section 15.5.6: a 405 names the methods that are allowed.
        return Some(closing(StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], text));
    }
    if request.uri().path_and_query().is_some_and(|url| url.as_str().len() > MAX_URL) {
        return Some(closing(StatusCode::URI_TOO_LONG, [], "The URL is longer than 4096 bytes.\n"));
    }
    if has_body(request.headers()) {
        return Some(closing(StatusCode::PAYLOAD_TOO_LARGE, [], "This server takes no request body.\n"));
    }
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    if host.is_some_and(|host| !hosts.allow(host)) {
        let text = "This server answers to localhost and loopback addresses only; \
                    put one of them into the URL.\n";
        return Some(closing(StatusCode::MISDIRECTED_REQUEST, [], text));
    }
    None
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0")
}

/// An answer after which the connection is closed: a body may follow that nobody wants to read.
fn closing<const N: usize>(
    status: StatusCode,
    headers: [(HeaderName, &'static str); N],
    text: &'static str,
) -> Response {
    (status, [(header::CONNECTION, "close")], headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_servers_answer_to_loopback_names_only() {
        for host in ["localhost", "LOCALHOST:8085", "127.0.0.1", "127.1.2.3:80", "[::1]:8085", "[::1]"] {
            assert!(Hosts::Loopback.allow(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:8085", "10.0.0.1", "[fd00::1]:80", "::2"] {
            assert!(!Hosts::Loopback.allow(host), "{host}");
        }
        assert!(Hosts::Any.allow("node-a.example"));
    }
}
