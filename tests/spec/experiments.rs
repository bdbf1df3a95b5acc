//! The studies of `experiments/`: those that need nothing check, those on data that is not here say what is missing and where it comes
//! from, and are right in all else.

use hebb::spec::{SpecError, read_study};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Studies on data of one's own, with the fields that name it.
const ON_DATA: [(&str, &[&str]); 4] = [
    (
        "ren2025",
        &[
            "stimuli-MOVIE1.tsv",
            "clip-vit-base-patch32",
            "meter_clip16_288_roberta_pretrain.ckpt",
            "vit-base-patch16-224",
            "roberta-base",
            "data/hcp`",
            "networks.59k_fs_LR.dlabel.nii",
            "participants.tsv",
        ],
    ),
    (
        "nsd-images",
        &[
            "trials-01.tsv",
            "data/nsd/images`",
            "clip-vit-base-patch32",
            "betas_session01.npy",
            "streams_dseg.nii.gz",
            "streams_dseg.tsv",
        ],
    ),
    (
        "fmriprep-movie",
        &["run-1.tsv", "words-1.tsv", "clip-vit-base-patch32", "data/fmriprep`", "_dseg.nii.gz", "_dseg.tsv"],
    ),
    (
        "bert-language",
        &[
            "run-1.tsv",
            "words-1.tsv",
            "bert-base-uncased",
            "data/story/derivatives`",
            "language_dseg.nii.gz",
            "language_dseg.tsv",
        ],
    ),
];

fn studies() -> Vec<PathBuf> {
    let all = fs::read_dir("experiments").expect("a folder").map(|entry| entry.expect("readable").path());
    all.filter(|path| path.extension().is_some_and(|found| found == "toml")).collect()
}

fn name(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn every_study_that_needs_nothing_checks() {
    for path in studies() {
        // `files.toml` reads what `hebb inputs` writes.
        if ON_DATA.iter().any(|(known, _)| *known == name(&path)) || name(&path) == "files" {
            continue;
        }
        if let Err(error) = read_study(&path) {
            panic!("{}:\n{error}", path.display());
        }
    }
}

#[test]
fn a_study_on_data_lists_all_that_is_missing_and_where_it_comes_from() {
    for (study, expected) in ON_DATA {
        let Err(SpecError::Wrong(errors)) = read_study(&Path::new("experiments").join(format!("{study}.toml"))) else {
            panic!("{study} should lack its files");
        };
        let found = errors.diagnostics();
        for one in found {
            assert!(one.message.starts_with("there is no `"), "{study}: {}", one.message);
            let hint = one.hint.as_deref().unwrap_or_default();
            assert!(hint.starts_with("it comes from "), "{study}: {} / {hint}", one.message);
        }
        for file in expected {
            assert!(found.iter().any(|one| one.message.contains(file)), "{study} does not tell of {file}:\n{errors:?}");
        }
        assert_eq!(found.len(), expected.len(), "{study}: {errors:?}");
    }
}

/// Replaces a table, from its header to the next empty line.
fn replaced(text: &str, header: &str, with: &str) -> String {
    let start = text.find(&format!("{header}\n")).unwrap_or_else(|| panic!("{header}"));
    let end = text[start..].find("\n\n").map_or(text.len(), |length| start + length + 1);
    format!("{}{with}\n{}", &text[..start], &text[end..])
}

/// The same study with made-up stimuli, small untrained models and simulated subjects in place of its files.
fn stand_in(text: &str) -> String {
    let models: BTreeMap<&str, &str> = BTreeMap::from([
        (
            "clip-vit",
            "random = { projection_dim = 16, vision = { layers = 3, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }, text = { layers = 3, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 } }",
        ),
        (
            "meter_",
            "random = { architecture = \"meter\", vision = { layers = 1, width = 64, heads = 1, mlp_width = 64, image_size = 32, patch_size = 16 }, text = { layers = 1, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }, fusion = { layers = 1, width = 24, heads = 2, mlp_width = 48 } }",
        ),
        (
            "vit-base",
            "random = { architecture = \"vit\", vision = { layers = 3, width = 64, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 } }",
        ),
        (
            "roberta-base",
            "random = { architecture = \"roberta\", text = { layers = 3, width = 64, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 } }",
        ),
        (
            "bert-base",
            "random = { architecture = \"bert\", text = { layers = 3, width = 64, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 } }",
        ),
    ]);
    let mut text = replaced(text, "[sources]", "");
    text = replaced(
        &text,
        "[stimuli.tables]",
        "[stimuli.generate]\nseed = 1\nimages_per_run = 100\nimage_size_px = 32\nduration_s = 2.0\n",
    );
    let driver =
        text.lines().find_map(|line| line.strip_prefix("[models.")?.strip_suffix(']')).expect("a model").to_owned();
    let bold = format!(
        "[bold.simulate]\nsubjects = [\"sub-01\", \"sub-02\"]\nmodel = \"{driver}\"\nrepetition_time_s = 1.0\n"
    );
    for header in ["[bold.hcp]", "[bold.bids]", "[bold.matrices]"] {
        if text.contains(header) {
            text = replaced(&text, header, &bold);
        }
    }
    let is_of_files = |line: &&str| {
        ["labels = ", "table = ", "space = ", "clips = ", "families = ", "family_column = "]
            .iter()
            .all(|field| !line.starts_with(field))
    };
    let model = |line: &str| match line.strip_prefix("weights = ") {
        Some(weights) => {
            let known = models
                .iter()
                .find(|(name, _)| weights.contains(*name) && !(**name == "bert-base" && weights.contains("roberta")));
            (*known.unwrap_or_else(|| panic!("{weights}")).1).to_owned()
        }
        None => line.to_owned(),
    };
    text.lines().filter(is_of_files).map(|line| model(line) + "\n").collect()
}

#[test]
fn a_study_on_data_is_right_in_all_but_its_files() {
    for (study, _) in ON_DATA {
        let text = fs::read_to_string(Path::new("experiments").join(format!("{study}.toml"))).expect("committed");
        let folder = tempfile::tempdir().expect("a place for files");
        let path = folder.path().join("study.toml");
        // Dictionaries of the real models are larger than the stand-ins are.
        let small =
            stand_in(&text).replace("n_patterns = 64", "n_patterns = 24").replace("[32, 64, 128]", "[8, 16, 24]");
        fs::write(&path, &small).expect("writable");
        if let Err(error) = read_study(&path) {
            panic!("{study}:\n{error}\n{small}");
        }
    }
}
