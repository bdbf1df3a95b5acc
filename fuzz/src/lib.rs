//! Readers of bytes that nobody wrote on purpose: one function a kind of file, which must return whatever it is given.
//!
//! Each asserts what holds of anything that was read: sizes agree, what is written is read back, two ways of reading agree. A
//! refusal is as good as a result; a panic, a hang or a surge of memory is a finding.
//!
//! Two drivers call them. `fuzz_targets/` hands them to libFuzzer, which follows coverage (`make fuzz`; no nightly compiler is
//! needed). `tests/fuzzing/` is the stable one, part of every run of the tests: it replays what is kept in `regressions/` and
//! `corpus.tar.zst` and a bounded number of mutations of them. Nothing here may therefore depend on the fuzzer.

pub mod archive;
pub mod checkpoint;
pub mod cifti_xml;
pub mod lock;
pub mod nifti;
pub mod npy;
pub mod record;
pub mod safetensors;
mod scratch;
pub mod study;
pub mod tokenizer;
pub mod tsv;

/// A function that reads an input.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 11] = [
    ("archive", archive::run),
    ("checkpoint", checkpoint::run),
    ("cifti_xml", cifti_xml::run),
    ("lock", lock::run),
    ("nifti", nifti::run),
    ("npy", npy::run),
    ("record", record::run),
    ("safetensors", safetensors::run),
    ("study", study::run),
    ("tokenizer", tokenizer::run),
    ("tsv", tsv::run),
];
