//! HTTP for one reader on this machine: reads are answered, whatever else is refused.
//!
//! Listens on the loopback address alone. Owns connections and what is sent back; `request.rs` says which requests are answered. Each connection
//! has a thread of its own and one request, so that whoever sends nothing, or reads slowly, keeps nobody waiting.

use super::{
    super::error::CliError,
    request::{LONGEST_HEAD, Refusal, Request, read_head},
};
use std::{
    fs::File,
    io::{self, Cursor, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

/// How soon a request to end is seen.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a request may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the other side may take to read a piece of an answer.
const WRITING: Duration = Duration::from_secs(60);

/// Connections at once. A browser has six for one server.
const MOST_CONNECTIONS: usize = 64;

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
    listener: TcpListener,
    address: SocketAddr,
}

/// A path that was asked for, and who wants to know.
type Asked = (String, Sender<Answer>);

impl Loopback {
    /// Listens on a port, or on any that is free for 0.
    ///
    /// # Errors
    /// If the port is taken.
    pub(super) fn bind(port: u16) -> Result<Self, CliError> {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let taken = |error: io::Error| CliError::Usage {
            message: format!("cannot listen on {asked}: {error}"),
            hint: "without `--port` a free one is taken".to_owned(),
        };
        let listener = TcpListener::bind(asked).map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        Ok(Self { listener, address })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers until it is told to end. Requests are answered one after the other, by whoever calls this; their connections are not.
    pub(super) fn serve(&self, ended: &AtomicBool, mut answer: impl FnMut(&str) -> Answer) -> Result<(), CliError> {
        let listener = self.listener.try_clone()?;
        let (sender, asked) = channel::<Asked>();
        let port = self.address.port();
        // Nothing ends this thread but the end of the program, which comes next.
        thread::spawn(move || accept(&listener, port, &sender));
        while !ended.load(Ordering::SeqCst) {
            match asked.recv_timeout(LOOK_EVERY) {
                // Whoever goes away early is not missed.
                Ok((path, wants)) => drop(wants.send(answer(&path))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::other("nobody listens any more").into());
                }
            }
        }
        Ok(())
    }
}

fn accept(listener: &TcpListener, port: u16, sender: &Sender<Asked>) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            // No more files may be open for now, or the connection is gone already.
            thread::sleep(LOOK_EVERY);
            continue;
        };
        let _ = stream.set_write_timeout(Some(WRITING));
        if open.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            // Short enough for the system to take it at once.
            let _ = send(&mut stream, refused((503, "too many connections are open\n")), false);
            continue;
        }
        let (sender, open) = (sender.clone(), Arc::clone(&open));
        let attend = move || {
            let place = Place(open);
            let _ = connection(&mut stream, port, &sender);
            drop(place);
        };
        let _ = thread::Builder::new().name("connection".to_owned()).spawn(attend);
    }
}

/// One of the connections that may be open, given back however its thread ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Takes one request and answers it.
fn connection(stream: &mut TcpStream, port: u16, sender: &Sender<Asked>) -> io::Result<()> {
    let wait = |stream: &mut TcpStream, left: Duration| stream.set_read_timeout(Some(left));
    let request = match read_head(stream, Instant::now() + PATIENCE, wait) {
        Ok(None) => return Ok(()),
        Ok(Some(head)) => Request::of(&head, port),
        Err(refusal) => Err(refusal),
    };
    let (response, head_only) = match request {
        Ok(Request { path, head_only }) => {
            let (wants, answered) = channel();
            // Without a reader the server is ending.
            let answer = sender.send((path, wants)).ok().and_then(|()| answered.recv().ok());
            let Some(answer) = answer else { return Ok(()) };
            (respond(answer), head_only)
        }
        Err(refusal) => (refused(refusal), false),
    };
    send(stream, response, head_only)?;
    // What was sent and not read would have the system take the answer back: so it is read, within the same bounds.
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    io::copy(&mut stream.take(4 * LONGEST_HEAD as u64), &mut io::sink()).map(drop)
}

/// An answer of HTTP.
struct Response {
    status: u16,
    media: &'static str,
    body: Box<dyn Read>,
    n_bytes: u64,
}

fn respond(answer: Answer) -> Response {
    match answer {
        Answer::Text(media, body) => text(200, media, body),
        Answer::File(path) => match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Ok((n_bytes, file)) => {
                // A file that grows meanwhile is sent as long as it was.
                Response { status: 200, media: media_type(&path), body: Box::new(file.take(n_bytes)), n_bytes }
            }
            Err(_) => respond(Answer::Nothing),
        },
        Answer::Nothing => refused((404, "there is nothing here\n")),
    }
}

fn refused((status, why): Refusal) -> Response {
    text(status, "text/plain; charset=utf-8", why.to_owned())
}

fn text(status: u16, media: &'static str, body: String) -> Response {
    let n_bytes = body.len() as u64;
    Response { status, media, body: Box::new(Cursor::new(body.into_bytes())), n_bytes }
}

/// Pages bring a policy of their own for what they may run and load; whatever else is looked at may do neither.
fn policy(media: &str) -> &'static str {
    match media.starts_with("text/html") {
        true => "frame-ancestors 'self'; base-uri 'none'; form-action 'none'; object-src 'none'",
        false => "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox",
    }
}

fn send(stream: &mut impl Write, mut response: Response, head_only: bool) -> io::Result<()> {
    let Response { status, media, n_bytes, .. } = response;
    let allowed = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {media}\r\nContent-Length: {n_bytes}\r\n{allowed}Cache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\nContent-Security-Policy: {}\r\nConnection: close\r\n\r\n",
        reason(status),
        policy(media)
    );
    stream.write_all(head.as_bytes())?;
    if !head_only {
        io::copy(&mut response.body, stream)?;
    }
    stream.flush()
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        414 => "URI Too Long",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "Bad Request",
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(response: Response, head_only: bool) -> String {
        let mut bytes = Vec::new();
        send(&mut bytes, response, head_only).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn answers_say_what_they_are_and_let_nothing_else_in() {
        let page = sent(text(200, "text/html; charset=utf-8", "<p>".to_owned()), false);
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.ends_with("\r\n\r\n<p>"), "{page}");
        for part in ["Content-Length: 3\r\n", "nosniff", "frame-ancestors 'self'", "Connection: close"] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("Access-Control") && !page.contains("sandbox"));
        let head = sent(text(200, "application/json", "{}".to_owned()), true);
        assert!(
            head.contains("Content-Length: 2\r\n") && head.ends_with("\r\n\r\n") && head.contains("sandbox"),
            "{head}"
        );
        assert!(sent(refused((405, "no\n")), false).contains("Allow: GET, HEAD\r\n"));
    }

    #[test]
    fn a_file_that_is_gone_is_not_found() {
        assert!(sent(respond(Answer::File("/nowhere/at/all".into())), false).starts_with("HTTP/1.1 404 Not Found"));
    }
}
