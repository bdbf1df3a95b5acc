//! What the project says of itself in several places: dependencies and the wheel.

use std::{collections::BTreeMap, fs, path::Path};
use toml::Table;

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn table(name: &str) -> Table {
    toml::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Names in the tables of a manifest that end in `dependencies`, those for some systems too.
fn direct_dependencies(manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in manifest {
        let Some(value) = value.as_table() else { continue };
        match name.as_str() {
            "dependencies" | "dev-dependencies" | "build-dependencies" => found.extend(value.keys().cloned()),
            "target" => {
                value.values().filter_map(toml::Value::as_table).for_each(|of| found.extend(direct_dependencies(of)));
            }
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Crates in the table that says why each is there, by their name; and the reason.
fn explained(document: &str) -> Option<Vec<(String, String)>> {
    let mut lines = document.lines().skip_while(|line| *line != "| crate | why it is here |");
    lines.next()?;
    let rows = lines.skip(1).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | "));
    Some(
        rows.flat_map(|(crates, why)| crates.split(", ").map(|name| (name.replace('`', ""), why.to_owned()))).collect(),
    )
}

#[test]
fn the_table_of_dependencies_names_each_once_and_nothing_else() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let pages = fs::read_dir(folder).unwrap().map(|page| format!("docs/{}", page.unwrap().file_name().display()));
    let documents = std::iter::once("README.md".to_owned()).chain(pages.filter(|page| page.ends_with(".md")));
    let tables: BTreeMap<String, Vec<(String, String)>> =
        documents.filter_map(|name| Some((name.clone(), explained(&text(&name))?))).collect();
    assert_eq!(tables.len(), 1, "one document has the table: {:?}", tables.keys());
    let (name, rows) = tables.into_iter().next().unwrap();
    let mut named: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    named.sort();
    assert_eq!(named, direct_dependencies(&table("Cargo.toml")), "{name} on the left, Cargo.toml on the right");
    for (name, why) in rows {
        assert!(why.len() > 4, "`{name}` has no reason: `{why}`");
    }
}

#[test]
fn dependencies_for_some_systems_and_for_tests_count_too() {
    let manifest =
        "[dependencies]\na = '1'\n[dev-dependencies]\nb = '1'\n[target.'cfg(unix)'.dependencies]\nc = '1'\na = '1'\n";
    assert_eq!(direct_dependencies(&toml::from_str(manifest).unwrap()), ["a", "b", "c"]);
}

#[test]
fn the_wheel_says_of_itself_what_the_crate_says() {
    let (crate_, wheel) = (table("Cargo.toml"), table("pyproject.toml"));
    let (package, project) = (crate_["package"].as_table().unwrap(), wheel["project"].as_table().unwrap());
    for field in ["name", "description", "license", "keywords"] {
        assert_eq!(package[field], project[field], "`{field}`");
    }
}

/// `ort` asks for interface 24 by `api-24`, which the library has from 1.24 on.
#[test]
fn the_wheel_asks_for_an_onnx_runtime_that_has_the_interface_that_is_used() {
    let (crate_, wheel) = (table("Cargo.toml"), table("pyproject.toml"));
    let features = crate_["dependencies"]["ort"]["features"].as_array().unwrap();
    let interface =
        features.iter().find_map(|feature| feature.as_str()?.strip_prefix("api-")).expect("`ort` names one");
    let wanted = format!("onnxruntime>=1.{interface},<2");
    let dependencies = wheel["project"]["dependencies"].as_array().unwrap();
    assert_eq!(dependencies.iter().map(|one| one.as_str().unwrap()).collect::<Vec<_>>(), [wanted]);
}

#[test]
fn advisories_that_are_passed_over_are_known_and_have_a_reason() {
    let known = text("scripts/advisories.tsv");
    let rules = table("deny.toml");
    for ignored in rules["advisories"]["ignore"].as_array().unwrap() {
        let id = ignored["id"].as_str().unwrap();
        assert!(
            known.lines().any(|line| line.starts_with(&format!("{id}\t"))),
            "{id} is not in scripts/advisories.tsv"
        );
        assert!(ignored["reason"].as_str().unwrap().len() > 20, "{id}");
    }
    for skipped in rules["bans"]["skip"].as_array().unwrap() {
        assert!(skipped.get("reason").is_some(), "{skipped}");
    }
}
