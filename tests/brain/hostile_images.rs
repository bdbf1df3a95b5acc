//! Images of both versions cut off, damaged or made to harm, and files that were never fetched: typed errors, no panic.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hebb::format::nifti::{NiftiError, VolumeReader, read_extensions, read_info, read_labels, read_volume};
use proptest::prelude::*;

use super::fixture;

const SEEDS: [&str; 6] = [
    "nifti2/i2_scaled_big.nii",
    "nifti2/series_qform_big.nii",
    "nifti2/series_little.nii.gz",
    "nifti2/extension_big.nii.gz",
    "images/series_seconds.nii.gz",
    "images/i2_big.nii",
];

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

fn read_all(bytes: Vec<u8>) -> Result<usize, NiftiError> {
    let mut n_values = 0;
    VolumeReader::from_bytes(Path::new("x.nii"), bytes)?.each_volume(|_, values| {
        n_values += values.len();
        Ok::<(), NiftiError>(())
    })?;
    Ok(n_values)
}

fn refuse(change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut damaged = bytes("nifti2/i2_scaled_big.nii");
    change(&mut damaged);
    read_all(damaged).unwrap_err().to_string()
}

#[test]
fn truncation_anywhere_is_an_error() {
    for name in SEEDS {
        let whole = bytes(name);
        assert!(read_all(whole.clone()).is_ok(), "{name}");
        for length in (0..whole.len()).step_by(3) {
            assert!(read_all(whole[..length].to_vec()).is_err(), "{name} cut to {length} of {}", whole.len());
        }
        assert!(read_all(whole[..whole.len() - 1].to_vec()).is_err(), "{name}");
    }
}

#[test]
fn wrong_checksums_are_found_once_all_is_read() {
    let mut damaged = bytes("nifti2/series_little.nii.gz");
    let at = damaged.len() - 8;
    damaged[at] ^= 1;
    assert!(matches!(read_all(damaged.clone()), Err(NiftiError::Checksum { .. })));
    // What was asked for ends before the checksum.
    let mut first = [0.0; 12];
    let mut reader = VolumeReader::from_bytes(Path::new("x.nii.gz"), damaged).unwrap();
    reader.read_rows(&(0..12).collect::<Vec<_>>(), &[0], &mut first).unwrap();
}

#[test]
fn data_that_are_not_asked_for_may_be_missing() {
    let whole = bytes("nifti2/series_qform_big.nii");
    let values = |bytes: Vec<u8>, kept: &[usize]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&bytes).unwrap();
        let mut cut = encoder.finish().unwrap();
        cut.truncate(cut.len() - 60);
        let mut matrix = vec![0.0; kept.len()];
        VolumeReader::from_bytes(Path::new("x.nii.gz"), cut)?.read_rows(&[0], kept, &mut matrix).map(|()| matrix)
    };
    // The last 52 of the 96 bytes of data are missing: the first volume is whole, the third is not.
    assert_eq!(values(whole.clone(), &[0]).unwrap().len(), 1);
    assert!(matches!(values(whole, &[0, 2]), Err(NiftiError::Truncated { volume: 2, n_volumes: 4, .. })));
}

#[test]
fn visitors_may_stop_before_the_end() {
    for name in ["nifti2/series_little.nii.gz", "nifti2/series_qform_big.nii"] {
        let mut n_seen = 0;
        let outcome = VolumeReader::open(&fixture(name)).unwrap().each_volume(|volume, _| {
            n_seen += 1;
            if volume == 1 {
                Err(NiftiError::Outside { path: name.into(), what: "volume", asked: 1, available: 1 })
            } else {
                Ok(())
            }
        });
        assert!(matches!(outcome, Err(NiftiError::Outside { .. })) && n_seen == 2, "{name}");
    }
}

#[test]
fn what_is_no_image_is_named() {
    assert!(refuse(|b| b[4..7].copy_from_slice(b"ni2")).contains("half of a `.hdr` and `.img` pair"));
    assert!(refuse(|b| b[4..7].copy_from_slice(b"abc")).contains("the magic `n+2` is missing from byte 4"));
    assert!(refuse(|b| b[8..12].copy_from_slice(b"\n\x1a\n\0")).contains("sent as text"));
    assert!(refuse(|b| b[..4].copy_from_slice(&541_i32.to_be_bytes())).contains("begin with its length, 348 or 540"));
    assert!(refuse(|b| b.truncate(500)).contains("its header of 540 bytes cannot be read: the file is shorter"));
    for (code, name) in [(1536_i16, "floats of 128 bits"), (32, "complex"), (128, "RGB"), (0, "no type")] {
        let text = refuse(|b| b[12..14].copy_from_slice(&code.to_be_bytes()));
        assert!(text.contains(&format!("type code {code} ({name}")), "{text}");
    }
}

#[test]
fn absurd_dimensions_are_refused_before_allocation() {
    for (axis, length) in [(1, 0), (1, -1), (0, 0), (0, 8), (2, i64::MIN)] {
        let text = refuse(|b| b[16 + 8 * axis..24 + 8 * axis].copy_from_slice(&i64::to_be_bytes(length)));
        assert!(text.contains("has dimensions"), "{text}");
    }
    let huge = |b: &mut Vec<u8>| {
        b[16..24].copy_from_slice(&4_i64.to_be_bytes());
        (1..=4).for_each(|axis| b[16 + 8 * axis..24 + 8 * axis].copy_from_slice(&i64::MAX.to_be_bytes()));
    };
    assert!(refuse(huge).contains("cannot hold the 340282366920938463463374607431768211455 bytes"));
    let mut damaged = bytes("nifti2/i2_scaled_big.nii");
    damaged[168..176].copy_from_slice(&(1_i64 << 61).to_be_bytes());
    assert!(matches!(read_all(damaged), Err(NiftiError::TooShort { .. })));
}

#[test]
fn extensions_that_lie_are_errors_only_to_who_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.nii");
    let mut whole = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&bytes("nifti2/extension_big.nii.gz")[..]),
        &mut whole,
    )
    .unwrap();
    for found in [i32::MAX, i32::MIN, 0, 15, 17, 8, 64] {
        whole[544..548].copy_from_slice(&found.to_be_bytes());
        std::fs::write(&path, &whole).unwrap();
        assert!(matches!(read_extensions(&path), Err(NiftiError::Extension { offset: 544, .. })), "{found}");
        assert_eq!(read_all(whole.clone()).unwrap(), 48);
    }
}

#[test]
fn files_that_were_not_fetched_say_how_to_fetch_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sub-01_bold.nii.gz");
    std::fs::write(&path, "/annex/objects/MD5E-s20--d41d8cd98f00b204e9800998ecf8427e.nii.gz\n").unwrap();
    let get = format!("run `datalad get {}`", path.display());
    let outcomes = [
        read_info(&path).map(drop),
        read_volume(&path).map(drop),
        read_labels(&path).map(drop),
        read_extensions(&path).map(drop),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, NiftiError::Unfetched(_)) && error.to_string().ends_with(&get), "{error}");
    }
    std::fs::write(&path, "version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 20\n").unwrap();
    assert!(read_info(&path).unwrap_err().to_string().ends_with("run `git lfs pull`"));
    #[cfg(unix)]
    {
        let link = folder.path().join("sub-02_bold.nii.gz");
        std::os::unix::fs::symlink("../.git/annex/objects/Xq/3p/key/key", &link).unwrap();
        assert!(matches!(read_info(&link), Err(NiftiError::Unfetched(_))));
    }
    assert!(matches!(read_info(&folder.path().join("absent.nii")), Err(NiftiError::Io { .. })));
}

proptest! {
    #[test]
    fn damaged_files_never_panic_and_hold_no_more_than_they_can(
        name in prop::sample::select(&SEEDS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header in any::<bool>(),
    ) {
        let mut damaged = bytes(name);
        let n_bytes = if in_header { 348.min(damaged.len()) } else { damaged.len() };
        for (index, value) in changes {
            damaged[index.index(n_bytes)] = value;
        }
        let n_bytes = damaged.len();
        if let Ok(n_values) = read_all(damaged) {
            // Deflate expands by at most 1032, and a value takes at least a byte.
            prop_assert!(n_values <= 1032 * n_bytes);
        }
    }
}
