//! Requests to a hub: what to send to whom, how far to follow, which failures may pass. Owns the connection; knows no files.
//!
//! The hub's own crate, `hf-hub`, needs an asynchronous runtime, begins broken files anew and compares no digests; what it
//! does beyond this is not needed.

use super::{HubError, HubModel, HubSettings, address::Address};
use crate::format::secret::{Secrets, hidden};
use std::{io, time::Duration};
use ureq::{
    Agent, Body, Timeout,
    http::{HeaderMap, Response, header},
};

/// How long a connection may take to be there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long nothing at all may arrive.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);

/// Answers that only point elsewhere, one behind the other.
const MOST_REDIRECTS: usize = 8;

/// Attempts at one request, unless something was gained in between.
pub(super) const MOST_ATTEMPTS: u32 = 5;

/// The longest pause that a hub's wish for one leads to.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is wanted of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// What the hub says of a file, without the file.
    Facts,
    /// The contents from this byte on.
    Contents(u64),
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may work if it is tried again, after a pause that the hub asks for.
    Passing { reason: String, pause: Option<Duration> },
    /// Nobody is there.
    Unreachable { reason: String },
    /// It will not work.
    Lasting(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Lasting(error)
    }
}

/// Someone who asks a hub for one model.
pub(super) struct Client<'s> {
    agent: Agent,
    settings: &'s HubSettings,
    model: &'s HubModel,
    /// What no message may hold, whoever wrote it.
    secrets: Secrets,
}

impl<'s> Client<'s> {
    pub(super) fn new(settings: &'s HubSettings, model: &'s HubModel) -> Self {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // They are followed here, as each may say what the file is, and only the hub itself may see the token.
            .max_redirects(0)
            .user_agent(concat!("hebb/", env!("CARGO_PKG_VERSION")))
            // Lengths and ranges are those of the file, not of a compressed one.
            .accept_encoding("identity")
            .timeout_resolve(Some(CONNECT_TIMEOUT))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(SILENCE_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT));
        if Address::new(&settings.endpoint).is_this_machine() {
            // A proxy elsewhere cannot reach it.
            config = config.proxy(None);
        }
        let secrets = Secrets::new(settings.token.clone());
        Self { agent: config.build().into(), settings, model, secrets }
    }

    /// The address of a path at the hub.
    pub(super) fn address(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.endpoint)
    }

    /// Asks once, and follows where the answer points.
    pub(super) fn ask(&self, url: &str, request: Request) -> Result<Response<Body>, Failure> {
        let mut address = Address::new(url);
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask_there(&address, request).map_err(|error| self.failure(error))?;
            let status = answer.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.accepted(url, answer);
            }
            // The hub itself says what the file is; whoever keeps it may know no more than its bytes.
            let says = |name| text(answer.headers(), name).is_some();
            if request == Request::Facts && says("x-linked-etag") && says("x-linked-size") {
                return Ok(answer);
            }
            let next = text(answer.headers(), "location").and_then(|location| address.join(location));
            address = next.filter(|next| next.is_as_safe_as(&address)).ok_or_else(|| {
                self.no_answer(url, format!("{status}, which points nowhere safe"), "an address of the same protocol")
            })?;
        }
        Err(self.no_answer(url, format!("more than {MOST_REDIRECTS} addresses to ask instead"), "the file").into())
    }

    fn ask_there(&self, address: &Address, request: Request) -> Result<Response<Body>, ureq::Error> {
        let mut builder = match request {
            Request::Facts => self.agent.head(address.as_str()),
            Request::Contents(_) => self.agent.get(address.as_str()),
        };
        if let (Some(token), true) =
            (&self.settings.token, address.has_origin_of(&Address::new(&self.settings.endpoint)))
        {
            builder = builder.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Request::Contents(from @ 1..) = request {
            builder = builder.header(header::RANGE, format!("bytes={from}-"));
        }
        builder.call()
    }

    fn accepted(&self, url: &str, answer: Response<Body>) -> Result<Response<Body>, Failure> {
        let status = answer.status().as_u16();
        let (model, url) = (self.model.clone(), hidden(url).into_owned());
        match status {
            200 | 206 | 416 => Ok(answer),
            401 | 403 => {
                let with_token = self.settings.token.is_some();
                Err(HubError::Denied { model, url, status, with_token }.into())
            }
            404 => Err(HubError::Unknown { model, url }.into()),
            408 | 425 | 429 | 500..=599 => {
                let seconds = text(answer.headers(), "retry-after").and_then(|value| value.parse().ok());
                let pause = seconds.map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
                Err(Failure::Passing { reason: format!("it answered with status {status}"), pause })
            }
            _ => Err(self.no_answer(&url, format!("status {status}"), "status 200").into()),
        }
    }

    /// Asks until there is an answer, or what stands in the way does not pass.
    pub(super) fn ask_patiently(&self, url: &str, request: Request) -> Result<Response<Body>, Failure> {
        let mut attempt = 1;
        loop {
            match self.ask(url, request) {
                Err(Failure::Passing { pause, reason }) => {
                    self.pause(attempt, pause, &reason)?;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Waits before the next attempt; fails if there were enough.
    pub(super) fn pause(&self, attempt: u32, wish: Option<Duration>, reason: &str) -> Result<(), Failure> {
        if attempt >= MOST_ATTEMPTS {
            let reason = self.secrets.hidden_in(reason);
            return Err(Failure::Unreachable { reason: format!("after {attempt} attempts {reason}") });
        }
        let pause = self.settings.retry_pause * 2u32.pow(attempt - 1);
        std::thread::sleep(wish.map_or(pause, |wish| wish.max(pause)));
        Ok(())
    }

    /// What follows from an error of the connection. Some of them quote the address, which may be one that was signed for us.
    fn failure(&self, error: ureq::Error) -> Failure {
        let told = |error: &dyn std::fmt::Display| self.secrets.hidden_in(&error.to_string());
        let passing = |reason| Failure::Passing { reason, pause: None };
        match error {
            // Of what the system says of a connection, only that it broke may be otherwise next time.
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut
                | io::ErrorKind::WouldBlock => passing(told(&error)),
                _ => Failure::Unreachable { reason: told(&error) },
            },
            ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::BadUri(_)
            | ureq::Error::InvalidProxyUrl
            | ureq::Error::ConnectProxyFailed(_) => Failure::Unreachable { reason: told(&error) },
            _ => passing(told(&error)),
        }
    }

    pub(super) fn no_answer(&self, url: &str, found: impl Into<String>, expected: impl Into<String>) -> HubError {
        let (found, expected) = (self.secrets.hidden_in(&found.into()), expected.into());
        HubError::Answer { url: hidden(url).into_owned(), found, expected }
    }
}

/// A header's text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
