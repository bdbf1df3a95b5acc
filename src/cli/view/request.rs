//! A request of HTTP/1.1 as this server takes it: its head, within bounds of length and time, and whether it is one to answer.
//!
//! Owns what of a head is believed. Knows no sockets, so that every refusal is tested without one.

use std::{
    io::{self, ErrorKind, Read},
    path::{Component, PathBuf},
    time::{Duration, Instant},
};

/// Bytes of a head: browsers send one or two thousand.
pub(super) const LONGEST_HEAD: usize = 16 << 10;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The path, as it was written, without a query.
    pub(super) path: String,
    /// Whether only the head of an answer is wanted.
    pub(super) head_only: bool,
}

/// Why a request is not answered: a status of HTTP, and a line for whoever reads it.
pub(super) type Refusal = (u16, &'static str);

const MALFORMED: Refusal = (400, "this is no request of HTTP/1.1\n");
const STRANGER: Refusal = (403, "this server answers to its own address alone\n");

/// Reads until the head of a request has ended, at most until `until`; nothing if the other side has gone.
///
/// `wait` sets how long the next read may take.
pub(super) fn read_head<R: Read>(
    stream: &mut R,
    until: Instant,
    wait: impl Fn(&mut R, Duration) -> io::Result<()>,
) -> Result<Option<Vec<u8>>, Refusal> {
    const LATE: Refusal = (408, "the request did not end in time\n");
    let mut head = Vec::new();
    let mut piece = [0; 2048];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || wait(stream, left).is_err() {
            return Err(LATE);
        }
        match stream.read(&mut piece) {
            Ok(0) => return Ok(None),
            Ok(n_bytes) => {
                // The end may lie across two pieces.
                let from = head.len().saturating_sub(3);
                head.extend_from_slice(&piece[..n_bytes]);
                if let Some(end) = head[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                    // A body is not read: no request that is answered has one.
                    head.truncate(from + end);
                    return if head.len() > LONGEST_HEAD { Err(too_long(&head)) } else { Ok(Some(head)) };
                }
                if head.len() > LONGEST_HEAD {
                    return Err(too_long(&head));
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(LATE),
            Err(_) => return Ok(None),
        }
    }
}

fn too_long(head: &[u8]) -> Refusal {
    if head.windows(2).any(|bytes| bytes == b"\r\n") {
        (431, "the head of the request is too long\n")
    } else {
        (414, "the address is too long\n")
    }
}

impl Request {
    /// Takes a head apart for a server that listens on `port`.
    ///
    /// A page of another site that makes a browser ask here is refused by the name that it asked for (DNS rebinding): answers may hold
    /// unpublished data.
    pub(super) fn of(head: &[u8], port: u16) -> Result<Self, Refusal> {
        let head = std::str::from_utf8(head).map_err(|_| MALFORMED)?;
        if head.contains(|letter: char| letter.is_control() && !matches!(letter, '\r' | '\n' | '\t')) {
            return Err(MALFORMED);
        }
        let mut lines = head.split("\r\n");
        let line: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let [method, target, version] = line[..] else { return Err(MALFORMED) };
        if !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return Err(if version.starts_with("HTTP/") { (505, "HTTP/1.1 is spoken here\n") } else { MALFORMED });
        }
        if !matches!(method, "GET" | "HEAD") {
            return Err((405, "only reading is possible here\n"));
        }
        let mut hosts = Vec::new();
        for line in lines {
            // A line that goes on in the next one, or ends without a carriage return, reads otherwise elsewhere.
            let (name, value) = line.split_once(':').ok_or(MALFORMED)?;
            let is_token = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
            if name.is_empty() || !name.chars().all(is_token) || line.contains(['\r', '\n']) {
                return Err(MALFORMED);
            }
            if name.eq_ignore_ascii_case("host") {
                hosts.push(value.trim_matches([' ', '\t']));
            }
        }
        let [host] = hosts[..] else {
            return Err(if hosts.is_empty() { STRANGER } else { MALFORMED });
        };
        if !is_ours(host, port) {
            return Err(STRANGER);
        }
        // The form that proxies are asked in names the host again, and that name counts.
        let target = match target.strip_prefix("http://") {
            Some(rest) => {
                let (authority, _) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
                if !is_ours(authority, port) {
                    return Err(STRANGER);
                }
                &rest[authority.len()..]
            }
            None if target.starts_with('/') => target,
            None => return Err(MALFORMED),
        };
        let path = target.split(['?', '#']).next().unwrap_or_default();
        Ok(Self { path: if path.is_empty() { "/" } else { path }.to_owned(), head_only: method == "HEAD" })
    }
}

/// Whether this is the address that the server has itself: of a name the letters' case and a last full stop say nothing.
fn is_ours(host: &str, port: u16) -> bool {
    let Some((name, told)) = host.rsplit_once(':').or_else(|| (port == 80).then_some((host, "80"))) else {
        return false;
    };
    let is_port = told.len() <= 5 && told.bytes().all(|byte| byte.is_ascii_digit()) && told.parse() == Ok(port);
    let name = name.to_ascii_lowercase();
    is_port && matches!(name.as_str(), "127.0.0.1" | "localhost" | "localhost.")
}

/// The path that a URL names, `%` signs taken out once; absent if it is no text or leads upwards.
pub(super) fn decoded(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // No file of ours has such a name, and other systems take a backslash for a way into a folder.
    if text.contains(|letter: char| letter.is_control() || letter == '\\') {
        return None;
    }
    let path = PathBuf::from(text);
    let goes_down = path.components().all(|part| matches!(part, Component::Normal(_)));
    goes_down.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> Result<String, u16> {
        Request::of(head.as_bytes(), 8123).map(|request| request.path).map_err(|(status, _)| status)
    }

    #[test]
    fn paths_of_urls_lead_downwards_or_nowhere() {
        assert_eq!(decoded("maps/a%20b.nii.gz"), Some("maps/a b.nii.gz".into()));
        assert_eq!(decoded("n=4%2Calpha=1/report.html"), Some("n=4,alpha=1/report.html".into()));
        assert_eq!(decoded("%252e%252e/x"), Some("%2e%2e/x".into()), "taken out once, and no way upwards then");
        for bad in [
            "../secret",
            "a/../../b",
            "/etc/passwd",
            "%2e%2e/secret",
            ".%2e/secret",
            "%2fetc",
            "a%",
            "a%2",
            "a%zz",
            "%ff",
            "a%+1",
            "..\\secret",
            "%2e%2e%5csecret",
            "a%00.html",
            "a\u{7f}",
        ] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_own_address_is_answered_to() {
        for host in ["127.0.0.1:8123", "localhost:8123", "LocalHost:8123", "localhost.:8123", " localhost:8123\t"] {
            assert_eq!(asked(&format!("GET / HTTP/1.1\r\nHost:{host}")), Ok("/".to_owned()), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8123",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:81",
            "127.0.0.1:08123a",
            "[::1]:8123",
            "127.0.0.1.:8123",
            "127.1:8123",
            "0.0.0.0:8123",
            "localhost.evil.example:8123",
            "evil.localhost:8123",
            "me@localhost:8123",
            "localhost:8123:8123",
            "localhost:+8123",
            "localhost..:8123",
            "localhost:8123, evil.example",
        ] {
            assert_eq!(asked(&format!("GET / HTTP/1.1\r\nHost: {host}")), Err(403), "{host}");
        }
        assert_eq!(asked("GET / HTTP/1.0"), Err(403), "no name at all");
        assert_eq!(asked("GET / HTTP/1.1\r\nHost: localhost:8123\r\nHost: localhost:8123"), Err(400));
        assert!(is_ours("localhost", 80) && is_ours("127.0.0.1:80", 80) && !is_ours("evil.example", 80));
    }

    #[test]
    fn addresses_in_full_are_held_to_their_own_host() {
        let of = |target: &str| asked(&format!("GET {target} HTTP/1.1\r\nHost: localhost:8123"));
        assert_eq!(of("http://localhost:8123/state.json?x"), Ok("/state.json".to_owned()));
        assert_eq!(of("http://127.0.0.1:8123"), Ok("/".to_owned()));
        assert_eq!(of("/a#b"), Ok("/a".to_owned()));
        for (target, status) in [
            ("http://evil.example/", 403),
            ("http://evil.example@localhost:8123/", 403),
            ("https://localhost:8123/", 400),
            ("HTTP://localhost:8123/", 400),
            ("//localhost:8123/../", 0),
            ("*", 400),
            ("state.json", 400),
            ("file:///etc/passwd", 400),
        ] {
            // A path that begins with two slashes is a path, and names nothing here.
            let expected = if status == 0 { Ok("//localhost:8123/../".to_owned()) } else { Err(status) };
            assert_eq!(of(target), expected, "{target}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (head, status) in [
            ("POST / HTTP/1.1\r\nHost: localhost:8123", 405),
            ("get / HTTP/1.1\r\nHost: localhost:8123", 405),
            ("GET / HTTP/2.0\r\nHost: localhost:8123", 505),
            ("GET /", 400),
            ("GET  / HTTP/1.1\r\nHost: localhost:8123", 400),
            ("GET / HTTP/1.1\r\nHost : localhost:8123", 400),
            ("GET / HTTP/1.1\r\nHost: localhost:8123\r\n folded", 400),
            ("GET / HTTP/1.1\nHost: localhost:8123", 400),
            ("GET /\0 HTTP/1.1\r\nHost: localhost:8123", 400),
            ("", 400),
        ] {
            assert_eq!(asked(head), Err(status), "{head:?}");
        }
        assert!(Request::of(b"GET /\xff HTTP/1.1\r\nHost: localhost:8123", 8123).is_err());
        assert!(Request::of(b"HEAD / HTTP/1.1\r\nHost: localhost:8123", 8123).unwrap().head_only);
    }

    #[test]
    fn heads_are_bounded_in_length_and_time() {
        let soon = || Instant::now() + Duration::from_secs(60);
        let wait = |_: &mut &[u8], _: Duration| Ok(());
        let mut whole: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\nbody";
        assert_eq!(read_head(&mut whole, soon(), wait), Ok(Some(b"GET / HTTP/1.1\r\nHost: h".to_vec())));
        let mut torn: &[u8] = b"GET / HTTP/1.1\r\n";
        assert_eq!(read_head(&mut torn, soon(), wait), Ok(None));
        let endless = vec![b'a'; 10 * LONGEST_HEAD];
        assert_eq!(read_head(&mut endless.as_slice(), soon(), wait).map_err(|(status, _)| status), Err(414));
        let wide = [b"GET / HTTP/1.1\r\n", endless.as_slice()].concat();
        assert_eq!(read_head(&mut wide.as_slice(), soon(), wait).map_err(|(status, _)| status), Err(431));
        let mut late: &[u8] = b"GET";
        assert_eq!(read_head(&mut late, Instant::now(), wait).map_err(|(status, _)| status), Err(408));
    }
}
