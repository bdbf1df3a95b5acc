//! A hub on this machine, which can be told to misbehave.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// A request as it arrived; names of headers in lower case.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

impl Asked {
    /// The first byte that is wanted.
    pub fn first_byte(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// An answer; `sent` of the body's bytes are, before the connection closes.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub sent: usize,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: Vec::new(), sent: body.len(), body }
    }

    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn cut_at(mut self, sent: usize) -> Self {
        self.sent = self.sent.min(sent);
        self
    }

    /// A file, or what of it is wanted.
    pub fn file(asked: &Asked, body: &[u8]) -> Self {
        match asked.first_byte() {
            Some(from) if from < body.len() => Self::new(206, &body[from..])
                .with("Content-Range", format!("bytes {from}-{}/{}", body.len() - 1, body.len())),
            Some(_) => Self::new(416, ""),
            None => Self::new(200, body),
        }
    }
}

/// A server that answers every request with what a function says.
pub struct Server {
    pub url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let thread = std::thread::spawn(move || {
            std::thread::scope(|scope| {
                for stream in listener.incoming().take_while(|_| !over.load(Ordering::Relaxed)) {
                    let (log, answer) = (&log, &answer);
                    scope.spawn(move || serve(stream.unwrap(), log, answer));
                }
            });
        });
        Self { url, asked, is_over, thread: Some(thread) }
    }

    /// All requests so far, as method and path.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How many requests of a method had this in their path.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method && asked.path.contains(part)).count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.url.strip_prefix("http://").unwrap());
        self.thread.take().unwrap().join().unwrap();
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &impl Fn(&Asked) -> Answer) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    let header = |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(header).collect();
    let asked = Asked { method, path, headers };
    log.lock().unwrap().push(asked.clone());
    let answer = answer(&asked);
    let mut head = format!("HTTP/1.1 {} ok\r\nConnection: close\r\n", answer.status);
    if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", answer.body.len());
    }
    answer.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
    let body = if asked.method == "HEAD" { &[] } else { &answer.body[..answer.sent] };
    // Who asked may have had enough.
    let _ = stream.write_all(&[head.as_bytes(), b"\r\n", body].concat());
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of some contents, which is what a hub calls large files.
pub fn sha256(contents: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    context.update(contents);
    hexadecimal(context.finish().as_ref())
}

/// Git's name of some contents, which is what a hub calls small files.
pub fn git_name(contents: &[u8]) -> String {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(format!("blob {}\0", contents.len()).as_bytes());
    context.update(contents);
    hexadecimal(context.finish().as_ref())
}

/// A repository at one commit.
#[derive(Clone)]
pub struct Repository {
    pub name: &'static str,
    pub commit: &'static str,
    pub files: BTreeMap<&'static str, Vec<u8>>,
}

impl Repository {
    /// Answers as a hub does: small files itself, large ones by pointing to who keeps them.
    pub fn answer(&self, asked: &Asked, keeper: &str) -> Answer {
        if asked.path == format!("/api/models/{}/revision/{}", self.name, self.commit) {
            let files: Vec<_> = self.files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
            return Answer::new(200, serde_json::json!({ "sha": self.commit, "siblings": files }).to_string());
        }
        let prefix = format!("/{}/resolve/{}/", self.name, self.commit);
        let moved = format!("/api/resolve-cache/models/{}/{}/", self.name, self.commit);
        let small = |name: &str| self.files.get(name).filter(|_| !is_large(name));
        if let Some(contents) = asked.path.strip_prefix(&moved).and_then(small) {
            return Answer::file(asked, contents).with("ETag", format!("\"{}\"", git_name(contents)));
        }
        match asked.path.strip_prefix(&prefix).and_then(|name| Some((name, self.files.get(name)?))) {
            Some((name, contents)) if is_large(name) => Answer::new(302, "moved")
                .with("Location", format!("{keeper}/{name}?signature=1"))
                .with("X-Linked-Size", contents.len())
                .with("X-Linked-Etag", format!("\"{}\"", sha256(contents))),
            Some((name, _)) => Answer::new(307, "moved").with("Location", format!("{moved}{name}")),
            None => Answer::new(404, "Entry not found").with("X-Error-Code", "EntryNotFound"),
        }
    }
}

fn is_large(name: &str) -> bool {
    name.ends_with(".safetensors") || name.ends_with(".bin")
}
