//! From a shared cache to this one: files in ranges, each believed when its bytes give its digest.

use super::{PART_BYTES, PATIENCE, Remote, RemoteError, file_name};
use crate::store::{Arrival, OutputFile, Record, Store};
use futures_util::StreamExt;
use object_store::{Error as ObjectError, GetOptions, GetRange, GetResult, GetResultPayload};
use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

/// Bytes of a local file that are read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// Requests for one file that may end without a byte more.
const FRUITLESS: usize = 2;

impl Remote {
    /// Puts the files of a record into `folder`, each checked against its digest; `hear` is told of bytes as they arrive. What has
    /// arrived stays in the cache if the transfer ends early, and the next one goes on from there.
    ///
    /// # Errors
    /// If nobody answers, a file is not what the record says, the cache cannot be written to, or `cancelled` is set.
    pub fn bring(
        &self,
        store: &Store,
        record: &Record,
        folder: &Path,
        hear: &dyn Fn(u64),
        cancelled: &AtomicBool,
    ) -> Result<(), RemoteError> {
        let arrival = store.arrival(&record.output, || cancelled.load(Ordering::Relaxed))?;
        let arrival = arrival.ok_or(RemoteError::Cancelled)?;
        for file in &record.files {
            let object = file_name(&record.output, &file.path);
            if let Err(error) = self.file(&arrival, file, &object, hear, cancelled) {
                // Nothing of what is refused is worth going on from.
                if matches!(error, RemoteError::Refused { .. }) {
                    arrival.abandon()?;
                }
                return Err(error);
            }
        }
        arrival.deliver(record, folder)?;
        Ok(())
    }

    fn file(
        &self,
        arrival: &Arrival,
        file: &OutputFile,
        object: &str,
        hear: &dyn Fn(u64),
        cancelled: &AtomicBool,
    ) -> Result<(), RemoteError> {
        loop {
            if arrival.length(file) > file.size_bytes {
                arrival.discard(file)?;
            }
            let from_before = arrival.length(file);
            hear(from_before);
            self.rest(arrival, file, object, hear, cancelled)?;
            if arrival.is_whole(file)? {
                return Ok(());
            }
            arrival.discard(file)?;
            // What lay here from before may have been wrong, so it gets one more chance from the start.
            if from_before == 0 {
                return Err(self.refused(object, format!("its bytes do not give the digest {}", file.digest)));
            }
        }
    }

    /// Whatever of a file is not there yet.
    fn rest(
        &self,
        arrival: &Arrival,
        file: &OutputFile,
        object: &str,
        hear: &dyn Fn(u64),
        cancelled: &AtomicBool,
    ) -> Result<(), RemoteError> {
        let mut fruitless = 0;
        let mut in_ranges = true;
        // An empty file is made by opening it.
        drop(arrival.open(file)?);
        while arrival.length(file) < file.size_bytes {
            if cancelled.load(Ordering::Relaxed) {
                return Err(RemoteError::Cancelled);
            }
            let from = arrival.length(file);
            let to = file.size_bytes.min(from + PART_BYTES);
            let whole = !in_ranges || (from == 0 && to == file.size_bytes);
            let range = if whole { 0..file.size_bytes } else { from..to };
            match self.part(arrival, file, object, range, whole, hear, cancelled) {
                // Some servers know no ranges: they give a file from its start or not at all.
                Err(Part::NoRanges) if in_ranges => {
                    in_ranges = false;
                    arrival.discard(file)?;
                    drop(arrival.open(file)?);
                }
                Err(Part::NoRanges) => {
                    return Err(self.refused(object, "it comes in parts nobody asked for".to_owned()));
                }
                Err(Part::Ended(error)) => {
                    fruitless = if arrival.length(file) > from { 0 } else { fruitless + 1 };
                    // Without ranges there is no going on: the next run begins at the start.
                    let is_torn = matches!(error, RemoteError::Away { .. });
                    if fruitless >= FRUITLESS || !is_torn || !in_ranges {
                        return Err(error);
                    }
                }
                Ok(()) => fruitless = 0,
            }
        }
        Ok(())
    }

    /// One request: the bytes of a range, added to what is there.
    #[expect(clippy::too_many_arguments, reason = "one request, told apart from the loop over them")]
    fn part(
        &self,
        arrival: &Arrival,
        file: &OutputFile,
        object: &str,
        range: std::ops::Range<u64>,
        whole: bool,
        hear: &dyn Fn(u64),
        cancelled: &AtomicBool,
    ) -> Result<(), Part> {
        let path = self.path(object);
        let asked = (!whole).then(|| GetRange::Bounded(range.clone()));
        let options = GetOptions { range: asked, ..GetOptions::default() };
        let found = self.wait(PATIENCE, self.objects.get_opts(&path, options))?;
        let found: GetResult = found.map_err(|error| match error {
            ObjectError::NotFound { .. } => {
                Part::Ended(self.refused(object, "it is not there, although a record names it".to_owned()))
            }
            // The library has no type for it that others can see.
            error if super::told(&error).contains("non-partial response") => Part::NoRanges,
            error => Part::Ended(self.away(&error)),
        })?;
        if found.meta.size != file.size_bytes {
            let (size, expected) = (found.meta.size, file.size_bytes);
            return Err(self.refused(object, format!("it has {size} bytes, expected {expected}")).into());
        }
        let mut left = range.end - range.start;
        let mut open = arrival.open(file).map_err(RemoteError::from)?;
        let mut add = |bytes: &[u8]| {
            if cancelled.load(Ordering::Relaxed) {
                return Err(RemoteError::Cancelled);
            }
            left = match left.checked_sub(bytes.len() as u64) {
                Some(left) if open.add(bytes)? => left,
                _ => return Err(self.refused(object, format!("it has more than {} bytes", file.size_bytes))),
            };
            hear(bytes.len() as u64);
            Ok(())
        };
        match found.payload {
            GetResultPayload::File(mut opened, _) => {
                let away = |error: std::io::Error| RemoteError::Away {
                    remote: self.name.clone(),
                    why: super::plain(&error.to_string()),
                };
                opened.seek(SeekFrom::Start(found.range.start)).map_err(away)?;
                let mut opened = opened.take(range.end - range.start);
                let mut block = vec![0; BLOCK_BYTES];
                loop {
                    match opened.read(&mut block).map_err(away)? {
                        0 => break,
                        n => add(&block[..n])?,
                    }
                }
            }
            GetResultPayload::Stream(mut stream) => {
                while let Some(bytes) = self.wait(PATIENCE, stream.next())? {
                    add(&bytes.map_err(|error| self.away(&error))?)?;
                }
            }
        }
        if left > 0 {
            let why = format!("`{object}` ended {left} bytes early");
            return Err(RemoteError::Away { remote: self.name.clone(), why }.into());
        }
        Ok(())
    }
}

/// How a request ended that did not give all that it was asked for.
enum Part {
    /// The server gives whole files only.
    NoRanges,
    /// Anything else.
    Ended(RemoteError),
}

impl From<RemoteError> for Part {
    fn from(error: RemoteError) -> Self {
        Self::Ended(error)
    }
}
