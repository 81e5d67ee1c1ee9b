//! Where a daemon answers.

use std::path::PathBuf;

use super::ClientError;

/// Where a daemon answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The socket of its API: all that it does can be read, and changed.
    Socket(PathBuf),
    /// `http://host[:port]`: what it does can be read.
    Tcp(String),
}

impl Place {
    /// What `url` of the command line means.
    ///
    /// # Errors
    /// [`ClientError::BadUrl`]
    pub(crate) fn of_url(url: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::BadUrl { url: url.to_owned() };
        let authority = url.strip_prefix("http://").ok_or_else(bad)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let parsed: ureq::http::uri::Authority = authority.parse().map_err(|_| bad())?;
        if parsed.host().is_empty() || authority.contains('@') {
            return Err(bad());
        }
        Ok(Self::Tcp(format!("http://{authority}")))
    }

    /// The page as an error names it.
    pub(crate) fn page(&self, query: &str) -> String {
        match self {
            Place::Socket(path) => format!("{query} of {}", path.display()),
            Place::Tcp(base) => format!("{base}{query}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_a_host_and_a_page() {
        let table = [
            ("http://127.0.0.1:8085", "http://127.0.0.1:8085/vifs"),
            ("http://[::1]:9000/", "http://[::1]:9000/vifs"),
            ("http://localhost", "http://localhost/vifs"),
        ];
        for (url, expected) in table {
            assert_eq!(Place::of_url(url).unwrap().page("/vifs"), expected);
        }
        for bad in
            ["", "127.0.0.1:8085", "https://localhost", "http://", "http://a/b", "http://a b", "http://u@h"]
        {
            assert!(matches!(Place::of_url(bad), Err(ClientError::BadUrl { .. })), "{bad}");
        }
        assert_eq!(Place::Socket("/run/x.sock".into()).page("/vifs"), "/vifs of /run/x.sock");
    }
}
