//! Files cut off, damaged or made to harm: each is refused with a message that says what is wrong, without a panic.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hebb::brain::atlas::{Atlas, AtlasError};
use hebb::brain::grid::{Grid, GridError};
use hebb::brain::mask::{Mask, MaskError, VoxelSelection, VoxelTable};
use hebb::brain::prepare::{Preparation, PrepareError, prepare_run};
use hebb::format::bids::{RunFiles, RunQuery, find_runs};
use hebb::format::nifti::{
    ImageHeader, NiftiError, VolumeReader, VolumeWriter, read_info, read_volume, write_labels, write_volume,
};
use hebb::format::runs::SeriesKind;

use super::fixture;

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(&format!("images/{name}"))).unwrap()
}

fn with_file<T>(name: &str, bytes: &[u8], check: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    check(&path)
}

fn read_all(path: &Path) -> Result<(), NiftiError> {
    VolumeReader::open(path)?.each_volume(|_, _| Ok(()))
}

#[test]
fn truncation_anywhere_is_an_error() {
    for name in ["series_seconds.nii.gz", "series_microseconds_big.nii", "extension.nii.gz"] {
        let whole = bytes(name);
        for length in (0..whole.len()).step_by(7) {
            let result = with_file("x.nii", &whole[..length], read_all);
            // The last bytes of a gzip stream are only its checksum.
            let in_checksum = name.ends_with("gz") && length + 9 > whole.len();
            assert!(result.is_err() || in_checksum, "{name} cut to {length} of {}", whole.len());
        }
    }
}

#[test]
fn truncated_series_says_where() {
    let whole = bytes("series_seconds.nii.gz");
    let error = with_file("x.nii.gz", &whole[..whole.len() - 60], read_all).unwrap_err();
    assert!(matches!(error, NiftiError::Truncated { n_volumes: 5, .. }), "{error}");
    assert!(error.to_string().contains("of 5: it was cut off or damaged"), "{error}");
}

#[test]
fn damaged_headers_never_panic() {
    let whole = bytes("scaled_big.nii");
    for position in 0..352 {
        for value in [0x00, 0x7f, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[position] = value;
            // Some fields do not matter; what must not happen is a panic or a huge allocation.
            drop(with_file("x.nii", &damaged, read_all));
        }
    }
}

#[test]
fn other_formats_are_named() {
    assert_eq!(read_info(&fixture("nifti2.nii.gz")).unwrap().version, 2);
    let mut pair = bytes("i2_big.nii");
    pair[344..348].copy_from_slice(b"ni1\0");
    let error = with_file("x.hdr", &pair, read_all).unwrap_err().to_string();
    assert!(error.contains("half of a `.hdr` and `.img` pair"), "{error}");
    pair[344..348].copy_from_slice(b"what");
    let error = with_file("x.nii", &pair, read_all).unwrap_err().to_string();
    assert!(error.contains("the magic `n+1` is missing"), "{error}");
    let error = with_file("x.nii", b"onset\tduration\n", read_all).unwrap_err().to_string();
    assert!(error.contains("its header of 348 bytes cannot be read"), "{error}");
}

#[test]
fn promised_terabytes_are_refused_before_allocation() {
    let mut huge = bytes("scaled_big.nii");
    for axis in 1..=4 {
        huge[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&i16::MAX.to_be_bytes());
    }
    huge[40..42].copy_from_slice(&4_i16.to_be_bytes());
    let error = with_file("x.nii", &huge, read_all).unwrap_err();
    assert!(matches!(error, NiftiError::TooShort { .. }), "{error}");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&huge).unwrap();
    let error = with_file("x.nii.gz", &encoder.finish().unwrap(), read_all).unwrap_err();
    assert!(matches!(error, NiftiError::TooShort { .. }), "{error}");
}

fn affine(step: f64, offset: f64) -> [[f64; 4]; 4] {
    [[step, 0.0, 0.0, offset], [0.0, step, 0.0, offset], [0.0, 0.0, step, offset], [0.0, 0.0, 0.0, 1.0]]
}

fn first_run() -> RunFiles {
    let query = RunQuery { subject: "01".to_owned(), ..RunQuery::default() };
    find_runs(&fixture("derivatives"), &query).unwrap().remove(0)
}

#[test]
fn mask_on_another_grid_is_refused_with_both_grids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mask.nii.gz");
    write_labels(&path, [5, 6, 4], affine(2.0, 0.0), &[1; 120]).unwrap();
    let table = VoxelTable::new(&Mask::read(&path).unwrap(), None, &VoxelSelection::All).unwrap();
    let error = prepare_run(&first_run(), &table, &Preparation::default()).unwrap_err();
    assert!(matches!(error, PrepareError::OtherGrid { .. }));
    let text = error.to_string();
    assert!(
        text.contains(
            "has shape 5x6x4, affine [-2 0 0 9], [0 2 0 -12], [0 0 2.5 -7], expected shape 5x6x4, affine [2 0 0 0]"
        ),
        "{text}"
    );
}

#[test]
fn atlas_in_another_space_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (image, rows) = (folder.path().join("a.nii.gz"), folder.path().join("a.tsv"));
    write_labels(&image, [3, 3, 3], affine(2.0, 500.0), &[1; 27]).unwrap();
    std::fs::write(&rows, "index\tname\n1\tfar\n").unwrap();
    let atlas = Atlas::read(&image, &rows).unwrap();
    let mask = Mask::read(first_run().mask.as_ref().unwrap()).unwrap();
    let error = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::InNetworks).unwrap_err();
    assert!(matches!(error, MaskError::Atlas(AtlasError::Grid(GridError::NoOverlap { .. }))), "{error}");
}

#[test]
fn images_without_affine_have_no_grid() {
    let mut bare = bytes("scaled_big.nii");
    bare[252..256].fill(0);
    with_file("x.nii", &bare, |path| {
        let (info, _) = read_volume(path).unwrap();
        assert_eq!(info.affine, None);
        assert!(matches!(Grid::of_image(&info), Err(GridError::NoAffine { .. })));
    });
}

/// A run whose series is `value(t, v)` on a grid of 2 x 2 x 2, all in the mask.
fn tiny_run(folder: &Path, n_tr: usize, value: impl Fn(usize, usize) -> f32) -> (RunFiles, VoxelTable) {
    let (bold, mask) = (folder.join("x_bold.nii.gz"), folder.join("x_mask.nii.gz"));
    let header =
        ImageHeader { n_volumes: Some(n_tr), repetition_time_s: 1.0, ..ImageHeader::map([2, 2, 2], affine(2.0, 0.0)) };
    let mut writer = VolumeWriter::create(&bold, &header).unwrap();
    for t in 0..n_tr {
        writer.write_volume(&(0..8).map(|v| value(t, v)).collect::<Vec<f32>>()).unwrap();
    }
    writer.finish().unwrap();
    write_volume(&mask, [2, 2, 2], affine(2.0, 0.0), &[1.0; 8]).unwrap();
    let table = VoxelTable::new(&Mask::read(&mask).unwrap(), None, &VoxelSelection::All).unwrap();
    let run = RunFiles { mask: Some(mask), ..RunFiles::of_series("x", SeriesKind::Volume, &bold) };
    (run, table)
}

#[test]
fn flat_and_infinite_voxels_are_listed_and_zero() {
    let folder = tempfile::tempdir().unwrap();
    let (run, table) = tiny_run(folder.path(), 12, |t, v| match (v, t) {
        (1, _) => 42.0,
        (2, 5) => f32::NAN,
        (4, 0) => f32::INFINITY,
        _ => ((t * (v + 3)) as f32).sin() + 100.0,
    });
    let prepared = prepare_run(&run, &table, &Preparation::default()).unwrap();
    // Offset 1 is voxel (1, 0, 0), which is column 4 in C order; 2 is (0, 1, 0), column 2; 4 is (0, 0, 1), column 1.
    assert_eq!((prepared.constant, prepared.non_finite), (vec![4], vec![1, 2]));
    assert!(prepared.series.iter().all(|value| value.is_finite()));
    for column in [1, 2, 4] {
        assert!(prepared.series.column(column).iter().all(|&value| value == 0.0));
    }
    assert_eq!(prepared.repetition_time_s, 1.0);
}

#[test]
fn single_volumes_are_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let (run, table) = tiny_run(folder.path(), 1, |_, v| v as f32);
    assert!(matches!(prepare_run(&run, &table, &Preparation::default()), Err(PrepareError::NoRepetitionTime { .. })));
    let run = RunFiles { repetition_time_s: Some(1.0), ..run };
    assert!(matches!(
        prepare_run(&run, &table, &Preparation::default()),
        Err(PrepareError::NothingLeft { n_kept: 1, .. })
    ));
}
