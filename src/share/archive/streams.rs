//! What an archive's bytes pass through: counted, hashed, and never more than announced.

use crate::store::Digest;
use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// Bytes that are counted and hashed as they pass, never more than announced.
pub(super) struct Checked<R> {
    inner: R,
    hasher: blake3::Hasher,
    left_bytes: u64,
}

impl<R: Read> Checked<R> {
    pub(super) fn new(inner: R, size_bytes: u64) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), left_bytes: size_bytes }
    }

    /// The digest, if exactly as many bytes came as were announced.
    pub(super) fn finish(mut self) -> Option<Digest> {
        let is_over = self.left_bytes == 0 && matches!(self.inner.read(&mut [0]), Ok(0));
        is_over.then(|| self.hasher.finalize().into())
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left_bytes).unwrap_or(usize::MAX).min(into.len());
        let read = self.inner.read(&mut into[..most])?;
        self.hasher.update(&into[..read]);
        self.left_bytes -= read as u64;
        Ok(read)
    }
}

/// Gives an error instead of more bytes than its budget: what no header may exceed.
pub(super) struct Budgeted<R> {
    pub(super) inner: R,
    pub(super) left_bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Budgeted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.left_bytes.get();
        if left == 0 && !into.is_empty() {
            return Err(io::Error::other("more bytes than its list announces"));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let read = self.inner.read(&mut into[..most])?;
        self.left_bytes.set(left - read as u64);
        Ok(read)
    }
}
