//! The bytes of an image, compressed or not, behind a header that was compared with how many there are.
//!
//! Compression is recognised by the bytes of the file, not by its name. Buffers grow with the bytes that are really there,
//! so that a small file that promises much costs little.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};
use std::path::Path;

use flate2::bufread::GzDecoder;

use super::header::{HEADER_BYTES_1, Header};
use super::{NiftiError, io_error};
use crate::format::annex::unfetched;

/// No deflate stream expands further than this (zlib's technical note: 1032 to 1).
const MAX_GZIP_RATIO: u128 = 1032;
/// Series of integers rarely shrink further than this; beyond it a buffer grows as it is filled.
const USUAL_GZIP_RATIO: u64 = 16;
/// How gzip members begin.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Padding behind the data that is read for the sake of the checksum behind it.
const MAX_PADDING_BYTES: u64 = 1 << 16;
const BUFFER_BYTES: usize = 1 << 17;

trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}
type Buffered = BufReader<Box<dyn Bytes>>;

/// The uncompressed bytes of a file, from first to last.
pub(in crate::format) struct Source {
    stream: Stream,
    /// Length of the file as it is stored.
    found_bytes: u64,
}

enum Stream {
    Plain(Buffered),
    /// Absent once the last member has ended.
    Gzip(Option<Box<GzDecoder<Buffered>>>),
}

impl Source {
    fn of_file(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let found_bytes = file.metadata()?.len();
        Source::new(Box::new(file), found_bytes)
    }

    fn new(bytes: Box<dyn Bytes>, found_bytes: u64) -> io::Result<Self> {
        let mut bytes = BufReader::with_capacity(BUFFER_BYTES, bytes);
        let stream = if bytes.fill_buf()?.starts_with(&GZIP_MAGIC) {
            Stream::Gzip(Some(Box::new(GzDecoder::new(bytes))))
        } else {
            Stream::Plain(bytes)
        };
        Ok(Source { stream, found_bytes })
    }

    /// Compares what a header promises with what the file can hold.
    pub fn check_holds(&self, path: &Path, promised_bytes: u128) -> Result<(), NiftiError> {
        let ratio = if matches!(self.stream, Stream::Plain(_)) { 1 } else { MAX_GZIP_RATIO };
        if promised_bytes <= u128::from(self.found_bytes) * ratio {
            return Ok(());
        }
        Err(NiftiError::TooShort { path: path.to_owned(), found_bytes: self.found_bytes, promised_bytes })
    }

    /// Replaces the contents of `buffer` by the next `n_bytes` bytes.
    pub fn fill(&mut self, buffer: &mut Vec<u8>, n_bytes: usize) -> io::Result<()> {
        buffer.clear();
        let usual_bytes = usize::try_from(self.found_bytes.saturating_mul(USUAL_GZIP_RATIO)).unwrap_or(usize::MAX);
        buffer.reserve_exact(n_bytes.min(usual_bytes));
        self.take(n_bytes as u64).read_to_end(buffer)?;
        if buffer.len() < n_bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Passes over the next bytes, by a seek where the file is not compressed.
    pub fn skip(&mut self, n_bytes: u64) -> io::Result<()> {
        if let Stream::Plain(bytes) = &mut self.stream {
            return bytes.seek_relative(i64::try_from(n_bytes).map_err(io::Error::other)?);
        }
        let skipped = io::copy(&mut self.take(n_bytes), &mut io::sink())?;
        if skipped < n_bytes { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Once all data are read: whether a compressed file matches its checksum.
    pub fn check_end(&mut self) -> io::Result<()> {
        match self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Gzip(_) => io::copy(&mut self.take(MAX_PADDING_BYTES), &mut io::sink()).map(drop),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let decoder = match &mut self.stream {
            Stream::Plain(bytes) => return bytes.read(buffer),
            Stream::Gzip(decoder) => decoder,
        };
        while let Some(mut member) = decoder.take() {
            let n_bytes = member.read(buffer)?;
            if n_bytes > 0 || buffer.is_empty() {
                *decoder = Some(member);
                return Ok(n_bytes);
            }
            // What follows the last member is padding, as `gzip -d` takes it.
            let mut rest = member.into_inner();
            let next = rest.fill_buf()?;
            if !next.is_empty() && GZIP_MAGIC.starts_with(&next[..next.len().min(GZIP_MAGIC.len())]) {
                *decoder = Some(Box::new(GzDecoder::new(rest)));
            }
        }
        Ok(0)
    }
}

/// Opens a file and reads its header; the source then stands behind the header.
pub(in crate::format) fn open(path: &Path) -> Result<(Header, Source), NiftiError> {
    let opened = Source::of_file(path).map_err(io_error(path)).and_then(|source| header_of(path, source));
    opened.map_err(|error| unfetched(path).map_or(error, NiftiError::from))
}

/// As [`open`], from bytes in memory.
pub(in crate::format) fn open_bytes(path: &Path, bytes: Vec<u8>) -> Result<(Header, Source), NiftiError> {
    let found_bytes = bytes.len() as u64;
    let source = Source::new(Box::new(Cursor::new(bytes)), found_bytes).map_err(io_error(path))?;
    header_of(path, source)
}

fn header_of(path: &Path, mut source: Source) -> Result<(Header, Source), NiftiError> {
    let not_nifti = |reason: String| NiftiError::NotNifti { path: path.to_owned(), reason };
    let short = |size: usize, error: &io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            not_nifti(format!("its header of {size} bytes cannot be read: the file is shorter"))
        }
        _ => not_nifti(format!("its header of {size} bytes cannot be read ({error})")),
    };
    let mut bytes = vec![0; HEADER_BYTES_1];
    source.read_exact(&mut bytes).map_err(|error| short(HEADER_BYTES_1, &error))?;
    let Some((size, endianness)) = Header::size_of_start([bytes[0], bytes[1], bytes[2], bytes[3]]) else {
        return Err(not_nifti("the header does not begin with its length, 348 or 540".to_owned()));
    };
    bytes.resize(size, 0);
    source.read_exact(&mut bytes[HEADER_BYTES_1..]).map_err(|error| short(size, &error))?;
    Ok((Header::parse(path, &bytes, endianness)?, source))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn member(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn source(bytes: Vec<u8>) -> Source {
        let found_bytes = bytes.len() as u64;
        Source::new(Box::new(Cursor::new(bytes)), found_bytes).unwrap()
    }

    #[test]
    fn members_follow_each_other_and_padding_ends_them() {
        let mut bytes = member(b"first ");
        bytes.extend(member(b"second"));
        for padding in [&b""[..], &[0; 300], b"other"] {
            let mut padded = bytes.clone();
            padded.extend(padding);
            let mut read = String::new();
            source(padded).read_to_string(&mut read).unwrap();
            assert_eq!(read, "first second");
        }
    }

    #[test]
    fn skipping_passes_over_as_many_bytes_as_reading() {
        let bytes: Vec<u8> = (0..=255).collect();
        for stored in [bytes.clone(), member(&bytes)] {
            let mut source = source(stored);
            let mut buffer = Vec::new();
            source.skip(100).unwrap();
            source.fill(&mut buffer, 6).unwrap();
            assert_eq!(buffer, [100, 101, 102, 103, 104, 105]);
            assert_eq!(source.fill(&mut buffer, 151).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn buffers_grow_with_what_is_there() {
        let mut source = source(member(&[7; 5000]));
        let mut buffer = Vec::new();
        assert_eq!(source.fill(&mut buffer, 1 << 40).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(buffer.len() == 5000 && buffer.capacity() <= 1 << 14, "{}", buffer.capacity());
    }

    #[test]
    fn checksums_are_compared_once_all_is_read() {
        let mut bytes = member(&[7; 50]);
        let mut buffer = Vec::new();
        let mut whole = source(bytes.clone());
        whole.fill(&mut buffer, 50).unwrap();
        whole.check_end().unwrap();
        let n_bytes = bytes.len();
        bytes[n_bytes - 6] ^= 1;
        let mut damaged = source(bytes);
        damaged.fill(&mut buffer, 50).unwrap();
        assert!(damaged.check_end().is_err());
    }
}
