//! Values into images, volume by volume, always the same bytes for the same values.
//!
//! Files are little-endian NIfTI-1 in one file, gzipped where the name ends in `.gz`, without time stamp or name inside.
//! The affine stands in the sform, and in the qform too where it has no shear.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::quaternion::Axes;
use super::{FIRST_DATA_BYTE, NiftiError, io_error};

/// Images are written once and read often; beyond this level the time doubles for a few per cent of size.
const COMPRESSION_LEVEL: u32 = 4;
/// The "unknown" operating system of RFC 1952, so that the bytes do not depend on the machine.
const GZIP_UNKNOWN_SYSTEM: u8 = 255;
/// How samples are stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleType {
    /// 32-bit floats.
    F32,
    /// 16-bit integers with `value = stored * slope`; values beyond the range are clipped to it.
    ScaledI16 {
        /// What one step of the stored integer is worth.
        slope: f32,
    },
    /// 8-bit unsigned integers.
    U8,
    /// 16-bit integers.
    I16,
    /// 32-bit integers.
    I32,
}

impl SampleType {
    fn code_and_bits(self) -> (i16, i16) {
        match self {
            SampleType::F32 => (16, 32),
            SampleType::ScaledI16 { .. } | SampleType::I16 => (4, 16),
            SampleType::U8 => (2, 8),
            SampleType::I32 => (8, 32),
        }
    }
}

/// What the header of a new image shall say.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageHeader {
    /// Lengths of the three spatial axes.
    pub shape: [usize; 3],
    /// Number of volumes of a series; absent for an image without a time axis.
    pub n_volumes: Option<usize>,
    /// Voxel indices to millimetres.
    pub affine: [[f64; 4]; 4],
    /// Seconds between volumes.
    pub repetition_time_s: f64,
    /// How samples are stored.
    pub sample_type: SampleType,
}

impl ImageHeader {
    /// The header of a single volume of 32-bit floats.
    pub fn map(shape: [usize; 3], affine: [[f64; 4]; 4]) -> Self {
        ImageHeader { shape, n_volumes: None, affine, repetition_time_s: 0.0, sample_type: SampleType::F32 }
    }
}

enum Sink {
    Plain(BufWriter<File>),
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

impl Sink {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(file) => file.write_all(bytes),
        }
    }
}

/// Writes an image volume by volume.
pub struct VolumeWriter {
    sink: Sink,
    path: PathBuf,
    header: ImageHeader,
    n_written: usize,
    bytes: Vec<u8>,
}

impl VolumeWriter {
    /// Creates the file and writes its header.
    ///
    /// # Errors
    /// If the file cannot be created or an axis is longer than NIfTI-1 can say.
    pub fn create(path: &Path, header: &ImageHeader) -> Result<Self, NiftiError> {
        let bytes = header_bytes(path, header)?;
        let file = BufWriter::new(File::create(path).map_err(io_error(path))?);
        let mut sink = if path.extension().is_some_and(|extension| extension == "gz") {
            let gzip = GzBuilder::new().mtime(0).operating_system(GZIP_UNKNOWN_SYSTEM);
            Sink::Gzip(Box::new(gzip.write(file, Compression::new(COMPRESSION_LEVEL))))
        } else {
            Sink::Plain(file)
        };
        sink.write_all(&bytes).map_err(io_error(path))?;
        Ok(VolumeWriter { sink, path: path.to_owned(), header: header.clone(), n_written: 0, bytes: Vec::new() })
    }

    /// Appends one volume, first axis fastest.
    ///
    /// # Errors
    /// If it has another number of voxels than the header says, a value cannot be stored, or the file cannot be written.
    pub fn write_volume(&mut self, values: &[f32]) -> Result<(), NiftiError> {
        self.append(values.len(), values.iter().map(|&value| f64::from(value)))
    }

    fn append(&mut self, found: usize, values: impl Iterator<Item = f64>) -> Result<(), NiftiError> {
        let expected = self.header.shape.iter().product();
        if found != expected {
            return Err(NiftiError::Count { path: self.path.clone(), what: "voxels", found, expected });
        }
        self.bytes.clear();
        for value in values {
            self.push_sample(value)?;
        }
        self.n_written += 1;
        self.sink.write_all(&self.bytes).map_err(io_error(&self.path))
    }

    fn push_sample(&mut self, value: f64) -> Result<(), NiftiError> {
        let exact = |low: f64, high: f64, sample_type| match value.fract() == 0.0 && value >= low && value <= high {
            true => Ok(value),
            false => Err(NiftiError::Unwritable { path: self.path.clone(), found: value, sample_type }),
        };
        match self.header.sample_type {
            SampleType::F32 => self.bytes.extend((value as f32).to_le_bytes()),
            SampleType::ScaledI16 { .. } if value.is_nan() => {
                let sample_type = "scaled 16-bit integer";
                return Err(NiftiError::Unwritable { path: self.path.clone(), found: value, sample_type });
            }
            SampleType::ScaledI16 { slope } => {
                let stored = (value / f64::from(slope)).round_ties_even();
                self.bytes.extend((stored as i16).to_le_bytes());
            }
            SampleType::U8 => {
                let value = exact(0.0, 255.0, "8-bit unsigned integer")?;
                self.bytes.push(value as u8);
            }
            SampleType::I16 => {
                let value = exact(f64::from(i16::MIN), f64::from(i16::MAX), "16-bit integer")?;
                self.bytes.extend((value as i16).to_le_bytes());
            }
            SampleType::I32 => {
                let value = exact(f64::from(i32::MIN), f64::from(i32::MAX), "32-bit integer")?;
                self.bytes.extend((value as i32).to_le_bytes());
            }
        }
        Ok(())
    }

    /// Closes the file.
    ///
    /// # Errors
    /// If fewer or more volumes were written than the header says, or the file cannot be written.
    pub fn finish(self) -> Result<(), NiftiError> {
        let expected = self.header.n_volumes.unwrap_or(1);
        if self.n_written != expected {
            return Err(NiftiError::Count { path: self.path, what: "volumes", found: self.n_written, expected });
        }
        let flushed = match self.sink {
            Sink::Plain(mut file) => file.flush(),
            Sink::Gzip(file) => file.finish().and_then(|mut file| file.flush()),
        };
        flushed.map_err(io_error(&self.path))
    }
}

/// Writes a single volume of 32-bit floats, first axis fastest.
///
/// # Errors
/// If the number of values is not the number of voxels, or the file cannot be written.
pub fn write_volume(path: &Path, shape: [usize; 3], affine: [[f64; 4]; 4], values: &[f32]) -> Result<(), NiftiError> {
    let mut writer = VolumeWriter::create(path, &ImageHeader::map(shape, affine))?;
    writer.write_volume(values)?;
    writer.finish()
}

/// Writes a single volume of labels in the smallest integer type that holds them, first axis fastest.
///
/// # Errors
/// If the number of labels is not the number of voxels, or the file cannot be written.
pub fn write_labels(path: &Path, shape: [usize; 3], affine: [[f64; 4]; 4], labels: &[i32]) -> Result<(), NiftiError> {
    let fits = |low, high| labels.iter().all(|label| (low..=high).contains(label));
    let sample_type = match () {
        () if fits(0, 255) => SampleType::U8,
        () if fits(i32::from(i16::MIN), i32::from(i16::MAX)) => SampleType::I16,
        () => SampleType::I32,
    };
    let mut writer = VolumeWriter::create(path, &ImageHeader { sample_type, ..ImageHeader::map(shape, affine) })?;
    writer.append(labels.len(), labels.iter().map(|&label| f64::from(label)))?;
    writer.finish()
}

/// The 348 bytes of the header and the 4 that say "no extensions".
fn header_bytes(path: &Path, header: &ImageHeader) -> Result<Vec<u8>, NiftiError> {
    let mut lengths = header.shape.to_vec();
    lengths.extend(header.n_volumes);
    let mut dim = [1_i16; 8];
    dim[0] = lengths.len() as i16;
    for (slot, &length) in dim[1..].iter_mut().zip(&lengths) {
        *slot = i16::try_from(length).ok().filter(|&n| n > 0).ok_or_else(|| NiftiError::Dimensions {
            path: path.to_owned(),
            found: lengths.clone(),
            reason: "every axis has a length between 1 and 32767",
        })?;
    }
    let (code, bits) = header.sample_type.code_and_bits();
    let slope = match header.sample_type {
        SampleType::ScaledI16 { slope } => slope,
        _ => 1.0,
    };
    let axes = Axes::of(&header.affine);
    let mut pixdim = [0.0_f32; 8];
    pixdim[0] = axes.handedness as f32;
    pixdim[1..4].copy_from_slice(&axes.lengths.map(|length| length as f32));
    pixdim[4] = header.repetition_time_s as f32;
    let quaternion = axes.quaternion();
    // Codes: 4 is a standard space; the file name of a derivative says which.
    let (qform_code, sform_code) = (if quaternion.is_some() { 4_i16 } else { 0 }, 4_i16);

    let mut bytes = vec![0; FIRST_DATA_BYTE as usize];
    let mut put = |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    put(0, &348_i32.to_le_bytes());
    put(38, b"r");
    put(40, &dim.iter().flat_map(|length| length.to_le_bytes()).collect::<Vec<u8>>());
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    put(76, &floats(&pixdim));
    put(108, &floats(&[FIRST_DATA_BYTE as f32, slope, 0.0]));
    // Millimetres and seconds.
    put(123, &[2 | 8]);
    put(252, &qform_code.to_le_bytes());
    put(254, &sform_code.to_le_bytes());
    let offset = [0, 1, 2].map(|row| header.affine[row][3] as f32);
    put(256, &floats(&quaternion.unwrap_or_default().map(|x| x as f32)));
    put(268, &floats(&offset));
    for row in 0..3 {
        put(280 + 16 * row, &floats(&header.affine[row].map(|x| x as f32)));
    }
    put(344, b"n+1\0");
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{VolumeReader, read_info, read_labels, read_volume};
    use super::*;

    const AFFINE: [[f64; 4]; 4] =
        [[-2.0, 0.0, 0.0, 90.0], [0.0, 2.0, 0.0, -126.0], [0.0, 0.0, 2.5, -72.0], [0.0, 0.0, 0.0, 1.0]];

    #[test]
    fn series_round_trip_and_equal_values_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let header = ImageHeader {
            shape: [3, 2, 2],
            n_volumes: Some(2),
            affine: AFFINE,
            repetition_time_s: 0.72,
            sample_type: SampleType::ScaledI16 { slope: 0.0625 },
        };
        let volumes: Vec<Vec<f32>> =
            (0..2).map(|t| (0..12).map(|v| 900.0 + 0.0625 * (v + 20 * t) as f32).collect()).collect();
        let mut written = Vec::new();
        for name in ["a.nii.gz", "b.nii.gz", "c.nii"] {
            let path = folder.path().join(name);
            let mut writer = VolumeWriter::create(&path, &header).unwrap();
            volumes.iter().for_each(|volume| writer.write_volume(volume).unwrap());
            writer.finish().unwrap();
            let mut reader = VolumeReader::open(&path).unwrap();
            assert_eq!((reader.info().affine, reader.info().repetition_time_s), (Some(AFFINE), Some(0.72)));
            reader
                .each_volume(|t, volume| {
                    assert_eq!(volume, volumes[t]);
                    Ok::<(), NiftiError>(())
                })
                .unwrap();
            written.push(std::fs::read(&path).unwrap());
        }
        assert_eq!(written[0], written[1]);
    }

    #[test]
    fn labels_are_exact_and_fractions_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.nii.gz");
        let labels = [0, 1, -3, 16_777_217, 5, 6];
        write_labels(&path, [3, 2, 1], AFFINE, &labels).unwrap();
        assert_eq!(read_labels(&path).unwrap().1, labels);
        write_volume(&path, [3, 2, 1], AFFINE, &[0.0, 1.0, 2.0, 3.0, 4.5, 5.0]).unwrap();
        assert!(matches!(read_labels(&path), Err(NiftiError::Label { found: 4.5, voxel: [1, 1, 0], .. })));
        assert_eq!(read_volume(&path).unwrap().1[4], 4.5);
    }

    #[test]
    fn half_written_series_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.nii.gz");
        let header = ImageHeader { n_volumes: Some(3), ..ImageHeader::map([2, 2, 2], AFFINE) };
        let mut writer = VolumeWriter::create(&path, &header).unwrap();
        assert!(matches!(
            writer.write_volume(&[0.0; 7]),
            Err(NiftiError::Count { what: "voxels", found: 7, expected: 8, .. })
        ));
        writer.write_volume(&[0.0; 8]).unwrap();
        assert!(matches!(writer.finish(), Err(NiftiError::Count { what: "volumes", found: 1, expected: 3, .. })));
        assert!(VolumeWriter::create(&path, &ImageHeader::map([40_000, 1, 1], AFFINE)).is_err());
        assert!(matches!(read_info(&folder.path().join("absent.nii")), Err(NiftiError::Io { .. })));
    }
}
