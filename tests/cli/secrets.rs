//! Secrets that were planted where users have them, and looked for in all that is told and written; and who may read what is written.

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    thread,
};

use super::{Answer, SIMULATED, World, runtime};

/// Planted in the environment, in addresses and in files; nothing else has these letters.
const KEY: &str = "plantedSecretKey0123456789abcdefABCDEF00";
const TOKEN: &str = "plantedToken0123456789abcdef";
const ANSWERED: &str = "plantedSignature0123456789";

/// A server that refuses every request and quotes what it was sent, as services do.
fn quoting(status: &'static str, location: Option<String>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 16384];
            // A client that goes away is none of the server's business.
            let n_bytes = stream.read(&mut bytes).unwrap_or(0);
            let asked = String::from_utf8_lossy(&bytes[..n_bytes]).into_owned();
            let body =
                format!("<Error><Code>InvalidToken</Code><Token-0>{TOKEN}</Token-0><Key>{KEY}</Key>{asked}</Error>");
            let location = location.as_ref().map(|to| format!("Location: {to}\r\n")).unwrap_or_default();
            let quoted = asked
                .lines()
                .find(|line| line.to_lowercase().starts_with("authorization"))
                .unwrap_or("none")
                .to_owned();
            log.lock().expect("no holder panics").push(asked);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\n{location}ETag: \"{quoted}\"\r\nContent-Range: {quoted}\r\nX-Error-Message: {quoted}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, heard)
}

/// Fails if a secret is in an answer or in any file of a folder, the files that hold them apart.
#[track_caller]
fn hides(world: &World, answer: &Answer, but: &[&str]) {
    for secret in [KEY, TOKEN, ANSWERED] {
        assert!(!answer.stdout.contains(secret) && !answer.stderr.contains(secret), "{secret} is told: {answer:#?}");
        for entry in walkdir::WalkDir::new(world.path("")) {
            let entry = entry.expect("readable");
            let is_source = but.iter().any(|name| entry.path() == world.path(name));
            if entry.file_type().is_file() && !is_source {
                let bytes = fs::read(entry.path()).expect("readable");
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is written to {}", entry.path().display());
            }
        }
    }
}

/// The program with secrets in its environment, for services that are on this machine.
fn command(world: &World, arguments: &str, address: &str) -> Command {
    let mut command = world.command(arguments);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy().into_owned();
        if ["AWS_", "GOOGLE_", "AZURE_", "HF_", "HUGGING"].iter().any(|start| name_text.starts_with(start)) {
            command.env_remove(name);
        }
    }
    fs::create_dir_all(world.path("home")).expect("writable");
    command.env("HOME", world.path("home")).env("HF_HOME", world.path("home/hf"));
    command.env("AWS_ACCESS_KEY_ID", "plainName").env("AWS_SECRET_ACCESS_KEY", KEY).env("AWS_SESSION_TOKEN", TOKEN);
    command
        .env("AWS_ENDPOINT_URL", format!("http://user:{KEY}@{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "x");
    command.env("AZURE_STORAGE_ACCOUNT_NAME", "lab").env("AZURE_STORAGE_SAS_KEY", format!("sv=2020&sig={KEY}"));
    command.env("AZURE_ENDPOINT", format!("http://{address}")).env("AZURE_ALLOW_HTTP", "true");
    command.env("AZURE_STORAGE_TOKEN", TOKEN);
    command.env("HF_TOKEN", TOKEN).env("HF_ENDPOINT", format!("http://user:{KEY}@{address}"));
    command.env("NO_PROXY", "127.0.0.1");
    command
}

#[test]
fn a_shared_cache_that_refuses_learns_no_secret_into_any_message_or_file() {
    if runtime().is_none() {
        return;
    }
    let elsewhere = format!("http://127.0.0.1:9/x?sig={ANSWERED}");
    for (status, location) in
        [("400 Bad Request", None), ("403 Forbidden", None), ("301 Moved Permanently", Some(elsewhere))]
    {
        let (address, heard) = quoting(status, location);
        for remote in ["s3://lab/hebb".to_owned(), "az://box/hebb".to_owned(), format!("http://{address}/shared")] {
            let world = World::empty();
            let mode = if remote.starts_with("http") { "read" } else { "read-write" };
            world.write("study.toml", format!("{SIMULATED}\n[cache]\nremote = \"{remote}\"\nmode = \"{mode}\"\n"));
            let mut run = command(&world, "run study.toml --trust --events events.jsonl", &address);
            let answer = Answer::of(&mut run).exits(0).says(&["warning: ", "without it"]);
            hides(&world, &answer, &[]);
            for more in [
                "lock study.toml",
                "pack study.toml -o x.hebb.tar.zst --license MIT",
                "status study.toml --json",
                "doctor",
            ] {
                hides(&world, &Answer::of(&mut command(&world, more, &address)), &[]);
            }
        }
        assert!(!heard.lock().expect("no holder panics").is_empty(), "{status}: nobody was asked");
    }
    // What never answers quotes the address that was asked.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").to_string();
    let world = World::empty();
    world.write("study.toml", format!("{SIMULATED}\n[cache]\nremote = \"az://box/hebb\"\n"));
    let answer = Answer::of(&mut command(&world, "run study.toml --trust", &free)).exits(0).says(&["warning: "]);
    hides(&world, &answer, &[]);
}

#[test]
fn a_hub_that_refuses_learns_no_token_into_any_message() {
    let model = "hf:lab/model@0123456789012345678901234567890123456789";
    let elsewhere = |path: &str| Some(format!("http://127.0.0.1:9/{path}?sig={ANSWERED}"));
    for (status, location) in [
        ("200 OK", None),
        ("206 Partial Content", None),
        ("403 Forbidden", None),
        ("404 Not Found", None),
        ("418 Strange", None),
        ("302 Found", elsewhere("x")),
        ("302 Found", elsewhere("bad path")),
        ("302 Found", Some(format!("ftp://me:{ANSWERED}@host/x"))),
    ] {
        let (address, heard) = quoting(status, location);
        let world = World::empty();
        let answer = Answer::of(&mut command(&world, &format!("models fetch {model}"), &address));
        assert_ne!(answer.status, 0, "{status}: {answer:#?}");
        hides(&world, &answer, &[]);
        let heard = heard.lock().expect("no holder panics");
        assert!(heard.iter().any(|asked| asked.contains("lab/model")), "{status}: the hub was asked");
    }
}

#[test]
fn secrets_in_a_study_or_in_settings_are_refused_and_not_shown() {
    let world = World::empty();
    for remote in
        [format!("s3://me:{KEY}@lab/x"), format!("https://host/x?sig={KEY}"), format!("file://me:{KEY}@host/x")]
    {
        world.write("study.toml", format!("{SIMULATED}\n[cache]\nremote = \"{remote}\"\n"));
        for arguments in ["check study.toml", "check study.toml --format json", "plan study.toml", "run study.toml"] {
            let answer = world.hebb(arguments).exits(2);
            hides(&world, &answer, &["study.toml"]);
        }
    }
    world.write("study.toml", SIMULATED);
    world.write(
        "settings.toml",
        format!("[execution]\nexecutor = \"slurm\"\n\n[execution.slurm]\nsetup = [\"export HF_TOKEN={TOKEN}\"]\n"),
    );
    for arguments in ["slurm script study.toml", "run study.toml", "doctor"] {
        let answer = world.hebb(&format!("--settings settings.toml {arguments}")).exits(2);
        assert!(answer.stderr.contains("sets a variable with the name of a secret"), "{answer:#?}");
        hides(&world, &answer, &["settings.toml"]);
    }
    // What another command says, or another file holds, is none.
    let good = "[execution]\nexecutor = \"slurm\"\n\n[execution.slurm]\nsetup = [\"export HF_TOKEN=\\\"$(cat token)\\\"\", \"export OMP_NUM_THREADS=1\"]\n";
    world.write("settings.toml", good);
    let answer = world.hebb("--settings settings.toml doctor");
    assert!(!answer.stderr.contains("name of a secret"), "{answer:#?}");
}

#[cfg(unix)]
fn modes(folder: &Path) -> Vec<(String, u32, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable"));
    let mode = |entry: walkdir::DirEntry| {
        let found = entry.metadata().expect("readable");
        let path = entry.path().strip_prefix(folder).expect("walked from there").display().to_string();
        (path, found.permissions().mode() & 0o7777, found.is_dir())
    };
    entries.map(mode).collect()
}

#[cfg(unix)]
#[test]
fn what_is_written_is_as_open_as_the_user_lets_new_files_be() {
    use std::os::unix::process::CommandExt;
    if runtime().is_none() {
        return;
    }
    for mask in [0o077_u32, 0o022, 0o000] {
        let world = World::simulated();
        for arguments in [
            "run study.toml --events events.jsonl",
            "lock study.toml",
            "pack study.toml -o x.hebb.tar.zst --license MIT",
            "unpack x.hebb.tar.zst -o out",
        ] {
            let mut command = world.command(arguments);
            // SAFETY: `umask` may be called between fork and exec.
            unsafe {
                command.pre_exec(move || {
                    libc::umask(mask as libc::mode_t);
                    Ok(())
                });
            }
            Answer::of(&mut command).exits(0);
        }
        let (mut n_read_only, mut n_files) = (0, 0);
        for part in ["cache", "results", "out", "events.jsonl", "study.lock.toml", "x.hebb.tar.zst"] {
            for (path, mode, is_folder) in modes(&world.path(part)) {
                let name = format!("{part}/{path}: {mode:o} under {mask:03o}");
                assert_eq!(mode & mask, 0, "{name}: more than the user lets new files have");
                assert_eq!(mode & 0o7000, 0, "{name}");
                assert!(is_folder || mode & 0o111 == 0, "{name}: nothing here is a program");
                // Others may do what the user's mask leaves them, no less: a shared cache is read by its group.
                let open = if is_folder { 0o777 } else { 0o666 } & !mask;
                if part == "cache" && path.starts_with("artifacts/") && path.matches('/').count() >= 2 {
                    assert_eq!(mode & 0o444, open & 0o444, "{name}: as readable as any new file");
                    if !is_folder {
                        assert_eq!(mode & 0o222, 0, "{name}: a result is not written to again");
                        n_read_only += 1;
                    }
                } else {
                    assert_eq!(mode, open, "{name}");
                }
                n_files += 1;
            }
        }
        assert!(n_read_only > 50 && n_files > 200, "{n_read_only} of {n_files}");
    }
}
