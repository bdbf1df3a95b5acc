//! Values out of images: whole volumes, labels, series one volume at a time.
//!
//! A series is read by a thread of its own, so that decompressing the next volume and looking at this one overlap; three
//! buffers of stored samples go round between the two, and that is all the memory there is. The first spatial axis varies
//! fastest, as in the file.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use super::header::Header;
use super::source::{self, Source};
use super::{NiftiError, NiftiInfo};
use crate::format::memory::afford;

/// One volume is being read, one waits, one is being looked at.
const N_BUFFERS: usize = 3;

/// Reads what the header says, having checked it against the length of the file.
///
/// # Errors
/// If the file cannot be read, is no NIfTI image, or cannot hold what its header promises.
pub fn read_info(path: &Path) -> Result<NiftiInfo, NiftiError> {
    let (header, source) = source::open(path)?;
    believe(path, &header, &source)
}

fn believe(path: &Path, header: &Header, source: &Source) -> Result<NiftiInfo, NiftiError> {
    let info = NiftiInfo::of_header(path, header)?;
    source.check_holds(path, info.promised_bytes())?;
    Ok(info)
}

/// Reads a single volume as real values, first axis fastest.
///
/// # Errors
/// As [`read_info`], or if the image has several volumes or its data are cut off.
pub fn read_volume(path: &Path) -> Result<(NiftiInfo, Vec<f32>), NiftiError> {
    let mut reader = single_volume(path)?;
    reader.afford_volumes(2 * size_of::<f32>())?;
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
    reader.afford_volumes(size_of::<i32>())?;
    let mut labels = Vec::new();
    reader.each_stored_volume(0..1, |_, bytes| {
        labels.reserve_exact(info.n_voxels());
        let mut refused = None;
        info.encoding.each(bytes, |position, value| match whole_number(value) {
            Some(label) => labels.push(label),
            None => refused = refused.or(Some((position, value))),
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

/// The value as a label, if it is a whole number of 32 bits.
pub(in crate::format) fn whole_number(value: f64) -> Option<i32> {
    let whole = value.fract() == 0.0 && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX);
    whole.then_some(value as i32)
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

/// Reads an image volume by volume in the memory of a few volumes.
pub struct VolumeReader {
    info: NiftiInfo,
    source: Source,
    /// Volume before which the source stands.
    position: usize,
}

impl VolumeReader {
    /// Opens an image and stands before its first volume.
    ///
    /// # Errors
    /// As [`read_info`].
    pub fn open(path: &Path) -> Result<Self, NiftiError> {
        VolumeReader::before_data(path, source::open(path)?)
    }

    /// Takes the bytes of an image for a file; `path` only serves the error messages.
    ///
    /// # Errors
    /// As [`read_info`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, NiftiError> {
        VolumeReader::before_data(path, source::open_bytes(path, bytes)?)
    }

    fn before_data(path: &Path, (header, mut source): (Header, Source)) -> Result<Self, NiftiError> {
        let info = believe(path, &header, &source)?;
        let reader = |source| VolumeReader { info, source, position: 0 };
        match source.skip(header.data_offset - header.size_bytes() as u64) {
            Ok(()) => Ok(reader(source)),
            Err(error) => Err(reader(source).truncated(0, error)),
        }
    }

    /// What the header says.
    pub fn info(&self) -> &NiftiInfo {
        &self.info
    }

    fn truncated(&self, volume: usize, source: io::Error) -> NiftiError {
        let info = &self.info;
        NiftiError::Truncated { path: info.path.clone(), volume, n_volumes: info.n_volumes, source }
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
        let (encoding, n_volumes, n_voxels) = (self.info.encoding, self.info.n_volumes, self.info.n_voxels());
        self.afford_volumes(size_of::<f32>())?;
        let mut values = Vec::new();
        self.each_stored_volume(0..n_volumes, |volume, bytes| {
            values.resize(n_voxels, 0.0);
            encoding.each(bytes, |position, value| values[position] = value as f32);
            visit(volume, &values)
        })
    }

    /// Hands some voxels of some volumes to `put`, as real values, with the position of the volume among those `kept`.
    ///
    /// `offsets` are places in a volume whose first axis varies fastest, in any order; `kept` are volumes in ascending
    /// order. Only what is asked for is decoded; volumes that are not kept are passed over, and those behind the last kept
    /// one are not read. A second call can only ask for volumes behind those of the first.
    ///
    /// # Errors
    /// If a voxel or volume lies outside the image, the data asked for are cut off or damaged, or whatever `put` returns.
    ///
    /// # Panics
    /// If `kept` does not ascend: a mistake of the caller, not of a file.
    pub fn each_row<E: From<NiftiError>>(
        &mut self,
        offsets: &[usize],
        kept: &[usize],
        mut put: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_asked(offsets, kept)?;
        let mut values = vec![0.0; offsets.len()];
        let (encoding, mut row) = (self.info.encoding, 0);
        self.each_stored_volume(kept.iter().copied(), |_, bytes| {
            encoding.gather(bytes, offsets, &mut values);
            row += 1;
            put(row - 1, &values)
        })
    }

    /// Reads some voxels of some volumes straight into the rows of a matrix, as [`each_row`](Self::each_row) hands them out.
    ///
    /// # Errors
    /// As there, or if `matrix` does not have as many values as there are kept volumes times voxels.
    ///
    /// # Panics
    /// If `kept` does not ascend: a mistake of the caller, not of a file.
    pub fn read_rows(&mut self, offsets: &[usize], kept: &[usize], matrix: &mut [f32]) -> Result<(), NiftiError> {
        self.check_asked(offsets, kept)?;
        let expected = kept.len().saturating_mul(offsets.len());
        if matrix.len() != expected {
            let path = self.info.path.clone();
            return Err(NiftiError::Count { path, what: "values of a matrix", found: matrix.len(), expected });
        }
        let encoding = self.info.encoding;
        let mut rows = matrix.chunks_exact_mut(offsets.len().max(1));
        self.each_stored_volume(kept.iter().copied(), |_, bytes| {
            encoding.gather(bytes, offsets, rows.next().unwrap_or_default());
            Ok(())
        })
    }

    fn check_asked(&self, offsets: &[usize], kept: &[usize]) -> Result<(), NiftiError> {
        assert!(kept.is_sorted_by(|a, b| a < b), "kept volumes ascend");
        let check = |what, asked: Option<&usize>, available| match asked {
            Some(&asked) if asked >= available => {
                Err(NiftiError::Outside { path: self.info.path.clone(), what, asked, available })
            }
            _ => Ok(()),
        };
        check("voxel", offsets.iter().max(), self.info.n_voxels())?;
        check("volume", kept.last(), self.info.n_volumes)
    }

    /// Whether the buffers can be held, with so many bytes more for each voxel of one volume.
    fn afford_volumes(&self, more_bytes: usize) -> Result<(), NiftiError> {
        let info = &self.info;
        let stored_bytes = N_BUFFERS.min(info.n_volumes) as u128 * info.datatype.size_bytes() as u128;
        let n_voxels = info.n_voxels() as u128;
        let [x, y, z] = info.shape;
        afford(&info.path, n_voxels * (stored_bytes + more_bytes as u128), || {
            format!("volumes of {x} x {y} x {z} voxels")
        })?;
        Ok(())
    }

    /// Hands the stored bytes of some volumes, in ascending order, to `visit`, with the index of the volume.
    fn each_stored_volume<E: From<NiftiError>>(
        &mut self,
        kept: impl Iterator<Item = usize> + Send,
        mut visit: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.afford_volumes(0)?;
        thread::scope(|scope| {
            let (full_sender, full) = mpsc::channel();
            let (empty_sender, empty) = mpsc::channel();
            for _ in 0..N_BUFFERS {
                empty_sender.send(Vec::new()).expect("the receiver is alive");
            }
            scope.spawn(move || {
                for volume in kept {
                    // Without a receiver of full buffers, or without empty ones, nobody is interested any more.
                    let Ok(mut buffer) = empty.recv() else { return };
                    let filled = self.fetch(volume, &mut buffer).map(|()| (volume, buffer));
                    let failed = filled.is_err();
                    if full_sender.send(filled).is_err() || failed {
                        return;
                    }
                }
            });
            // The loop ends when the thread is done and has dropped its sender.
            for filled in full {
                let (volume, buffer) = filled?;
                visit(volume, &buffer)?;
                // An error means that the thread has read its last volume.
                drop(empty_sender.send(buffer));
            }
            Ok(())
        })
    }

    /// Reads the stored bytes of a volume that was not passed yet.
    fn fetch(&mut self, volume: usize, buffer: &mut Vec<u8>) -> Result<(), NiftiError> {
        let volume_bytes = self.info.n_voxels() * self.info.datatype.size_bytes();
        let Some(n_between) = volume.checked_sub(self.position) else {
            return Err(self.truncated(volume, io::Error::other("it was read already")));
        };
        self.position = volume + 1;
        let skipped = self.source.skip(n_between as u64 * volume_bytes as u64);
        skipped.and_then(|()| self.source.fill(buffer, volume_bytes)).map_err(|error| self.truncated(volume, error))?;
        if self.position == self.info.n_volumes {
            let path = &self.info.path;
            self.source.check_end().map_err(|source| NiftiError::Checksum { path: path.clone(), source })?;
        }
        Ok(())
    }
}
