//! What leaves for others: references as BibTeX, results as BIDS derivatives.

use super::{Answer, World, runtime};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// An entry of a BibTeX file, taken apart by rule: `@kind{key,` and fields of balanced braces, nothing else between entries but lines
/// of comment without an at sign.
struct Reference {
    kind: String,
    fields: BTreeMap<String, String>,
    comments: Vec<String>,
}

fn references(text: &str) -> BTreeMap<String, Reference> {
    let mut all = BTreeMap::new();
    let mut order = Vec::new();
    let mut rest = text;
    let mut comments = Vec::new();
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').expect("every line ends");
        if line.is_empty() || line.starts_with('%') {
            assert!(!line.contains('@'), "{line}");
            if line.is_empty() {
                comments.clear();
            } else {
                comments.push(line.to_owned());
            }
            rest = after;
            continue;
        }
        let (kind, key) = line.strip_prefix('@').and_then(|line| line.split_once('{')).expect("an entry begins");
        let key = key.strip_suffix(',').expect("a comma behind the key");
        assert!(!key.is_empty() && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{key}");
        let mut fields = BTreeMap::new();
        rest = after;
        loop {
            let (line, after) = rest.split_once('\n').expect("every line ends");
            rest = after;
            if line == "}" {
                break;
            }
            let (name, value) = line.strip_prefix("  ").and_then(|line| line.split_once(" = ")).expect("a field");
            let value = value.strip_prefix('{').and_then(|value| value.strip_suffix("},")).expect("braces");
            let mut depth = 0_i32;
            let mut before = ' ';
            for letter in value.chars() {
                depth += i32::from(letter == '{') - i32::from(letter == '}');
                assert!(depth >= 0, "{value}");
                let is_bare = "&%$#_".contains(letter) && before != '\\';
                assert!(!is_bare || ["url", "doi"].contains(&name), "{name} = {value}");
                before = letter;
            }
            assert_eq!(depth, 0, "{value}");
            assert!(fields.insert(name.to_owned(), value.to_owned()).is_none(), "{name} twice");
        }
        let comments = std::mem::take(&mut comments);
        order.push(key.to_owned());
        let entry = Reference { kind: kind.to_owned(), fields, comments };
        assert!(all.insert(key.to_owned(), entry).is_none(), "{key} twice");
    }
    assert!(order.is_sorted(), "{order:?}");
    for (key, Reference { kind, fields, comments }) in &all {
        let needed: &[&str] = match kind.as_str() {
            "article" => &["author", "title", "journal", "year", "doi"],
            "inproceedings" => &["author", "title", "booktitle", "year"],
            "misc" => &["title"],
            other => panic!("{key}: {other}"),
        };
        needed.iter().for_each(|name| assert!(fields.contains_key(*name), "{key} has no {name}"));
        assert!(comments.iter().any(|line| line.starts_with("% cited for ")), "{key} says not why");
    }
    all
}

fn experiment(name: &str) -> String {
    format!("{}/experiments/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_study_cites_what_its_report_cites_and_no_more() {
    let world = World::empty();
    // What methods name is what stands in brackets or is said of a response, by the rule of their own table.
    let cited = |study: &str| {
        let answer = world.hebb(&format!("cite {}", experiment(study))).exits(0);
        assert_eq!(world.hebb(&format!("cite {}", experiment(study))).stdout, answer.stdout);
        let programs = ["hebb", "openblas", "onnxruntime"];
        let mut keys: Vec<String> = references(&answer.stdout).into_keys().collect();
        programs.iter().for_each(|program| assert!(keys.iter().any(|key| key == program), "{program}"));
        keys.retain(|key| !programs.contains(&key.as_str()));
        keys
    };
    let quickstart = [
        "benjamini1995controlling",
        "glover1999deconvolution",
        "hubert1976quadratic",
        "kornblith2019similarity",
        "langsrud2005rotation",
        "mairal2009online",
        "radford2021learning",
    ];
    assert_eq!(cited("quickstart"), quickstart);
    let bands = cited("bands");
    assert!(
        bands.contains(&"duprelatour2022feature".to_owned()) && !bands.contains(&"langsrud2005rotation".to_owned())
    );
    assert!(!world.path("cache").exists(), "nothing is computed");
}

#[test]
fn references_hold_whatever_a_study_says() {
    let world = World::simulated();
    let text = world.text("study.toml").replace("name = \"tiny\"", "name = \"100 % }@misc{x,\"");
    world.write(
        "study.toml",
        format!(
            "{text}\n[sources]\n\"models.clip.random\" = \"you & I_@_home }}\"\n\"bold.simulate\" = \"a.org/x_y\"\n"
        ),
    );
    world.hebb("cite study.toml -o refs.bib").exits(0).prints(&["refs.bib: ", " references"]);
    let all = references(&world.text("refs.bib"));
    assert_eq!(all["sourceboldsimulate"].fields["url"], "https://a.org/x_y");
    assert_eq!(all["sourcemodelscliprandom"].fields["howpublished"], "you \\& I\\_@\\_home \\textbraceright ");
    world.hebb("cite absent.toml").exits(2);
}

/// Every file of a folder by its path inside.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let walk = walkdir::WalkDir::new(root).into_iter().map(|entry| entry.expect("readable"));
    walk.filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let inside = entry.path().strip_prefix(root).expect("walked from there").to_string_lossy().into_owned();
            (inside, fs::read(entry.path()).expect("readable"))
        })
        .collect()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

/// Checks names, sidecars and tables of a dataset by the letter; gives its maps and tables.
fn legal(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = files(root);
    let about = json(&all["dataset_description.json"]);
    assert_eq!((&about["DatasetType"], &about["BIDSVersion"]), (&"derivative".into(), &"1.10.0".into()));
    assert!(about["Name"].as_str().is_some_and(|name| !name.is_empty()));
    assert!(about.get("License").is_none() && about["GeneratedBy"][0].get("CodeURL").is_none());
    let generators: Vec<&str> = about["GeneratedBy"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|by| by["Name"].as_str().expect("a name"))
        .collect();
    assert_eq!(generators, ["Hebb", "OpenBLAS", "ONNX Runtime"]);

    let table = |name: &str| -> Vec<Vec<String>> {
        let text = String::from_utf8(all[name].clone()).expect("text");
        let rows: Vec<Vec<String>> = text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
        let told = json(&all[&name.replace(".tsv", ".json")]);
        for column in &rows[0] {
            assert!(told[column]["Description"].is_string(), "{name}: {column}");
        }
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{name}");
        rows
    };
    let participants: BTreeSet<String> = table("participants.tsv")[1..].iter().map(|row| row[0].clone()).collect();
    let folders: BTreeSet<String> = all
        .keys()
        .filter(|path| path.starts_with("sub-"))
        .map(|path| path.split('/').next().expect("a folder").to_owned())
        .collect();
    assert_eq!(participants, folders);
    let descs: BTreeSet<String> = table("descriptions.tsv")[1..].iter().map(|row| row[0].clone()).collect();
    let labels = table("docs/labels.tsv");

    let order = ["sub", "task", "space", "res", "den", "stat", "desc"];
    let mut used = BTreeSet::new();
    let mut lower = BTreeSet::new();
    let mut payload = BTreeMap::new();
    for (path, bytes) in &all {
        assert!(lower.insert(path.to_lowercase()), "`{path}` is another file on some disks");
        let parts: Vec<&str> = path.split('/').collect();
        if !path.starts_with("sub-") && !path.starts_with("group/") {
            continue;
        }
        let (stem, extension) = parts[parts.len() - 1].split_once('.').expect("an extension");
        let mut pieces: Vec<&str> = stem.split('_').collect();
        let suffix = pieces.pop().expect("a suffix");
        let pairs: Vec<(&str, &str)> = pieces.iter().map(|piece| piece.split_once('-').expect("an entity")).collect();
        let places: Vec<usize> =
            pairs.iter().map(|(key, _)| order.iter().position(|known| known == key).expect("a known entity")).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{path}");
        for (key, label) in &pairs {
            assert!(!label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{path}");
            let is_told = labels.iter().any(|row| row[0] == *key && row[1] == *label);
            assert!(is_told || *key == "stat", "{path}: {key}-{label}");
        }
        match parts[..] {
            [subject, "func", _] => assert_eq!(subject, format!("sub-{}", pairs[0].1)),
            ["group", _] => assert_eq!(pairs[0].0, "task"),
            _ => panic!("{path}"),
        }
        let expected: &[&str] = match suffix {
            "statmap" | "mask" => &["nii.gz", "dscalar.nii", "json"],
            "table" => &["tsv", "json"],
            other => panic!("{path}: {other}"),
        };
        assert!(expected.contains(&extension), "{path}");
        let desc = pairs.last().expect("entities");
        assert_eq!(desc.0, "desc");
        used.insert(format!("desc-{}", desc.1));
        let beside = path.replace(extension, "json");
        if extension == "json" {
            let n_beside =
                expected.iter().filter(|other| all.contains_key(&path.replace(".json", &format!(".{other}")))).count();
            assert_eq!(n_beside, 2, "`{path}` belongs to one file");
            continue;
        }
        let told = json(&all[&beside]);
        assert!(["Name", "Key", "OutputDigest"].iter().all(|key| told["HebbTask"][key].is_string()), "{beside}");
        if suffix == "table" {
            table(path);
        } else {
            assert!(told["Description"].is_string() && told["TaskName"].is_string(), "{beside}");
            assert!(
                suffix == "mask"
                    || ["Units", "Model", "Features", "SpatialReference"].iter().all(|key| told[key].is_string()),
                "{beside}"
            );
        }
        for source in told["Sources"].as_array().into_iter().flatten() {
            let source = source.as_str().expect("an address");
            match source.strip_prefix("bids::") {
                Some(inside) => assert!(all.contains_key(inside), "{source}"),
                None => {
                    assert!(source.starts_with("bids:bold:") && about["DatasetLinks"]["bold"].is_string(), "{source}");
                }
            }
        }
        payload.insert(path.clone(), bytes.clone());
    }
    assert_eq!(used, descs, "every description is used and described");
    payload
}

/// Whether maps are those of the results, byte for byte, and tables field for field.
fn holds_results(payload: &BTreeMap<String, Vec<u8>>, results: &Path) {
    let maps = files(&results.join("maps"));
    let mut expected: Vec<&Vec<u8>> =
        maps.iter().filter(|(name, _)| !name.ends_with(".json")).map(|(_, bytes)| bytes).collect();
    let mut found: Vec<&Vec<u8>> =
        payload.iter().filter(|(path, _)| !path.ends_with(".tsv")).map(|(_, bytes)| bytes).collect();
    expected.sort();
    found.sort();
    assert!(!found.is_empty() && expected == found, "{} maps of {}", found.len(), expected.len());
    // Rows with their header, so that no number changes its column.
    let rows = |all: Vec<&Vec<u8>>| {
        let mut rows = Vec::new();
        for bytes in all {
            let text = String::from_utf8(bytes.clone()).expect("text");
            let header = text.lines().next().expect("a header").to_owned();
            rows.extend(text.lines().skip(1).map(|line| format!("{header}\n{line}")));
        }
        rows.sort();
        rows
    };
    let tables = files(&results.join("tables"));
    let expected = rows(tables.iter().filter(|(name, _)| name.ends_with(".tsv")).map(|(_, bytes)| bytes).collect());
    let found = rows(payload.iter().filter(|(path, _)| path.ends_with(".tsv")).map(|(_, bytes)| bytes).collect());
    assert!(!found.is_empty() && expected == found, "{} rows of {}", found.len(), expected.len());
}

fn names(world: &World) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> =
        fs::read_dir(world.path("")).expect("readable").map(|entry| entry.expect("readable").path()).collect();
    names.sort();
    names
}

#[test]
fn results_become_a_dataset_with_every_byte_and_number() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    let text = world.text("study.toml");
    // Models whose names differ in what BIDS does not allow.
    let model =
        &text[text.find("[models.clip.random]").expect("a model")..text.find("[bold.simulate]").expect("brains")];
    let others: String = ["clip-x", "clip_X", "clipx"]
        .iter()
        .map(|name| model.replace("models.clip.", &format!("models.{name}.")))
        .collect();
    let text = text
        .replace("\"sub-01\", \"sub-02\"", "\"sub-01\", \"sub-x1\"")
        .replace("[bold.simulate]\n", &format!("{others}[bold.simulate]\nmodel = \"clip\"\n"));
    let asked = "\n[statistics.redundancy]\n[statistics.polarity]\n[statistics.significance]\nn_permutations = 20\n[statistics.group]\n";
    world.write("study.toml", text + asked);
    let before = names(&world);
    world.hebb("export-bids study.toml out").exits(2).says(&["not computed", "hebb run study.toml"]);
    assert!(!world.path("out").exists());
    assert_eq!(names(&world).len(), before.len() + 1, "the cache alone was begun");
    world.hebb("run study.toml").exits(0);
    world.hebb("export-bids study.toml out").exits(0).prints(&["BIDS dataset: out (", " files, "]);
    let payload = legal(&world.path("out"));
    holds_results(&payload, &world.path("results/tiny"));
    let all = files(&world.path("out"));
    let labels = String::from_utf8(all["docs/labels.tsv"].clone()).expect("text");
    assert!(labels.contains("sub\tx1\tsub-x1\n"), "{labels}");
    for name in ["clip-x", "clip_X", "clipx"] {
        assert!(labels.contains(&format!("of model {name}\n")), "{labels}");
    }
    // Of four models each has its own file: nothing was written over.
    let n_scores = payload.keys().filter(|path| path.starts_with("sub-01/") && path.contains("_stat-r_")).count();
    assert_eq!(n_scores, 4);
    assert!(payload.keys().any(|path| path.starts_with("group/") && path.contains("_stat-t_")));
    let readme = String::from_utf8(all["README.md"].clone()).expect("text");
    assert!(readme.contains("# tiny\n") && readme.contains("## Methods") && readme.contains("Mairal J"), "{readme}");

    // Equal results make equal datasets; nothing is left beside them.
    world.hebb("export-bids study.toml again").exits(0);
    assert_eq!(files(&world.path("again")), all);
    let left = names(&world)
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')))
        .count();
    assert_eq!(left, 0);
}

#[test]
fn a_dataset_takes_no_place_of_anything_else() {
    let Some(_) = runtime() else { return };
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    world.write("taken", "a file");
    fs::create_dir(world.path("full")).expect("writable");
    world.write("full/mine.txt", "mine");
    let before = names(&world);
    world.hebb("export-bids study.toml taken").exits(2).says(&["`taken` is there and no folder", "new or empty"]);
    world.hebb("export-bids study.toml full").exits(2).says(&["`full` is not empty"]);
    world.hebb("export-bids study.toml no/where").exits(2).says(&["`no` is not there"]);
    // A result that went away after it was found.
    let map = walkdir::WalkDir::new(world.path("cache/artifacts")).into_iter().flatten();
    let map = map
        .map(walkdir::DirEntry::into_path)
        .find(|path| path.to_string_lossy().ends_with("sub-02_desc-clip_stat-r_statmap.json"));
    let map = map.expect("a sidecar");
    let folder = map.parent().expect("a folder").to_owned();
    let text = fs::read(&map).expect("readable");
    open_to_change(&folder);
    open_to_change(&map);
    fs::write(&map, [&b"x"[..], &text[1..]].concat()).expect("writable");
    world.hebb("export-bids study.toml new").exits(2).says(&["stat-r_statmap.json", "is no result of this version"]);
    assert_eq!(names(&world), before, "nothing is left behind");
    assert_eq!(world.text("full/mine.txt"), "mine");
    fs::write(&map, text).expect("writable");
    fs::create_dir(world.path("new")).expect("writable");
    world.hebb("export-bids study.toml new").exits(0);
    legal(&world.path("new"));
    // Results are read-only, a dataset is not.
    assert!(
        files(&world.path("new"))
            .keys()
            .all(|path| !fs::metadata(world.path("new").join(path)).expect("there").permissions().readonly())
    );
}

#[cfg(unix)]
fn open_to_change(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = if path.is_dir() { 0o755 } else { 0o644 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
}

#[cfg(not(unix))]
fn open_to_change(path: &Path) {
    let mut rights = fs::metadata(path).expect("there").permissions();
    rights.set_readonly(false);
    fs::set_permissions(path, rights).expect("ours");
}

#[test]
fn recorded_series_are_sources_and_a_sweep_makes_a_dataset_for_each_cell() {
    let Some(world) = World::recorded() else { return };
    let text = world.text("study.toml");
    world.write(
        "study.toml",
        format!("{text}\n[sources]\n\"bold.bids.folder\" = \"openneuro.org/datasets/x\"\n\n[sweep.grid]\n\"patterns.dictionary.seed\" = [1, 2]\n"),
    );
    world.hebb("run study.toml").exits(0);
    world.hebb("export-bids study.toml out").exits(0).prints(&["BIDS 2 datasets: out ("]);
    assert_eq!(world.text("out/cells.tsv"), "folder\tseed\nseed=1\t1\nseed=2\t2\n");
    for cell in ["seed=1", "seed=2"] {
        let root = world.path("out").join(cell);
        let payload = legal(&root);
        holds_results(&payload, &world.path("results/recorded").join(cell));
        let about = json(&fs::read(root.join("dataset_description.json")).expect("there"));
        assert_eq!(about["Name"], format!("recorded: {cell}"));
        assert_eq!(about["SourceDatasets"][0]["URL"], "https://openneuro.org/datasets/x");
        let map = payload.keys().find(|path| path.contains("_stat-r_")).expect("a map");
        assert_eq!(map, "sub-01/func/sub-01_task-simulated_space-schematic_stat-r_desc-clip_statmap.nii.gz");
        let told = json(&fs::read(root.join(map.replace("nii.gz", "json"))).expect("there"));
        let first = told["Sources"][0].as_str().expect("an address");
        assert_eq!(first, "bids:bold:sub-01/func/sub-01_task-simulated_run-1_space-schematic_desc-preproc_bold.nii.gz");
    }
    let said = files(&world.path("out")).into_iter().filter(|(path, _)| !path.ends_with(".nii.gz"));
    let here = world.path("").display().to_string();
    let here = here.trim_end_matches('/');
    for (path, bytes) in said {
        assert!(!String::from_utf8_lossy(&bytes).contains(here), "`{path}` knows a folder of this machine");
    }
    let cite = world.hebb("cite study.toml").exits(0);
    let keys: Vec<String> = references(&cite.stdout).into_keys().collect();
    assert!(
        keys.contains(&"gorgolewski2016brain".to_owned()) && keys.contains(&"sourceboldbidsfolder".to_owned()),
        "{keys:?}"
    );
    let _: Answer = cite;
}
