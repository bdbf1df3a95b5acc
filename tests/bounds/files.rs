//! Small files that claim much.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use flate2::{Compression, write::GzEncoder, write::ZlibEncoder};

pub(super) fn gzip(mut bytes: impl Read) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut bytes, &mut encoder).expect("compressible");
    encoder.finish().expect("compressible")
}

fn zeros(n_bytes: u64) -> impl Read {
    std::io::repeat(0).take(n_bytes)
}

/// These bytes and so many MiB of zeros, compressed to some kilobytes each.
pub(super) fn swelling(begin: &[u8], n_mib: usize) -> Vec<u8> {
    let zeros = gzip(zeros(1 << 20));
    [gzip(begin), zeros.repeat(n_mib)].concat()
}

/// Bytes that do not shrink.
pub(super) fn noise(n_bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n_bytes).map(|_| next()).collect()
}

/// A file of so many zeros that takes no room on the disk, behind some bytes.
pub(super) fn sparse(path: &Path, begin: &[u8], n_bytes: u64) {
    let mut file = File::create(path).expect("writable");
    file.write_all(begin).expect("writable");
    file.set_len(n_bytes).expect("sparse files");
}

/// A `.npy` file with this dictionary and nothing behind it.
pub(super) fn npy(dictionary: &str) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(format!("{dictionary:<117}\n").bytes());
    bytes
}

/// The header of a NIfTI-1 image of bytes.
pub(super) fn nifti1(dim: [i16; 8], datatype: i16, bits: i16) -> Vec<u8> {
    let mut bytes = vec![0; 352];
    bytes[..4].copy_from_slice(&348_i32.to_le_bytes());
    for (axis, length) in dim.iter().enumerate() {
        bytes[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&length.to_le_bytes());
        bytes[76 + 4 * axis..80 + 4 * axis].copy_from_slice(&1.0_f32.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&datatype.to_le_bytes());
    bytes[72..74].copy_from_slice(&bits.to_le_bytes());
    bytes[108..112].copy_from_slice(&352.0_f32.to_le_bytes());
    bytes[254..256].copy_from_slice(&1_i16.to_le_bytes());
    for row in 0..3 {
        bytes[280 + 20 * row..284 + 20 * row].copy_from_slice(&1.0_f32.to_le_bytes());
    }
    bytes[344..348].copy_from_slice(b"n+1\0");
    bytes
}

/// The header of a NIfTI-2 file whose data begin at `data_offset`.
pub(super) fn nifti2(dim: [i64; 8], data_offset: i64, intent: i32) -> Vec<u8> {
    let mut bytes = vec![0; 544];
    bytes[..4].copy_from_slice(&540_i32.to_le_bytes());
    bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    bytes[12..14].copy_from_slice(&16_i16.to_le_bytes());
    bytes[14..16].copy_from_slice(&32_i16.to_le_bytes());
    for (axis, length) in dim.iter().enumerate() {
        bytes[16 + 8 * axis..24 + 8 * axis].copy_from_slice(&length.to_le_bytes());
    }
    bytes[168..176].copy_from_slice(&data_offset.to_le_bytes());
    bytes[504..508].copy_from_slice(&intent.to_le_bytes());
    bytes[540] = 1;
    bytes
}

/// A CIFTI file that XML describes, whose matrix is promised to have these lengths.
pub(super) fn cifti(xml: &str, n_maps: i64, n_places: i64) -> Vec<u8> {
    let n_bytes = (xml.len() + 8).next_multiple_of(16);
    let mut bytes = nifti2([6, 1, 1, 1, 1, n_maps, n_places, 1], 544 + n_bytes as i64, 3002);
    bytes.extend((n_bytes as i32).to_le_bytes());
    bytes.extend(32_i32.to_le_bytes());
    bytes.extend(xml.bytes());
    bytes.resize(544 + n_bytes, 0);
    bytes
}

/// The XML of a series of one voxel in a volume.
pub(super) fn series_xml(n_points: &str, shape: &str) -> String {
    format!(
        "<CIFTI Version=\"2\"><Matrix><MatrixIndicesMap AppliesToMatrixDimension=\"0\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_SERIES\" \
         NumberOfSeriesPoints=\"{n_points}\" SeriesStart=\"0\" SeriesStep=\"1\" SeriesExponent=\"0\" SeriesUnit=\"SECOND\"/>\
         <MatrixIndicesMap AppliesToMatrixDimension=\"1\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_BRAIN_MODELS\">\
         <Volume VolumeDimensions=\"{shape}\"><TransformationMatrixVoxelIndicesIJKtoXYZ MeterExponent=\"-3\">\
         1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</TransformationMatrixVoxelIndicesIJKtoXYZ></Volume>\
         <BrainModel IndexOffset=\"0\" IndexCount=\"1\" ModelType=\"CIFTI_MODEL_TYPE_VOXELS\" \
         BrainStructure=\"CIFTI_STRUCTURE_THALAMUS_LEFT\"><VoxelIndicesIJK>0 0 0</VoxelIndicesIJK></BrainModel>\
         </MatrixIndicesMap></Matrix></CIFTI>"
    )
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes(), &kind[..], data, &crc.sum().to_be_bytes()].concat()
}

fn zlib(n_bytes: u64) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    std::io::copy(&mut zeros(n_bytes), &mut encoder).expect("compressible");
    encoder.finish().expect("compressible")
}

/// A PNG of RGB with these sides, and whatever else; its pixels are zeros that shrink to nothing.
pub(super) fn png(width: u32, height: u32, more: &[u8], pixel_bytes: u64) -> Vec<u8> {
    let head = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let pixels = chunk(b"IDAT", &zlib(pixel_bytes));
    [b"\x89PNG\r\n\x1a\n", &chunk(b"IHDR", &head)[..], more, &pixels, &chunk(b"IEND", b"")].concat()
}

/// A chunk of a PNG that swells: a colour profile of zeros.
pub(super) fn swelling_profile(n_bytes: u64) -> Vec<u8> {
    chunk(b"iCCP", &[b"p\0\0", &zlib(n_bytes)[..]].concat())
}

/// A JPEG with nearly the largest sides that are decoded, and no pixels.
pub(super) fn jpeg() -> Vec<u8> {
    let table = [&b"\xff\xdb\x00\x43\x00"[..], &[1; 64]].concat();
    let frame = b"\xff\xc0\x00\x11\x08\xfd\xe8\xfd\xe8\x03\x01\x11\x00\x02\x11\x00\x03\x11\x00";
    let scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00";
    [b"\xff\xd8", &table[..], frame, scan, &[0; 8], b"\xff\xd9"].concat()
}

pub(super) fn gif() -> Vec<u8> {
    b"GIF89a\xff\xff\xff\xff\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02D\x01\x00;"
        .to_vec()
}

pub(super) fn bmp() -> Vec<u8> {
    let mut bytes = vec![0; 58];
    bytes[..2].copy_from_slice(b"BM");
    bytes[10..14].copy_from_slice(&54_u32.to_le_bytes());
    bytes[14..18].copy_from_slice(&40_u32.to_le_bytes());
    bytes[18..22].copy_from_slice(&60_000_i32.to_le_bytes());
    bytes[22..26].copy_from_slice(&60_000_i32.to_le_bytes());
    bytes[26..30].copy_from_slice(&[1, 0, 24, 0]);
    bytes
}

/// A TIFF of one strip that is as long as it likes.
pub(super) fn tiff() -> Vec<u8> {
    let tags: [(u16, u16, u32); 9] = [
        (256, 4, 60_000),
        (257, 4, 60_000),
        (258, 3, 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 60_000),
        (279, 4, u32::MAX),
    ];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, value) in tags {
        bytes
            .extend([&tag.to_le_bytes()[..], &kind.to_le_bytes(), &1_u32.to_le_bytes(), &value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

pub(super) fn webp() -> Vec<u8> {
    let mut bytes = b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    bytes.extend([0xff, 0xff, 0x01, 0xff, 0xff, 0x00]);
    bytes.extend(b"VP8L\x04\0\0\0\x2f\0\0\0");
    bytes
}

/// A tar whose first entry, an archive's list, is announced with `n_bytes`.
pub(super) fn archive(n_bytes: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("tiny/hebb-archive.json").expect("short");
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(n_bytes);
    header.set_mode(0o644);
    header.set_cksum();
    let bytes = [&header.as_bytes()[..], &[b' '; 1024]].concat();
    zstd::encode_all(bytes.as_slice(), 1).expect("compressible")
}

/// A zip archive whose end says that its directory has `n_entries`, of which there are none.
pub(super) fn zip(n_entries: u64) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend([0; 26]);
    let end = bytes.len() as u64;
    bytes.extend([&b"PK\x06\x06"[..], &44_u64.to_le_bytes(), &[45, 0, 45, 0], &[0; 8]].concat());
    for value in [n_entries, n_entries, 1 << 40, 0] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([&b"PK\x06\x07"[..], &[0; 4], &end.to_le_bytes(), &[1, 0, 0, 0]].concat());
    bytes.extend([&b"PK\x05\x06"[..], &[0; 4], &[0xff; 12], &[0; 2]].concat());
    bytes
}

pub(super) fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::write(path, bytes).expect("writable");
}
