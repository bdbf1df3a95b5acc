//! Values out of CIFTI files, place by place, in memory that does not depend on how many places there are.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::{CiftiError, EXTENSION_CODE, Maps, Matrix, parse_xml};
use crate::format::memory::afford;
use crate::format::nifti::header::Header;
use crate::format::nifti::read::whole_number;
use crate::format::nifti::source::{self, Source};
use crate::format::nifti::{Datatype, Encoding, NiftiError, encoding, read_each};

/// Longest XML that is read; that of the finest grids in use is some megabytes.
const MAX_XML_BYTES: u64 = 1 << 28;
/// Bytes that the XML takes for each of its own once it is understood: an empty entry of six letters becomes two texts, in a list that
/// grows by doubling.
const MEMORY_PER_XML_BYTE: u128 = 24;
/// Places that are gathered before they are written into the rows of a matrix: as many floats as a cache line holds.
const PLACES_PER_BLOCK: usize = 16;

/// What a CIFTI file says about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct CiftiInfo {
    /// The file.
    pub path: PathBuf,
    /// What its maps and places are.
    pub matrix: Matrix,
    /// Type of the stored samples.
    pub datatype: Datatype,
    encoding: Encoding,
}

impl CiftiInfo {
    /// Number of maps.
    pub fn n_maps(&self) -> usize {
        self.matrix.maps.len()
    }

    /// Number of places.
    pub fn n_places(&self) -> usize {
        self.matrix.places.len()
    }
}

/// Reads what a CIFTI file says about itself, having checked it against the length of the file.
///
/// # Errors
/// If the file cannot be read, is no CIFTI-2 file, or cannot hold what it promises.
pub fn read_cifti_info(path: &Path) -> Result<CiftiInfo, CiftiError> {
    CiftiReader::open(path).map(|reader| reader.info)
}

/// Reads a CIFTI file place by place.
pub struct CiftiReader {
    info: CiftiInfo,
    source: Source,
    /// Place before which the source stands.
    position: usize,
}

impl CiftiReader {
    /// Opens a file and stands before its first place.
    ///
    /// # Errors
    /// As [`read_cifti_info`].
    pub fn open(path: &Path) -> Result<Self, CiftiError> {
        CiftiReader::before_data(path, source::open(path)?)
    }

    /// Takes the bytes of a CIFTI file for a file; `path` only serves the error messages.
    ///
    /// # Errors
    /// As [`read_cifti_info`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, CiftiError> {
        CiftiReader::before_data(path, source::open_bytes(path, bytes)?)
    }

    fn before_data(path: &Path, (header, mut source): (Header, Source)) -> Result<Self, CiftiError> {
        let not_cifti = |reason: &str| CiftiError::NotCifti { path: path.to_owned(), reason: reason.to_owned() };
        if header.version != 2 {
            return Err(not_cifti("it is a NIfTI-1 image, expected a NIfTI-2 file such as `.dtseries.nii`"));
        }
        source.check_holds(path, u128::from(header.data_offset))?;
        if header.data_offset > MAX_XML_BYTES {
            return Err(not_cifti("its header extensions are too long to be the XML of CIFTI"));
        }
        let mut extensions = Vec::new();
        read_each(path, &header, &mut source, |code| code == EXTENSION_CODE, &mut extensions)?;
        let [extension] = &extensions[..] else {
            return Err(not_cifti("it does not have exactly one header extension of code 32, the XML of CIFTI"));
        };
        let n_xml = extension.bytes.len();
        let told = || format!("a description in XML of {n_xml} bytes");
        afford(path, n_xml as u128 * MEMORY_PER_XML_BYTE, told).map_err(NiftiError::from)?;
        let matrix = parse_xml(path, &extension.bytes)?;
        let encoding = encoding(path, &header)?;

        let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let expected = [1, 1, 1, 1, length(matrix.maps.len()), length(matrix.places.len()), 1];
        let rank = usize::try_from(header.dim[0]).unwrap_or(0).min(7);
        let found = &header.dim[1..=rank];
        if !(6..=7).contains(&rank) || *found != expected[..rank] || expected.contains(&0) {
            let (path, found) = (path.to_owned(), found.to_vec());
            return Err(CiftiError::Dimensions { path, found, expected: expected[..6].to_vec() });
        }
        let n_values = matrix.maps.len() as u128 * matrix.places.len() as u128;
        let data_bytes = n_values * encoding.datatype.size_bytes() as u128;
        source.check_holds(path, data_bytes + u128::from(header.data_offset))?;
        let info = CiftiInfo { path: path.to_owned(), matrix, datatype: encoding.datatype, encoding };
        Ok(CiftiReader { info, source, position: 0 })
    }

    /// What the file says about itself.
    pub fn info(&self) -> &CiftiInfo {
        &self.info
    }

    /// Hands the values of some maps at some places to `put`, place by place, with the position among those asked for.
    ///
    /// `places` and `maps` are in ascending order. Places that are not asked for are passed over. A second call can only
    /// ask for places behind those of the first.
    ///
    /// # Errors
    /// If a place or map is outside the file, the data are cut off or damaged, or whatever `put` returns.
    ///
    /// # Panics
    /// If `places` or `maps` do not ascend: a mistake of the caller, not of a file.
    pub fn each_place<E: From<CiftiError>>(
        &mut self,
        places: &[usize],
        maps: &[usize],
        mut put: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_asked(places, maps)?;
        self.afford(maps.len() as u128, size_of::<f32>())?;
        let (mut values, mut buffer) = (Vec::new(), Vec::new());
        for (column, &place) in places.iter().enumerate() {
            self.fetch(place, &mut buffer)?;
            // Only once a place is there: a header may promise what a compressed file does not hold.
            values.resize(maps.len(), 0.0);
            self.info.encoding.gather(&buffer, maps, &mut values);
            put(column, &values)?;
        }
        Ok(())
    }

    /// Reads some maps at some places into a matrix with a row for each map, as [`each_place`](Self::each_place) would.
    ///
    /// # Errors
    /// As there, or if `matrix` does not have as many values as there are maps times places.
    ///
    /// # Panics
    /// If `places` or `maps` do not ascend: a mistake of the caller, not of a file.
    pub fn read_rows(&mut self, places: &[usize], maps: &[usize], matrix: &mut [f32]) -> Result<(), CiftiError> {
        let (expected, found) = (maps.len().saturating_mul(places.len()), matrix.len());
        if found != expected {
            let path = self.info.path.clone();
            return Err(NiftiError::Count { path, what: "values of a matrix", found, expected }.into());
        }
        // Neighbouring places go into each row together, as a write to memory for each single value takes far longer.
        self.afford(maps.len() as u128 * PLACES_PER_BLOCK as u128, size_of::<f32>())?;
        let mut block = Vec::new();
        self.each_place(places, maps, |column, values| {
            block.resize(maps.len() * PLACES_PER_BLOCK, 0.0);
            let within = column % PLACES_PER_BLOCK;
            block[within * maps.len()..][..maps.len()].copy_from_slice(values);
            if within + 1 == PLACES_PER_BLOCK || column + 1 == places.len() {
                for (row, values) in matrix.chunks_exact_mut(places.len()).enumerate() {
                    for (place, value) in values[column - within..=column].iter_mut().enumerate() {
                        *value = block[place * maps.len() + row];
                    }
                }
            }
            Ok(())
        })
    }

    /// Reads the keys of all labels: for each map, one key for each place.
    ///
    /// A key that the map's table lacks is refused, but for 0, which stands for no label.
    ///
    /// # Errors
    /// If the file holds no labels, a value is no whole number or no key of the table, or the data are cut off.
    pub fn read_keys(&mut self) -> Result<Vec<Vec<i32>>, CiftiError> {
        let CiftiInfo { path, matrix, encoding, .. } = self.info.clone();
        let Maps::Labels(maps) = &matrix.maps else {
            return Err(CiftiError::Kind { path, found: matrix.kind(), expected: "labels such as `.dlabel.nii`" });
        };
        self.afford(maps.len() as u128 * matrix.places.len() as u128, size_of::<i32>())?;
        let known: Vec<BTreeSet<i32>> =
            maps.iter().map(|map| map.labels.iter().map(|label| label.key).chain([0]).collect()).collect();
        let (mut keys, mut buffer) = (vec![Vec::new(); maps.len()], Vec::new());
        for place in 0..matrix.places.len() {
            self.fetch(place, &mut buffer)?;
            let mut refused = None;
            encoding.each(&buffer, |map, value| match whole_number(value) {
                Some(key) if known[map].contains(&key) => keys[map].push(key),
                Some(_) => refused = Some((map, value, "a key of the map's label table")),
                None => refused = Some((map, value, "a whole number")),
            });
            if let Some((map, found, expected)) = refused {
                return Err(CiftiError::Label { path, found, place, map: maps[map].name.clone(), expected });
            }
        }
        Ok(keys)
    }

    /// Whether so many values can be held beside the stored bytes of a place.
    fn afford(&self, n_values: u128, value_bytes: usize) -> Result<(), CiftiError> {
        let info = &self.info;
        let (n_maps, n_places) = (info.n_maps(), info.n_places());
        let stored_bytes = n_maps as u128 * info.datatype.size_bytes() as u128;
        let needed_bytes = n_values * value_bytes as u128 + stored_bytes;
        let told = || format!("{n_maps} maps of {n_places} places");
        afford(&info.path, needed_bytes, told).map_err(NiftiError::from)?;
        Ok(())
    }

    fn check_asked(&self, places: &[usize], maps: &[usize]) -> Result<(), CiftiError> {
        for (what, asked, available) in [("place", places, self.info.n_places()), ("map", maps, self.info.n_maps())] {
            assert!(asked.is_sorted_by(|a, b| a < b), "places and maps ascend");
            if let Some(&asked) = asked.last().filter(|&&last| last >= available) {
                return Err(NiftiError::Outside { path: self.info.path.clone(), what, asked, available }.into());
            }
        }
        Ok(())
    }

    /// Reads the stored bytes of a place that was not passed yet.
    fn fetch(&mut self, place: usize, buffer: &mut Vec<u8>) -> Result<(), CiftiError> {
        let place_bytes = self.info.n_maps() * self.info.datatype.size_bytes();
        let fetched = match place.checked_sub(self.position) {
            None => Err(io::Error::other("it was read already")),
            Some(0) => self.source.fill(buffer, place_bytes),
            Some(n_between) => {
                let skipped = self.source.skip(n_between as u64 * place_bytes as u64);
                skipped.and_then(|()| self.source.fill(buffer, place_bytes))
            }
        };
        fetched.map_err(|source| CiftiError::Truncated {
            path: self.info.path.clone(),
            place,
            n_places: self.info.n_places(),
            source,
        })?;
        self.position = place + 1;
        if self.position == self.info.n_places() {
            let path = &self.info.path;
            self.source.check_end().map_err(|source| NiftiError::Checksum { path: path.clone(), source })?;
        }
        Ok(())
    }
}
