//! Readers of models, pictures, studies, settings, locks, caches, archives and datasets.

use std::path::Path;

use hebb::{
    brain::{
        atlas::table::LabelTable,
        prepare::{Preparation, regression},
    },
    format::{
        bids::{RunQuery, find_runs},
        hcp::read_movement,
        runs::{RunFiles, SeriesKind},
    },
    model::{OpenModel, hub::HubSettings, image::decode},
    share::{Lock, archive::Archive},
    spec::{read_study, settings::read_settings},
    store::{Digest, FileDigests, Store, record_name},
};

use super::{
    files::{archive, bmp, gif, jpeg, nifti1, png, sparse, swelling_profile, tiff, webp, write},
    readers::{Case, DEEP, told},
};

/// A study that is one value under a key.
fn study(value: &str) -> String {
    format!("[study]\nname = {value}\n")
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "model/config-depth",
        make: |path| {
            model(path);
            write(&path.join("config.json"), "[".repeat(DEEP / 10));
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
    Case {
        name: "image/png",
        make: |path| write(path, png(0x7fff_ffff, 0x7fff_ffff, b"", 100)),
        read: |path| told(decode(path)),
        says: &[],
    },
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
    Case {
        name: "image/gif",
        make: |path| write(path, gif()),
        read: |path| told(decode(path)),
        says: &["65535 by 65535 pixels"],
    },
    Case {
        name: "image/bmp",
        make: |path| write(path, bmp()),
        read: |path| told(decode(path)),
        says: &["60000 by 60000"],
    },
    Case {
        name: "image/tiff",
        make: |path| write(path, tiff()),
        read: |path| told(decode(path)),
        says: &["60000 by 60000 pixels"],
    },
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
        make: |path| write(path, study(&"[".repeat(DEEP / 10))),
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
        make: |path| write(path, format!("a = {}", "[".repeat(DEEP / 10))),
        read: |path| told(read_settings(&[path.to_owned()], &[])),
        says: &["file"],
    },
    Case {
        name: "lock/length",
        make: |path| sparse(path, b"version = 1\n", 1 << 40),
        read: |path| told(Lock::read(path)),
        says: &["no lock is as long"],
    },
    Case {
        name: "lock/beyond-the-budget",
        make: |path| write(path, "a = 1\n".repeat(500_000)),
        read: |path| told(Lock::read(path)),
        says: &["a lock of 3000000 bytes", "budget"],
    },
    Case {
        name: "lock/depth",
        make: |path| write(path, format!("version = {}", "[".repeat(DEEP / 10))),
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
            write(
                &path.join("sub-01/func/sub-01_task-x_space-a_desc-preproc_bold.nii"),
                nifti1([4, 1, 1, 1, 9, 1, 1, 1], 2, 8),
            );
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
    let fault = store.record_fault(&key).map_err(|error| error.to_string())?;
    fault.map_or(Ok(()), |fault| Err(format!("{fault:?}")))
}
