//! NIfTI images: header facts, volumes, series streamed volume by volume.
//!
//! Owns what a header says ([`NiftiInfo`]) and which headers are believed: nothing is allocated before the promised size
//! has been compared with the length of the file. [`read`] takes values out, [`write`](mod@write) puts them in. Both
//! versions are read, NIfTI-1 is written. Values follow nibabel's conventions for scaling and affines. Two-file images
//! (`.hdr` + `.img`) are refused by name. What an affine means is for [`crate::brain::grid`]; matrices over surfaces and
//! voxels, which come in NIfTI-2 files too, are for [`super::cifti`].

mod decode;
mod error;
mod extension;
pub(super) mod header;
mod quaternion;
pub mod read;
pub(super) mod source;
pub mod write;

use std::path::{Path, PathBuf};

use header::Header;

pub use decode::Datatype;
pub(super) use decode::Encoding;
pub use error::NiftiError;
pub(super) use error::io_error;
pub(super) use extension::{ALIGNMENT_BYTES, PREFIX_BYTES, read_each};
pub use extension::{Extension, read_extensions};
pub use read::{VolumeReader, read_info, read_labels, read_volume};
pub use write::{ImageHeader, SampleType, VolumeWriter, write_labels, write_volume};

/// First byte of the data in a NIfTI-1 file without extensions.
const FIRST_DATA_BYTE: u64 = (header::HEADER_BYTES_1 + header::EXTENDER_BYTES) as u64;
/// The intents of CIFTI files (CIFTI-2 standard): connectivity of one kind or another.
pub(super) const CIFTI_INTENTS: std::ops::Range<i32> = 3000..3100;

/// What the header of an image says.
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiInfo {
    /// The file.
    pub path: PathBuf,
    /// Version of the format, 1 or 2.
    pub version: u8,
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
    encoding: Encoding,
}

impl NiftiInfo {
    /// Voxels in one volume.
    pub fn n_voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Believes a header or says why not, before anything is known about the rest of the file.
    fn of_header(path: &Path, header: &Header) -> Result<Self, NiftiError> {
        let (shape, n_volumes) = dimensions(path, header)?;
        let encoding = encoding(path, header)?;
        Ok(NiftiInfo {
            path: path.to_owned(),
            version: header.version,
            shape,
            n_volumes,
            affine: affine(path, header)?,
            repetition_time_s: repetition_time_s(header).filter(|_| n_volumes > 1),
            datatype: encoding.datatype,
            scaling: encoding.scaling,
            data_offset: header.data_offset,
            encoding,
        })
    }

    /// Bytes of header and data, uncompressed.
    fn promised_bytes(&self) -> u128 {
        let n_voxels = self.shape.iter().fold(self.n_volumes as u128, |product, &n| product.saturating_mul(n as u128));
        n_voxels.saturating_mul(self.datatype.size_bytes() as u128).saturating_add(u128::from(self.data_offset))
    }
}

/// How the values behind a header are stored.
pub(super) fn encoding(path: &Path, header: &Header) -> Result<Encoding, NiftiError> {
    let datatype = Datatype::from_code(header.datatype)
        .ok_or(NiftiError::SampleType { path: path.to_owned(), code: header.datatype })?;
    Ok(Encoding { datatype, endianness: header.endianness, scaling: scaling(path, header)? })
}

fn dimensions(path: &Path, header: &Header) -> Result<([usize; 3], usize), NiftiError> {
    let rank = usize::try_from(header.dim[0]).unwrap_or(0);
    let lengths = header.dim[1..=rank.clamp(1, 7)].iter().map(|&n| usize::try_from(n).unwrap_or(0));
    let mut all = [1; 7];
    all.iter_mut().zip(lengths.clone()).for_each(|(slot, length)| *slot = length);
    let error = |reason| NiftiError::Dimensions { path: path.to_owned(), found: lengths.collect(), reason };
    if !(1..=7).contains(&rank) {
        return Err(error("an image has between one and seven axes"));
    }
    if all.contains(&0) {
        return Err(error(match header.version {
            1 => "every axis has a length between 1 and 32767",
            _ => "every axis has a length of at least 1",
        }));
    }
    if all[4..].iter().any(|&length| length > 1) {
        return Err(error(match CIFTI_INTENTS.contains(&header.intent_code) {
            true => "this is a CIFTI file, a matrix over surfaces and voxels, expected an image of voxels",
            false => "only three axes of space and one of time are read",
        }));
    }
    Ok(([all[0], all[1], all[2]], all[3]))
}

/// Slope and intercept as nibabel has them: a slope of zero or not a number means none.
fn scaling(path: &Path, header: &Header) -> Result<Option<(f64, f64)>, NiftiError> {
    let (slope, intercept) = (header.scl_slope, header.scl_inter);
    if slope == 0.0 || !slope.is_finite() {
        return Ok(None);
    }
    if !intercept.is_finite() {
        let expected = "a finite number beside a finite `scl_slope`";
        return Err(NiftiError::Field { path: path.to_owned(), field: "`scl_inter`", found: intercept, expected });
    }
    Ok(Some((slope, intercept)).filter(|&scaling| scaling != (1.0, 0.0)))
}

fn repetition_time_s(header: &Header) -> Option<f64> {
    let seconds = match header.xyzt_units & 0o70 {
        0 | 8 => header.time_step,
        16 => header.time_step / 1e3,
        24 => header.time_step / 1e6,
        _ => return None,
    };
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

fn affine(path: &Path, header: &Header) -> Result<Option<[[f64; 4]; 4]>, NiftiError> {
    let rows = if header.sform_code > 0 {
        header.srow
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
    use ::nifti::Endianness;

    use super::*;

    fn header(change: impl FnOnce(&mut Header)) -> Header {
        let mut header = Header {
            version: 1,
            endianness: Endianness::Little,
            dim: [4, 2, 2, 2, 5, 1, 1, 1],
            datatype: 16,
            pixdim: [1.0; 8],
            time_step: 1.0,
            data_offset: 352,
            scl_slope: 1.0,
            scl_inter: 0.0,
            qform_code: 0,
            sform_code: 1,
            quaternion: [0.0; 3],
            quaternion_offset: [0.0; 3],
            srow: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            xyzt_units: 10,
            intent_code: 0,
        };
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
            (8, f64::NAN, None),
        ] {
            let header = header(|h| (h.xyzt_units, h.time_step) = (units, step));
            assert_eq!(repetition_time_s(&header), expected, "{units} {step}");
        }
    }

    #[test]
    fn useless_slopes_mean_no_scaling() {
        let path = Path::new("x.nii");
        for (slope, intercept, expected) in
            [(0.0, 7.0, None), (f64::NAN, 0.0, None), (1.0, 0.0, None), (0.5, 1.0, Some((0.5, 1.0)))]
        {
            let header = header(|h| (h.scl_slope, h.scl_inter) = (slope, intercept));
            assert_eq!(scaling(path, &header).unwrap(), expected);
        }
        assert!(scaling(path, &header(|h| (h.scl_slope, h.scl_inter) = (2.0, f64::NAN))).is_err());
    }

    #[test]
    fn absurd_dimensions_are_errors() {
        for dim in [
            [0, 2, 2, 2, 1, 1, 1, 1],
            [-3, 2, 2, 2, 1, 1, 1, 1],
            [3, 2, 0, 2, 1, 1, 1, 1],
            [3, -25_536, 2, 2, 1, 1, 1, 1],
            [5, 2, 2, 2, 1, 3, 1, 1],
            [9, 2, 2, 2, 1, 1, 1, 1],
        ] {
            assert!(dimensions(Path::new("x.nii"), &header(|h| h.dim = dim)).is_err(), "{dim:?}");
        }
        assert_eq!(dimensions(Path::new("x.nii"), &header(|_| ())).unwrap(), ([2, 2, 2], 5));
        let long = header(|h| (h.version, h.dim) = (2, [2, 40_000, 2, -7, 1, 1, 1, 1]));
        assert_eq!(dimensions(Path::new("x.nii"), &long).unwrap(), ([40_000, 2, 1], 1));
        let cifti = header(|h| (h.intent_code, h.dim) = (3002, [6, 1, 1, 1, 1, 20, 30, 1]));
        let error = dimensions(Path::new("x.dtseries.nii"), &cifti).unwrap_err();
        assert!(error.to_string().contains("this is a CIFTI file"), "{error}");
    }

    #[test]
    fn promised_bytes_never_wrap() {
        let header = header(|h| (h.version, h.dim) = (2, [4, i64::MAX, i64::MAX, i64::MAX, i64::MAX, 1, 1, 1]));
        assert_eq!(NiftiInfo::of_header(Path::new("x.nii"), &header).unwrap().promised_bytes(), u128::MAX);
    }
}
