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
    let server = Server::start(&world);
    assert_eq!(server.get("/results/report.html").body, "a page");
    for path in [
        "/results/../secret.txt",
        "/results/%2e%2e/secret.txt",
        "/results//etc/passwd",
        "/results/link.txt",
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
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1"] {
        let reply = server.asked(&format!("GET /state.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        assert_eq!(reply.status, 403, "{host}");
    }
    assert_eq!(server.asked("GET / HTTP/1.0\r\n\r\n").status, 403, "no name at all");
    assert!(!world.path("cache").exists() || !world.path("cache/runs").exists(), "nothing is recorded");
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
