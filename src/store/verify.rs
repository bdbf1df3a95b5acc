//! Every byte of the cache against its digest.

use super::{Damage, Digest, Fault, Inventory, Store, StoreError};
use rayon::prelude::*;
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// Something that does not hold what was written.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Where it lay.
    pub path: PathBuf,
    /// Digest of the artifact, or key of the record.
    pub name: Digest,
    /// What is wrong, and where it lies now if it was set aside.
    pub damage: Damage,
}

impl Store {
    /// Reads every artifact and record of an inventory, on all cores, and gives what is damaged; `tell` hears of bytes read.
    ///
    /// # Errors
    /// If the system stands in the way, or what is damaged cannot be set aside.
    pub fn verify(
        &self,
        inventory: &Inventory,
        set_aside: bool,
        tell: impl Fn(u64) + Sync,
    ) -> Result<Vec<Verdict>, StoreError> {
        let read_bytes = AtomicU64::new(0);
        let artifacts = inventory.artifacts.par_iter().map(|artifact| {
            let files = artifact.record.as_ref().map(|record| record.files.as_slice());
            let faults = self.examine(&artifact.output, files)?;
            tell(read_bytes.fetch_add(artifact.item.size_bytes, Ordering::Relaxed) + artifact.item.size_bytes);
            let damage = match faults.as_slice() {
                // Gone since it was listed, or another process made it anew meanwhile.
                [] | [Fault::Gone] => None,
                _ if set_aside => self.set_aside(&artifact.output, files)?,
                _ => Some(Damage { faults, aside: None }),
            };
            let path = artifact.item.path.clone();
            Ok(damage.map(|damage| Verdict { path, name: artifact.output, damage }))
        });
        let records = inventory.unreadable.par_iter().map(|(key, item)| {
            let damage = if set_aside {
                self.set_aside_record(key)?
            } else {
                self.record_fault(key)?.map(|fault| Damage { faults: vec![fault], aside: None })
            };
            Ok(damage.map(|damage| Verdict { path: item.path.clone(), name: *key, damage }))
        });
        let found: Result<Vec<Option<Verdict>>, StoreError> = artifacts.chain(records).collect();
        Ok(found?.into_iter().flatten().collect())
    }
}
