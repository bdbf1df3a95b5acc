//! NIfTI-1 images: header facts, volumes, series streamed volume by volume.
//!
//! Owns what a header says ([`NiftiInfo`]) and which headers are believed: nothing is allocated before the promised size
//! has been compared with the length of the file. [`read`] takes values out, [`write`](mod@write) puts them in. Values follow
//! nibabel's conventions for scaling and affines. NIfTI-2 and two-file images (`.hdr` + `.img`) are refused by name. What
//! an affine means is for [`crate::brain::grid`].

mod quaternion;
pub mod read;
pub mod write;

use std::io;
use std::path::{Path, PathBuf};

use ::nifti::{Endianness, NiftiHeader};
use thiserror::Error;

pub use read::{VolumeReader, read_info, read_labels, read_volume};
pub use write::{ImageHeader, SampleType, VolumeWriter, write_labels, write_volume};

/// Length of a NIfTI-1 header, which is also its first field.
const HEADER_BYTES: usize = 348;
/// First byte of the data in a file without extensions.
const FIRST_DATA_BYTE: u64 = 352;
/// No deflate stream expands further than this (zlib's technical note: 1032 to 1).
const MAX_GZIP_RATIO: u128 = 1032;

/// What can go wrong with an image.
#[derive(Debug, Error)]
pub enum NiftiError {
    /// The file cannot be opened, read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no NIfTI-1 image in one file.
    #[error("`{}` is not a NIfTI-1 image: {reason}", path.display())]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What was found instead and what to do.
        reason: String,
    },
    /// The dimensions in the header are impossible.
    #[error("`{}` has dimensions {found:?}: {reason}", path.display())]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The dimensions in the header.
        found: Vec<usize>,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// The header promises more data than the file can hold.
    #[error("`{}` is {found_bytes} bytes long and cannot hold the {promised_bytes} bytes its header promises: it was cut off or damaged", path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        found_bytes: u64,
        /// Bytes of header and data promised, uncompressed.
        promised_bytes: u128,
    },
    /// The data end before the last volume.
    #[error("`{}` ends inside volume {volume} of {n_volumes}: it was cut off or damaged ({source})", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Volume that could not be read, counted from 0.
        volume: usize,
        /// Volumes promised.
        n_volumes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The sample type is not a real number.
    #[error("`{}` holds samples of type code {code}, expected integers or floats of at most 64 bits", path.display())]
    SampleType {
        /// The file.
        path: PathBuf,
        /// The code in the header.
        code: i16,
    },
    /// A header field that matters is not a usable number.
    #[error("`{}` has {field} {found}, expected {expected}", path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        found: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// A label is not a whole number.
    #[error("`{}` holds the value {found} at voxel {voxel:?}, expected whole-number labels", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// The value.
        found: f64,
        /// Its voxel.
        voxel: [usize; 3],
    },
    /// The values to be written do not fill the image.
    #[error("{found} {what} for `{}`, expected {expected}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// How many there were.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// A value cannot be expressed in the integer type to be written.
    #[error("`{}` cannot hold the value {found} as {sample_type}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The value.
        found: f64,
        /// The type of the samples.
        sample_type: &'static str,
    },
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> NiftiError + '_ {
    move |source| NiftiError::Io { path: path.to_owned(), source }
}

/// The types of samples that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Datatype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Datatype {
    fn from_code(code: i16) -> Option<Self> {
        Some(match code {
            2 => Datatype::U8,
            4 => Datatype::I16,
            8 => Datatype::I32,
            16 => Datatype::F32,
            64 => Datatype::F64,
            256 => Datatype::I8,
            512 => Datatype::U16,
            768 => Datatype::U32,
            1024 => Datatype::I64,
            1280 => Datatype::U64,
            _ => return None,
        })
    }

    /// Bytes of one sample.
    pub fn size_bytes(self) -> usize {
        match self {
            Datatype::U8 | Datatype::I8 => 1,
            Datatype::U16 | Datatype::I16 => 2,
            Datatype::U32 | Datatype::I32 | Datatype::F32 => 4,
            Datatype::U64 | Datatype::I64 | Datatype::F64 => 8,
        }
    }
}

/// What the header of an image says.
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiInfo {
    /// The file.
    pub path: PathBuf,
    /// Lengths of the three spatial axes.
    pub shape: [usize; 3],
    /// Number of volumes; 1 for an image without a fourth axis.
    pub n_volumes: usize,
    /// Voxel indices to millimetres: the sform if its code is set, else the qform, else absent.
    pub affine: Option<[[f64; 4]; 4]>,
    /// Seconds between volumes; absent for a single volume or where the header has no positive time step.
    ///
    /// Milliseconds and microseconds are converted; a time step without a unit is taken for seconds.
    pub repetition_time_s: Option<f64>,
    /// Type of the stored samples.
    pub datatype: Datatype,
    /// Slope and intercept from stored to real values; absent where stored values are real values.
    pub scaling: Option<(f64, f64)>,
    data_offset: u64,
    header: NiftiHeader,
}

impl NiftiInfo {
    /// Voxels in one volume.
    pub fn n_voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Reads the facts out of the bytes of a header, before anything is known about the rest of the file.
    fn parse(path: &Path, bytes: &[u8; HEADER_BYTES]) -> Result<Self, NiftiError> {
        let not_nifti = |reason: &str| NiftiError::NotNifti { path: path.to_owned(), reason: reason.to_owned() };
        let size = [bytes[0], bytes[1], bytes[2], bytes[3]];
        let endianness = match (i32::from_le_bytes(size), i32::from_be_bytes(size)) {
            (348, _) => Endianness::Little,
            (_, 348) => Endianness::Big,
            (540, _) | (_, 540) => return Err(not_nifti("it is NIfTI-2, save it as NIfTI-1")),
            _ => return Err(not_nifti("the header does not begin with its length, 348")),
        };
        match &bytes[344..] {
            b"n+1\0" => {}
            b"ni1\0" => {
                return Err(not_nifti("it is half of a `.hdr` and `.img` pair, save it as one `.nii` file"));
            }
            _ => {
                return Err(not_nifti("the magic `n+1` is missing from byte 344 of the header"));
            }
        }
        let header = NiftiHeader::from_reader(&bytes[..]).map_err(|error| not_nifti(&error.to_string()))?;
        let (shape, n_volumes) = dimensions(path, &header)?;
        if header.endianness != endianness {
            return Err(not_nifti("its length and its dimensions disagree about the byte order"));
        }
        let datatype = Datatype::from_code(header.datatype)
            .ok_or(NiftiError::SampleType { path: path.to_owned(), code: header.datatype })?;
        Ok(NiftiInfo {
            path: path.to_owned(),
            shape,
            n_volumes,
            affine: affine(path, &header)?,
            repetition_time_s: repetition_time_s(&header).filter(|_| n_volumes > 1),
            datatype,
            scaling: scaling(path, &header)?,
            data_offset: data_offset(path, &header)?,
            header,
        })
    }

    /// Bytes of header and data, uncompressed.
    fn promised_bytes(&self) -> u128 {
        let n_voxels = self.shape.iter().fold(self.n_volumes as u128, |product, &n| product.saturating_mul(n as u128));
        n_voxels.saturating_mul(self.datatype.size_bytes() as u128).saturating_add(u128::from(self.data_offset))
    }
}

fn dimensions(path: &Path, header: &NiftiHeader) -> Result<([usize; 3], usize), NiftiError> {
    let rank = usize::from(header.dim[0]);
    let error = |reason| NiftiError::Dimensions {
        path: path.to_owned(),
        found: header.dim[1..=rank.clamp(1, 7)].iter().map(|&n| usize::from(n)).collect(),
        reason,
    };
    if !(1..=7).contains(&rank) {
        return Err(error("an image has between one and seven axes"));
    }
    let length = |axis: usize| {
        if axis <= rank { usize::from(header.dim[axis]) } else { 1 }
    };
    // The field is signed in the standard and unsigned in the parser: beyond 32 767 it was negative.
    if (1..=7).any(|axis| length(axis) == 0 || length(axis) > i16::MAX as usize) {
        return Err(error("every axis has a length between 1 and 32767"));
    }
    if (5..=7).any(|axis| length(axis) > 1) {
        return Err(error("only three axes of space and one of time are read"));
    }
    Ok(([length(1), length(2), length(3)], length(4)))
}

fn data_offset(path: &Path, header: &NiftiHeader) -> Result<u64, NiftiError> {
    let found = f64::from(header.vox_offset);
    if found == 0.0 {
        return Ok(FIRST_DATA_BYTE);
    }
    if found.fract() == 0.0 && found >= FIRST_DATA_BYTE as f64 && found <= f64::from(i32::MAX) {
        return Ok(found as u64);
    }
    let expected = "a whole number of bytes of at least 352";
    Err(NiftiError::Field { path: path.to_owned(), field: "`vox_offset`", found, expected })
}

/// Slope and intercept as nibabel has them: a slope of zero or not a number means none.
fn scaling(path: &Path, header: &NiftiHeader) -> Result<Option<(f64, f64)>, NiftiError> {
    let (slope, intercept) = (f64::from(header.scl_slope), f64::from(header.scl_inter));
    if slope == 0.0 || !slope.is_finite() {
        return Ok(None);
    }
    if !intercept.is_finite() {
        let expected = "a finite number beside a finite `scl_slope`";
        return Err(NiftiError::Field { path: path.to_owned(), field: "`scl_inter`", found: intercept, expected });
    }
    Ok(Some((slope, intercept)).filter(|&scaling| scaling != (1.0, 0.0)))
}

fn repetition_time_s(header: &NiftiHeader) -> Option<f64> {
    let step = header.pixdim[4];
    // Through the shortest decimal, so that 0.72 stays 0.72 instead of the nearest float's 0.7200000286.
    let step: f64 = step.to_string().parse().ok()?;
    let seconds = match header.xyzt_units & 0o70 {
        0 | 8 => step,
        16 => step / 1e3,
        24 => step / 1e6,
        _ => return None,
    };
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

fn affine(path: &Path, header: &NiftiHeader) -> Result<Option<[[f64; 4]; 4]>, NiftiError> {
    let rows = if header.sform_code > 0 {
        [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from))
    } else if header.qform_code > 0 {
        quaternion::qform(path, header)?
    } else {
        return Ok(None);
    };
    if let Some(&found) = rows.as_flattened().iter().find(|x| !x.is_finite()) {
        return Err(NiftiError::Field {
            path: path.to_owned(),
            field: "affine entry",
            found,
            expected: "a finite number",
        });
    }
    Ok(Some([rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(change: impl FnOnce(&mut NiftiHeader)) -> NiftiHeader {
        let mut header = NiftiHeader { dim: [4, 2, 2, 2, 5, 1, 1, 1], datatype: 16, ..NiftiHeader::default() };
        change(&mut header);
        header
    }

    #[test]
    fn repetition_times_are_seconds_whatever_the_unit() {
        for (units, step, expected) in [
            (8, 0.72, Some(0.72)),
            (2 | 16, 2000.0, Some(2.0)),
            (24, 1.5e6, Some(1.5)),
            (0, 2.0, Some(2.0)),
            (32, 2.0, None),
            (8, 0.0, None),
        ] {
            let header = header(|h| {
                h.xyzt_units = units;
                h.pixdim[4] = step;
            });
            assert_eq!(repetition_time_s(&header), expected, "{units} {step}");
        }
    }

    #[test]
    fn useless_slopes_mean_no_scaling() {
        let path = Path::new("x.nii");
        for (slope, intercept, expected) in
            [(0.0, 7.0, None), (f32::NAN, 0.0, None), (1.0, 0.0, None), (0.5, 1.0, Some((0.5, 1.0)))]
        {
            let header = header(|h| (h.scl_slope, h.scl_inter) = (slope, intercept));
            assert_eq!(scaling(path, &header).unwrap(), expected);
        }
        assert!(scaling(path, &header(|h| (h.scl_slope, h.scl_inter) = (2.0, f32::NAN))).is_err());
    }

    #[test]
    fn absurd_dimensions_are_errors() {
        for dim in [
            [0, 2, 2, 2, 1, 1, 1, 1],
            [3, 2, 0, 2, 1, 1, 1, 1],
            [3, 40_000, 2, 2, 1, 1, 1, 1],
            [5, 2, 2, 2, 1, 3, 1, 1],
            [9, 2, 2, 2, 1, 1, 1, 1],
        ] {
            assert!(dimensions(Path::new("x.nii"), &header(|h| h.dim = dim)).is_err(), "{dim:?}");
        }
        assert_eq!(dimensions(Path::new("x.nii"), &header(|_| ())).unwrap(), ([2, 2, 2], 5));
    }
}
