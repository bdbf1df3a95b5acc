//! From this cache to a shared one: files first, the records that lead to them last, so that nobody is led to what is not there.

use super::{PART_BYTES, PATIENCE, Remote, RemoteError, file_name, open::SLOWEST_BYTES_A_SECOND, record_name};
use crate::store::{OutputFile, Record, Store, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::{Error as ObjectError, MultipartUpload, ObjectStoreExt, PutPayload};
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Files that are given at once.
const AT_ONCE: usize = 4;

/// Most parts of one upload: S3 takes ten thousand.
const MOST_PARTS: u64 = 9000;

/// What was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of files that were not there before.
    pub bytes: u64,
}

impl Remote {
    /// Gives a result to the shared cache. A file that is there with its size is not given again, so that an upload which was
    /// killed goes on by file, unless it was refused before. Bytes are compared with their digests while they are read: what was damaged here is not given.
    ///
    /// # Errors
    /// If nobody answers, or refuses what is given; if a file here is damaged or cannot be read; once `cancelled` is set.
    pub fn push(&self, store: &Store, record: &Record, cancelled: &AtomicBool) -> Result<Pushed, RemoteError> {
        let folder = store.artifact(&record.output);
        let given = self.runtime.block_on(async {
            let files = record.files.iter().map(|file| {
                let object = file_name(&record.output, &file.path);
                let local = folder.join(&file.path);
                async move { self.give(record, file, &local, &object, cancelled).await }
            });
            let bytes: Vec<u64> = stream::iter(files).buffer_unordered(AT_ONCE).try_collect().await?;
            let text = record.to_bytes();
            for key in [&record.content, &record.recipe] {
                let object = self.path(&record_name(key));
                self.answer(PATIENCE, self.objects.put(&object, PutPayload::from(text.clone()))).await?;
            }
            Ok::<u64, RemoteError>(bytes.iter().sum())
        });
        given.map(|bytes| Pushed { bytes })
    }

    /// Gives one file; gives the bytes that were sent.
    async fn give(
        &self,
        record: &Record,
        file: &OutputFile,
        local: &Path,
        object: &str,
        cancelled: &AtomicBool,
    ) -> Result<u64, RemoteError> {
        if cancelled.load(Ordering::Relaxed) {
            return Err(RemoteError::Cancelled);
        }
        let was_refused = self.refused.lock().expect("no holder panics").contains(object);
        let object = &self.path(object);
        match tokio::time::timeout(PATIENCE, self.objects.head(object)).await {
            Err(_) => return Err(self.silent(PATIENCE)),
            Ok(Ok(there)) if there.size == file.size_bytes && !was_refused => return Ok(0),
            Ok(Ok(_) | Err(ObjectError::NotFound { .. })) => {}
            Ok(Err(error)) => return Err(self.away(&error)),
        }
        let unreadable =
            |source: io::Error| RemoteError::Store(StoreError::Io { action: "read", path: local.to_owned(), source });
        let damaged = || RemoteError::Damaged { output: record.output, path: file.path.clone() };
        let mut opened = File::open(local).map_err(unreadable)?;
        let part_bytes = PART_BYTES.max(file.size_bytes.div_ceil(MOST_PARTS));
        let patience = PATIENCE + Duration::from_secs(part_bytes / SLOWEST_BYTES_A_SECOND);
        let mut hasher = blake3::Hasher::new();
        if file.size_bytes <= part_bytes {
            let bytes = next(&mut opened, part_bytes).map_err(unreadable)?;
            hasher.update(&bytes);
            if bytes.len() as u64 != file.size_bytes || file.digest != hasher.finalize().into() {
                return Err(damaged());
            }
            self.answer(patience, self.objects.put(object, bytes.into())).await?;
            return Ok(file.size_bytes);
        }
        let mut upload = self.answer(PATIENCE, self.objects.put_multipart(object)).await?;
        let parts = async {
            let mut sent = 0;
            loop {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(RemoteError::Cancelled);
                }
                let bytes = next(&mut opened, part_bytes).map_err(unreadable)?;
                if bytes.is_empty() {
                    break;
                }
                hasher.update(&bytes);
                sent += bytes.len() as u64;
                self.answer(patience, upload.put_part(bytes.into())).await?;
            }
            if sent != file.size_bytes || file.digest != hasher.finalize().into() {
                return Err(damaged());
            }
            Ok(())
        };
        let ended = parts.await;
        self.end(upload, ended).await?;
        Ok(file.size_bytes)
    }

    /// Completes an upload whose parts are all there, and takes any other back.
    async fn end(
        &self,
        mut upload: Box<dyn MultipartUpload>,
        parts: Result<(), RemoteError>,
    ) -> Result<(), RemoteError> {
        if let Err(error) = parts {
            // Who does not answer now has parts that nobody sees and that its owner's rules remove.
            let _ = tokio::time::timeout(PATIENCE, upload.abort()).await;
            return Err(error);
        }
        self.answer(PATIENCE * 4, upload.complete()).await.map(drop)
    }

    async fn answer<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, RemoteError> {
        match tokio::time::timeout(patience, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.away(&error)),
            Err(_) => Err(self.silent(patience)),
        }
    }
}

/// The next bytes of a file, at most so many.
fn next(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
