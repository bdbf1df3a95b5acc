//! Checkpoints against what PyTorch itself reads in them, and what must be refused.

use hebb::format::torch::{TorchError, TorchFile};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format/torch").join(name)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn expected() -> serde_json::Map<String, Value> {
    let text = fs::read(fixture("expected.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap().as_object().unwrap().clone()
}

#[test]
fn tensors_are_those_that_pytorch_reads() {
    let expected = expected();
    assert_eq!(expected.len(), 10);
    for (name, expected) in &expected {
        let file = TorchFile::open(&fixture(name)).unwrap();
        let whole = fs::read(fixture(name)).unwrap();
        let described = file.tensors().iter().map(|(name, tensor)| {
            let bytes = file.bytes(tensor);
            assert_eq!(bytes.len(), tensor.size_bytes(), "{name}");
            match file.file_offset(tensor) {
                Some(offset) => {
                    assert!(matches!(bytes, Cow::Borrowed(_)), "{name}");
                    assert_eq!(whole[offset as usize..][..bytes.len()], *bytes, "{name}");
                }
                None => assert!(matches!(bytes, Cow::Owned(_)), "{name}"),
            }
            let described = json!({
                "dtype": tensor.dtype().to_string(),
                "shape": tensor.shape(),
                "strides": tensor.strides(),
                "contiguous": tensor.is_contiguous(),
                "bytes": hexadecimal(&bytes),
            });
            (name.clone(), described)
        });
        let described: serde_json::Map<_, _> = described.collect();
        let tensors = expected["tensors"].as_object().unwrap();
        for (tensor, expected) in tensors {
            assert_eq!(described.get(tensor), Some(expected), "{tensor} of {name}");
        }
        assert_eq!(described.len(), tensors.len(), "{name}");
    }
}

#[test]
fn plain_values_are_found_beside_the_tensors() {
    for (name, expected) in &expected() {
        let file = TorchFile::open(&fixture(name)).unwrap();
        assert_eq!(file.settings(), &expected["settings"], "{name}");
    }
}

fn refusal(name: &str) -> TorchError {
    TorchFile::open(&fixture("bad").join(name)).err().unwrap_or_else(|| panic!("{name} was read"))
}

#[test]
fn a_file_that_would_run_code_is_refused_by_the_name_of_what_it_would_run() {
    for name in ["harm.pt", "harm_protocol_4.pt", "harm_legacy.bin", "harm_in_state.pt", "harm_bare.bin"] {
        let refused = refusal(name);
        assert!(matches!(&refused, TorchError::Forbidden { callable, .. } if callable == "posix.system"), "{refused}");
        let message = refused.to_string();
        assert!(message.contains("would run `posix.system` in a program that unpickles it"), "{message}");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn what_is_no_state_dict_is_refused_with_what_it_is() {
    for (name, expected) in [
        (
            "object_in_state.pt",
            "entry `b` of the state dict in `FILE` is an object of `absent_package.callbacks.Stopping`: expected a tensor; \
             save the model's `state_dict()` alone",
        ),
        (
            "whole_object.pt",
            "`FILE` holds an object of `absent_package.callbacks.Stopping`: expected a state dict; save the model's \
             `state_dict()` instead of the model",
        ),
        (
            "no_state.pt",
            "`FILE` holds no state dict: it has a dict of 2 entries `epoch`, `losses`, but expected tensors by name, or a \
             dict of them as `state_dict`, `model`, `model_state_dict` or `module`",
        ),
        (
            "sparse.pt",
            "entry `a` of the state dict in `FILE` is an object of `torch._utils._rebuild_sparse_tensor`: expected a tensor; \
             save the model's `state_dict()` alone",
        ),
        (
            "bare.pkl",
            "`FILE` is a pickle that PyTorch did not write: expected a checkpoint that `torch.save` or `torch.jit.save` wrote",
        ),
    ] {
        let file = fixture("bad").join(name).display().to_string();
        assert_eq!(refusal(name).to_string(), expected.replace("FILE", &file));
    }
}

#[test]
fn what_only_says_so_many_times_is_not_copied_as_often() {
    assert!(refusal("laughs.pt").to_string().contains("has more plain values: expected at most 1048576"));
    assert!(refusal("laughs_in_state.pt").to_string().contains("has a state dict of more entries: expected at most"));
    assert!(refusal("circle.pt").to_string().contains("has a state dict of more levels: expected at most 64"));
}

#[test]
fn archives_that_pytorch_would_not_write_are_refused() {
    for (name, expected) in [
        ("compressed.pt", "is compressed: expected it as it is"),
        ("big_endian.pt", "holds big-endian numbers"),
        ("storage_cut.pt", "is in storage `0`, which has 4 bytes: expected 2 elements of 4"),
        ("storage_absent.pt", "is in storage `0`, which the file lacks"),
        ("pickle_absent.pt", "is a zip archive without `data.pkl`"),
    ] {
        let message = refusal(name).to_string();
        assert!(message.contains(expected), "{name}: {message}");
    }
}

fn open_bytes(bytes: &[u8]) -> Result<usize, TorchError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint.pt");
    fs::write(&path, bytes).unwrap();
    let file = TorchFile::open(&path)?;
    // Every element is inside the file, or this panics.
    Ok(file.tensors().values().map(|tensor| file.bytes(tensor).len()).sum())
}

#[test]
fn other_files_are_told_apart() {
    for (bytes, expected) in [
        (&b""[..], "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        (b"<!doctype html><p>404", "is a page of text"),
        (b"\x89PNG\r\n\x1a\n", "is of another format"),
        (b"\x10\0\0\0\0\0\0\0{\"a\":{}}", "is a file of safetensors"),
        (b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "is of another format"),
        (b"PK\x03\x04 and no more", "is no whole checkpoint"),
    ] {
        let message = open_bytes(bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error() {
    for name in ["under_model.pt", "lightning_legacy.ckpt"] {
        let whole = fs::read(fixture(name)).unwrap();
        for length in 0..whole.len() {
            assert!(open_bytes(&whole[..length]).is_err(), "{name} cut at {length}");
        }
    }
}

#[test]
fn a_pickle_that_was_changed_in_an_archive_is_no_whole_checkpoint() {
    let mut bytes = fs::read(fixture("lightning.ckpt")).unwrap();
    let place = bytes.windows(5).position(|window| window == b"epoch").unwrap();
    bytes[place] = b'E';
    let message = open_bytes(&bytes).unwrap_err().to_string();
    assert!(message.contains("is no whole checkpoint: its entry `data.pkl`: Invalid checksum"), "{message}");
}

const MUTATED: [&str; 6] = [
    "state.pt",
    "state_legacy.bin",
    "lightning.ckpt",
    "lightning_legacy.ckpt",
    "lightning_protocol_4.ckpt",
    "script.pt",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_change_of_a_checkpoint_is_an_error_or_a_table(
        which in 0..MUTATED.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        moved in prop::option::of(any::<[prop::sample::Index; 3]>()),
    ) {
        let mut bytes = fs::read(fixture(MUTATED[which])).unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some([from, to, length]) = moved {
            let from = from.index(bytes.len());
            let piece = bytes[from..(from + length.index(256)).min(bytes.len())].to_vec();
            let to = to.index(bytes.len());
            bytes.splice(to..to, piece);
        }
        let _ = open_bytes(&bytes);
    }

    #[test]
    fn any_stream_of_opcodes_is_an_error_or_a_table(
        opcodes in prop::collection::vec(
            prop_oneof![
                prop::sample::select(b"(.0123NIJKMLFGSVTUXBC]}){ltdaeusqrphgjcRobiPQ\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8d\x8f\x90\x91\x92\x93\x94\x95\x96".to_vec()),
                any::<u8>(),
            ],
            0..200,
        ),
    ) {
        let legacy = fs::read(fixture("state_legacy.bin")).unwrap();
        // Behind the magic number, the protocol and the description of the system stand the objects.
        let ends: Vec<usize> = legacy.iter().enumerate().filter(|(_, byte)| **byte == b'.').map(|(at, _)| at + 1).collect();
        for &end in &ends[..ends.len().min(6)] {
            prop_assert!(open_bytes(&[&legacy[..end], &opcodes].concat()).is_err());
        }
    }
}
