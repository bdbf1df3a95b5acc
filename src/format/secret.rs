//! Texts without the secrets in them: what may be shown, written down or sent on.
//!
//! Owns where addresses of the web hide secrets, which is before the `@` and behind the `?`, and which names of variables stand for one.
//! Everything that quotes an address, or what a server or a library said, goes through here.

use std::borrow::Cow;
use std::fmt;

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// Shorter values are words that stand everywhere; a key has more letters.
const SHORTEST: usize = 6;

/// Ends of the names of variables that hold a secret, in capitals.
const SECRET_NAMES: [&str; 12] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "ACCOUNT_KEY",
    "SAS_KEY",
    "CREDENTIALS",
];

/// Values that must not be shown.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl Secrets {
    /// These values; those that are too short to be one are left out.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> = values.into_iter().map(|value| value.trim().to_owned()).collect();
        values.retain(|value| value.len() >= SHORTEST);
        // The longest first: what is left of a longer one must not be shown because a shorter one was taken out of it.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self(values)
    }

    /// A text without these values, and without the secrets of the addresses in it.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> String {
        let mut text = hidden(text).into_owned();
        for value in &self.0 {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), HIDDEN);
            }
        }
        text
    }
}

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|end| name.ends_with(end))
}

/// A text whose addresses have neither user and password nor a query.
#[must_use]
pub fn hidden(text: &str) -> Cow<'_, str> {
    replaced(text, |_| HIDDEN.to_owned())
}

/// As [`hidden`], with as many bytes as before, and also without the values of `NAME=VALUE` where the name is that of a secret: for
/// text that is shown with marks under its places.
#[must_use]
pub fn masked(text: &str) -> Cow<'_, str> {
    let stars = |secret: &str| "*".repeat(secret.len());
    let found = assigned(text);
    if found.is_empty() {
        return replaced(text, stars);
    }
    let (mut masked, mut from) = (String::with_capacity(text.len()), 0);
    for (start, end) in found {
        masked.push_str(&text[from..start]);
        masked.push_str(&stars(&text[start..end]));
        from = end;
    }
    masked.push_str(&text[from..]);
    Cow::Owned(replaced(&masked, stars).into_owned())
}

/// Letters that end an address in running text, by where addresses stand.
fn ends_address(letter: char) -> bool {
    letter.is_whitespace()
        || letter.is_control()
        || matches!(letter, '"' | '\'' | '`' | '<' | '>' | '|' | '\\' | '^' | '{' | '}')
}

fn replaced(text: &str, with: impl Fn(&str) -> String) -> Cow<'_, str> {
    const MARK: &str = "://";
    let mut out = String::new();
    let mut from = 0;
    while let Some(at) = text[from..].find(MARK) {
        let begin = from + at + MARK.len();
        let end = text[begin..].find(ends_address).map_or(text.len(), |length| begin + length);
        let address = &text[begin..end];
        let host_end = address.find(['/', '?', '#']).unwrap_or(address.len());
        out.push_str(&text[from..begin]);
        let (mut host, rest) = address.split_at(host_end);
        // What stands before the last `@` is user and password, whatever is in it. A name alone is none of Azure's secrets.
        if let Some(at) = host.rfind('@').filter(|at| is_private(&text[..begin - MARK.len()], &host[..*at])) {
            out.push_str(&with(&host[..at]));
            host = &host[at..];
        }
        out.push_str(host);
        match rest.find(['?', '#']) {
            Some(query) if rest.len() > query + 1 => {
                // A bracket or a stop behind an address in a sentence is none of it.
                let tail = rest.len() - rest.trim_end_matches([')', ',', '.', ';', ':', ']']).len();
                let tail_at = (rest.len() - tail).max(query + 1);
                out.push_str(&rest[..=query]);
                if tail_at > query + 1 {
                    out.push_str(&with(&rest[query + 1..tail_at]));
                }
                out.push_str(&rest[tail_at..]);
            }
            _ => out.push_str(rest),
        }
        from = end;
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// Whether what stands before an `@` is more than the container that Azure's addresses name there.
fn is_private(before: &str, user: &str) -> bool {
    let names_container = before.ends_with("abfs") || before.ends_with("abfss");
    !names_container || user.contains(':')
}

/// The values of assignments to variables with the name of a secret, as places in the text.
///
/// A value that begins with `$` or a backtick is a command's, or another variable's, and tells nothing.
pub fn assigned(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('=') {
        let before = text[..at].trim_end_matches(' ');
        let in_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let name_at = before.trim_end_matches(in_name).len();
        if !is_secret_name(&before[name_at..]) {
            continue;
        }
        let rest = &text[at + 1..];
        let rest = rest.trim_start_matches(' ');
        let begin = text.len() - rest.len();
        let open = rest.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let (begin, end) = match open {
            Some(quote) => {
                let inside = &rest[1..];
                (begin + 1, begin + 1 + inside.find([quote, '\n']).unwrap_or(inside.len()))
            }
            None => {
                let ends = |letter: char| {
                    letter.is_whitespace() || matches!(letter, '"' | '\'' | ';' | '&' | '|' | ',' | '\\')
                };
                (begin, begin + rest.find(ends).unwrap_or(rest.len()))
            }
        };
        let value = &text[begin..end];
        if !value.is_empty() && !value.starts_with(['$', '`', '=']) {
            found.push((begin, end));
        }
    }
    found.dedup_by(|later, before| later.0 < before.1);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_users_and_queries() {
        for (text, shown) in [
            ("`https://me:pass@host/a`", "`https://***@host/a`"),
            ("https://t0ken@host:8/a?sig=x&y#z", "https://***@host:8/a?***"),
            (
                "error for url (http://h/a?sig=x), twice: http://h/b?c.",
                "error for url (http://h/a?***), twice: http://h/b?***.",
            ),
            ("http://a@b@c/x", "http://***@c/x"),
            ("http://h#frag", "http://h#***"),
            ("http://h/a? b", "http://h/a? b"),
            ("abfss://box@lab.dfs.core.windows.net/it", "abfss://box@lab.dfs.core.windows.net/it"),
            ("abfss://box:key@lab/it", "abfss://***@lab/it"),
            ("no address, a@b?c", "no address, a@b?c"),
            ("", ""),
        ] {
            assert_eq!(hidden(text), shown);
            assert_eq!(masked(text).len(), text.len(), "{text}");
        }
    }

    #[test]
    fn a_name_may_stand_behind_any_letter() {
        for text in ["TOKEN=abc", "#TOKEN = abc", "\u{cc69a}TOKEN='abc'", "\u{e9} TOKEN=\"abc"] {
            let places = assigned(text);
            assert_eq!(places.iter().map(|&(begin, end)| &text[begin..end]).collect::<Vec<_>>(), ["abc"], "{text}");
        }
        assert!(assigned("\u{cc69a}=abc").is_empty());
    }

    #[test]
    fn values_are_hidden_wherever_they_stand_and_words_are_not() {
        let secrets = Secrets::new(["longer-secret-value".to_owned(), "secret-value".to_owned(), "the".to_owned()]);
        let text = "the server said: longer-secret-value, secret-value";
        assert_eq!(secrets.hidden_in(text), "the server said: ***, ***");
        assert_eq!(format!("{secrets:?}"), "2 secrets");
    }

    #[test]
    fn assignments_to_secrets_are_found_and_masked_in_place() {
        for (text, masked_text) in [
            ("export HF_TOKEN=hf_abc; x", "export HF_TOKEN=******; x"),
            ("setup = [\"export AWS_SECRET_ACCESS_KEY='a b'\"]", "setup = [\"export AWS_SECRET_ACCESS_KEY='***'\"]"),
            ("my_token = \"äb\"\nnext = 1", "my_token = \"***\"\nnext = 1"),
            ("export HF_TOKEN=$(cat ~/.token)", "export HF_TOKEN=$(cat ~/.token)"),
            ("remote = \"s3://key:pw@lab/x\"", "remote = \"s3://******@lab/x\""),
            ("n_tokens = 3", "n_tokens = 3"),
        ] {
            assert_eq!(masked(text), masked_text);
            assert_eq!(masked(text).len(), text.len());
        }
        assert!(
            is_secret_name("hf_token") && is_secret_name("AZURE_STORAGE_SAS_KEY") && !is_secret_name("context_length")
        );
    }
}
