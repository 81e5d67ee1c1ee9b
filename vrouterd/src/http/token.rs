//! The access token of a server that can be reached from outside.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq as _;

/// Fewer characters could be guessed.
const SHORTEST: usize = 20;
const LONGEST: usize = 1024;

/// What a request must know.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<[u8]>);

/// Why a token file is no good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("http.token_file: {path} cannot be read: {source}; make it readable for the user of the daemon")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: std::io::Error,
    },
    /// Others may read it.
    #[error("http.token_file: others may read {path} (mode {mode:04o}); chmod 0600 it, and make a new token")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no token.
    #[error(
        "http.token_file: {path} must hold one line of {SHORTEST} to {LONGEST} printable characters without \
         spaces; `openssl rand -hex 32` makes one"
    )]
    Unfit {
        /// The file.
        path: PathBuf,
    },
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Reads a token from a file that nobody else may read.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // Asked of the open file, so that it is the one that is read.
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = metadata.mode() & 0o7777;
        // systemd gives a credential to the service's user by an ACL, which shows as a readable group: root's.
        let is_credential = mode & 0o077 == 0o040 && metadata.gid() == 0;
        if mode & 0o077 != 0 && !is_credential {
            return Err(TokenError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(LONGEST as u64 + 2).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text).ok_or_else(|| TokenError::Unfit { path: path.to_owned() })
    }

    /// A token from the text of its file.
    fn parse(text: &str) -> Option<Self> {
        let token = text.strip_suffix('\n').unwrap_or(text);
        let fits =
            (SHORTEST..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(token.as_bytes().into()))
    }

    /// Whether a request knows the token: as a bearer token (RFC 6750 section 2.1), or as the password of Basic
    /// authentication (RFC 7617), which browsers ask for.
    fn is_known_to(&self, headers: &HeaderMap) -> bool {
        let Some(header) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let Some((scheme, credentials)) = header.split_once(' ') else { return false };
        let credentials = credentials.trim_start();
        if scheme.eq_ignore_ascii_case("bearer") {
            return self.is(credentials.as_bytes());
        }
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64_STANDARD.decode(credentials).unwrap_or_default();
            let password = decoded.iter().position(|byte| *byte == b':').and_then(|at| decoded.get(at + 1..));
            return password.is_some_and(|password| self.is(password));
        }
        false
    }

    /// In a time that tells the length alone.
    fn is(&self, guess: &[u8]) -> bool {
        self.0.ct_eq(guess).into()
    }
}

/// Who is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everyone who reaches the server.
    Open,
    /// Who knows the token.
    Token(Token),
}

/// Lets through who may see the pages.
pub(super) async fn admit(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access {
        Access::Token(token) if !token.is_known_to(request.headers()) => refusal(),
        Access::Token(_) | Access::Open => next.run(request).await,
    }
}

/// RFC 9110 section 11.6.1: a 401 names the schemes that would do.
fn refusal() -> Response {
    let schemes = [
        (header::WWW_AUTHENTICATE, "Basic realm=\"vrouter\", charset=\"UTF-8\""),
        (header::WWW_AUTHENTICATE, "Bearer realm=\"vrouter\""),
    ];
    let text = "This server wants its access token: as a bearer token, or as the password of any user.\n";
    let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
    for (name, scheme) in schemes {
        response.headers_mut().append(name, header::HeaderValue::from_static(scheme));
    }
    response
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn known(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        Token::parse(TOKEN).unwrap().is_known_to(&headers)
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(credentials))
    }

    #[test]
    fn the_token_is_taken_as_bearer_and_as_password() {
        for right in [
            format!("Bearer {TOKEN}"),
            format!("bearer  {TOKEN}"),
            basic(&format!(":{TOKEN}")),
            basic(&format!("me:{TOKEN}")),
        ] {
            assert!(known(&right), "{right}");
        }
        let longer = format!("{TOKEN}0");
        for wrong in [
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Bearer {}", &TOKEN[1..]),
            format!("Bearer {longer}"),
            format!("Digest {TOKEN}"),
            TOKEN.to_owned(),
            basic(TOKEN),
            basic(&format!("{TOKEN}:")),
            "Basic !!!".to_owned(),
        ] {
            assert!(!known(&wrong), "{wrong}");
        }
        assert!(!Token::parse(TOKEN).unwrap().is_known_to(&HeaderMap::new()));
    }

    #[test]
    fn a_file_that_others_may_read_or_without_a_token_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let read = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Token::read(&path)
        };
        assert_eq!(read(&format!("{TOKEN}\n"), 0o600).unwrap(), Token::parse(TOKEN).unwrap());
        for mode in [0o644, 0o660, 0o602, 0o601] {
            assert!(matches!(read(TOKEN, mode), Err(TokenError::Open { .. })), "{mode:o}");
        }
        for unfit in ["", "short", &format!("{TOKEN}\n{TOKEN}"), &"a".repeat(1025), "0123456789 0123456789"] {
            assert!(matches!(read(unfit, 0o600), Err(TokenError::Unfit { .. })), "{unfit:?}");
        }
        assert!(matches!(Token::read(&directory.path().join("none")), Err(TokenError::Unreadable { .. })));
    }

    #[test]
    fn a_token_is_not_written_to_logs() {
        assert_eq!(format!("{:?}", Token::parse(TOKEN).unwrap()), "Token(..)");
    }
}
