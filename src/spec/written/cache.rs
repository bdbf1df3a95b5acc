//! Where results are shared, as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

/// A cache that several machines share. Nothing in this table shapes a result.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SharedCache {
    /// Where it lies: `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`, `https://host/folder` (read only), or a
    /// folder, as `file:///folder` or a path. Credentials come from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), never from here.
    #[schemars(example = &"s3://our-lab/hebb", example = &"../shared-cache")]
    pub remote: Option<String>,
    /// Whether results are only taken from it, or those computed here are given to it too.
    pub mode: RemoteMode,
}

/// What a shared cache is used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemoteMode {
    /// What is there is taken instead of being computed.
    #[default]
    Read,
    /// What is computed here is given to it too.
    ReadWrite,
}
