//! Studies that travel: archives, what is left out of them, what a stranger's study may have.

use std::{fs, path::Path};

use super::{Answer, World, runtime};

/// What every file below a folder holds, as text.
fn texts(folder: &Path) -> Vec<(String, String)> {
    let files = walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    files.map(|entry| (entry.path().display().to_string(), lossy(entry.path()))).collect()
}

fn lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("readable")).into_owned()
}

/// A world of another user, who has one file of the first.
fn elsewhere(world: &World, name: &str) -> World {
    let other = World::empty();
    fs::copy(world.path(name), other.path(name)).expect("copied");
    fs::create_dir_all(other.path("home/berta")).expect("writable");
    other
}

impl World {
    /// Runs the program as another user.
    fn as_berta(&self, arguments: &str) -> Answer {
        let mut command = self.command(arguments);
        Answer::of(command.env("HOME", self.path("home/berta")).env("USER", "berta").env("TZ", "Asia/Tokyo"))
    }
}

#[test]
fn a_study_travels_and_elsewhere_nothing_is_computed_and_the_report_is_the_same() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("pack study.toml").exits(2).says(&["tasks have no result", "hebb run study.toml"]);
    world.hebb("run study.toml").exits(0);
    world.hebb("pack study.toml -o tiny.hebb.tar.zst --license CC-BY-4.0").exits(0).prints(&["tiny.hebb.tar.zst: "]);
    let report = world.read("results/tiny/report.html");

    let other = elsewhere(&world, "tiny.hebb.tar.zst");
    let answer = other.as_berta("unpack tiny.hebb.tar.zst -o here").exits(0);
    answer.prints(&["here: tiny, packed by hebb ", "next: cd here && hebb run study/study.toml --locked"]);
    assert_eq!(other.read("here/results/tiny/report.html"), report);
    fs::remove_dir_all(other.path("here/results")).expect("removable");
    let mut run = other.command("run study/study.toml --locked");
    run.env("HOME", other.path("home/berta")).env("TZ", "Asia/Tokyo").current_dir(other.path("here"));
    Answer::of(&mut run).exits(0).prints(&["tiny: 0 computed, "]);
    assert_eq!(other.read("here/results/tiny/report.html"), report);
    other.as_berta("unpack tiny.hebb.tar.zst -o here").exits(2).says(&["is there already", "--output DIR"]);

    // Whoever doubts it computes it again, and finds the same bytes.
    let mut verify = other.command("verify study/study.toml");
    Answer::of(verify.current_dir(other.path("here"))).exits(0).prints(&[" bit-identical"]);

    // An archive runs as it is, also where there is no engine, and twice.
    for _ in 0..2 {
        let mut run = other.command("run tiny.hebb.tar.zst --locked");
        run.env("HOME", other.path("home/berta")).env("HEBB_ONNXRUNTIME", other.path("nowhere.so"));
        Answer::of(&mut run).exits(0).prints(&["tiny: 0 computed, "]);
    }
    let unpacked = other.path("tiny/results/tiny/report.html");
    assert_eq!(fs::read(unpacked).expect("laid out"), report);
    assert!(!other.path("cache").exists(), "an archive's results stay apart");
    other.as_berta("unpack tiny.hebb.tar.zst").exits(2).says(&["is there already"]);
}

#[test]
fn an_edit_elsewhere_goes_on_from_what_travelled() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.hebb("pack study.toml -o all.hebb.tar.zst --with all").exits(0);
    let other = elsewhere(&world, "all.hebb.tar.zst");
    other.as_berta("unpack all.hebb.tar.zst -o here").exits(0);
    other.replace("here/study/study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 300]");
    let mut plan = other.command("plan study/study.toml --json");
    let plan = Answer::of(plan.current_dir(other.path("here"))).exits(0).stdout;
    let kinds: Vec<&str> = ["\"kind\":\"extract\"", "\"kind\":\"series\"", "\"kind\":\"bold\""].into();
    assert!(kinds.iter().all(|kind| !plan.contains(kind)), "{plan}");
    let mut run = other.command("run study/study.toml --locked");
    Answer::of(run.current_dir(other.path("here")))
        .exits(2)
        .says(&["field `encoding.ridge.alphas[2]` is 300, locked 100"]);
    let mut run = other.command("run study/study.toml");
    Answer::of(run.current_dir(other.path("here"))).exits(0);
}

#[test]
fn equal_studies_give_equal_archives_and_a_damaged_one_is_refused() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.hebb("pack study.toml").exits(0).prints(&["study.hebb.tar.zst: "]);
    let bytes = world.read("study.hebb.tar.zst");
    world.hebb("pack study.toml").exits(0);
    assert!(world.read("study.hebb.tar.zst") == bytes, "the same bytes");
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 4;
    world.write("flipped.hebb.tar.zst", flipped);
    world.hebb("unpack flipped.hebb.tar.zst -o out").exits(2).says(&["is refused", "nothing was unpacked"]);
    world.write("cut.hebb.tar.zst", &bytes[..bytes.len() / 2]);
    world.hebb("run cut.hebb.tar.zst").exits(2).says(&["is refused"]);
    assert!(!world.path("out").exists() && !world.path("tiny").exists());
    // A study's file may have any name: its lock goes with it.
    fs::copy(world.path("study.toml"), world.path("tiny.study")).expect("copied");
    world.hebb("pack tiny.study -o named.hebb.tar.zst").exits(0);
    world.hebb("unpack named.hebb.tar.zst -o named").exits(0);
    assert!(world.path("named/study/tiny.study").is_file() && world.path("named/study/tiny.lock.toml").is_file());
}

#[test]
fn files_that_stay_at_home_are_named_and_found_by_what_is_in_them() {
    let Some(world) = World::recorded() else { return };
    let from = "[sources]\n\"atlas.labels\" = \"example.org/atlas\"\n\"models.clip.weights\" = \"example.org/clip\"\n\n[preparation]";
    world.replace("study.toml", "[preparation]", from);
    world.hebb("run study.toml").exits(0);
    let report = world.read("results/recorded/report.html");
    let answer = world.hebb("pack study.toml -o bare.hebb.tar.zst").exits(0);
    answer.prints(&["files that the study reads are not in it, ", "of them from others"]);
    world.hebb("pack study.toml -o inputs.hebb.tar.zst --with results,inputs").exits(0);
    world
        .hebb("pack study.toml -o both.hebb.tar.zst --with all --input inputs/clip --input inputs/derivatives/atlas")
        .exits(0);
    world.hebb("pack study.toml --input nowhere").exits(2).says(&["reads no file at or below `nowhere`"]);

    let other = elsewhere(&world, "bare.hebb.tar.zst");
    let answer = other.as_berta("run bare.hebb.tar.zst").exits(2);
    let answer = answer.says(&["that this study reads are not here:", "BLAKE3 ", "--find DIR", "error: there is no "]);
    assert!(
        answer.stderr.contains("inputs/clip/model.safetensors") && answer.stderr.contains(", from example.org/clip")
    );
    // Whoever has the data elsewhere, under other names, says where.
    let data = other.path("mine");
    for (number, entry) in walkdir::WalkDir::new(world.path("inputs")).into_iter().flatten().enumerate() {
        if entry.file_type().is_file() {
            let folder = data.join(format!("{}", number % 7));
            fs::create_dir_all(&folder).expect("writable");
            fs::copy(entry.path(), folder.join(format!("{number}.bin"))).expect("copied");
        }
    }
    let answer = other.as_berta("run bare.hebb.tar.zst --locked --find mine").exits(0);
    answer.says(&["missing files found, "]).prints(&["recorded: 0 computed, "]);
    assert_eq!(other.read("recorded/results/recorded/report.html"), report);

    // What is nobody else's travels when it is asked for; what is, when it is named.
    let some = elsewhere(&world, "inputs.hebb.tar.zst");
    some.as_berta("unpack inputs.hebb.tar.zst")
        .exits(0)
        .says(&["inputs/clip/model.safetensors", "schematic_dseg.nii.gz"]);
    assert!(some.path("recorded/study/inputs/stimuli/run-1.tsv").is_file());
    assert!(!some.path("recorded/study/inputs/clip/model.safetensors").exists());
    let all = elsewhere(&world, "both.hebb.tar.zst");
    all.as_berta("run both.hebb.tar.zst --locked").exits(0).prints(&["recorded: 0 computed, "]);
    assert_eq!(all.read("recorded/results/recorded/report.html"), report);
    // A changed file is named.
    let weights = all.path("recorded/study/inputs/clip/model.safetensors");
    let mut bytes = fs::read(&weights).expect("unpacked");
    *bytes.last_mut().expect("weights") ^= 1;
    fs::write(&weights, bytes).expect("writable");
    all.as_berta("run both.hebb.tar.zst --locked").exits(2).says(&["input `inputs/clip/model.safetensors` is "]);
}

#[test]
fn an_archive_names_no_folder_user_or_machine_and_what_lay_elsewhere_moves_in() {
    let Some(world) = World::recorded() else { return };
    // Data in one place, the study in another, all of it in the home of someone.
    let home = world.path("home/annabel");
    fs::create_dir_all(home.join("lab/study")).expect("writable");
    fs::rename(world.path("inputs"), home.join("data")).expect("movable");
    let absolute = home.join("data/derivatives").display().to_string();
    let text = world.text("study.toml");
    let text = text.replace("\"inputs/derivatives\"", &format!("\"{absolute}\""));
    let text = text.replace("inputs/", "../../data/");
    let text = format!("# annabel keeps the data in {}\n{text}", home.join("data").display());
    fs::write(home.join("lab/study/study.toml"), text).expect("writable");
    let hebb = |arguments: &str| {
        let mut command = world.command(arguments);
        Answer::of(command.env("HOME", &home).env("USER", "annabel").env_remove("XDG_STATE_HOME"))
    };
    // What it reads outside its folder, it has when its reader says so.
    let asked = hebb("check home/annabel/lab/study/study.toml").exits(2);
    asked.says(&["asks to read `", "annabel/data/derivatives`, outside its own folder", "--trust", "nothing was run"]);
    // No less when the study is named from its own folder.
    let mut named_alone = world.command("check study.toml");
    named_alone.env("HOME", &home).env("USER", "annabel").env_remove("XDG_STATE_HOME");
    Answer::of(named_alone.current_dir(home.join("lab/study"))).exits(2).says(&["outside its own folder"]);
    hebb("check home/annabel/lab/study/study.toml --trust").exits(0).says(&["trusted: this study may read "]);
    let again = hebb("run home/annabel/lab/study/study.toml").exits(0);
    assert!(!again.stderr.contains("trusted:"), "it is remembered: {again:?}");
    hebb("pack home/annabel/lab/study/study.toml -o out.hebb.tar.zst --with all").exits(0);

    let other = elsewhere(&world, "out.hebb.tar.zst");
    other.as_berta("unpack out.hebb.tar.zst -o here").exits(0);
    for (path, text) in texts(&other.path("here")) {
        assert!(!text.contains("annabel"), "{path} names the user");
        assert!(!text.contains(&world.path("").display().to_string()), "{path} names a folder of the first machine");
    }
    let study = other.text("here/study/study.toml");
    assert!(study.starts_with("# user keeps the data in ~/data\n"), "{study}");
    assert!(
        study.contains("folder = \"inputs/bold.bids.folder\"")
            && study.contains("inputs/stimuli.tables.path/run-{run}.tsv")
    );
    let mut run = other.command("run study/study.toml --locked");
    Answer::of(run.env("HOME", other.path("home/berta")).current_dir(other.path("here")))
        .exits(0)
        .prints(&["0 computed, "]);
}

#[test]
fn a_sweep_with_what_it_includes_travels() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    fs::create_dir_all(world.path("sweeps")).expect("writable");
    let sweep = "include = \"../study.toml\"\n\n[study]\nname = \"swept\"\n\n[sweep.grid]\n\"encoding.ridge.alphas\" = [[1], [10]]\n";
    world.write("sweeps/swept.toml", sweep);
    world.hebb("run sweeps/swept.toml").exits(2).says(&["outside its own folder"]);
    world.hebb("run sweeps/swept.toml --trust").exits(0);
    world.hebb("pack sweeps/swept.toml -o swept.hebb.tar.zst").exits(0);
    let other = elsewhere(&world, "swept.hebb.tar.zst");
    // The archive is its home: what it includes lies in it.
    other.as_berta("run swept.hebb.tar.zst --locked").exits(0).prints(&["swept: 0 computed, "]);
    for page in ["index.html", "alphas=[1]/report.html"] {
        let page = format!("results/swept/{page}");
        if world.path(&page).exists() {
            assert_eq!(other.read(&format!("swept/{page}")), world.read(&page), "{page}");
        }
    }
}
