//! JSON files that can tell when a bit of them flipped.
//!
//! The last field, `seal`, is the digest of everything before it. Other programs read such a file as the JSON that it is.

use super::Digest;
use serde::{Serialize, de::DeserializeOwned};

/// What comes between an object's own fields and the digest over them.
const SEAL: &str = ",\n  \"seal\": \"";

/// What comes after that digest.
const END: &str = "\"\n}\n";

/// An object with at least one field, indented and sealed.
pub(super) fn sealed(object: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string_pretty(object).expect("files of the cache are plain data");
    let open = text.strip_suffix("\n}").expect("an indented object with fields ends so");
    format!("{open}{SEAL}{}{END}", Digest::of(open.as_bytes())).into_bytes()
}

/// Whether there is a seal, whole or not.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains(SEAL))
}

/// What was sealed, or what is wrong with it. A file from before there were seals is read as it is.
pub(super) fn unsealed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let object = match text.rsplit_once(SEAL) {
        Some((open, rest)) => {
            if rest.strip_suffix(END) != Some(Digest::of(open.as_bytes()).to_string().as_str()) {
                return Err("its bytes are not those that were written".to_owned());
            }
            serde_json::from_str(&format!("{open}\n}}"))
        }
        None => serde_json::from_str(text),
    };
    object.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_sealed_is_read_again_and_is_json() {
        let object = json!({ "number": 0.1 + 0.2, "text": ",\n  \"seal\": \"", "list": [1, 2] });
        let bytes = sealed(&object);
        assert_eq!(unsealed::<Value>(&bytes), Ok(object.clone()));
        let all: Value = serde_json::from_slice(&bytes).expect("JSON");
        assert_eq!(all["text"], object["text"]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let object = json!({ "digest": Digest::of(b"a"), "size": 3 });
        let bytes = sealed(&object);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(read) = unsealed::<Value>(&flipped) {
                    // The seal's own name is damaged: it counts as another field, and every field of ours is whole.
                    assert_eq!((&read["digest"], &read["size"]), (&object["digest"], &object["size"]), "{at}, {bit}");
                }
            }
        }
        for length in 0..bytes.len() - 1 {
            assert!(unsealed::<Value>(&bytes[..length]).is_err(), "the first {length} bytes");
        }
    }
}
