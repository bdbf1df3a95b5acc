//! Where a shared cache lies: the URL of `[cache]`, taken apart. Opens nothing; `share::remote` does.

use std::path::{Path, PathBuf};

/// A cache that several machines share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Where it lies.
    pub address: RemoteAddress,
    /// Whether results that are computed here are written to it.
    pub may_write: bool,
}

/// The place of a shared cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteAddress {
    /// As it was written; of a folder, its path.
    pub name: String,
    /// Who keeps it.
    pub service: Service,
    /// The URL up to its path, as `s3://bucket`; empty for a folder.
    pub root: String,
    /// Where in it results begin, without `/` at either end; may be empty.
    pub prefix: String,
}

/// Who keeps objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// A folder, as of a network file system.
    Folder(PathBuf),
    /// Amazon's protocol, which many others speak.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
    /// Any web server; read only.
    Http,
}

/// What is wrong with an address: a message after the field's name, a few words under the caret, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressError {
    pub(super) message: String,
    pub(super) label: &'static str,
    pub(super) hint: &'static str,
}

/// What an address may look like.
const FORMS: &str =
    "as `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`, `https://host/folder` or a folder's path";

impl RemoteAddress {
    /// Takes apart what was written; a path starts from `folder`.
    pub(super) fn parse(text: &str, folder: &Path) -> Result<Self, AddressError> {
        let wrong = |message: String, label, hint| Err(AddressError { message, label, hint });
        if text.trim().is_empty() {
            return wrong("is empty".to_owned(), "expected a URL or a folder", FORMS);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::folder(folder.join(text)));
        };
        let scheme = scheme.to_ascii_lowercase();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let service = match scheme.as_str() {
            "file" if authority.is_empty() => return Ok(Self::folder(PathBuf::from(format!("/{path}")))),
            "file" => {
                return wrong(
                    format!("names the host `{}`", authority.rsplit('@').next().unwrap_or_default()),
                    "expected three slashes",
                    "a folder of this machine is `file:///folder`, or its path",
                );
            }
            "s3" | "s3a" => Service::S3,
            "gs" => Service::Google,
            "az" | "azure" | "adl" | "abfs" | "abfss" => Service::Azure,
            "http" | "https" => Service::Http,
            _ => return wrong(format!("begins with `{scheme}://`, which is no service known here"), "unknown", FORMS),
        };
        // Azure's own form names a container there: `abfss://container@account.dfs.core.windows.net`.
        let names_container = scheme.starts_with("abfs") && !authority.contains(':');
        if authority.contains('@') && !names_container {
            return wrong(
                "holds a user or a password".to_owned(),
                "secrets do not belong in a study",
                "leave out what stands before the `@`; credentials come from the environment: AWS_…, GOOGLE_…, AZURE_…",
            );
        }
        if rest.contains(['?', '#']) {
            return wrong(
                "holds a query".to_owned(),
                "expected nothing after the path",
                "leave out `?` and what follows; credentials come from the environment: AWS_…, GOOGLE_…, AZURE_…",
            );
        }
        if authority.is_empty() || text.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            return wrong("names no place".to_owned(), "expected a bucket or host", FORMS);
        }
        Ok(Self {
            name: text.to_owned(),
            service,
            root: format!("{scheme}://{authority}"),
            prefix: path.trim_matches('/').to_owned(),
        })
    }

    fn folder(path: PathBuf) -> Self {
        let name = path.display().to_string();
        Self { name, service: Service::Folder(path), root: String::new(), prefix: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<RemoteAddress, AddressError> {
        RemoteAddress::parse(text, Path::new("studies"))
    }

    #[test]
    fn an_address_is_taken_apart() {
        let address = parsed("s3://lab/hebb/cache/").expect("fine");
        assert_eq!((address.service, address.root.as_str()), (Service::S3, "s3://lab"));
        assert_eq!(address.prefix, "hebb/cache");
        assert_eq!(
            parsed("GS://lab").map(|address| (address.service, address.prefix)),
            Ok((Service::Google, String::new()))
        );
        assert_eq!(parsed("../shared").map(|a| a.service), Ok(Service::Folder("studies/../shared".into())));
        assert_eq!(parsed("file:///shared/it").map(|a| a.service), Ok(Service::Folder("/shared/it".into())));
        let azure = parsed("abfss://box@lab.dfs.core.windows.net/it").expect("Azure's own form");
        assert_eq!(azure.root, "abfss://box@lab.dfs.core.windows.net");
    }

    #[test]
    fn secrets_and_unknown_services_are_refused() {
        for (text, told) in [
            ("s3://key:secret@lab/x", "holds a user or a password"),
            ("https://me@host/x", "holds a user or a password"),
            ("abfss://me:secret@lab/x", "holds a user or a password"),
            ("https://host/x?sig=secret", "holds a query"),
            ("ftp://host/x", "begins with `ftp://`, which is no service known here"),
            ("file://host/x", "names the host `host`"),
            ("s3:///x", "names no place"),
            ("s3://a b/x", "names no place"),
            (" ", "is empty"),
        ] {
            assert_eq!(parsed(text).map_err(|error| error.message), Err(told.to_owned()), "{text}");
        }
    }
}
