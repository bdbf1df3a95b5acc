//! Matrices and images against each other, a block of both at a time, and bytes that stand for nothing that is known here.

use super::spread::{Deviation, Spread};
use crate::format::{
    cifti::{CiftiError, CiftiReader, Maps},
    nifti::{Datatype, NiftiError, NiftiInfo, VolumeReader, read_info},
    npy::MatrixReader,
};
use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

/// Values of a matrix that are in memory at a time.
const BLOCK: usize = 1 << 18;

/// Two NumPy matrices; an error if one of them is none.
pub(super) fn matrices(expected: &Path, found: &Path, file: &str) -> io::Result<Option<Deviation>> {
    let open = |path: &Path| MatrixReader::open(path).map_err(io::Error::other);
    let (mut one, mut two) = (open(expected)?, open(found)?);
    let shapes = [(one.n_rows(), one.n_columns()), (two.n_rows(), two.n_columns())];
    let mut spread = Spread::default();
    if shapes[0] != shapes[1] {
        let told = |(rows, columns)| format!("{rows} x {columns}");
        spread.refuse(|| "its shape".to_owned(), &told(shapes[0]), &told(shapes[1]));
        return Ok(spread.worst(file));
    }
    let (n_rows, n_columns) = shapes[0];
    // A row that is longer than a block is read in pieces.
    let (rows, columns) = ((BLOCK / n_columns.max(1)).clamp(1, n_rows.max(1)), n_columns.clamp(1, BLOCK));
    for row in (0..n_rows).step_by(rows) {
        for column in (0..n_columns).step_by(columns) {
            let block = (row..(row + rows).min(n_rows), column..(column + columns).min(n_columns));
            let read =
                |reader: &mut MatrixReader| reader.block(block.0.clone(), block.1.clone()).map_err(io::Error::other);
            let (one, two) = (read(&mut one)?, read(&mut two)?);
            for (((i, j), one), two) in one.indexed_iter().zip(&two) {
                let place = || format!("[{}, {}]", row + i, column + j);
                spread.take(f64::from(*one), f64::from(*two), place);
            }
        }
    }
    Ok(spread.worst(file))
}

/// Two images, volumes or CIFTI; an error if one of them is none.
pub(super) fn images(expected: &Path, found: &Path, file: &str) -> io::Result<Option<Deviation>> {
    match CiftiReader::open(expected) {
        Ok(one) => greyordinates(one, CiftiReader::open(found).map_err(io::Error::other)?, file),
        Err(_) => volumes(expected, found, file).map_err(io::Error::other),
    }
}

fn volumes(expected: &Path, found: &Path, file: &str) -> Result<Option<Deviation>, NiftiError> {
    let (one, two) = (read_info(expected)?, read_info(found)?);
    let mut spread = Spread::default();
    let facts = |info: &NiftiInfo| {
        [
            ("its shape", format!("{:?} x {}", info.shape, info.n_volumes)),
            ("its affine", format!("{:?}", info.affine)),
            ("its repetition time", format!("{:?}", info.repetition_time_s)),
            ("its type", format!("NIfTI-{} of {:?}", info.version, info.datatype)),
        ]
    };
    for ((what, one), (_, two)) in facts(&one).iter().zip(facts(&two)) {
        if *one != two {
            spread.refuse(|| (*what).to_owned(), one, &two);
            return Ok(spread.worst(file));
        }
    }
    let labels = one.scaling.is_none() && is_whole(one.datatype);
    let ([nx, ny, _], offsets): (_, Vec<usize>) = (one.shape, (0..one.n_voxels()).collect());
    let (mut readers, mut values) =
        ([VolumeReader::open(expected)?, VolumeReader::open(found)?], [const { Vec::new() }; 2]);
    for volume in 0..one.n_volumes {
        for (reader, values) in readers.iter_mut().zip(&mut values) {
            reader.each_row(&offsets, &[volume], |_, row| {
                values.clear();
                values.extend_from_slice(row);
                Ok::<(), NiftiError>(())
            })?;
        }
        for (at, (one, two)) in values[0].iter().zip(&values[1]).enumerate() {
            let place = || format!("voxel [{}, {}, {}] of volume {volume}", at % nx, at / nx % ny, at / nx / ny);
            take(&mut spread, labels, (*one, *two), place);
        }
    }
    Ok(spread.worst(file))
}

fn greyordinates(mut one: CiftiReader, mut two: CiftiReader, file: &str) -> io::Result<Option<Deviation>> {
    let mut spread = Spread::default();
    if one.info().matrix != two.info().matrix || one.info().datatype != two.info().datatype {
        spread.refuse(|| "its maps and places".to_owned(), "those of the study", "others");
        return Ok(spread.worst(file));
    }
    // Labels may be stored as floats.
    let labels = is_whole(one.info().datatype) || matches!(one.info().matrix.maps, Maps::Labels(_));
    let maps: Vec<usize> = (0..one.info().n_maps()).collect();
    let mut values = [const { Vec::new() }; 2];
    for place in 0..one.info().n_places() {
        for (reader, values) in [&mut one, &mut two].into_iter().zip(&mut values) {
            let put = |_: usize, row: &[f32]| {
                values.clear();
                values.extend_from_slice(row);
                Ok::<(), CiftiError>(())
            };
            reader.each_place(&[place], &maps, put).map_err(io::Error::other)?;
        }
        for (map, (one, two)) in values[0].iter().zip(&values[1]).enumerate() {
            take(&mut spread, labels, (*one, *two), || format!("place {place} of map {map}"));
        }
    }
    Ok(spread.worst(file))
}

/// Whether stored samples are whole numbers: labels, unless they are scaled.
fn is_whole(datatype: Datatype) -> bool {
    !matches!(datatype, Datatype::F32 | Datatype::F64)
}

fn take(spread: &mut Spread, labels: bool, (one, two): (f32, f32), place: impl Fn() -> String) {
    if labels && one != two {
        spread.refuse(place, &one.to_string(), &two.to_string());
    } else {
        spread.take(f64::from(one), f64::from(two), place);
    }
}

/// Two files of any kind: the first byte that differs.
pub(super) fn bytes(expected: &Path, found: &Path, file: &str) -> io::Result<Option<Deviation>> {
    let mut spread = Spread::default();
    let (mut one, mut two) = (BufReader::new(File::open(expected)?), BufReader::new(File::open(found)?));
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    for block in 0_u64.. {
        let (n, m) = (fill(&mut one, &mut left)?, fill(&mut two, &mut right)?);
        if let Some(at) = (0..n.min(m)).find(|at| left[*at] != right[*at]) {
            let hex = |byte: u8| format!("{byte:#04x}");
            spread.refuse(|| format!("byte {}", block * BLOCK as u64 + at as u64), &hex(left[at]), &hex(right[at]));
            break;
        }
        if n != m {
            let size = |path: &Path| path.metadata().map(|metadata| format!("{} bytes", metadata.len()));
            spread.refuse(|| "its length".to_owned(), &size(expected)?, &size(found)?);
            break;
        }
        if n < BLOCK {
            break;
        }
    }
    Ok(spread.worst(file))
}

/// Reads until the buffer is full or the file ends.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match reader.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{
        nifti::{ImageHeader, SampleType, VolumeWriter, write_labels, write_volume},
        npy::write_matrix,
    };
    use ndarray::Array2;
    use std::{fs, path::PathBuf};

    const SHAPE: [usize; 3] = [3, 2, 2];
    const AFFINE: [[f64; 4]; 4] =
        [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

    struct Pair(tempfile::TempDir);

    impl Pair {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a temporary folder"))
        }

        fn paths(&self) -> [PathBuf; 2] {
            ["one.nii.gz", "two.nii.gz"].map(|name| self.0.path().join(name))
        }
    }

    #[test]
    fn matrices_are_compared_in_blocks_of_rows_and_of_pieces_of_rows() {
        for shape in [(3, BLOCK / 2), (2, BLOCK + 7), (700, 800)] {
            let pair = Pair::new();
            let [a, b] = pair.paths();
            let mut matrix = Array2::<f32>::ones(shape);
            matrix[[0, 0]] = -200.0;
            write_matrix(&a, matrix.view()).expect("writable");
            assert_eq!(matrices(&a, &a, "f").expect("readable"), None);
            matrix[[shape.0 - 1, shape.1 - 1]] = 2.0;
            write_matrix(&b, matrix.view()).expect("writable");
            let worst = matrices(&a, &b, "f").expect("readable").expect("it differs");
            assert_eq!(worst.place, format!("[{}, {}]", shape.0 - 1, shape.1 - 1));
            assert_eq!((worst.expected.as_str(), worst.found.as_str(), worst.relative), ("1", "2", Some(0.005)));
        }
        let pair = Pair::new();
        let [a, b] = pair.paths();
        write_matrix(&a, Array2::ones((2, 3)).view()).expect("writable");
        write_matrix(&b, Array2::ones((3, 2)).view()).expect("writable");
        let worst = matrices(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!(
            (worst.place.as_str(), worst.expected.as_str(), worst.found.as_str()),
            ("its shape", "2 x 3", "3 x 2")
        );
        fs::write(&b, b"no matrix").expect("writable");
        assert!(matrices(&a, &b, "f").is_err());
    }

    #[test]
    fn maps_are_compared_voxel_by_voxel_and_labels_exactly() {
        let pair = Pair::new();
        let [a, b] = pair.paths();
        let mut values = vec![0.5; 12];
        values[0] = -50.0;
        write_volume(&a, SHAPE, AFFINE, &values).expect("writable");
        values[11] = 1.0;
        write_volume(&b, SHAPE, AFFINE, &values).expect("writable");
        assert_eq!(images(&a, &a, "f").expect("readable"), None);
        let worst = images(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!((worst.place.as_str(), worst.relative), ("voxel [2, 1, 1] of volume 0", Some(0.01)));

        let mut moved = AFFINE;
        moved[0][3] = 1.0;
        write_volume(&b, SHAPE, moved, &values).expect("writable");
        let worst = images(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!((worst.place.as_str(), worst.relative), ("its affine", None));

        let mut labels = vec![7; 12];
        write_labels(&a, SHAPE, AFFINE, &labels).expect("writable");
        labels[4] = 8;
        write_labels(&b, SHAPE, AFFINE, &labels).expect("writable");
        let worst = images(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!((worst.place.as_str(), worst.relative), ("voxel [1, 1, 0] of volume 0", None));
        assert_eq!((worst.expected.as_str(), worst.found.as_str()), ("7", "8"));
    }

    #[test]
    fn a_series_is_compared_volume_by_volume() {
        let pair = Pair::new();
        let [a, b] = pair.paths();
        let write = |path: &Path, last: f32| {
            let header = ImageHeader {
                n_volumes: Some(3),
                repetition_time_s: 1.5,
                sample_type: SampleType::ScaledI16 { slope: 0.5 },
                ..ImageHeader::map(SHAPE, AFFINE)
            };
            let mut writer = VolumeWriter::create(path, &header).expect("writable");
            for _ in 0..2 {
                writer.write_volume(&[10.0; 12]).expect("writable");
            }
            writer.write_volume(&[last; 12]).expect("writable");
            writer.finish().expect("writable");
        };
        write(&a, 10.0);
        write(&b, 10.5);
        let worst = images(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!((worst.place.as_str(), worst.relative), ("voxel [0, 0, 0] of volume 2", Some(0.05)));
    }

    #[test]
    fn the_first_byte_that_differs_is_told() {
        let pair = Pair::new();
        let [a, b] = pair.paths();
        let mut long = vec![1; BLOCK + 10];
        fs::write(&a, &long).expect("writable");
        assert_eq!(bytes(&a, &a, "f").expect("readable"), None);
        long[BLOCK + 5] = 2;
        fs::write(&b, &long).expect("writable");
        let worst = bytes(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!(
            (worst.place, worst.expected, worst.found),
            (format!("byte {}", BLOCK + 5), "0x01".into(), "0x02".into())
        );
        fs::write(&b, vec![1; BLOCK]).expect("writable");
        let worst = bytes(&a, &b, "f").expect("readable").expect("it differs");
        assert_eq!((worst.place.as_str(), worst.found), ("its length", format!("{BLOCK} bytes")));
    }
}
