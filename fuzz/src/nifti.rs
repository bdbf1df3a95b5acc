//! Any bytes taken for an image: an error or as many values as the header says, never a panic.

use std::path::Path;

use hebb::format::nifti::{NiftiError, VolumeReader};

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let path = Path::new("fuzzed.nii");
    let Ok(mut reader) = VolumeReader::from_bytes(path, bytes.to_vec()) else { return };
    let info = reader.info().clone();
    let mut volumes: Vec<Vec<f32>> = Vec::new();
    let outcome = reader.each_volume(|volume, values| {
        assert_eq!((volume, values.len()), (volumes.len(), info.n_voxels()));
        volumes.push(values.to_vec());
        Ok::<(), NiftiError>(())
    });
    if outcome.is_err() {
        return;
    }
    assert_eq!(volumes.len(), info.n_volumes);
    // The same file by the other way: the last voxel and the first, of every other volume.
    let offsets = [info.n_voxels() - 1, 0];
    let kept: Vec<usize> = (0..info.n_volumes).step_by(2).collect();
    let mut rows = vec![0.0; 2 * kept.len()];
    let mut reader = VolumeReader::from_bytes(path, bytes.to_vec()).expect("it opened before");
    reader.read_rows(&offsets, &kept, &mut rows).expect("all of it was read before");
    for (row, &volume) in rows.chunks_exact(2).zip(&kept) {
        for (value, offset) in row.iter().zip(offsets) {
            assert_eq!(value.to_bits(), volumes[volume][offset].to_bits());
        }
    }
}
