//! Twins of random models of every architecture and of every kind of download.

use super::*;
use crate::model::{RandomArchitecture, RandomModel};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tempfile::TempDir;

const ALL: [RandomArchitecture; 5] = [
    RandomArchitecture::Clip,
    RandomArchitecture::Meter,
    RandomArchitecture::Vit,
    RandomArchitecture::Roberta,
    RandomArchitecture::Bert,
];

fn random(architecture: RandomArchitecture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    RandomModel::tiny_of(architecture).write_random(folder.path()).unwrap();
    folder
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn twin_of(place: &Path, seed: u64) -> Result<(TempDir, TwinFacts), ModelError> {
    let out = tempfile::tempdir().unwrap();
    let model = OpenModel::open(place)?;
    let names = names_in(model.source().folder());
    let beside: Vec<&str> = names.iter().map(String::as_str).collect();
    let facts = write_twin(&model, Twin { seed }, &beside, out.path())?;
    Ok((out, facts))
}

fn numbers(weights: &Weights, name: &str) -> Vec<f32> {
    weights.floats(&Part::whole(name, weights.shape(name).unwrap())).unwrap()
}

fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    (mean, (values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n).sqrt())
}

#[test]
fn a_twin_has_the_shape_of_its_model_and_other_numbers() {
    for architecture in ALL {
        let folder = random(architecture);
        let model = OpenModel::open(folder.path()).unwrap();
        let (twin, facts) = twin_of(folder.path(), 0).unwrap();
        let opened = OpenModel::open(twin.path()).unwrap();
        let modules = model.architecture().modules();
        assert_eq!(opened.facts(&modules).unwrap(), model.facts(&modules).unwrap());
        let (old, new) = (&model.source().weights, &opened.source().weights);
        assert_eq!(old.unused(&[]), new.unused(&[]));
        let special = [facts.own_deviation, facts.kept, facts.left_out].concat();
        assert_eq!(special, [""; 0], "{architecture:?}");
        for name in old.unused(&[]) {
            let (old, new) = (numbers(old, &name), numbers(new, &name));
            let ((_, was), (mean, is)) = (moments(&old), moments(&new));
            if was == 0.0 {
                assert_eq!(old, new, "{name} begins with one number");
                continue;
            }
            assert!(old.iter().zip(&new).all(|(old, new)| old != new), "{name}");
            // An untrained model and its twin are draws from one distribution; METER's own code begins the places of
            // CLIP's image tower otherwise than transformers.
            let n = old.len() as f64;
            let of_openai = name == "vit_model.visual.positional_embedding";
            assert!(of_openai || (is / was - 1.0).abs() < 6.0 / n.sqrt(), "{name}: {is} against {was}");
            assert!(mean.abs() < 6.0 * is / n.sqrt(), "{name}: mean {mean}");
        }
    }
}

#[test]
fn bytes_depend_on_the_seed_alone() {
    let folder = random(RandomArchitecture::Vit);
    let bytes = |seed| std::fs::read(twin_of(folder.path(), seed).unwrap().0.path().join(WEIGHTS_FILE)).unwrap();
    assert_eq!(bytes(4), bytes(4));
    assert_ne!(bytes(4), bytes(5));
    // A twin forgets its model: two trainings of one architecture have the same twin.
    let other = tempfile::tempdir().unwrap();
    RandomModel { seed: 9, ..RandomModel::tiny_of(RandomArchitecture::Vit) }.write_random(other.path()).unwrap();
    let of_other = std::fs::read(twin_of(other.path(), 4).unwrap().0.path().join(WEIGHTS_FILE)).unwrap();
    assert_eq!(bytes(4), of_other);
}

#[test]
fn every_download_has_a_twin() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model");
    for name in [
        "clip",
        "clip-openai",
        "clip-openai-jit",
        "vit",
        "vit-classifier",
        "bert",
        "bert-masked-lm",
        "roberta",
        "roberta-base-model",
        "meter",
        "meter-swin",
    ] {
        let model = OpenModel::open(&fixtures.join(name)).unwrap();
        let (twin, facts) = twin_of(&fixtures.join(name), 1).unwrap();
        let opened = OpenModel::open(twin.path()).unwrap();
        for module in model.architecture().modules() {
            let [old, new] = [&model, &opened].map(|model| model.architecture().shape(module));
            assert_eq!(old, new, "{name}");
            opened.facts(&[module]).unwrap();
        }
        assert_eq!(facts.own_deviation, [""; 0], "{name}");
        assert!(facts.left_out.iter().all(|left| !left.ends_with("weight")), "{name}: {:?}", facts.left_out);
    }
}

#[test]
fn what_only_a_checkpoint_says_of_meter_is_in_the_configuration_of_its_twin() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model/meter");
    let folder = tempfile::tempdir().unwrap();
    for name in ["meter.ckpt", "tokenizer.json"] {
        std::fs::copy(fixture.join(name), folder.path().join(name)).unwrap();
    }
    // Three heads, as the fixture's text tower has, cannot be told from a checkpoint.
    std::fs::write(folder.path().join(CONFIG_FILE), r#"{"roberta": {"num_attention_heads": 3}}"#).unwrap();
    let model = OpenModel::open(folder.path()).unwrap();
    let (twin, _) = twin_of(folder.path(), 1).unwrap();
    let opened = OpenModel::open(twin.path()).unwrap();
    for module in model.architecture().modules() {
        assert_eq!(model.architecture().shape(module), opened.architecture().shape(module), "{module}");
    }
    let fusion = opened.architecture().shape(Module::FusionText);
    assert_eq!((fusion.layers[0].n_heads, fusion.input.text.unwrap().context_length), (5, 13));
    assert_eq!(opened.architecture().shape(Module::Text).layers[0].n_heads, 3);
    let written: Value = read_json(&twin.path().join(CONFIG_FILE)).unwrap();
    assert_eq!(written["meter"], json!({ "image_size": 18, "max_text_len": 13, "num_heads": 5 }));
}

/// A model with these tensors beside its own.
fn with_more(folder: &TempDir, more: &[(&str, Dtype, Vec<u8>)]) {
    let path = folder.path().join(WEIGHTS_FILE);
    let bytes = std::fs::read(&path).unwrap();
    let own = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let more = more.iter().map(|(name, dtype, bytes)| {
        let n = bytes.len() * 8 / dtype.bitsize();
        ((*name).to_owned(), TensorView::new(*dtype, vec![n], bytes).unwrap())
    });
    let all: Vec<(String, TensorView<'_>)> = own.tensors().into_iter().chain(more).collect();
    std::fs::write(&path, safetensors::serialize(all, None).unwrap()).unwrap();
}

fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn tensors_of_unknown_beginning_keep_their_spread_alone() {
    let folder = random(RandomArchitecture::Clip);
    with_more(
        &folder,
        &[
            ("adapter.gate", Dtype::F32, floats((0..4000).map(|value| 7.0 + (value % 2) as f32))),
            ("adapter.scale", Dtype::F32, floats([0.5; 30])),
            ("text_model.embeddings.position_ids", Dtype::I64, vec![0; 80]),
        ],
    );
    let (twin, facts) = twin_of(folder.path(), 1).unwrap();
    assert_eq!(
        (&*facts.own_deviation, &*facts.kept),
        (&["adapter.gate".to_owned()][..], &["adapter.scale".to_owned()][..])
    );
    assert_eq!(facts.left_out, ["text_model.embeddings.position_ids"]);
    let weights = Weights::open(twin.path()).unwrap();
    let (mean, deviation) = moments(&numbers(&weights, "adapter.gate"));
    assert!(mean.abs() < 0.05 && (deviation - 0.5).abs() < 0.05, "{mean} and {deviation}");
    assert_eq!(numbers(&weights, "adapter.scale"), [0.5; 30]);
    assert_eq!(weights.shape("text_model.embeddings.position_ids"), None);

    with_more(&folder, &[("adapter.bad", Dtype::F32, floats([1.0, f32::NAN]))]);
    let refused = twin_of(folder.path(), 1).unwrap_err().to_string();
    assert!(refused.contains("tensor `adapter.bad` has NaN: expected numbers"), "{refused}");
}

#[test]
fn what_a_configuration_says_of_the_beginning_holds() {
    let folder = random(RandomArchitecture::Bert);
    let path = folder.path().join(CONFIG_FILE);
    let mut config: Value = read_json(&path).unwrap();
    config["initializer_range"] = json!(0.5);
    std::fs::write(&path, config.to_string()).unwrap();
    let (twin, _) = twin_of(folder.path(), 1).unwrap();
    let weights = Weights::open(twin.path()).unwrap();
    let (_, deviation) = moments(&numbers(&weights, "encoder.layer.0.output.dense.weight"));
    assert!((deviation - 0.5).abs() < 0.05, "{deviation}");
    config["initializer_range"] = json!(-1);
    std::fs::write(&path, config.to_string()).unwrap();
    let refused = twin_of(folder.path(), 1).unwrap_err().to_string();
    assert!(refused.ends_with("`initializer_range` is -1: expected a number above 0"), "{refused}");
}

#[test]
fn openai_begins_its_tensors_by_width_and_depth() {
    let towers = Towers { vision: Some((12, 768)), text: Some((12, 512)) };
    let roles = Roles { architecture: "clip", towers, deviation: 0.02, clip_factor: 1.0 };
    let deviation = |name: &str| match roles.fate(name, &[2, 2]) {
        Fate::Drawn(Initial::Normal { deviation }) => deviation,
        other => panic!("{name}: {other:?}"),
    };
    let (vision, text) = (768f64.powf(-0.5), 512f64.powf(-0.5));
    for (name, expected) in [
        ("visual.proj", vision),
        ("visual.positional_embedding", vision),
        ("visual.class_embedding", vision),
        ("text_projection", text),
        ("positional_embedding", 0.01),
        ("token_embedding.weight", 0.02),
        ("transformer.resblocks.3.attn.in_proj_weight", text),
        ("transformer.resblocks.3.attn.out_proj.weight", text / 24f64.sqrt()),
        ("transformer.resblocks.3.mlp.c_fc.weight", 1024f64.powf(-0.5)),
        ("transformer.resblocks.3.mlp.c_proj.weight", text / 24f64.sqrt()),
    ] {
        assert!((deviation(name) - expected).abs() < 1e-12, "{name}");
    }
    assert_eq!(roles.fate("visual.ln_pre.weight", &[2]), Fate::Drawn(Initial::Constant(1.0)));
    assert_eq!(
        roles.fate("visual.transformer.resblocks.0.attn.in_proj_bias", &[2]),
        Fate::Drawn(Initial::Constant(0.0))
    );
    assert_eq!(roles.fate("logit_scale", &[]), Fate::Drawn(Initial::Constant(2.6592)));
}

#[test]
fn models_that_do_not_hold_together_have_no_twin() {
    let folder = random(RandomArchitecture::Bert);
    let path = folder.path().join(CONFIG_FILE);
    let config = std::fs::read_to_string(&path).unwrap();
    let mut other: Value = serde_json::from_str(&config).unwrap();
    other["intermediate_size"] = json!(65);
    std::fs::write(&path, other.to_string()).unwrap();
    assert!(matches!(twin_of(folder.path(), 1), Err(ModelError::Tensors { .. })));
    std::fs::write(&path, config).unwrap();
    let model = OpenModel::open(folder.path()).unwrap();
    let refused = write_twin(&model, Twin::default(), &[], folder.path());
    assert!(matches!(refused, Err(ModelError::NotEmpty { .. })));
}
