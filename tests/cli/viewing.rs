//! `hebb view` as a browser meets it: what it answers, what it refuses, how it ends.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::{World, runtime};
use serde_json::Value;

/// A server of a study, ended with the test.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back.
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start(world: &World) -> Self {
        let mut child = world.command("view study.toml").stdout(Stdio::piped()).spawn().expect("starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim_end().trim_end_matches('/').rsplit("http://").next().expect("an address").to_owned();
        assert!(address.starts_with("127.0.0.1:"), "loopback alone: {line}");
        Self { child, address }
    }

    fn asked(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn get(&self, path: &str) -> Reply {
        self.asked(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    fn state(&self) -> Value {
        let reply = self.get("/state.json");
        assert_eq!(reply.status, 200);
        serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.body))
    }
}

#[test]
fn a_study_is_shown_from_before_its_first_run_to_its_report() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let server = Server::start(&world);
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1>tiny</h1>") && page.head.contains("no-store"), "{}", page.head);
    let before = server.state();
    assert_eq!((&before["state"], &before["page"]), (&"idle".into(), &Value::Null));
    assert_eq!(
        before["counts"]["to_run"].as_u64().unwrap_or(0) + before["counts"]["to_follow"].as_u64().unwrap_or(0),
        42
    );

    let mut run = world.command("run study.toml").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begun = Instant::now();
    let mut seen = 0;
    while run.try_wait().expect("a child").is_none() {
        let state = server.state();
        if state["state"] == "running" {
            seen += 1;
            assert_eq!(state["live"]["pid"].as_u64(), Some(u64::from(run.id())));
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "the run never ends");
    }
    assert!(seen > 0, "the run was never seen");
    let after = server.state();
    assert_eq!((&after["state"], &after["counts"]["cached"]), (&"idle".into(), &42.into()));
    let path = after["page"]["path"].as_str().expect("a page");
    let report = server.get(path);
    assert_eq!(report.status, 200);
    assert!(report.head.contains("text/html") && report.body.contains("Study report"));
    assert!(server.get("/results/tables/scores.tsv").body.starts_with("subject\t"));

    world.write("study.toml", "[study]\nname = 1");
    let wrong = server.state();
    assert_eq!(wrong["state"], "wrong");
    assert!(wrong["message"].as_str().expect("a message").contains("study.toml"), "{wrong}");
}

#[test]
fn nothing_is_told_to_others_written_or_found_outside_of_the_results() {
    let world = World::simulated();
    fs::create_dir_all(world.path("results/tiny")).expect("writable");
    world.write("results/tiny/report.html", "a page");
    world.write("results/secret.txt", "not of this study");
    #[cfg(unix)]
    std::os::unix::fs::symlink(world.path("results/secret.txt"), world.path("results/tiny/link.txt")).expect("a link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(world.path("results"), world.path("results/tiny/link")).expect("a link");
    let server = Server::start(&world);
    let page = server.get("/results/report.html");
    assert_eq!(page.body, "a page");
    for part in ["X-Content-Type-Options: nosniff", "Content-Security-Policy: ", "frame-ancestors 'self'", "no-store"] {
        assert!(page.head.contains(part), "{part} in {}", page.head);
    }
    assert!(!page.head.contains("Access-Control-"), "{}", page.head);
    let head = server.asked(&format!("HEAD /results/report.html HTTP/1.1\r\nHost: {}\r\n\r\n", server.address));
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.head.contains("Content-Length: 6"), "{}", head.head);
    for path in [
        "/results/../secret.txt",
        "/results/%2e%2e/secret.txt",
        "/results//etc/passwd",
        "/results/link.txt",
        "/results/link/secret.txt",
        "/results/.%2e/secret.txt",
        "/results/%2e%2e%2fsecret.txt",
        "/results/%252e%252e/secret.txt",
        "/results/..%5csecret.txt",
        "/results/..\\secret.txt",
        "/results/x/../../secret.txt",
        "/results/%2fetc%2fpasswd",
        "/results/report.html%00.txt",
        "/results/%ff",
        "/results/a%+1",
        "/results/",
        "/results/none.html",
        "/study.toml",
        "/%00",
    ] {
        let reply = server.get(path);
        assert_eq!(reply.status, 404, "{path}: {}", reply.body);
        assert!(!reply.body.contains("not of this study"));
    }
    let address = &server.address;
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let reply = server.asked(&format!(
            "{method} / HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ));
        assert_eq!(reply.status, 405, "{method}");
    }
    let port = address.rsplit(':').next().expect("a port");
    for host in [
        "evil.example",
        &format!("evil.example:{port}"),
        "127.0.0.1",
        "127.0.0.1:1",
        "",
        &format!("[::1]:{port}"),
        &format!("0.0.0.0:{port}"),
        &format!("127.0.0.1.:{port}"),
        &format!("localhost.evil.example:{port}"),
        &format!("evil@localhost:{port}"),
        &format!("localhost:{port}\r\nX-Host: x\r\nHost: evil.example"),
    ] {
        let reply = server.asked(&format!("GET /state.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        let expected = if host.contains('\n') { 400 } else { 403 };
        assert_eq!(reply.status, expected, "{host}");
        assert!(!reply.body.contains("tiny"), "{host}");
    }
    for host in [format!("LOCALHOST:{port}"), format!("localhost.:{port}"), format!("localhost:{port}")] {
        let reply = server.asked(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(reply.status, 200, "{host}");
    }
    for (target, status) in [
        (format!("http://{address}/results/report.html"), 200),
        ("http://evil.example/".to_owned(), 403),
        (format!("http://evil.example@{address}/"), 403),
        (format!("https://{address}/"), 400),
        ("*".to_owned(), 400),
    ] {
        assert_eq!(server.get(&target).status, status, "{target}");
    }
    assert_eq!(server.asked("GET / HTTP/1.0\r\n\r\n").status, 403, "no name at all");
    assert!(!world.path("cache").exists() || !world.path("cache/runs").exists(), "nothing is recorded");
}

#[test]
fn whoever_says_nothing_or_too_much_keeps_nobody_waiting() {
    let world = World::simulated();
    let server = Server::start(&world);
    // More than a browser ever opens: some say nothing, some begin and go no further, some ask and do not read.
    let ask = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let begun: Vec<TcpStream> = (0..48)
        .map(|number| {
            let mut stream = TcpStream::connect(&server.address).expect("it listens");
            let said: &[u8] = [b"", b"GET / HTTP/1.1\r\nHost: ".as_slice(), ask.as_bytes()][number % 3];
            stream.write_all(said).expect("it reads");
            stream
        })
        .collect();
    let asked = Instant::now();
    assert_eq!(server.get("/").status, 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    drop(begun);

    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: {}\r\n\r\n", "a".repeat(1 << 20), server.address), 414),
        (format!("GET / HTTP/1.1\r\nHost: {}\r\nX: {}\r\n\r\n", server.address, "a".repeat(1 << 20)), 431),
        (format!("GET / HTTP/1.1\r\nHost: {}\r\n{}\r\n", server.address, "X: a\r\n".repeat(1 << 16)), 431),
        ("\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 505),
        (format!("GET / HTTP/1.1\nHost: {}\n\r\n\r\n", server.address), 400),
    ] {
        let mut stream = TcpStream::connect(&server.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
        // It may be refused, and the connection closed, before all of it is sent.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        // Where the system drops an answer together with what was not read, the connection alone says it.
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) || text.is_empty(), "{status}: {text}");
    }
    assert_eq!(server.get("/").status, 200, "it goes on");
}

#[cfg(target_os = "linux")]
#[test]
fn only_this_machine_is_listened_to() {
    let world = World::simulated();
    let server = Server::start(&world);
    let port: u16 = server.address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut found = 0;
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // A place that is listened at has state 0A; loopback is 127.0.0.1 in the order of this processor.
            if fields[3] == "0A" && fields[1].ends_with(&format!(":{port:04X}")) {
                assert_eq!(fields[1], format!("{:08X}:{port:04X}", u32::from_ne_bytes([127, 0, 0, 1])), "{table}");
                found += 1;
            }
        }
    }
    assert_eq!(found, 1);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let world = World::simulated();
    let server = Server::start(&world);
    let port = server.address.rsplit(':').next().expect("a port").to_owned();
    world.hebb(&format!("view study.toml --port {port}")).exits(2).says(&["cannot listen on", "without `--port`"]);
    world.hebb("view none.toml").exits(2).says(&["none.toml"]);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_it_well() {
    let world = World::simulated();
    let mut server = Server::start(&world);
    let done =
        std::process::Command::new("kill").args(["-INT", &server.child.id().to_string()]).status().expect("kill");
    assert!(done.success());
    assert!(server.child.wait().expect("it ends").success());
}
