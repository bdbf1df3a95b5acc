//! The shared cache: whether its place is one, and takes what it is asked to.

use super::Check;
use crate::spec::{
    Demand,
    document::FieldPath,
    remote::{Remote, RemoteAddress, Service},
    written::{RemoteMode, SharedCache},
};

impl Check<'_, '_> {
    /// The shared cache, if the study names one.
    pub(super) fn remote(&mut self, cache: &SharedCache) -> Option<Remote> {
        let (place, mode) = (FieldPath::of("cache.remote"), FieldPath::of("cache.mode"));
        let Some(written) = &cache.remote else {
            if self.document.has(&mode) {
                let hint = "add `remote = \"s3://bucket/folder\"`, or take `mode` out";
                self.wrong_with_hint(&mode, format!("`{mode}` without `{place}`"), "of no shared cache", hint);
            }
            return None;
        };
        let address = match RemoteAddress::parse(written, self.document.folder(&place)) {
            Ok(address) => address,
            Err(error) => {
                // What may hold a secret is not told again.
                self.wrong_with_hint(&place, format!("`{place}` {}", error.message), error.label, error.hint);
                return None;
            }
        };
        let may_write = cache.mode == RemoteMode::ReadWrite;
        if may_write && address.service == Service::Http {
            let message = format!("`{mode}` is `read-write`, but `{}` can only be read", address.name);
            let hint = "set `mode = \"read\"`, or name the store behind it, as `s3://bucket/folder`";
            self.wrong_with_hint(&mode, message, "a web server takes no results", hint);
        }
        let demand = Demand::Remote(address.name.clone());
        if !(self.memory.surroundings.may)(&demand) {
            self.refuse(&place, format!("this study asks to {demand}"));
        }
        Some(Remote { address, may_write })
    }
}
