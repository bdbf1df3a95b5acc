//! Values out of images: whole volumes, labels, series one volume at a time.
//!
//! Compression is recognised by the bytes of the file, not by its name. A series is read through the `nifti` crate's
//! streamed volumes in the memory of one volume; the first spatial axis varies fastest, as in the file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use ::nifti::{Endianness, NiftiHeader, StreamedNiftiVolume};
use flate2::bufread::MultiGzDecoder;

use super::{Datatype, HEADER_BYTES, MAX_GZIP_RATIO, NiftiError, NiftiInfo, io_error};

/// Reads what the header says, having checked it against the length of the file.
///
/// # Errors
/// If the file cannot be read, is no NIfTI-1 image, or cannot hold what its header promises.
pub fn read_info(path: &Path) -> Result<NiftiInfo, NiftiError> {
    open(path).map(|(info, _)| info)
}

/// Reads a single volume as real values, first axis fastest.
///
/// # Errors
/// As [`read_info`], or if the image has several volumes or its data are cut off.
pub fn read_volume(path: &Path) -> Result<(NiftiInfo, Vec<f32>), NiftiError> {
    let mut reader = single_volume(path)?;
    let mut values = Vec::new();
    reader.each_volume(|_, volume| {
        values = volume.to_vec();
        Ok::<(), NiftiError>(())
    })?;
    Ok((reader.info, values))
}

/// Reads a single volume of whole-number labels exactly, first axis fastest.
///
/// # Errors
/// As [`read_volume`], or if a value is not a whole number of 32 bits.
pub fn read_labels(path: &Path) -> Result<(NiftiInfo, Vec<i32>), NiftiError> {
    let mut reader = single_volume(path)?;
    let info = reader.info.clone();
    let mut labels = Vec::with_capacity(info.n_voxels());
    reader.each_raw_volume(|_, bytes, endianness| {
        let mut refused = None;
        decode(&info, bytes, endianness, |position, value| {
            let whole = value.fract() == 0.0 && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
            if whole {
                labels.push(value as i32);
            } else if refused.is_none() {
                refused = Some((position, value));
            }
        });
        match refused {
            None => Ok(()),
            Some((position, found)) => {
                let [nx, ny, _] = info.shape;
                let voxel = [position % nx, position / nx % ny, position / nx / ny];
                Err(NiftiError::Label { path: info.path.clone(), found, voxel })
            }
        }
    })?;
    Ok((info, labels))
}

fn single_volume(path: &Path) -> Result<VolumeReader, NiftiError> {
    let reader = VolumeReader::open(path)?;
    if reader.info.n_volumes == 1 {
        return Ok(reader);
    }
    let mut found = reader.info.shape.to_vec();
    found.push(reader.info.n_volumes);
    Err(NiftiError::Dimensions { path: path.to_owned(), found, reason: "a single volume was expected" })
}

type Source = Box<dyn Read + Send>;

/// Reads an image volume by volume in the memory of one volume.
pub struct VolumeReader {
    info: NiftiInfo,
    source: Source,
}

impl VolumeReader {
    /// Opens an image and stands before its first volume.
    ///
    /// # Errors
    /// As [`read_info`].
    pub fn open(path: &Path) -> Result<Self, NiftiError> {
        let (info, mut source) = open(path)?;
        let before_data = info.data_offset - HEADER_BYTES as u64;
        let skipped = io::copy(&mut source.by_ref().take(before_data), &mut io::sink()).map_err(io_error(path))?;
        if skipped < before_data {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(NiftiError::Truncated { path: path.to_owned(), volume: 0, n_volumes: info.n_volumes, source });
        }
        Ok(VolumeReader { info, source })
    }

    /// What the header says.
    pub fn info(&self) -> &NiftiInfo {
        &self.info
    }

    /// Hands every volume in turn to `visit`, with its index, as real values, first axis fastest.
    ///
    /// A second call finds no volumes left and fails as on a truncated file.
    ///
    /// # Errors
    /// If the data are cut off or damaged, or whatever `visit` returns.
    pub fn each_volume<E: From<NiftiError>>(
        &mut self,
        mut visit: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let info = self.info.clone();
        let mut values = vec![0.0_f32; info.n_voxels()];
        self.each_raw_volume(|volume, bytes, endianness| {
            decode(&info, bytes, endianness, |position, value| values[position] = value as f32);
            visit(volume, &values)
        })
    }

    fn each_raw_volume<E: From<NiftiError>>(
        &mut self,
        mut visit: impl FnMut(usize, &[u8], Endianness) -> Result<(), E>,
    ) -> Result<(), E> {
        let info = &self.info;
        let damaged = |volume, source| NiftiError::Truncated {
            path: info.path.clone(),
            volume,
            n_volumes: info.n_volumes,
            source,
        };
        // Trailing axes of length one are cut, absent ones added: always three of space and one of time.
        let [nx, ny, nz] = info.shape.map(|n| n as u16);
        let dim = [4, nx, ny, nz, info.n_volumes as u16, 1, 1, 1];
        let endianness = info.header.endianness;
        let header = NiftiHeader { dim, ..info.header.clone() };
        let mut volumes = StreamedNiftiVolume::from_reader_rank(&mut self.source, &header, 3)
            .map_err(|error| damaged(0, io::Error::other(error)))?;
        let mut buffer = Vec::new();
        for volume in 0..info.n_volumes {
            let slice = volumes.read_slice_inline(buffer).map_err(|error| match error {
                ::nifti::NiftiError::Io(source) => damaged(volume, source),
                other => damaged(volume, io::Error::other(other)),
            })?;
            visit(volume, slice.raw_data(), endianness)?;
            buffer = slice.into_raw_data();
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<(NiftiInfo, Source), NiftiError> {
    let mut file = File::open(path).map_err(io_error(path))?;
    let found_bytes = file.metadata().map_err(io_error(path))?.len();
    let mut start = Vec::with_capacity(2);
    file.by_ref().take(2).read_to_end(&mut start).map_err(io_error(path))?;
    file.seek(SeekFrom::Start(0)).map_err(io_error(path))?;
    let compressed = start == [0x1f, 0x8b];
    let file = BufReader::with_capacity(1 << 17, file);
    let mut source: Source = if compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

    let mut bytes = [0; HEADER_BYTES];
    source.read_exact(&mut bytes).map_err(|error| NiftiError::NotNifti {
        path: path.to_owned(),
        reason: match error.kind() {
            io::ErrorKind::UnexpectedEof => "its header of 348 bytes cannot be read: the file is shorter".to_owned(),
            _ => format!("its header of 348 bytes cannot be read ({error})"),
        },
    })?;
    let info = NiftiInfo::parse(path, &bytes)?;
    let promised_bytes = info.promised_bytes();
    let capacity = u128::from(found_bytes) * if compressed { MAX_GZIP_RATIO } else { 1 };
    if promised_bytes > capacity {
        return Err(NiftiError::TooShort { path: path.to_owned(), found_bytes, promised_bytes });
    }
    Ok((info, source))
}

/// Turns stored samples into real values, in double precision as nibabel does.
fn decode(info: &NiftiInfo, bytes: &[u8], endianness: Endianness, mut put: impl FnMut(usize, f64)) {
    let (slope, intercept) = info.scaling.unwrap_or((1.0, 0.0));
    let scaled = info.scaling.is_some();
    macro_rules! samples {
        ($sample:ty) => {{
            let (chunks, _) = bytes.as_chunks::<{ size_of::<$sample>() }>();
            let convert = match endianness {
                Endianness::Little => <$sample>::from_le_bytes,
                Endianness::Big => <$sample>::from_be_bytes,
            };
            for (position, chunk) in chunks.iter().enumerate() {
                let value = convert(*chunk) as f64;
                put(position, if scaled { value * slope + intercept } else { value });
            }
        }};
    }
    match info.datatype {
        Datatype::U8 => samples!(u8),
        Datatype::I8 => samples!(i8),
        Datatype::U16 => samples!(u16),
        Datatype::I16 => samples!(i16),
        Datatype::U32 => samples!(u32),
        Datatype::I32 => samples!(i32),
        Datatype::U64 => samples!(u64),
        Datatype::I64 => samples!(i64),
        Datatype::F32 => samples!(f32),
        Datatype::F64 => samples!(f64),
    }
}
