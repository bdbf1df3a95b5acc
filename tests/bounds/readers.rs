//! Every reader of foreign bytes with a small file that claims much: a clear refusal, and no request for memory beyond a small bound.

use std::{
    fmt::Display,
    path::Path,
    process::{Command, Stdio},
};

use hebb::{
    brain::{
        atlas::table::LabelTable,
        prepare::{Preparation, regression},
    },
    format::{
        bids::{RunQuery, find_runs},
        cifti::{CiftiReader, read_cifti_info},
        hcp::read_movement,
        memory::set_budget_bytes,
        nifti::{VolumeReader, read_extensions, read_labels, read_volume},
        npy::{read_matrix, read_vector},
        runs::{RunFiles, SeriesKind},
        torch::TorchFile,
        tsv::{Table, read_numbers},
    },
    model::{OpenModel, hub::HubSettings, image::decode, weights::Weights},
    share::{Lock, archive::Archive},
    spec::{read_study, settings::read_settings},
    stimulus::Transcript,
    store::{Digest, FileDigests, Store, record_name},
};

use super::{
    files::{archive, bmp, cifti, gif, gzip, jpeg, nifti1, nifti2, noise, npy, png, series_xml, sparse, swelling, swelling_profile, tiff, webp, write, zip},
    watch::watched,
};

/// Names the case that a process of its own is for.
const CASE: &str = "HEBB_TEST_HOSTILE_FILE";
const BUDGET_BYTES: u64 = 16 << 20;
/// Bytes of the largest single request: a decoder's window, a read buffer, the budget's own reading.
const LARGEST: usize = 17 << 20;
/// Bytes held at once.
const MOST: usize = 40 << 20;

/// A file, what reads it, and words of the refusal. Without words, what is read may be fine, in little memory.
struct Case {
    name: &'static str,
    make: fn(&Path),
    read: fn(&Path) -> Result<(), String>,
    says: &'static [&'static str],
}

fn told<T, E: Display>(read: Result<T, E>) -> Result<(), String> {
    read.map(drop).map_err(|error| error.to_string())
}

const DEEP: usize = 1_000_000;

/// A study that is one value under a key.
fn study(value: &str) -> String {
    format!("[study]\nname = {value}\n")
}

const CASES: &[Case] = &[
    Case {
        name: "npy/shape",
        make: |path| write(path, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904), }")),
        read: |path| told(read_matrix(path)),
        says: &["its header promises"],
    },
    Case {
        name: "npy/shape-whose-product-wraps",
        make: |path| write(path, npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }")),
        read: |path| told(read_matrix(path)),
        says: &["its header promises"],
    },
    Case {
        name: "npy/header",
        make: |path| write(path, b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'"),
        read: |path| told(read_matrix(path)),
        says: &["oversized header"],
    },
    Case {
        name: "npy/honest-beyond-the-budget",
        make: |path| sparse(path, &npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4096, 4096), }"), 128 + (64 << 20)),
        read: |path| told(read_matrix(path)),
        says: &["4096 x 4096 numbers", "67108864 bytes", "budget of 16777216", "`hebb run --memory GB`"],
    },
    Case {
        name: "npy/vector-beyond-the-budget",
        make: |path| sparse(path, &npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16777216,), }"), 128 + (64 << 20)),
        read: |path| told(read_vector(path)),
        says: &["a vector of 16777216 numbers", "budget of 16777216"],
    },
    Case {
        name: "tsv/too-long",
        make: |path| sparse(path, b"a\tb\n", 1 << 40),
        read: |path| told(Table::read(path)),
        says: &["a table may have"],
    },
    Case {
        name: "tsv/one-endless-line",
        make: |path| write(path, "a\t".repeat(1 << 20)),
        read: |path| told(Table::read(path)),
        says: &["a table of 1048577 fields in 1 lines", "budget"],
    },
    Case {
        name: "tsv/device-without-end",
        make: |_| (),
        read: |_| told(Table::read(Path::new("/dev/zero"))),
        says: &["`/dev/zero`", "bytes or more", "budget"],
    },
    Case {
        name: "tsv/numbers-too-long",
        make: |path| sparse(path, b"a\tb\n", 1 << 40),
        read: |path| told(read_numbers(path, ["a", "b"])),
        says: &["expected at most"],
    },
    Case {
        name: "tsv/numbers-of-many-lines",
        make: |path| write(path, "a\n".to_owned() + &"\n".repeat(1 << 20)),
        read: |path| told(read_numbers(path, ["a"])),
        says: &["a table of 1048577 lines", "budget"],
    },
    Case {
        name: "transcript",
        make: |path| sparse(path, b"onset\tduration\tword\n", 1 << 40),
        read: |path| told(Transcript::read(path)),
        says: &["a table may have"],
    },
    Case {
        name: "nifti/dims",
        make: |path| write(path, nifti1([7, 32767, 32767, 32767, 32767, 32767, 32767, 32767], 64, 64)),
        read: |path| told(read_volume(path)),
        says: &["only three axes of space and one of time"],
    },
    Case {
        name: "nifti/series",
        make: |path| write(path, nifti1([4, 32767, 32767, 32767, 32767, 1, 1, 1], 64, 64)),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti/compressed",
        make: |path| write(path, gzip(nifti1([4, 32767, 32767, 32767, 32767, 1, 1, 1], 64, 64).as_slice())),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti/bomb",
        make: |path| {
            let header = nifti1([3, 512, 512, 80, 1, 1, 1, 1], 2, 8);
            write(path, swelling(&header, 20));
        },
        read: |path| told(read_volume(path)),
        says: &["volumes of 512 x 512 x 80 voxels", "budget of 16777216"],
    },
    Case {
        name: "nifti/bomb-of-labels",
        make: |path| {
            let header = nifti1([3, 512, 512, 80, 1, 1, 1, 1], 2, 8);
            write(path, swelling(&header, 20));
        },
        read: |path| told(read_labels(path)),
        says: &["volumes of 512 x 512 x 80 voxels", "budget of 16777216"],
    },
    Case {
        name: "nifti2/dims",
        make: |path| write(path, nifti2([4, i64::MAX, i64::MAX, i64::MAX, i64::MAX, 1, 1, 1], 544, 0)),
        read: |path| told(VolumeReader::open(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti2/data-far-away",
        make: |path| write(path, nifti2([3, 1, 1, 1, 1, 1, 1, 1], 1 << 60, 0)),
        read: |path| told(read_extensions(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "nifti2/extension",
        make: |path| {
            let mut bytes = nifti2([3, 1, 1, 1, 1, 1, 1, 1], 544 + 64, 0);
            bytes.extend(0x7fff_fff0_i32.to_le_bytes());
            bytes.extend([0; 100]);
            write(path, bytes);
        },
        read: |path| told(read_extensions(path)),
        says: &["a header extension of 2147483632 bytes"],
    },
    Case {
        name: "nifti2/swelling-extension",
        make: |path| {
            let n_bytes = 64 << 20;
            let mut header = nifti2([3, 1, 1, 1, 1, 1, 1, 1], 544 + n_bytes, 0);
            header.extend((n_bytes as i32).to_le_bytes());
            header.extend([6, 0, 0, 0]);
            write(path, swelling(&header, 64));
        },
        read: |path| told(read_extensions(path)),
        says: &["a header extension of 67108856 bytes", "budget"],
    },
    Case {
        name: "cifti/volume",
        make: |path| write(path, cifti(&series_xml("2", "32768,32768,32768"), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["expected between 1 and 1073741824 voxels"],
    },
    Case {
        name: "cifti/points",
        make: |path| write(path, cifti(&series_xml("1152921504606846976", "2,2,2"), 1 << 60, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["cannot hold the"],
    },
    Case {
        name: "cifti/points-that-the-header-has-not",
        make: |path| write(path, cifti(&series_xml("1152921504606846976", "2,2,2"), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["has a matrix of dimensions"],
    },
    Case {
        name: "cifti/points-that-a-compressed-file-has-not",
        make: |path| {
            // As many bytes that do not shrink as let the rest be promised.
            let bytes = [cifti(&series_xml("4000000", "2,2,2"), 4_000_000, 1), noise(100_000)].concat();
            write(path, gzip(bytes.as_slice()));
        },
        read: |path| {
            let mut reader = CiftiReader::open(path).map_err(|error| error.to_string())?;
            let maps: Vec<usize> = (0..1000).collect();
            told(reader.each_place(&[0], &maps, |_, _| Ok::<(), hebb::format::cifti::CiftiError>(())))
        },
        says: &["ends inside place 0 of 1"],
    },
    Case {
        name: "cifti/depth",
        make: |path| write(path, cifti(&format!("<CIFTI Version=\"2\">{}", "<a>".repeat(100_000)), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["deep in each other"],
    },
    Case {
        name: "cifti/entities",
        make: |path| write(path, cifti("<!DOCTYPE a [<!ENTITY l \"ha\">]><CIFTI Version=\"2\"/>", 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["declares a document type"],
    },
    Case {
        name: "cifti/xml-beyond-the-budget",
        make: |path| write(path, cifti(&format!("<CIFTI Version=\"2\">{}</CIFTI>", "<MD/>".repeat(200_000)), 2, 1)),
        read: |path| told(read_cifti_info(path)),
        says: &["a description in XML of", "budget"],
    },
    Case {
        name: "torch/zip-entries",
        make: |path| write(path, zip(1 << 60)),
        read: |path| told(TorchFile::open(path)),
        says: &["no whole checkpoint"],
    },
    Case {
        name: "torch/text-of-a-pickle",
        make: |path| write(path, b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7fa."),
        read: |path| told(TorchFile::open(path)),
        says: &["PyTorch"],
    },
    Case {
        name: "torch/depth",
        make: |path| write(path, [&b"\x80\x02"[..], &b"]".repeat(DEEP / 5), &b"a".repeat(DEEP / 5 - 1), b"."].concat()),
        read: |path| told(TorchFile::open(path)),
        says: &[],
    },
    Case {
        name: "safetensors/header",
        make: |path| write(path, [&(1_u64 << 60).to_le_bytes()[..], b"{}"].concat()),
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid", "ader"],
    },
    Case {
        name: "safetensors/depth",
        make: |path| write(path, [&(DEEP as u64).to_le_bytes()[..], &b"[".repeat(DEEP)].concat()),
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid"],
    },
    Case {
        name: "safetensors/shape",
        make: |path| {
            let header = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,16]}}"#;
            write(path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 16]].concat());
        },
        read: |path| {
            let model = path.with_extension("safetensors");
            std::fs::rename(path, &model).map_err(|error| error.to_string())?;
            told(Weights::open(&model))
        },
        says: &["is not valid"],
    },
    Case {
        name: "model/config-depth",
        make: |path| {
            model(path);
            write(&path.join("config.json"), "[".repeat(DEEP));
        },
        read: |path| told(OpenModel::open(path)),
        says: &["config.json", "recursion limit"],
    },
    Case {
        name: "model/config-length",
        make: |path| {
            model(path);
            sparse(&path.join("config.json"), b"{", 1 << 40);
        },
        read: |path| told(OpenModel::open(path)),
        says: &["expected at most 16777216"],
    },
    Case {
        name: "model/config-of-many-entries",
        make: |path| {
            model(path);
            write(&path.join("config.json"), format!("[{}[]]", "[],".repeat(300_000)));
        },
        read: |path| told(OpenModel::open(path)),
        says: &["config.json", "JSON of", "budget"],
    },
    Case { name: "image/png", make: |path| write(path, png(0x7fff_ffff, 0x7fff_ffff, b"", 100)), read: |path| told(decode(path)), says: &[] },
    Case {
        name: "image/png-area",
        make: |path| write(path, png(60_000, 60_000, b"", 100)),
        read: |path| told(decode(path)),
        says: &["60000 by 60000 pixels: expected at most 100 million"],
    },
    Case {
        name: "image/png-beyond-the-budget",
        make: |path| write(path, png(4000, 4000, b"", 100)),
        read: |path| told(decode(path)),
        says: &["4000 by 4000 pixels", "budget of 16777216"],
    },
    Case {
        name: "image/png-profile",
        make: |path| write(path, png(2, 2, &swelling_profile(20 << 20), 14)),
        read: |path| told(decode(path)),
        says: &[],
    },
    Case {
        name: "image/jpeg",
        make: |path| write(path, jpeg()),
        read: |path| told(decode(path)),
        says: &["65000 by 65000 pixels"],
    },
    Case { name: "image/gif", make: |path| write(path, gif()), read: |path| told(decode(path)), says: &["65535 by 65535 pixels"] },
    Case { name: "image/bmp", make: |path| write(path, bmp()), read: |path| told(decode(path)), says: &["60000 by 60000"] },
    Case { name: "image/tiff", make: |path| write(path, tiff()), read: |path| told(decode(path)), says: &["60000 by 60000 pixels"] },
    Case { name: "image/webp", make: |path| write(path, webp()), read: |path| told(decode(path)), says: &["image"] },
    Case {
        name: "image/device-without-end",
        make: |_| (),
        read: |_| told(decode(Path::new("/dev/zero"))),
        says: &["/dev/zero"],
    },
    Case {
        name: "hub/token",
        make: |path| sparse(path, b"hf_", 1 << 40),
        read: |path| {
            let settings = HubSettings::from_environment(|name| (name == "HF_TOKEN_PATH").then(|| path.into()));
            if settings.token.is_none() { Err("no token".to_owned()) } else { Ok(()) }
        },
        says: &["no token"],
    },
    Case {
        name: "study/arrays",
        make: |path| write(path, study(&"[".repeat(DEEP))),
        read: |path| told(read_study(path)),
        says: &["file"],
    },
    Case {
        name: "study/whole-arrays",
        make: |path| write(path, study(&("[".repeat(100_000) + &"]".repeat(100_000)))),
        read: |path| told(read_study(path)),
        says: &["file"],
    },
    Case {
        name: "study/tables",
        make: |path| write(path, study(&("{a=".repeat(100_000) + "1" + &"}".repeat(100_000)))),
        read: |path| told(read_study(path)),
        says: &["file"],
    },
    Case {
        name: "study/dotted-key",
        make: |path| write(path, format!("{}b = 1\n", "a.".repeat(200_000))),
        read: |path| told(read_study(path)),
        says: &["file"],
    },
    Case {
        name: "study/dotted-header",
        make: |path| write(path, format!("[{}b]\nc = 1\n", "a.".repeat(200_000))),
        read: |path| told(read_study(path)),
        says: &["file"],
    },
    Case {
        name: "study/length",
        make: |path| sparse(path, b"[study]\n", 1 << 40),
        read: |path| told(read_study(path)),
        says: &["cannot read", "expected at most 4194304"],
    },
    Case {
        name: "settings/length",
        make: |path| sparse(path, b"[execution]\n", 1 << 40),
        read: |path| told(read_settings(&[path.to_owned()], &[])),
        says: &["cannot read", "expected at most 4194304"],
    },
    Case {
        name: "settings/depth",
        make: |path| write(path, format!("a = {}", "[".repeat(DEEP))),
        read: |path| told(read_settings(&[path.to_owned()], &[])),
        says: &["file"],
    },
    Case { name: "lock/length", make: |path| sparse(path, b"version = 1\n", 1 << 40), read: |path| told(Lock::read(path)), says: &["no lock is as long"] },
    Case {
        name: "lock/beyond-the-budget",
        make: |path| write(path, "a = 1\n".repeat(500_000)),
        read: |path| told(Lock::read(path)),
        says: &["a lock of 3000000 bytes", "budget"],
    },
    Case {
        name: "lock/depth",
        make: |path| write(path, format!("version = {}", "[".repeat(DEEP))),
        read: |path| told(Lock::read(path)),
        says: &[""],
    },
    Case {
        name: "store/record-length",
        make: |path| record(path, |file| sparse(file, b"{", 1 << 40)),
        read: |path| fault(path),
        says: &["expected at most 67108864"],
    },
    Case {
        name: "store/record-depth",
        make: |path| record(path, |file| write(file, format!("{{\"a\": {}", "[".repeat(DEEP)))),
        read: |path| fault(path),
        says: &["Record"],
    },
    Case {
        name: "store/family-length",
        make: |path| {
            let family = Digest::of(b"family").to_string();
            std::fs::create_dir_all(path.join("families")).expect("writable");
            sparse(&path.join("families").join(family), b"", 1 << 40);
        },
        read: |path| {
            let store = Store::open(path).map_err(|error| error.to_string())?;
            if store.family(&Digest::of(b"family")).is_empty() { Err("nobody".to_owned()) } else { Ok(()) }
        },
        says: &["nobody"],
    },
    Case {
        name: "store/memo-length",
        make: |path| {
            std::fs::create_dir_all(path).expect("writable");
            for name in ["files.json", "digests.json", "memo.json"] {
                sparse(&path.join(name), b"{", 1 << 40);
            }
        },
        read: |path| {
            drop(FileDigests::open(path, false));
            Ok(())
        },
        says: &[],
    },
    Case {
        name: "archive/list",
        make: |path| write(path, archive((1 << 33) - 1)),
        read: |path| told(Archive::open(path)),
        says: &["its list has 8589934591 bytes"],
    },
    Case {
        name: "archive/list-beyond-the-budget",
        make: |path| write(path, archive(32 << 20)),
        read: |path| told(Archive::open(path)),
        says: &["a list of 33554432 bytes", "budget"],
    },
    Case {
        name: "archive/window",
        // A frame that wants two GiB for its window.
        make: |path| write(path, b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"),
        read: |path| told(Archive::open(path)),
        says: &["it is no archive of Hebb"],
    },
    Case {
        name: "atlas/xml-depth",
        make: |path| write(path, format!("<?xml version=\"1.0\"?><atlas>{}", "<a>".repeat(200_000))),
        read: |path| told(LabelTable::read(path)),
        says: &[""],
    },
    Case {
        name: "atlas/table-length",
        make: |path| sparse(path, b"index\tname\n", 1 << 40),
        read: |path| told(LabelTable::read(path)),
        says: &["1099511627776"],
    },
    Case {
        name: "hcp/movement",
        make: |path| sparse(path, b"0 0", 1 << 40),
        read: |path| told(read_movement(path)),
        says: &["movement regressors may have"],
    },
    Case {
        name: "bids/description",
        make: |path| {
            std::fs::create_dir_all(path.join("sub-01/func")).expect("writable");
            write(&path.join("sub-01/func/sub-01_task-x_bold.json"), "[".repeat(DEEP));
            write(&path.join("sub-01/func/sub-01_task-x_space-a_desc-preproc_bold.json"), "[".repeat(DEEP));
            write(&path.join("sub-01/func/sub-01_task-x_space-a_desc-preproc_bold.nii"), nifti1([4, 1, 1, 1, 9, 1, 1, 1], 2, 8));
            sparse(&path.join("dataset_description.json"), b"{", 1 << 40);
        },
        read: |path| told(find_runs(path, &RunQuery { subject: "01".to_owned(), ..RunQuery::default() })),
        says: &[""],
    },
    Case {
        name: "series/volumes-without-end",
        make: |_| (),
        read: |path| {
            let run = RunFiles::of_series("x", SeriesKind::Volume, path);
            let preparation = Preparation { high_pass_s: Some(128.0), ..Preparation::default() };
            told(regression(&run, 1 << 40, 2.0, &preparation))
        },
        says: &["1099511627776 volumes", "budget"],
    },
];

/// A model's folder with weights of no tensor.
fn model(folder: &Path) {
    std::fs::create_dir(folder).expect("writable");
    write(&folder.join("model.safetensors"), [&2_u64.to_le_bytes()[..], b"{}"].concat());
}

/// A cache with one record, of this file.
fn record(cache: &Path, make: impl Fn(&Path)) {
    let file = cache.join(record_name(&Digest::of(b"key")));
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("writable");
    make(&file);
}

fn fault(cache: &Path) -> Result<(), String> {
    let (store, key) = (Store::open(cache).map_err(|error| error.to_string())?, Digest::of(b"key"));
    assert!(store.remembered(&key).is_none() && store.lookup(&key).is_none());
    store.record_fault(&key).map_or(Ok(()), |fault| Err(format!("{fault:?}")))
}

/// Reads the file of one case, in this process, and says what came of it.
fn read_alone(case: &Case) {
    set_budget_bytes(BUDGET_BYTES);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("file");
    (case.make)(&path);
    let (read, asked) = watched(|| (case.read)(&path));
    let refused = read.as_ref().err();
    assert!(refused.is_some() || case.says.is_empty(), "it was believed");
    for words in case.says {
        let refused = refused.expect("refused");
        assert!(refused.contains(words), "`{words}` is not in: {}", refused.chars().take(2000).collect::<String>());
    }
    assert!(asked.largest <= LARGEST && asked.most <= MOST, "{asked:?}");
    println!("\n{}: {asked:?}", case.name);
}

#[test]
fn small_files_that_claim_much_are_refused_in_little_memory() {
    if let Some(name) = std::env::var_os(CASE) {
        return read_alone(CASES.iter().find(|case| case.name == name).expect("a known case"));
    }
    let mut failed = Vec::new();
    for case in CASES {
        if case.name.contains("device") && !Path::new("/dev/zero").exists() {
            continue;
        }
        let mut command = Command::new(std::env::current_exe().expect("a program"));
        let this = "bounds::readers::small_files_that_claim_much_are_refused_in_little_memory";
        command.args(["--exact", this, "--nocapture", "--test-threads", "1"]).env(CASE, case.name).stdin(Stdio::null());
        let output = command.output().expect("the test starts again");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let counted = said.lines().find(|line| line.starts_with(case.name));
        match counted {
            Some(counted) if output.status.success() => println!("{counted}"),
            _ => failed.push(format!("{}: {} {}", case.name, output.status, said.chars().take(1500).collect::<String>())),
        }
    }
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), CASES.len(), failed.join("\n"));
}
