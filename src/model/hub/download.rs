//! One file from the hub into the cache: resumed where it broke off, compared with what the hub calls it, then published.

use super::{
    HubError, HubModel, HubProgress,
    cache::Snapshot,
    client::{Client, Failure, Request, text},
    content::ContentName,
};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};
use ureq::{
    Body,
    http::{HeaderMap, Response},
};

/// After so many new bytes a connection that breaks is as good as a first one.
const GAIN_BYTES: u64 = 1 << 20;

/// Where a model's files come from and go to.
pub(super) struct Download<'d> {
    pub(super) client: &'d Client<'d>,
    pub(super) model: &'d HubModel,
    pub(super) snapshot: &'d Snapshot,
    pub(super) progress: &'d mut dyn FnMut(HubProgress<'_>),
}

/// What the hub says of a file before it is fetched.
struct Facts {
    content: ContentName,
    size_bytes: u64,
}

impl Download<'_> {
    /// Fetches a file of at most so many bytes, unless its contents are in the cache already.
    pub(super) fn file(&mut self, name: &str, most_bytes: u64) -> Result<(), Failure> {
        let (repository, revision) = (self.model.repository(), self.model.revision());
        let url = self.client.address(&format!("{repository}/resolve/{revision}/{name}"));
        let answer = self.client.ask_patiently(&url, Request::Facts).map_err(|failure| match failure {
            Failure::Lasting(HubError::Unknown { model, url }) => {
                HubError::Gone { model, file: name.to_owned(), url }.into()
            }
            other => other,
        })?;
        let facts = self.facts(&url, answer.headers(), most_bytes)?;
        drop(answer);

        let etag = facts.content.as_str();
        let lock = self.snapshot.lock(etag)?;
        let blob = self.snapshot.blob(etag);
        if fs::metadata(&blob).is_ok_and(|blob| blob.len() == facts.size_bytes) {
            (self.progress)(HubProgress { file: name, done_bytes: facts.size_bytes, total_bytes: facts.size_bytes });
        } else {
            self.contents(name, &url, &facts, &blob)?;
        }
        self.snapshot.link(name, etag)?;
        drop(lock);
        Ok(())
    }

    fn facts(&self, url: &str, headers: &HeaderMap, most_bytes: u64) -> Result<Facts, HubError> {
        let either = |linked, own| text(headers, linked).or_else(|| text(headers, own));
        let content = either("x-linked-etag", "etag").and_then(ContentName::read);
        let content = content.ok_or_else(|| self.client.no_answer(url, "no entity tag that names a file", "one"))?;
        let size_bytes = either("x-linked-size", "content-length").and_then(|size| size.parse().ok());
        let size_bytes: u64 = size_bytes.ok_or_else(|| self.client.no_answer(url, "no length", "one"))?;
        if size_bytes > most_bytes {
            let expected = format!("at most {most_bytes}");
            return Err(self.client.no_answer(url, format!("a file of {size_bytes} bytes"), expected));
        }
        Ok(Facts { content, size_bytes })
    }

    /// Fetches contents to where they belong; nothing stands there unless all of it arrived and is what the hub calls it.
    fn contents(&mut self, name: &str, url: &str, facts: &Facts, blob: &Path) -> Result<(), Failure> {
        let partial = blob.with_added_extension("incomplete");
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&partial);
        let mut file = file.map_err(HubError::file("create", &partial))?;
        // What is there from an earlier time is of use only if the whole can be compared.
        let mut n_old = file.metadata().map_err(HubError::file("read", &partial))?.len();
        if !facts.content.is_digest() || n_old > facts.size_bytes {
            n_old = 0;
        }
        file.set_len(n_old).map_err(HubError::file("write", &partial))?;
        loop {
            self.rest(name, url, facts, &mut file, &partial)?;
            file.sync_all().map_err(HubError::file("write", &partial))?;
            let Some(found) = facts.content.mismatch(&partial)? else {
                drop(file);
                fs::rename(&partial, blob).map_err(HubError::file("create", blob))?;
                return Ok(());
            };
            if n_old == 0 {
                drop(file);
                fs::remove_file(&partial).map_err(HubError::file("remove", &partial))?;
                let expected = facts.content.as_str().to_owned();
                return Err(
                    HubError::Digest { model: self.model.clone(), file: name.to_owned(), found, expected }.into()
                );
            }
            // What was there before may have been wrong: once more without it.
            n_old = 0;
            file.set_len(0).map_err(HubError::file("write", &partial))?;
        }
    }

    /// Fetches what a file still lacks, over as many connections as it takes.
    fn rest(&mut self, name: &str, url: &str, facts: &Facts, file: &mut File, partial: &Path) -> Result<(), Failure> {
        let mut attempt = 1;
        loop {
            let length =
                |file: &File| file.metadata().map(|facts| facts.len()).map_err(HubError::file("read", partial));
            let done = length(file)?;
            if done == facts.size_bytes {
                (self.progress)(HubProgress { file: name, done_bytes: done, total_bytes: done });
                return Ok(());
            }
            let connection = self.client.ask(url, Request::Contents(done));
            let broken = connection.and_then(|answer| self.receive(name, url, facts, answer, file, partial));
            match broken {
                Ok(()) => {}
                Err(Failure::Passing { reason, pause }) => {
                    if length(file)? >= done + GAIN_BYTES {
                        attempt = 1;
                    }
                    self.client.pause(attempt, pause, &reason)?;
                    attempt += 1;
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Adds what one answer holds to the file.
    fn receive(
        &mut self,
        name: &str,
        url: &str,
        facts: &Facts,
        mut answer: Response<Body>,
        file: &mut File,
        partial: &Path,
    ) -> Result<(), Failure> {
        let write = |error| Failure::from(HubError::file("write", partial)(error));
        let passing = |reason: String| Failure::Passing { reason, pause: None };
        let mut done = file.seek(SeekFrom::End(0)).map_err(write)?;
        let range = text(answer.headers(), "content-range").map(str::to_owned);
        match answer.status().as_u16() {
            206 if range.as_deref() == Some(&format!("bytes {done}-{}/{}", facts.size_bytes - 1, facts.size_bytes)) => {
            }
            // The whole, whatever was asked for.
            200 => done = 0,
            status => {
                file.set_len(0).map_err(write)?;
                return Err(passing(format!(
                    "it answered with status {status} and range {range:?} to one from {done}"
                )));
            }
        }
        file.set_len(done).map_err(write)?;
        file.seek(SeekFrom::Start(done)).map_err(write)?;
        let mut body = answer.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 18];
        loop {
            (self.progress)(HubProgress { file: name, done_bytes: done, total_bytes: facts.size_bytes });
            let n_read = match body.read(&mut buffer) {
                Ok(0) if done < facts.size_bytes => {
                    return Err(passing(format!("the connection ended after {done} of {} bytes", facts.size_bytes)));
                }
                Ok(0) => return Ok(()),
                Ok(n_read) => n_read,
                Err(error) => return Err(passing(format!("the connection broke after {done} bytes: {error}"))),
            };
            done += n_read as u64;
            if done > facts.size_bytes {
                file.set_len(0).map_err(write)?;
                let found = format!("more than the {} bytes that it announced", facts.size_bytes);
                return Err(self.client.no_answer(url, found, "as many").into());
            }
            file.write_all(&buffer[..n_read]).map_err(write)?;
        }
    }
}
