//! The fields that matter out of the headers of both versions, as the numbers they are, before any of them is believed.
//!
//! NIfTI-1 headers are parsed by the `nifti` crate; NIfTI-2, which it does not know, is laid out here and written for
//! CIFTI. Which values make sense is for the module above.

use std::path::Path;

use ::nifti::{Endianness, NiftiHeader};

use super::NiftiError;

/// Length of a NIfTI-1 header, which is also its first field.
pub(in crate::format) const HEADER_BYTES_1: usize = 348;
/// Length of a NIfTI-2 header, which is also its first field.
pub(in crate::format) const HEADER_BYTES_2: usize = 540;
/// Bytes after a header that say whether extensions follow.
pub(in crate::format) const EXTENDER_BYTES: usize = 4;
/// How a NIfTI-2 header names itself; line endings and an end-of-file mark show transfers that took it for text.
const MAGIC_2: &[u8; 8] = b"n+2\0\r\n\x1a\n";

/// What a header says, of either version.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::format) struct Header {
    pub version: u8,
    pub endianness: Endianness,
    /// Number of axes, then their lengths.
    pub dim: [i64; 8],
    pub datatype: i16,
    pub pixdim: [f64; 8],
    /// `pixdim[4]` as the number that was meant.
    pub time_step: f64,
    /// Where the data begin.
    pub data_offset: u64,
    pub scl_slope: f64,
    pub scl_inter: f64,
    pub qform_code: i32,
    pub sform_code: i32,
    /// The components b, c, d.
    pub quaternion: [f64; 3],
    pub quaternion_offset: [f64; 3],
    pub srow: [[f64; 4]; 3],
    pub xyzt_units: i32,
    pub intent_code: i32,
}

impl Header {
    /// Bytes of the header whose first four bytes these are, if they begin one.
    pub fn size_of_start(start: [u8; 4]) -> Option<(usize, Endianness)> {
        let sizes = [HEADER_BYTES_1, HEADER_BYTES_2];
        let stated = |size: &&usize, found: i32| i32::try_from(**size).is_ok_and(|size| size == found);
        let little = sizes.iter().find(|size| stated(size, i32::from_le_bytes(start)));
        let big = sizes.iter().find(|size| stated(size, i32::from_be_bytes(start)));
        little.map(|&size| (size, Endianness::Little)).or(big.map(|&size| (size, Endianness::Big)))
    }

    /// Bytes of this header.
    pub fn size_bytes(&self) -> usize {
        if self.version == 1 { HEADER_BYTES_1 } else { HEADER_BYTES_2 }
    }

    /// Reads the fields of a header of either version; `bytes` is the whole header.
    pub fn parse(path: &Path, bytes: &[u8], endianness: Endianness) -> Result<Self, NiftiError> {
        match bytes.len() {
            HEADER_BYTES_1 => Header::parse_1(path, bytes, endianness),
            _ => Header::parse_2(path, bytes, endianness),
        }
    }

    fn parse_1(path: &Path, bytes: &[u8], endianness: Endianness) -> Result<Self, NiftiError> {
        match &bytes[344..348] {
            b"n+1\0" => {}
            b"ni1\0" => return Err(pair(path)),
            _ => return Err(not_nifti(path, "the magic `n+1` is missing from byte 344 of the header")),
        }
        let header = NiftiHeader::from_reader(bytes).map_err(|error| not_nifti(path, &error.to_string()))?;
        if (1..=7).contains(&header.dim[0]) && header.endianness != endianness {
            return Err(not_nifti(path, "its length and its dimensions disagree about the byte order"));
        }
        Ok(Header {
            version: 1,
            endianness,
            // The field is signed in the standard and unsigned in the parser: beyond 32 767 it was negative.
            dim: header.dim.map(|length| i64::from(length.cast_signed())),
            datatype: header.datatype,
            pixdim: header.pixdim.map(f64::from),
            // Through the shortest decimal, so that 0.72 stays 0.72 instead of the nearest float's 0.7200000286.
            time_step: header.pixdim[4].to_string().parse().unwrap_or(f64::NAN),
            data_offset: data_offset(path, f64::from(header.vox_offset), HEADER_BYTES_1)?,
            scl_slope: f64::from(header.scl_slope),
            scl_inter: f64::from(header.scl_inter),
            qform_code: i32::from(header.qform_code),
            sform_code: i32::from(header.sform_code),
            quaternion: [header.quatern_b, header.quatern_c, header.quatern_d].map(f64::from),
            quaternion_offset: [header.quatern_x, header.quatern_y, header.quatern_z].map(f64::from),
            srow: [header.srow_x, header.srow_y, header.srow_z].map(|row| row.map(f64::from)),
            xyzt_units: i32::from(header.xyzt_units),
            intent_code: i32::from(header.intent_code),
        })
    }

    fn parse_2(path: &Path, bytes: &[u8], endianness: Endianness) -> Result<Self, NiftiError> {
        match &bytes[4..12] {
            magic if magic == MAGIC_2 => {}
            [b'n', b'i', b'2', 0, ..] => return Err(pair(path)),
            [b'n', b'+', b'2', 0, ..] => {
                let reason = "the line endings in its header were changed: it was sent as text, send it as binary";
                return Err(not_nifti(path, reason));
            }
            _ => return Err(not_nifti(path, "the magic `n+2` is missing from byte 4 of the header")),
        }
        let fields = Fields { bytes, endianness };
        let pixdim: [f64; 8] = fields.floats(104);
        Ok(Header {
            version: 2,
            endianness,
            dim: std::array::from_fn(|axis| fields.i64(16 + 8 * axis)),
            datatype: fields.i16(12),
            pixdim,
            time_step: pixdim[4],
            data_offset: data_offset(path, fields.i64(168) as f64, HEADER_BYTES_2)?,
            scl_slope: fields.f64(176),
            scl_inter: fields.f64(184),
            qform_code: fields.i32(344),
            sform_code: fields.i32(348),
            quaternion: fields.floats(352),
            quaternion_offset: fields.floats(376),
            srow: std::array::from_fn(|row| fields.floats(400 + 32 * row)),
            xyzt_units: fields.i32(500),
            intent_code: fields.i32(504),
        })
    }
}

/// Bytes of a header read at the offsets that the standard states.
struct Fields<'a> {
    bytes: &'a [u8],
    endianness: Endianness,
}

impl Fields<'_> {
    fn take<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut field: [u8; N] = self.bytes[offset..offset + N].try_into().expect("the slice is as long as the array");
        if self.endianness == Endianness::Big {
            field.reverse();
        }
        field
    }

    fn i16(&self, offset: usize) -> i16 {
        i16::from_le_bytes(self.take(offset))
    }

    fn i32(&self, offset: usize) -> i32 {
        i32::from_le_bytes(self.take(offset))
    }

    fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.take(offset))
    }

    fn f64(&self, offset: usize) -> f64 {
        f64::from_le_bytes(self.take(offset))
    }

    fn floats<const N: usize>(&self, offset: usize) -> [f64; N] {
        std::array::from_fn(|index| self.f64(offset + 8 * index))
    }
}

/// Where the data begin; 0 means directly after the header.
///
/// Beyond 2^53 the number is not exact, but no file is as long: it is refused with the length of the file.
fn data_offset(path: &Path, found: f64, header_bytes: usize) -> Result<u64, NiftiError> {
    let first = (header_bytes + EXTENDER_BYTES) as u64;
    if found == 0.0 {
        return Ok(first);
    }
    if found.fract() == 0.0 && found >= first as f64 && found <= 2_f64.powi(62) {
        return Ok(found as u64);
    }
    let expected = "a whole number of bytes beyond the header";
    Err(NiftiError::Field { path: path.to_owned(), field: "`vox_offset`", found, expected })
}

fn not_nifti(path: &Path, reason: &str) -> NiftiError {
    NiftiError::NotNifti { path: path.to_owned(), reason: reason.to_owned() }
}

fn pair(path: &Path) -> NiftiError {
    not_nifti(path, "it is half of a `.hdr` and `.img` pair, save it as one `.nii` file")
}

/// What the header of a new CIFTI file says.
pub(in crate::format) struct MatrixHeader {
    /// Lengths of the two axes of the matrix, the one that varies fastest first.
    pub lengths: [usize; 2],
    /// Type code of the samples and their bits.
    pub datatype: (i16, i16),
    /// Where the data begin.
    pub data_offset: u64,
    pub intent_code: i32,
    /// At most 15 letters.
    pub intent_name: &'static str,
}

impl MatrixHeader {
    /// The 540 bytes of the header and the 4 that say "extensions follow".
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES_2 + EXTENDER_BYTES];
        let mut put = |offset: usize, field: &[u8]| bytes[offset..offset + field.len()].copy_from_slice(field);
        put(0, &(HEADER_BYTES_2 as i32).to_le_bytes());
        put(4, MAGIC_2);
        put(12, &self.datatype.0.to_le_bytes());
        put(14, &self.datatype.1.to_le_bytes());
        // Four axes of space and time of length 1, then those of the matrix (CIFTI-2 standard).
        let dim = [6, 1, 1, 1, 1, self.lengths[0] as i64, self.lengths[1] as i64, 1];
        for (axis, length) in dim.iter().enumerate() {
            put(16 + 8 * axis, &length.to_le_bytes());
            put(104 + 8 * axis, &1.0_f64.to_le_bytes());
        }
        put(168, &self.data_offset.to_le_bytes());
        put(176, &1.0_f64.to_le_bytes());
        // Millimetres and seconds.
        put(500, &10_i32.to_le_bytes());
        put(504, &self.intent_code.to_le_bytes());
        put(508, self.intent_name.as_bytes());
        put(HEADER_BYTES_2, &[1]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let lengths = [300, 91_282];
        MatrixHeader {
            lengths,
            datatype: (16, 32),
            data_offset: 1024,
            intent_code: 3002,
            intent_name: "ConnDenseSeries",
        }
        .to_bytes()
    }

    #[test]
    fn written_headers_read_back() {
        let bytes = written();
        let (size, endianness) = Header::size_of_start([bytes[0], bytes[1], bytes[2], bytes[3]]).unwrap();
        assert_eq!((size, endianness), (540, Endianness::Little));
        let header = Header::parse(Path::new("x.nii"), &bytes[..540], endianness).unwrap();
        assert_eq!(header.dim, [6, 1, 1, 1, 1, 300, 91_282, 1]);
        assert_eq!((header.version, header.datatype, header.data_offset, header.intent_code), (2, 16, 1024, 3002));
        assert_eq!((header.scl_slope, header.scl_inter), (1.0, 0.0));
    }

    #[test]
    fn impossible_offsets_of_the_data_are_errors() {
        for (offset, expected) in [(0_i64, Some(544)), (544, Some(544)), (543, None), (-1, None), (i64::MAX, None)] {
            let mut bytes = written();
            bytes[168..176].copy_from_slice(&offset.to_le_bytes());
            let found = Header::parse(Path::new("x.nii"), &bytes[..540], Endianness::Little);
            assert_eq!(found.ok().map(|header| header.data_offset), expected, "{offset}");
        }
    }

    #[test]
    fn headers_sent_as_text_are_named() {
        let mut bytes = written();
        bytes[8..12].copy_from_slice(b"\n\n\x1a\n");
        let error = Header::parse(Path::new("x.nii"), &bytes[..540], Endianness::Little).unwrap_err();
        assert!(error.to_string().contains("it was sent as text"), "{error}");
    }
}
