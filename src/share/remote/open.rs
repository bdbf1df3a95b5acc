//! The service behind an address, with credentials from the environment as its own tools take them.

use super::PART_BYTES;
use crate::{
    format::secret::{Secrets, is_secret_name},
    spec::{RemoteAddress, Service},
};
use object_store::{
    BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    http::HttpBuilder,
    local::LocalFileSystem,
};
use std::{env, fs, sync::Arc, time::Duration};

/// Bytes a second that a connection must carry to be worth waiting for.
pub(super) const SLOWEST_BYTES_A_SECOND: u64 = 64 << 10;

/// How the network is used; what the environment says of the same stands over it.
fn options() -> [(ClientConfigKey, String); 3] {
    [
        (ClientConfigKey::ConnectTimeout, "4 seconds".to_owned()),
        (ClientConfigKey::Timeout, format!("{} seconds", 15 + PART_BYTES / SLOWEST_BYTES_A_SECOND)),
        (ClientConfigKey::UserAgent, concat!("hebb/", env!("CARGO_PKG_VERSION")).to_owned()),
    ]
}

/// A service that is away for a moment is asked again; one that stays away does not hold a run up.
fn retry() -> RetryConfig {
    let (init_backoff, max_backoff) = (Duration::from_millis(200), Duration::from_secs(2));
    let backoff = BackoffConfig { init_backoff, max_backoff, base: 2.0 };
    RetryConfig { backoff, max_retries: 3, retry_timeout: Duration::from_secs(8) }
}

/// What the environment holds of secrets, under any name: services and their libraries quote what they were sent.
pub(super) fn secrets() -> Secrets {
    let of_service = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|start| name.starts_with(start));
    let found = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Secrets::new(found.flat_map(|(name, value)| {
        let is_secret = is_secret_name(&name) || (of_service(&name) && is_key(&name));
        // Of a document with a key in it the key alone may be quoted.
        let inner = if is_secret { texts_of(&value) } else { Vec::new() };
        is_secret.then_some(value).into_iter().chain(inner).collect::<Vec<_>>()
    }))
}

/// Whether a service's variable holds a key or a signature: the names differ from service to service.
fn is_key(name: &str) -> bool {
    ["KEY", "SAS", "SIGNATURE", "TOKEN", "SECRET"].iter().any(|word| name.contains(word)) && !name.ends_with("_KEY_ID")
}

/// The long texts of a JSON object, such as `private_key`.
fn texts_of(value: &str) -> Vec<String> {
    const SHORTEST_KEY: usize = 40;
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(value).unwrap_or_default();
    let texts = object.into_iter().filter_map(|(_, value)| value.as_str().map(str::to_owned));
    texts.filter(|text| text.len() >= SHORTEST_KEY && !text.contains("://")).collect()
}

/// Opens what an address names, or says why that cannot be.
pub(super) fn objects(address: &RemoteAddress, may_write: bool) -> Result<Arc<dyn ObjectStore>, String> {
    // Another part of the process may have chosen before; any choice will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = address.root.as_str();
    let opened: object_store::Result<Arc<dyn ObjectStore>> = match &address.service {
        Service::Folder(folder) => {
            if may_write {
                fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            }
            if !folder.is_dir() {
                return Err("there is no such folder".to_owned());
            }
            LocalFileSystem::new_with_prefix(folder).map(|objects| Arc::new(objects) as Arc<dyn ObjectStore>)
        }
        Service::S3 => {
            let mut builder = AmazonS3Builder::from_env().with_url(root).with_retry(retry());
            for (key, value) in options() {
                builder = builder.with_config(AmazonS3ConfigKey::Client(key), value);
            }
            builder.build().map(|objects| Arc::new(objects) as Arc<dyn ObjectStore>)
        }
        Service::Google => {
            let mut builder = GoogleCloudStorageBuilder::from_env().with_url(root).with_retry(retry());
            for (key, value) in options() {
                builder = builder.with_config(GoogleConfigKey::Client(key), value);
            }
            builder.build().map(|objects| Arc::new(objects) as Arc<dyn ObjectStore>)
        }
        Service::Azure => {
            let mut builder = MicrosoftAzureBuilder::from_env().with_url(root).with_retry(retry());
            for (key, value) in options() {
                builder = builder.with_config(AzureConfigKey::Client(key), value);
            }
            builder.build().map(|objects| Arc::new(objects) as Arc<dyn ObjectStore>)
        }
        Service::Http => {
            let plain = root.starts_with("http://");
            let client =
                options().into_iter().fold(ClientOptions::new().with_allow_http(plain), |client, (key, value)| {
                    client.with_config(key, value)
                });
            let builder = HttpBuilder::new().with_url(root).with_client_options(client).with_retry(retry());
            builder.build().map(|objects| Arc::new(objects) as Arc<dyn ObjectStore>)
        }
    };
    opened.map_err(|error| super::told(&error))
}
