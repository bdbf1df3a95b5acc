//! HTTP for one reader on this machine: reads are answered, whatever else is refused.
//!
//! Listens on the loopback address alone. A page of another site that makes a browser ask here is refused by the name that it asked
//! for (DNS rebinding), since answers may hold unpublished data.

use super::super::error::CliError;
use std::{
    fs::File,
    io::{self, Cursor, Read},
    net::{Ipv4Addr, SocketAddr},
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};
use tiny_http::{Header, Method, Request, Response, Server, StatusCode};

/// How soon a request to end is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is sent back.
pub(super) enum Answer {
    /// Text of a media type.
    Text(&'static str, String),
    /// The bytes of a file.
    File(PathBuf),
    /// There is nothing at this path.
    Nothing,
}

/// A server that only this machine reaches.
pub(super) struct Loopback {
    server: Server,
    address: SocketAddr,
}

impl Loopback {
    /// Listens on a port, or on any that is free for 0.
    ///
    /// # Errors
    /// If the port is taken.
    pub(super) fn bind(port: u16) -> Result<Self, CliError> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let taken = |error: String| CliError::Usage {
            message: format!("cannot listen on {asked}: {error}"),
            hint: "without `--port` a free one is taken".to_owned(),
        };
        let server = Server::http(asked).map_err(|error| taken(error.to_string()))?;
        let address = server.server_addr().to_ip().ok_or_else(|| taken("no address of the internet".to_owned()))?;
        Ok(Self { server, address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until it is told to end.
    pub(super) fn serve(&self, ended: &AtomicBool, mut answer: impl FnMut(&str) -> Answer) -> Result<(), CliError> {
        while !ended.load(Ordering::SeqCst) {
            let request = match self.server.recv_timeout(LOOK_EVERY) {
                Ok(Some(request)) => request,
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let response = match self.refusal(&request) {
                Some((status, why)) => text(status, "text/plain; charset=utf-8", why.to_owned()),
                None => respond(answer(request.url().split(['?', '#']).next().unwrap_or_default())),
            };
            // Whoever reads slowly keeps nobody waiting; whoever goes away early is not missed.
            thread::spawn(move || drop(request.respond(response)));
        }
        Ok(())
    }

    /// Why a request is not answered.
    fn refusal(&self, request: &Request) -> Option<(u16, &'static str)> {
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Some((405, "only reading is possible here\n"));
        }
        let host = request.headers().iter().find(|header| header.field.equiv("Host"));
        let host = host.map_or("", |header| header.value.as_str()).to_owned();
        let port = self.address.port();
        let is_ours = [format!("127.0.0.1:{port}"), format!("localhost:{port}")].contains(&host);
        (!is_ours).then_some((403, "this server answers to its own address alone\n"))
    }
}

type Body = Box<dyn Read + Send>;

fn respond(answer: Answer) -> Response<Body> {
    match answer {
        Answer::Text(media, body) => text(200, media, body),
        Answer::File(path) => match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((n_bytes, file)) => response(200, media_type(&path), Box::new(file), usize::try_from(n_bytes).ok()),
            Err(_) => respond(Answer::Nothing),
        },
        Answer::Nothing => text(404, "text/plain; charset=utf-8", "there is nothing here\n".to_owned()),
    }
}

fn text(status: u16, media: &str, body: String) -> Response<Body> {
    let n_bytes = body.len();
    response(status, media, Box::new(Cursor::new(body.into_bytes())), Some(n_bytes))
}

fn response(status: u16, media: &str, body: Body, n_bytes: Option<usize>) -> Response<Body> {
    let header = |name: &str, value: &str| Header::from_bytes(name, value).expect("headers of ours are ASCII");
    let headers = vec![
        header("Content-Type", media),
        header("Cache-Control", "no-store"),
        header("X-Content-Type-Options", "nosniff"),
        header("Referrer-Policy", "no-referrer"),
        header("Cross-Origin-Resource-Policy", "same-origin"),
    ];
    Response::new(StatusCode(status), headers, body, n_bytes, None)
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("tsv") => "text/tab-separated-values; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("gz") => "application/gzip",
        _ => "application/octet-stream",
    }
}

/// The path that a URL names, `%` signs taken out; absent if it is no text or leads upwards.
pub(super) fn decoded(path: &str) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let path = PathBuf::from(String::from_utf8(bytes).ok()?);
    let goes_down = path.components().all(|part| matches!(part, Component::Normal(_)));
    goes_down.then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_urls_lead_downwards_or_nowhere() {
        assert_eq!(decoded("maps/a%20b.nii.gz"), Some("maps/a b.nii.gz".into()));
        assert_eq!(decoded("n=4%2Calpha=1/report.html"), Some("n=4,alpha=1/report.html".into()));
        for bad in ["../secret", "a/../../b", "/etc/passwd", "%2e%2e/secret", "%2fetc", "a%", "a%2", "a%zz", "%ff"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }
}
