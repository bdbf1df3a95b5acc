//! Web addresses, as far as following redirects needs them: whose they are, and where a relative one leads.

/// An absolute address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address(String);

impl Address {
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Protocol, and who is asked: host and port.
    fn origin(&self) -> (String, String) {
        let (scheme, rest) = self.0.split_once("://").unwrap_or(("", &self.0));
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        (scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
    }

    /// Whether both ask the same host in the same way.
    pub(super) fn has_origin_of(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    /// Whether nothing that was encrypted goes on in the open.
    pub(super) fn is_as_safe_as(&self, other: &Self) -> bool {
        let (scheme, _) = self.origin();
        scheme == "https" || (scheme == "http" && other.origin().0 == "http")
    }

    /// Whether this machine itself is asked.
    pub(super) fn is_this_machine(&self) -> bool {
        let (_, host) = self.origin();
        let name = host.rsplit_once(':').map_or(host.as_str(), |(name, _port)| name);
        matches!(name, "localhost" | "[::1]") || name.starts_with("127.")
    }

    /// Where a `Location` leads from here; absent if to another kind of place than a web address.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let location = location.split('#').next().unwrap_or_default();
        let (scheme, host) = self.origin();
        let joined = if let Some((other, _)) = location.split_once("://").filter(|(other, _)| is_scheme(other)) {
            matches!(other.to_ascii_lowercase().as_str(), "http" | "https").then(|| location.to_owned())?
        } else if location.starts_with("//") {
            format!("{scheme}:{location}")
        } else if location.starts_with('/') {
            format!("{scheme}://{host}{location}")
        } else if location.is_empty() {
            return None;
        } else {
            let path = self.0.split(['?', '#']).next().unwrap_or_default();
            let begin = scheme.len() + "://".len() + host.len();
            let folder = path.get(begin..)?.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{host}{folder}/{location}")
        };
        Some(Self(joined))
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_a_browser_would_go() {
        let here = Address::new("https://Hub.example:8080/a/b/c?x=1#y");
        for (location, expected) in [
            ("https://cdn.example/z?t=http://q", Some("https://cdn.example/z?t=http://q")),
            ("//cdn.example/z", Some("https://cdn.example/z")),
            ("/z", Some("https://hub.example:8080/z")),
            ("z/w?u=1", Some("https://hub.example:8080/a/b/z/w?u=1")),
            ("/z?to=http://q", Some("https://hub.example:8080/z?to=http://q")),
            ("", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(here.join(location), expected.map(Address::new), "{location}");
        }
        assert_eq!(Address::new("a").join("b"), None);
    }

    #[test]
    fn only_the_same_host_is_the_hub_and_only_encryption_is_as_safe() {
        let hub = Address::new("https://hub.example");
        assert!(Address::new("https://HUB.example/a").has_origin_of(&hub));
        for other in ["http://hub.example", "https://hub.example:444", "https://hub.example@evil.example/", "https://a"]
        {
            assert!(!Address::new(other).has_origin_of(&hub), "{other}");
        }
        assert!(!Address::new("http://cdn.example").is_as_safe_as(&hub));
        assert!(hub.is_as_safe_as(&Address::new("http://cdn.example")));
        assert!(Address::new("http://127.0.0.1:80/a").is_this_machine());
        assert!(Address::new("http://[::1]:80").is_this_machine());
        assert!(!hub.is_this_machine());
    }
}
